"""Each graph world's network, specification and truth are three answers to one question, and a fourth is asked of networkx."""

from itertools import pairwise, product

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Batch as GraphBatch

from synthetic import environment_ids, make_environment
from synthetic.gadgets import least_preactivation
from synthetic.oracles import game_truth

GRAPHS = [id for id in environment_ids() if make_environment(id).modality == "graph"]
OLD = ("edge-types", "colour-nodes")
IDS = [id for id in GRAPHS if not id.startswith(OLD)]
EXACT = 1e-12  # float64 sums of at most some hundred dyadic terms of size at most 100


def sampled(id, n, seed, **knobs):
    world = make_environment(id, **knobs)
    return world, world.sample(n, torch.Generator().manual_seed(seed))


def coalitions(batch, times, seed):
    """Each row `times` times, half of its players at the baseline, all of them in the first."""
    batch = batch.rows(torch.arange(len(batch)).repeat_interleave(times))
    kept = torch.rand(len(batch), batch.players, generator=torch.Generator().manual_seed(seed)) < 0.7
    kept[::times] = True
    return torch.where(entries(batch, kept) > 0, batch.inputs, batch.baseline)


def entries(batch, values):
    """One number per player at all of its entries; 1 at entries of no player."""
    owner = batch.feature_mask.clamp(min=0).flatten(1)
    return torch.where(batch.feature_mask >= 0, values.double().gather(1, owner).view(batch.inputs.shape), 1.0)


def per_player(batch, scores):
    return torch.stack([(scores * (batch.feature_mask == player)).flatten(1).sum(1) for player in range(batch.players)], 1)


