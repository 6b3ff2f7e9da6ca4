"""Batched graph explainers against torch-geometric's, run graph by graph on the equal twin: same masks, same steps, one process.

Run it as `python tests/benchmarks/graph_explainers.py`; 64 graphs in float32, one thread. GNNExplainer starts both sides from the same
masks, and both results are compared before anything is timed.
"""

from __future__ import annotations

import copy
import warnings

import torch
from side_by_side import Row, compare

warnings.simplefilter("ignore")

from torch_geometric.explain import CaptumExplainer, Explainer, GNNExplainer  # noqa: E402

from attrlab.method import players_of  # noqa: E402
from attrlab.methods.graph_masks import Penalties, lay_masks, optimise  # noqa: E402
from attrlab.methods.paths import integrated_gradients  # noqa: E402
from synthetic import make_environment  # noqa: E402

GRAPHS, EPOCHS, STEPS = 64, 100, 50
PAPER = Penalties(edge_size=0.005, edge_entropy=1.0, feature_size=1.0, feature_entropy=0.1)
REGRESSION = {"mode": "regression", "task_level": "graph", "return_type": "raw"}
WORLDS = {
    "1 layer, 20 nodes": ("edge-types-v1", {"nodes": (20, 20), "edges": 30}),
    "3 layers, 20 nodes": ("truncated-distance-v1", {"nodes": (20, 20), "edges": 30}),
}


class FirstOutput(torch.nn.Module):
    """The one output of each graph, (graphs,): the shape that CaptumExplainer asks for."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x, edge_index, edge_weight):
        return self.module(x, edge_index, edge_weight).squeeze(1)


class Started(GNNExplainer):
    """torch-geometric's own, from given masks."""

    def __init__(self, start):
        super().__init__(epochs=EPOCHS, lr=0.01)
        self._start = start

    def _initialize_masks(self, x, edge_index):
        del x, edge_index
        self.node_mask = self.hard_node_mask = self.hard_edge_mask = None
        self.edge_mask = torch.nn.Parameter(self._start.clone())


def loop(environment, batch, algorithm_of):
    """Every graph explained by torch-geometric, (batch, nodes, width) with a score at both directions of each edge."""
    found = torch.zeros_like(batch.inputs)
    module, to_data = environment.twin()
    module = FirstOutput(module.float())
    for row, inputs in enumerate(batch.inputs):
        data = to_data(inputs)
        source, receiver = data.position[data.edge_index]
        explainer = Explainer(
            copy.deepcopy(module),
            algorithm_of(row, receiver, source),
            explanation_type="model",
            edge_mask_type="object",
            model_config=REGRESSION,
        )
        found[row, receiver, source] = explainer(data.x, data.edge_index, edge_weight=data.edge_weight).edge_mask
    return found


def rows_of(name):
    """The comparisons of one world, and how far the two sides are apart."""
    id, knobs = WORLDS[name]
    environment = make_environment(id, **knobs)
    batch = environment.sample(GRAPHS, torch.Generator().manual_seed(0)).to(dtype=torch.float32)
    model = copy.deepcopy(environment.model).float()
    masks = lay_masks(batch.feature_mask, symmetric=False)
    start = torch.randn(len(masks.row), generator=torch.Generator().manual_seed(1)) * 0.3
    laid = torch.zeros(batch.inputs.numel()).index_copy(0, masks.entries, start).view(batch.inputs.shape)

    def ours():
        found = optimise(model, batch.inputs, batch.baseline, batch.target, masks, start, PAPER, epochs=EPOCHS, lr=0.01)
        return torch.zeros(batch.inputs.numel()).index_copy(0, masks.entries, found).view(batch.inputs.shape)

    def theirs():
        return loop(environment, batch, lambda row, receiver, source: Started(laid[row, receiver, source]))

    def our_gradients():
        return integrated_gradients(model, batch.inputs, target=batch.target, baseline=batch.baseline, n_steps=STEPS)

    def their_gradients():
        return loop(environment, batch, lambda *_: CaptumExplainer("IntegratedGradients", n_steps=STEPS))

    scores = [players_of(work(), batch.feature_mask, batch.players) for work in (our_gradients, their_gradients)]
    print(f"{name}: largest difference, GNNExplainer {float((ours() - theirs()).abs().max()):.1e}, ", end="")
    print(f"integrated gradients {float((scores[0] - scores[1]).abs().max()):.1e}", flush=True)
    return [
        Row(name=f"GNNExplainer, {name}", work=theirs, bounds=(ours,), target=">= 35"),
        Row(name=f"integrated gradients, {name}", work=their_gradients, bounds=(our_gradients,), target=">= 45"),
    ]


if __name__ == "__main__":
    torch.set_num_threads(1)
    for world in WORLDS:
        for row in rows_of(world):
            ratio, least, seconds = compare(row, rounds=5)
            print(
                f"{row.name}: {ratio:.1f} times as fast ({least:.1f} by minima), torch-geometric {seconds:.2f} s; wanted {row.target}",
                flush=True,
            )
