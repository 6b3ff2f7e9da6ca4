"""Explainers of graphs, with what each says of itself."""

from __future__ import annotations

from functools import partial

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
from attrlab.methods.subgraph_x import subgraph_x
from attrlab.registry import register_method

_GRAPHS = frozenset({"graph"})
_LIBRARY = "torch-geometric 2.8"
_TWIN = frozenset({"twin"})

register_method(
    Method(
        name="gnn_explainer",
        attribute=gnn_explainer,
        modalities=_GRAPHS,
        reference="Ying et al. (2019), equations 5 to 7; coefficients of torch-geometric 2.8",
        cost="epochs (forward + backward), 100 by default",
        light={"epochs": 10},
    )
)

register_method(
    Method(
        name="pg_explainer",
        attribute=pg_explainer,
        modalities=_GRAPHS,
        reference="Luo et al. (2020), equations 4 to 9",
        cost="1 forward; before, epochs x reference rows (forward + backward), once a call",
        light={"epochs": 1, "batch_size": 8},
        needs=frozenset({"reference data"}),
    )
)

register_method(
    Method(
        name="subgraph_x",
        attribute=subgraph_x,
        modalities=_GRAPHS,
        reference="Yuan et al. (2021), algorithm 1, equations 3 to 6",
        cost="1 forward per node set, at most rollouts x expansions x 2 samples; 100 samples by default",
        light={"rollouts": 4, "samples": 8},
    )
)

register_method(
    Method(
        name="attention_readout",
        attribute=attention_readout,
        modalities=_GRAPHS,
        reference="Velickovic et al. (2018), equation 3; read out as in torch-geometric's AttentionExplainer",
        cost="1 forward + 1 backward per attention layer",
    )
)

register_method(
    Method(
        name="pyg_gnn_explainer",
        attribute=pyg_gnn_explainer,
        modalities=_GRAPHS,
        reference=f"Ying et al. (2019); GNNExplainer of {_LIBRARY}, graph by graph",
        cost="epochs (forward + backward), 100 by default, one row at a time",
        light={"epochs": 2},
        needs=_TWIN,
    )
)

register_method(
    Method(
        name="pyg_pg_explainer",
        attribute=pyg_pg_explainer,
        modalities=_GRAPHS,
        reference=f"Luo et al. (2020); PGExplainer of {_LIBRARY}",
        cost="1 forward; before, epochs x reference rows (forward + backward), once a call",
        light={"epochs": 1},
        needs=_TWIN | {"reference data"},
    )
)

register_method(
    Method(
        name="pyg_attention_explainer",
        attribute=pyg_attention_explainer,
        modalities=_GRAPHS,
        reference=f"AttentionExplainer of {_LIBRARY}",
        cost="1 forward, one row at a time",
        needs=_TWIN,
    )
)

register_method(
    Method(
        name="pyg_dummy_explainer",
        attribute=pyg_dummy_explainer,
        modalities=_GRAPHS,
        reference=f"DummyExplainer of {_LIBRARY}",
        cost="no passes but the library's own checks, one row at a time",
        control=True,
        needs=_TWIN,
    )
)

for _name, _algorithm, _cost, _light in (
    ("integrated_gradients", "IntegratedGradients", "n_steps (forward + backward), 50 by default", {"n_steps": 2}),
    ("saliency", "Saliency", "1 forward + 1 backward", {}),
    ("input_x_gradient", "InputXGradient", "1 forward + 1 backward", {}),
    ("deconvolution", "Deconvolution", "1 forward + 1 backward", {}),
    ("guided_backprop", "GuidedBackprop", "1 forward + 1 backward", {}),
    ("shapley_value_sampling", "ShapleyValueSampling", "n_samples x directed edges forwards, 25 samples by default", {"n_samples": 1}),
):
    register_method(
        Method(
            name=f"pyg_{_name}",
            attribute=partial(pyg_captum, algorithm=_algorithm),
            modalities=_GRAPHS,
            convention="integrated_gradients" if _name == "integrated_gradients" else None,
            reference=f"{_algorithm} of Captum 0.9 through CaptumExplainer of {_LIBRARY}",
            cost=f"{_cost}, one row at a time",
            light=_light,
            needs=_TWIN,
        )
    )
