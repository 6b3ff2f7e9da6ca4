"""Information bottlenecks, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import violates
from attrlab.method import Attribute, Method
from attrlab.methods.bottlenecks import iba, inverse_iba, multilayer_iba, regression_iba
from attrlab.registry import register_method

_POSITIONS = frozenset({"image", "graph", "sequence", "set"})
_BITS = "bits are counted, not output, and none is negative"
_COVID = "Khakzar et al. (2021), explaining COVID-19 and thoracic pathology models"


def _register(name: str, attribute: Attribute, reference: str, *, witness: str, times: str = "") -> None:
    register_method(
        Method(
            name=name,
            attribute=attribute,
            modalities=_POSITIONS,
            reference=reference,
            cost=f"{times}steps x copies (forward + backward), 10 x 10 by default; 1 forward per reference row",
            cost_class="optimisation",
            light={"steps": 2, "copies": 2},
            needs=frozenset({"reference data"}),
            claims=(violates("completeness", witness=witness, because=_BITS),),
        )
    )


_register("iba", iba, "Schulz et al. (2020), equations 3 to 6", witness="colour-count-v1")
_register("regression_iba", regression_iba, f"{_COVID}, section 2.3", witness="colour-count-v1")
_register("inverse_iba", inverse_iba, f"{_COVID}, section 2.2", witness="colour-count-v1")
_register("multilayer_iba", multilayer_iba, f"{_COVID}, section 2.4", witness="colour-count-v1", times="depths x ")
