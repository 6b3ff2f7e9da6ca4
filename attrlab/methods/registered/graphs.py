"""Explainers of graphs, with what each says of itself."""

from __future__ import annotations

from functools import partial

from attrlab.claims import Claim, holds, violates
from attrlab.method import Method
from attrlab.methods.attention_readout import attention_readout
from attrlab.methods.edge_predictor import pg_explainer
from attrlab.methods.graph_adapters import (
    pyg_attention_explainer,
    pyg_captum,
    pyg_dummy_explainer,
    pyg_gnn_explainer,
    pyg_pg_explainer,
)
from attrlab.methods.graph_masks import gnn_explainer
from attrlab.methods.registered.theory import register
from attrlab.methods.subgraph_x import subgraph_x
from attrlab.methods.walks import gnn_lrp

_GRAPHS = frozenset({"graph"})
_LIBRARY = "torch-geometric 2.8"
_TWIN = frozenset({"twin"})
_MASK = "masks lie in [0, 1], whatever the size of the output"
_HARD = "a first gradient of 0 makes a hard mask"
_ADAM = "Adam divides rounding by its own size where a gradient is nearly 0"
_PIECE = "with its ReLUs held the network is the polynomial that f is around x, so only f around x is read"
_FLOAT32 = "Captum holds weights and sums in float32, whose rounding is 6e-8"

register(
    Method(
        name="gnn_explainer",
        attribute=gnn_explainer,
        modalities=_GRAPHS,
        reference="Ying et al. (2019), equations 5 to 7; coefficients of torch-geometric 2.8",
        cost="epochs (forward + backward), 100 by default",
        cost_class="optimisation",
        light={"epochs": 10},
        claims=(
            violates("completeness", witness="edge-types-v1", because=_MASK),
            holds("dummy", because=_HARD),
            violates("symmetry", witness="edge-types-v1", because="masks start from noise, which a finite number of steps remembers"),
            holds(
                "implementation_invariance",
                because="it reads the network only through its gradient between baseline and input",
                tolerance=1e-6,
                origin=_ADAM,
            ),
        ),
    )
)

register(
    Method(
        name="pg_explainer",
        attribute=pg_explainer,
        modalities=_GRAPHS,
        reference="Luo et al. (2020), equations 4 to 9",
        cost="1 forward; before, epochs x reference rows (forward + backward), once a call",
        cost_class="fitted",
        light={"epochs": 1, "batch_size": 8},
        needs=frozenset({"reference data"}),
        claims=(violates("completeness", witness="edge-types-v1", because=_MASK),),
    )
)

register(
    Method(
        name="subgraph_x",
        attribute=subgraph_x,
        modalities=_GRAPHS,
        reference="Yuan et al. (2021), algorithm 1, equations 3 to 6",
        cost="1 forward per node set, at most rollouts x expansions x 2 samples; 100 samples by default",
        cost_class="sampling",
        light={"rollouts": 4, "samples": 8},
        claims=(
            violates("completeness", witness="edge-types-v1", because="the answer is a set of nodes"),
            violates("dummy", witness="edge-types-v1", because="a subgraph is connected and keeps what lies between; the rest of it too"),
        ),
    )
)

register(
    Method(
        name="attention_readout",
        attribute=attention_readout,
        modalities=_GRAPHS,
        reference="Velickovic et al. (2018), equation 3; read out as in torch-geometric's AttentionExplainer",
        cost="1 forward + 1 backward per attention layer",
        cost_class="single",
        claims=(violates("completeness", witness="attention-decoy-v1", because="it is blind to what is done with what is heard"),),
    )
)

register(
    Method(
        name="gnn_lrp",
        attribute=gnn_lrp,
        modalities=_GRAPHS,
        reference="Schnake et al. (2022), equations 5 to 9; all walks gathered",
        cost="8 (forward + backward) + 2 forwards",
        cost_class="path",
        claims=(
            holds("completeness", given=("polynomial",), because="without ReLUs the held network is f, whose terms are shared out"),
            violates("completeness", witness="edge-type-or-v1", because="the held network is another at the baseline than the network"),
            holds("dummy", because=_PIECE),
            holds("implementation_invariance", because=_PIECE),
            holds("symmetry", because=f"{_PIECE}, and integrates along a path that preserves symmetry"),
        ),
    )
)

