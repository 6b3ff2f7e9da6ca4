"""Weigh the nodes by their colour: the edges are heard through a message layer that says nothing.

The control of every graph explainer. The layer is there, with zero weights and its unit switched off, so that an explanation
of edges can be asked for; the answer is that no edge matters, anywhere. On the features of nodes the function is linear, so that
all conventions agree on the weight of the colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np

from synthetic.environment import Environment, frozen
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.networks import MessageNetwork
from synthetic.graphs.paint import evenly
from synthetic.graphs.play import counter, require_players, sampler
from synthetic.graphs.rewritings import RectifiedCount
from synthetic.graphs.rules import Rules
from synthetic.graphs.terms import Players, Term
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
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range.
    """
    require_players(players, ("edges", "features"))
    if not weights:
        raise ValueError(f"weights has one number per colour, such as (2, -1, 0) (got {weights!r})")
    w = tuple(float(weight) for weight in weights)
    hosts = Hosts(nodes=nodes, edges=edges, degree=degree, host=host)
    rules = _rules(w)
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
        sample=sampler(hosts=hosts, players=players, rules=rules),
        specification=counter(rules, hosts=hosts, players=players),
        equals={"rectified": frozen(RectifiedCount(w))},
        knobs={"players": players, "weights": w, **hosts.knobs()},
        isolates=_ISOLATES[players],
        reference="Faber, Moghaddam, Wattenhofer, KDD 2021, on trivial explanations: features alone decide",
        twin=partial(sparse_twin, model),
    )


def _rules(weights: tuple[float, ...]) -> Rules:
    def count(adjacency: np.ndarray, features: np.ndarray) -> np.ndarray:
        del adjacency
        return sum((w * features[..., colour].sum(1) for colour, w in enumerate(weights)), np.zeros(len(features)))[:, None]

    def terms(adjacency: np.ndarray, features: np.ndarray) -> list[Term]:
        """The weight of each node. Edges stand in no term: each message is relu(-1) = 0, whatever the edge weighs."""
        del adjacency
        return [Term(nodes=(node,), weight=weights[colour]) for node, colour in np.argwhere(features).tolist()]

    return Rules(
        colours=len(weights),
        paint=evenly(len(weights)),
        count=count,
        terms=terms,
        interior={"edges": "terms", "features": "terms"},
    )
