"""Weigh the nodes by their colour: the edges are heard through a message layer that says nothing.

The control of every graph explainer. The layer is there, with zero weights and its unit switched off, so that an explanation
of edges can be asked for; the answer is that no edge matters, anywhere. On the features of nodes the function is linear, so that
all conventions agree on the weight of the colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import networkx as nx
import numpy as np

from synthetic.environment import Environment, frozen
from synthetic.graphs.block import halves
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.networks import MessageNetwork
from synthetic.graphs.paint import paint_evenly
from synthetic.graphs.play import Players, Rules, counter, sampler
from synthetic.graphs.rewritings import RectifiedCount
from synthetic.graphs.twin import sparse_twin
from synthetic.registry import register

_TRAITS = {
    "edges": frozenset({"piecewise_linear", "additive", "multilinear", "edge_null"}),
    "features": frozenset({"piecewise_linear", "additive", "multilinear"}),
}
_ISOLATES = {
    "edges": "whether edges are blamed that the network never reads",
    "features": "whether a node gets the weight of its colour, signs and zeros included",
}


@register("colour-nodes-features-v1", players="features")
@register("colour-nodes-v1", players="edges")
def colour_nodes(
    *,
    id: str,
    players: Players = "edges",
    weights: Sequence[float] = (2.0, -1.0, 0.0),
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of weighted colours.

    Args:
        id: its id.
        players: "edges" (baseline: no edge) or "features" (of a node; baseline: none).
        weights: w, the weight of each colour; dyadic numbers keep float32 exact.
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: the largest degree.
        host: "erdos-renyi", "barabasi-albert" or "tree".

    Raises:
        ValueError: if a knob is out of range.
    """
    if not weights:
        raise ValueError(f"weights has one number per colour, such as (2, -1, 0) (got {weights!r})")
    w = tuple(float(weight) for weight in weights)
    hosts = Hosts(nodes=nodes, edges=edges, degree=degree, host=host)
    rules = _rules(players, w)
    sample = sampler(hosts=hosts, players=players, colours=len(w), rules=rules)
    silent = [0.0] * len(w)
    model = frozen(MessageNetwork(receiver=silent, sender=silent, offset=-1.0, root=w))
    return Environment(
        id=id,
        modality="graph",
        formula=f"f(A, X) = Σ_i [w·x_i + Σ_j A_ij relu(-1)] = Σ_i w[colour of i], w = {w}",
        model=model,
        outputs=1,
        domain=f"graphs of at most {nodes[1]} nodes in {len(w)} colours; A anywhere, X anywhere from 0 to one-hot",
        traits=_TRAITS[players],
        sample=sample,
        specification=counter(rules),
        equals={"rectified": frozen(RectifiedCount(w))},
        knobs={"players": players, "weights": w, **hosts.knobs()},
        isolates=_ISOLATES[players],
        reference="Faber, Moghaddam, Wattenhofer, KDD 2021, on trivial explanations: features alone decide",
        twin=partial(sparse_twin, model),
    )


def _rules(players: Players, weights: tuple[float, ...]) -> Rules:
    def count(graph: nx.Graph) -> float:
        return sum((weights[colour] for _, colour in graph.nodes(data="colour") if colour is not None), 0.0)

    def path_integral(rows: np.ndarray) -> np.ndarray:
        """w[colour] at the entry of each node's colour; A gets nothing."""
        scores = np.zeros_like(rows)
        halves(scores)[1][:] = halves(rows)[1] * np.array(weights)
        return scores

    def same_colour(graph: nx.Graph) -> list[list[int]]:
        """Nodes of one colour: f adds the same linear function of the features of each."""
        return [[node for node, own in graph.nodes(data="colour") if own == colour] for colour in range(len(weights))]

    paint = partial(paint_evenly, colours=len(weights))
    if players == "edges":
        return Rules(paint=paint, count=count, path_integral=path_integral, independent=_all_edges)
    return Rules(paint=paint, count=count, path_integral=path_integral, orbits=same_colour)


def _all_edges(graph: nx.Graph) -> list[int]:
    """Every edge: each message is relu(-1) = 0, whatever the edge weighs."""
    return [player for _, _, player in graph.edges(data="player")]