register(
    Method(
        name="pyg_gnn_explainer",
        attribute=pyg_gnn_explainer,
        modalities=_GRAPHS,
        reference=f"Ying et al. (2019); GNNExplainer of {_LIBRARY}, graph by graph",
        cost="epochs (forward + backward), 100 by default, one row at a time",
        cost_class="optimisation",
        light={"epochs": 2},
        needs=_TWIN,
        peer=True,
        claims=(violates("completeness", witness="edge-types-v1", because=_MASK), holds("dummy", because=_HARD)),
    )
)

register(
    Method(
        name="pyg_pg_explainer",
        attribute=pyg_pg_explainer,
        modalities=_GRAPHS,
        reference=f"Luo et al. (2020); PGExplainer of {_LIBRARY}",
        cost="1 forward; before, epochs x reference rows (forward + backward), once a call",
        cost_class="fitted",
        light={"epochs": 1},
        needs=_TWIN | {"reference data"},
        peer=True,
    )
)

register(
    Method(
        name="pyg_attention_explainer",
        attribute=pyg_attention_explainer,
        modalities=_GRAPHS,
        reference=f"AttentionExplainer of {_LIBRARY}",
        cost="1 forward, one row at a time",
        cost_class="single",
        needs=_TWIN,
        peer=True,
    )
)

register(
    Method(
        name="pyg_dummy_explainer",
        attribute=pyg_dummy_explainer,
        modalities=_GRAPHS,
        reference=f"DummyExplainer of {_LIBRARY}",
        cost="no passes but the library's own checks, one row at a time",
        cost_class="free",
        control=True,
        needs=_TWIN,
        peer=True,
    )
)

_EFFICIENT = holds("completeness", because="efficiency in every order (Shapley 1953)", tolerance=1e-6, origin=_FLOAT32)
_PATH = holds(
    "completeness",
    given=("multilinear",),
    because="along the path f is a polynomial, which Gauss-Legendre nodes integrate exactly",
    tolerance=1e-6,
    origin=_FLOAT32,
)
_SYMMETRIC = holds("symmetry", because="∂_i f and ∂_j f agree where f is symmetric and x_i = x_j", tolerance=1e-6, origin=_FLOAT32)
_DUMMY = holds("dummy", because="what never changes f has neither slope nor marginal")

_captum: tuple[tuple[str, str, str, str, str | None, dict[str, int], tuple[Claim, ...]], ...] = (
    (
        "integrated_gradients",
        "IntegratedGradients",
        "n_steps (forward + backward), 50 by default",
        "path",
        "n_steps",
        {"n_steps": 2},
        (_PATH, _DUMMY, _SYMMETRIC),
    ),
    ("saliency", "Saliency", "1 forward + 1 backward", "single", None, {}, (_DUMMY, _SYMMETRIC)),
    ("input_x_gradient", "InputXGradient", "1 forward + 1 backward", "single", None, {}, (_DUMMY, _SYMMETRIC)),
    ("deconvolution", "Deconvolution", "1 forward + 1 backward", "single", None, {}, ()),
    ("guided_backprop", "GuidedBackprop", "1 forward + 1 backward", "single", None, {}, ()),
    (
        "shapley_value_sampling",
        "ShapleyValueSampling",
        "n_samples x directed edges forwards, 25 samples by default",
        "sampling",
        "n_samples",
        {"n_samples": 1},
        (_EFFICIENT, _DUMMY),
    ),
)
for _name, _algorithm, _cost, _class, _budget, _light, _claims in _captum:
    register(
        Method(
            name=f"pyg_{_name}",
            attribute=partial(pyg_captum, algorithm=_algorithm),
            modalities=_GRAPHS,
            convention="integrated_gradients" if _name == "integrated_gradients" else None,
            reference=f"{_algorithm} of Captum 0.9 through CaptumExplainer of {_LIBRARY}",
            cost=f"{_cost}, one row at a time",
            cost_class=_class,
            budget=_budget,
            light=_light,
            needs=_TWIN,
            peer=True,
            claims=_claims,
        )
    )
