"""Count the edges that join an a-node and a b-node, by a message that fires or by a gate in the node: equal on all graphs.

The two networks compute one function of the edges and one function of the graphs, but not one function of the features
between graphs. With a lone a-b edge and zero features as the baseline, the Shapley value is (1/2, 1/2) for both; the path
integral is (1/2, 1/2) through the message and (D / (D + 1), 1 / (D + 1)) through the gate, D the largest degree. So a path
method that differs from the Shapley value here has made no error: the network differs, between the points that it was made for.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Literal

from torch import nn

from synthetic.environment import Environment, frozen
from synthetic.graphs import edge_types_truth as truth
from synthetic.graphs.hosts import HostKind, Hosts
from synthetic.graphs.layers import Dropping
from synthetic.graphs.networks import GateNetwork, MessageNetwork
from synthetic.graphs.paint import an_edge
from synthetic.graphs.play import counter, require_players, sampler
from synthetic.graphs.rewritings import NestedGate, NestedMessage
from synthetic.graphs.rules import Interior, Rules
from synthetic.graphs.terms import Players
from synthetic.graphs.twin import sparse_twin
from synthetic.registry import register

Implementation = Literal["message", "gate"]

COLOURS = 3
IS_A, IS_B, NOTHING = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.0)

FORMULAS = {
    "message": "f(A, X) = Σ_ij A_ij relu(2 a_i + 2 b_j - 3) = # a-b edges; a_i = X[i, a], b_j = X[j, b]",
    "gate": "f(A, X) = Σ_i [relu(n_i + a_i/4 - M (1 - a_i)) - a_i/4] = # a-b edges; a_i = X[i, a], n_i = Σ_j A_ij X[j, b], M = 5D/4",
}
_BOX = {
    "edges": "A anywhere in [0, 1], X one-hot",
    "features": "A binary, X anywhere from 0 to one-hot",
    "nodes": "A binary, X one-hot, p anywhere in [0, 1]",
}
_TRAITS = {
    "edges": frozenset({"piecewise_linear", "additive", "multilinear"}),
    "features": frozenset({"piecewise_linear", "interacting"}),
    "nodes": frozenset({"interacting"}),
}
_ISOLATES = {
    "edges": "which edges a network counts: the game is additive, so every sound method gives 1 to each of them and 0 to the others",
    "features": "what path methods see of a network between graphs, which no method that asks coalitions can see",
    "nodes": "whether a node gets half of each a-b edge that leaves with it",
}


@register("edge-types-gate-features-v1", implementation="gate", players="features")
@register("edge-types-features-v1", implementation="message", players="features")
@register("edge-types-gate-v1", implementation="gate", players="edges")
@register("edge-types-nodes-v1", implementation="message", players="nodes")
@register("edge-types-v1", implementation="message", players="edges")
def edge_types(
    *,
    id: str,
    implementation: Implementation = "message",
    players: Players = "edges",
    nodes: tuple[int, int] = (4, 7),
    edges: int = 10,
    degree: int = 4,
    host: HostKind = "erdos-renyi",
) -> Environment:
    """Build a world of a-b edges.

    Args:
        id: its id.
        implementation: "message" (AND on the edge) or "gate" (AND in the node).
        players: "edges" (baseline: no edge), "features" (of a node; baseline: none) or "nodes" (with their edges; baseline: none).
        nodes: least and largest number of nodes.
        edges: the largest number of edges.
        degree: D, the largest degree; sets the gate's constant M = D (1 + e), on which path integrals of features depend.
        host: "erdos-renyi", "barabasi-albert", "tree", "grid" or "regular".

    Raises:
        ValueError: if a knob is out of range.
    """
    if implementation not in FORMULAS:
        raise ValueError(f"implementation is one of {', '.join(map(repr, FORMULAS))} (got {implementation!r})")
    require_players(players, ("edges", "features", "nodes"))
    hosts = Hosts(nodes=nodes, edges=edges, degree=degree, host=host)
    rules = _rules(implementation, degree)
    model = _network(implementation, degree)
    return Environment(
        id=id,
        modality="graph",
        formula=FORMULAS[implementation],
        model=frozen(Dropping(model)) if players == "nodes" else model,
        outputs=1,
        domain=f"graphs of at most {nodes[1]} nodes in 3 colours, degree at most D = {degree}; {_BOX[players]}",
        traits=_TRAITS[players] | ({"gated"} if implementation == "gate" else set()),
        sample=sampler(hosts=hosts, players=players, rules=rules if players == "features" else replace(rules, path_integral=None)),
        specification=counter(rules, hosts=hosts, players=players),
        equals={name: _network(name, degree) for name in _equal_to(implementation, players)} if players != "nodes" else {},
        knobs={"implementation": implementation, "players": players, **hosts.knobs()},
        isolates=_ISOLATES[players],
        reference="implementation invariance and path integrals: Sundararajan, Taly, Yan, ICML 2017 (arXiv 1703.01365), sections 2.2 and 3",
        twin=None if players == "nodes" else partial(sparse_twin, model),
    )


def _network(name: str, degree: int) -> nn.Module:
    """One of the four networks that count a-b edges."""
    if name == "message":
        network: nn.Module = MessageNetwork(receiver=[2 * w for w in IS_A], sender=[2 * w for w in IS_B], offset=-3.0, root=NOTHING)
    elif name == "gate":
        network = GateNetwork(opens=IS_A, counted=IS_B, degree=degree)
    elif name == "nested message":
        network = NestedMessage(receiver=IS_A, sender=IS_B)
    else:
        network = NestedGate(opens=IS_A, counted=IS_B, degree=degree)
    return frozen(network)


def _equal_to(implementation: Implementation, players: Players) -> list[str]:
    """The networks that agree with this one on the whole box of the players.

    On edges all four do. With X one-hot the message is a constant that A multiplies, 1 from b to a and 0 elsewhere. At an a-node the
    gate's argument is n_i + e > 0, so it gives n_i; elsewhere it is n_i - M <= D - M < 0, so it gives 0. Both are Σ A_ij over the
    a-nodes i and b-nodes j. On features a message and a gate agree at the corners alone, and only the rewriting is equal.
    """
    if players == "features":
        return [f"nested {implementation}"]
    return [name for name in ("message", "gate", "nested message", "nested gate") if name != implementation]


def _rules(implementation: Implementation, degree: int) -> Rules:
    """What is true of one graph, by network."""
    through: dict[str, Interior] = {"message": "local", "gate": "unknown"}  # the gate reads the a-entry of every node, with slope -e near 0
    integral = partial(truth.integral_through_gate, degree=degree) if implementation == "gate" else truth.integral_through_message
    return Rules(
        colours=COLOURS,
        paint=an_edge,
        count=truth.count,
        terms=truth.terms,
        interior={"edges": "terms", "features": through[implementation], "nodes": through[implementation]},
        bound=degree,
        path_integral=integral,
        orbits=truth.twin_nodes,
    )