def read(row, world):
    """A row as a networkx graph: its relations on the edges, `x` on the nodes, nodes that are not there left out, and the root."""
    size, relations = len(row), len(world.knobs["weights"]) if world.id.startswith("relation") else 1
    x = row[:, relations * size :]
    there = x[:, -1] > 0 if world.knobs["players"] == "nodes" else np.ones(size, dtype=bool)
    graph = nx.Graph()
    graph.add_nodes_from((node, {"x": x[node]}) for node in range(size) if there[node])
    for u, column in np.argwhere(row[:, : relations * size]).tolist():
        if there[u] and there[column % size]:
            graph.add_edge(u, column % size, relation=column // size)
    marks = x[:, -2] if world.knobs["players"] == "nodes" else x[:, -1]
    roots = [node for node in graph if marks[node] > 0]
    return graph, roots[0] if len(roots) == 1 else None


def reds(graph, nodes):
    return [node for node in nodes if graph.nodes[node]["x"][0]]


def joined(graph):
    return sum(
        bool((graph.nodes[u]["x"][0] and graph.nodes[v]["x"][1]) or (graph.nodes[u]["x"][1] and graph.nodes[v]["x"][0]))
        for u, v in graph.edges
    )


def distance(graph, root, k):
    lengths = {} if root is None else nx.single_source_shortest_path_length(graph, root, cutoff=k)
    return min((lengths[node] for node in reds(graph, lengths)), default=k + 1)


def red_neighbours(graph, root):
    return 0 if root is None else len(reds(graph, graph[root]))


def walks(graph, root, k):
    if root is None:
        return 0
    if k == 0:
        return len(reds(graph, [root]))
    return sum(walks(graph, node, k - 1) for node in graph[root])


def cycles(graph, length):
    return sum(len(cycle) == length for cycle in nx.simple_cycles(graph, length_bound=length))


def colour_sum(graph, weights):
    return sum(w * graph.nodes[node]["x"][colour] for node in graph for colour, w in enumerate(weights))


ORACLES = {
    "attention-decoy": lambda g, r, w: red_neighbours(g, r) > 0,
    "colour-sum-modulo": lambda g, r, w: [colour_sum(g, w.knobs["weights"]) % w.knobs["m"] == c for c in range(w.knobs["m"])],
    "edge-type-or": lambda g, r, w: joined(g) > 0,
    "four-cycle": lambda g, r, w: cycles(g, 4),
    "isolated-node": lambda g, r, w: joined(g) + w.knobs["w"] * sum(bool(g.nodes[node]["x"].any()) for node in nx.isolates(g)),
    "neighbour-count": lambda g, r, w: red_neighbours(g, r),
    "neighbour-parity": lambda g, r, w: red_neighbours(g, r) % 2,
    "reach": lambda g, r, w: distance(g, r, w.knobs["k"]) <= w.knobs["k"],
    "truncated-distance": lambda g, r, w: distance(g, r, w.knobs["k"]),
    "relation-count": lambda g, r, w: sum(w.knobs["weights"][relation] for *_, relation in g.edges(data="relation")),
    "shortcut-cycle": lambda g, r, w: g.number_of_edges() - sum(g.nodes[node]["x"][0] for node in g),
    "triangle-count": lambda g, r, w: sum(nx.triangles(g).values()) // 3,
    "marked-four-cycle": lambda g, r, w: sum(r in cycle for cycle in nx.simple_cycles(g, length_bound=4) if len(cycle) == 4),
    "marked-triangle": lambda g, r, w: 0 if r is None else nx.triangles(g, r),
    "house": lambda g, r, w: houses(g),
    "walk-count": lambda g, r, w: walks(g, r, w.knobs["k"]),
    "xor-edges": lambda g, r, w: sum(g.nodes[u]["x"][0] != g.nodes[v]["x"][0] for u, v in g.edges),
}


def houses(graph):
    """Copies of the house in the graph whose nodes play its five roles: subgraph isomorphism, by networkx."""
    pattern = nx.Graph([(0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 4)])
    roles = {node: int(graph.nodes[node]["x"].argmax()) for node in graph if graph.nodes[node]["x"].any()}
    found = [[node for node in roles if roles[node] == role] for role in range(5)]
    return sum(all(graph.has_edge(five[u], five[v]) for u, v in pattern.edges) for five in product(*found))


def oracle(world):
    name = next(name for name in sorted(ORACLES, key=len, reverse=True) if world.id.startswith(name))
    return ORACLES[name]


@pytest.mark.parametrize("id", IDS)
def test_network_equals_specification_on_ten_thousand_rows_and_coalitions(id):
    world, batch = sampled(id, 1250, seed=1)
    rows = coalitions(batch, 8, seed=2)
    expected = torch.from_numpy(world.specification(rows.numpy()))
    assert len(rows) == 10_000
    # dyadic weights and small counts, or a final step with a margin: every value is exact, so == is meant
    assert torch.equal(world.model(rows), expected)
    assert torch.equal(make_environment(id).model.float()(rows.float()), expected.float())
    assert least_preactivation(world.model, rows[:800]) >= 0.25 - EXACT


@pytest.mark.parametrize("id", IDS)
def test_specification_equals_counting_in_networkx(id):
    world, batch = sampled(id, 40, seed=3)
    rows = coalitions(batch, 3, seed=4).numpy()
    expected = [np.atleast_1d(oracle(world)(*read(row, world), world)).astype(float).tolist() for row in rows]
    assert world.specification(rows).tolist() == expected


def games(id):
    """The game of the id itself, and those that the knob `players` turns it to."""
    found = [(id, "its own")]
    for players in ("edges", "features", "nodes"):
        try:
            own = make_environment(id).knobs["players"]
            found += [(id, players)] if make_environment(id, players=players).knobs["players"] != own else []
        except ValueError:
            continue
    return found


@pytest.mark.parametrize(("id", "players"), [game for id in GRAPHS for game in games(id)])
def test_closed_forms_equal_the_enumeration_of_all_coalitions(id, players):
    world, batch = sampled(id, 8, 5) if players == "its own" else sampled(id, 8, 5, players=players)
    enumerated = game_truth(
        world.specification,
        batch.inputs,
        batch.baseline,
        batch.feature_mask,
        batch.target,
        players=batch.players,
        independent=batch.truth.independent,
    )
    for name in ("shapley", "removal"):
        torch.testing.assert_close(batch.truth.attributions[name], enumerated.attributions[name], rtol=0, atol=EXACT)
    assert torch.equal(batch.truth.support, enumerated.support)
    assert torch.equal(batch.truth.sign, enumerated.sign)


@pytest.mark.parametrize("id", [id for id in IDS if "integrated_gradients" in sampled(id, 3, 6)[1].truth.attributions])
def test_path_integrals_agree_with_quadrature(id):
    world, batch = sampled(id, 6, seed=6)
    kinked = bool({"saturating", "saw_toothed"} & world.traits) and "piecewise_linear" in world.traits and "additive" not in world.traits
    if kinked:
        nodes, weights = (np.arange(4000) + 0.5) / 4000, np.full(4000, 1 / 4000)
    else:
        nodes, weights = np.polynomial.legendre.leggauss(8)  # exact for the derivatives of polynomials up to degree 16
        nodes, weights = (nodes + 1) / 2, weights / 2
    t = torch.from_numpy(nodes).view(-1, 1, 1, 1)
    path = (batch.baseline + t * (batch.inputs - batch.baseline)).flatten(0, 1).requires_grad_()
    outputs = world.model(path).gather(1, batch.target.repeat(len(nodes)).unsqueeze(1))
    (gradient,) = torch.autograd.grad(outputs.sum(), path)
    mean = (gradient.view(len(nodes), *batch.inputs.shape) * torch.from_numpy(weights).view(-1, 1, 1, 1)).sum(0)
    scores = per_player(batch, mean * (batch.inputs - batch.baseline))
    # each kink costs the midpoint rule at most jump / (2 steps); at most 16 kinks of a jump of at most 2
    bound = 16 * 2 / (2 * 4000) if kinked else EXACT * 100
    torch.testing.assert_close(scores, batch.truth.attributions["integrated_gradients"], rtol=0, atol=bound)


@pytest.mark.parametrize("id", IDS)
def test_the_function_does_not_move_with_its_independent_players(id):
    world, batch = sampled(id, 8, seed=7)
    generator = torch.Generator().manual_seed(8)
    free = (entries(batch, batch.truth.independent) > 0) & (batch.feature_mask >= 0)
    for _ in range(5):
        weight, other = torch.rand(2, *batch.inputs.shape, generator=generator, dtype=torch.float64)
        point = batch.baseline + weight * (batch.inputs - batch.baseline)
        moved = torch.where(free, batch.baseline + 1.02 * other * (batch.inputs - batch.baseline) - 0.01, point)
        torch.testing.assert_close(world.model(moved), world.model(point), rtol=0, atol=EXACT)


@pytest.mark.parametrize("id", IDS)
def test_exchanging_two_players_of_an_orbit_leaves_the_output(id):
    world, batch = sampled(id, 12, seed=9)
    generator = torch.Generator().manual_seed(10)
    for row in range(len(batch)):
        one = batch.rows(slice(row, row + 1))
        for group in one.truth.orbit.unique().tolist():
            members = (one.truth.orbit[0] == group).nonzero().squeeze(1).tolist() if group >= 0 else []
            for first, second in pairwise(members):
                values = torch.rand(1, batch.players, generator=generator, dtype=torch.float64)
                swapped = values.clone()
                swapped[0, [first, second]] = values[0, [second, first]]
                points = [one.baseline + entries(one, v) * (one.inputs - one.baseline) for v in (values, swapped)]
                torch.testing.assert_close(world.model(points[0]), world.model(points[1]), rtol=0, atol=EXACT)


@pytest.mark.parametrize("id", [id for id in IDS if make_environment(id).twin])
def test_twin_equals_the_dense_network_on_graphs_coalitions_and_weighted_graphs(id):
    world, batch = sampled(id, 8, seed=11)
    module, to_data = world.twin()
    weight = torch.randint(0, 17, batch.inputs.shape, generator=torch.Generator().manual_seed(1)).double() / 16
    for rows in (coalitions(batch, 6, seed=12), batch.baseline + weight * (batch.inputs - batch.baseline)):
        graphs = GraphBatch.from_data_list([to_data(row) for row in rows])
        together = module(graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch)
        torch.testing.assert_close(together, world.model(rows), rtol=0, atol=EXACT * 100)


@pytest.mark.parametrize("id", [id for id in IDS if make_environment(id).equals])
def test_networks_said_to_be_equal_are_so_wherever_the_players_move(id):
    world, batch = sampled(id, 200, seed=26)
    # multiples of 1/64 and at most cubes of them, so that sums are exact and == is meant
    values = torch.randint(0, 65, (200, batch.players), generator=torch.Generator().manual_seed(27)) / 64
    inside = batch.baseline + entries(batch, values) * (batch.inputs - batch.baseline)
    for name, network in world.equals.items():
        assert torch.equal(network(inside), world.model(inside)), name


def test_every_world_of_message_passing_over_one_adjacency_has_a_twin():
    without = {id for id in GRAPHS if make_environment(id).twin is None}
    assert without == {id for id in GRAPHS if "-nodes-" in id and not id.startswith("colour-nodes")} | {"relation-count-v1"}


@pytest.mark.parametrize("id", ["attention-decoy-v1", "edge-type-or-v1", "neighbour-parity-v1", "reach-v1"])
def test_classes_are_balanced_and_neither_edges_nor_colours_tell_them(id):
    world, batch = sampled(id, 2000, seed=13)
    output = torch.from_numpy(world.specification(batch.inputs.numpy()))[:, 0]
    assert abs(output.mean() - 0.5) < 0.06
    size = batch.inputs.shape[1]
    shortcuts = [batch.inputs[..., :size].sum((1, 2)), *batch.inputs[..., size:].sum(1).T]
    for shortcut in shortcuts:
        if shortcut.std() > 0 and "parity" not in id:  # of a parity, how many reds there are is part of the question
            assert abs(torch.corrcoef(torch.stack([output, shortcut]))[0, 1]) < 0.15


@pytest.mark.parametrize("id", IDS)
def test_rows_do_not_depend_on_those_that_follow(id):
    world = make_environment(id)
    long, short = (world.sample(n, torch.Generator().manual_seed(14)) for n in (9, 4))
    for name in ("inputs", "baseline", "feature_mask", "target"):
        assert torch.equal(getattr(long, name)[:4], getattr(short, name))
