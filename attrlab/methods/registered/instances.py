"""Methods that need positions, for bags whose instances are arrays, with what each says of itself."""

from __future__ import annotations

from attrlab.claims import violates
from attrlab.method import Method
from attrlab.methods.bottlenecks import inverse_iba, regression_iba
from attrlab.methods.class_activation import grad_cam
from attrlab.methods.input_bottleneck import input_iba
from attrlab.methods.multiple_instances import over_instances
from attrlab.methods.registered.theory import register

_BAGS = frozenset({"set"})
_DATA = frozenset({"reference data"})
_BITS = violates("completeness", witness="bag-of-patches-v1", because="bits, or shares, are counted and not output")

register(
    Method(
        name="instance_grad_cam",
        attribute=over_instances(grad_cam),
        modalities=_BAGS,
        reference="Selvaraju et al. (2017), equations 1 and 2; an instance is a position",
        cost="1 forward + 1 backward",
        cost_class="single",
    )
)

for _name, _attribute, _reference, _cost, _light in (
    (
        "instance_regression_iba",
        regression_iba,
        "Khakzar et al. (2021), section 2.3; an instance is a position",
        "steps x copies (forward + backward), 10 x 10 by default",
        {"steps": 2, "copies": 2},
    ),
    (
        "instance_inverse_iba",
        inverse_iba,
        "Khakzar et al. (2021), section 2.2; an instance is a position",
        "steps x copies (forward + backward), 10 x 10 by default",
        {"steps": 2, "copies": 2},
    ),
    (
        "instance_input_iba",
        input_iba,
        "Zhang et al. (2021), equations 3 to 9; of the entries of instances",
        "100 + 1120 + 600 (forward + backward) and 4480 forwards to the layer",
        {"steps": 2, "copies": 2, "rounds": 1, "samples": 4},
    ),
):
    register(
        Method(
            name=_name,
            attribute=over_instances(_attribute),
            modalities=_BAGS,
            reference=_reference,
            cost=_cost,
            cost_class="optimisation",
            light=_light,
            needs=_DATA,
            claims=(_BITS,),
        )
    )
