"""Information bottlenecks, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import Claim, violates
from attrlab.method import Attribute, Method
from attrlab.methods.bottlenecks import iba, inverse_iba, multilayer_iba, regression_iba
from attrlab.methods.input_bottleneck import input_iba, input_iba_lite
from attrlab.methods.readout_bottleneck import readout_iba
from attrlab.methods.registered.theory import register

_POSITIONS = frozenset({"image", "graph", "sequence", "set"})
_BITS = "bits are counted, not output, and none is negative"
_PLACES = violates("permutation_equivariance", witness="edge-types-v1", because="the noise of a node is that of its place among the nodes")
_COVID = "Khakzar et al. (2021), explaining COVID-19 and thoracic pathology models"


def _register(
    name: str, attribute: Attribute, reference: str, *, witness: str, further: tuple[Claim, ...] = (_PLACES,), times: str = ""
) -> None:
    register(
        Method(
            name=name,
            attribute=attribute,
            modalities=_POSITIONS,
            reference=reference,
            cost=f"{times}steps x copies (forward + backward), 10 x 10 by default; 1 forward per reference row",
            cost_class="optimisation",
            light={"steps": 2, "copies": 2},
            needs=frozenset({"reference data"}),
            claims=(violates("completeness", witness=witness, because=_BITS), *further),
        )
    )


_register("iba", iba, "Schulz et al. (2020), equations 3 to 6", witness="colour-count-v1", further=())
_register("regression_iba", regression_iba, f"{_COVID}, section 2.3", witness="colour-count-v1")
_register("inverse_iba", inverse_iba, f"{_COVID}, section 2.2", witness="colour-count-v1")
_register("multilayer_iba", multilayer_iba, f"{_COVID}, section 2.4", witness="colour-count-v1", times="depths x ")

_INPUT = "Zhang et al. (2021), equations 3 to 9"
for _name, _attribute, _cost, _light in (
    (
        "input_iba",
        input_iba,
        "100 + 1120 + 600 (forward + backward) and 4480 forwards to the layer",
        {"steps": 2, "copies": 2, "rounds": 1, "samples": 4},
    ),
    ("input_iba_lite", input_iba_lite, "100 + 600 (forward + backward)", {"steps": 2, "copies": 2}),
):
    register(
        Method(
            name=_name,
            attribute=_attribute,
            modalities=_POSITIONS,
            reference=_INPUT if _name == "input_iba" else f"{_INPUT}, without its game",
            cost=_cost,
            cost_class="optimisation",
            light=_light,
            needs=frozenset({"reference data"}),
            claims=(
                violates("completeness", witness="colour-count-v1", because="shares lie in [0, 1], whatever the size of the output"),
                _PLACES,
            ),
        )
    )

register(
    Method(
        name="readout_iba",
        attribute=readout_iba,
        modalities=_POSITIONS,
        reference="Schulz et al. (2020), section 3.3",
        cost="1 forward; before, epochs x reference rows (forward + backward), once a call",
        cost_class="fitted",
        light={"epochs": 1},
        needs=frozenset({"reference data"}),
        claims=(violates("completeness", witness="colour-count-v1", because=_BITS), _PLACES),
    )
)
