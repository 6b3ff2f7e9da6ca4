"""The graph networks equal plain counting on every small coloured graph, and each other exactly where they are said to."""

from itertools import combinations, permutations, product

import networkx as nx
import numpy as np
import pytest
import torch

from synthetic import make_environment
from synthetic.gadgets import least_preactivation

EDGE_TYPES = ["edge-types-v1", "edge-types-gate-v1", "edge-types-features-v1", "edge-types-gate-features-v1"]
COLOUR_NODES = ["colour-nodes-v1", "colour-nodes-features-v1"]
IDS = EDGE_TYPES + COLOUR_NODES
SIZE, COLOURS = 7, 3


def rows_of(edges, colourings):
    """Rows of one graph in many colourings, a colour of -1 meaning no features: written here without the package's own writer."""
    rows = np.zeros((len(colourings), SIZE, SIZE + COLOURS))
    for u, v in edges:
        rows[:, u, v] = rows[:, v, u] = 1
    for row, colours in zip(rows, colourings, strict=True):
        for node, colour in enumerate(colours):
            if colour >= 0:
                row[node, SIZE + colour] = 1
    return rows


def counted(edges, colours, id):
    """Both functions once more, in plain Python."""
    if id in COLOUR_NODES:
        return sum({0: 2, 1: -1}.get(colour, 0) for colour in colours)
    return sum(sorted((colours[u], colours[v])) == [0, 1] for u, v in edges)


def repeated(id, n, *, times, seed):
    """A world, n drawn rows, each `times` times over, and the generator that drew them."""
    environment, generator = make_environment(id), torch.Generator().manual_seed(seed)
    batch = environment.sample(n, generator)
    return environment, batch.rows(torch.arange(n).repeat_interleave(times)), generator


@pytest.fixture(scope="module")
def small_graphs():
    """Every graph of one to five nodes up to isomorphism, in each of its 3^n colourings: 9 282 rows."""
    graphs = [graph for graph in nx.graph_atlas_g() if 1 <= len(graph) <= 5]
    cases = [(list(graph.edges), list(product(range(COLOURS), repeat=len(graph)))) for graph in graphs]
    rows = torch.from_numpy(np.concatenate([rows_of(edges, colourings) for edges, colourings in cases]))
    return rows, [(edges, colours) for edges, colourings in cases for colours in colourings]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("id", IDS)
def test_network_equals_counting_on_every_coloured_graph_of_at_most_five_nodes(small_graphs, id, dtype):
    rows, cases = small_graphs
    expected = torch.tensor([[counted(edges, colours, id)] for edges, colours in cases], dtype=dtype)
    environment = make_environment(id)
    networks = {"itself": environment.model, **environment.equals}
    for name, network in networks.items():
        # dyadic weights and small counts: every value on the lattice is exact, so == is meant
        assert torch.equal(network.to(dtype)(rows.to(dtype)), expected), name
    assert len(cases) == 9282


@pytest.mark.parametrize("id", ["edge-types-v1", "colour-nodes-v1"])
def test_specification_equals_counting_on_every_coloured_graph_of_at_most_five_nodes(small_graphs, id):
    rows, cases = small_graphs
    chosen = range(0, len(cases), 3)
    expected = [[counted(*cases[k], id)] for k in chosen]
    assert make_environment(id).specification(rows[list(chosen)].numpy()).tolist() == expected


@pytest.mark.parametrize("id", IDS)
def test_no_unit_is_closer_than_a_quarter_to_its_kink_on_the_lattice(small_graphs, id):
    environment = make_environment(id)
    for network in (environment.model, *environment.equals.values()):
        assert least_preactivation(network, small_graphs[0]) >= 0.25


@pytest.mark.parametrize("id", IDS)
def test_coalitions_keep_the_margin_and_equal_the_specification(id):
    environment, batch, generator = repeated(id, 10, times=12, seed=3)
    kept = torch.rand(len(batch), batch.players, generator=generator) < 0.5
    owner = batch.feature_mask.clamp(min=0).flatten(1)
    present = kept.gather(1, owner).view(batch.inputs.shape) | (batch.feature_mask < 0)
    rows = torch.where(present, batch.inputs, batch.baseline)
    assert torch.equal(environment.model(rows), torch.from_numpy(environment.specification(rows.numpy())))
    assert least_preactivation(environment.model, rows) >= 0.25


@pytest.mark.parametrize("id", IDS)
def test_output_does_not_depend_on_how_nodes_are_numbered(id):
    environment = make_environment(id)
    rows = environment.sample(8, torch.Generator().manual_seed(5)).inputs
    for seed in range(8):
        order = torch.randperm(SIZE, generator=torch.Generator().manual_seed(seed))
        columns = torch.cat([order, torch.arange(SIZE, rows.shape[2])])
        assert torch.equal(environment.model(rows[:, order][:, :, columns]), environment.model(rows))


@pytest.mark.parametrize("id", IDS)
def test_networks_said_to_be_equal_are_so_in_the_whole_box_of_the_players(id):
    environment, batch, generator = repeated(id, 10, times=40, seed=7)
    # multiples of 1/64, so that sums are exact and == is meant
    weight = torch.randint(0, 65, batch.inputs.shape, generator=generator).double() / 64
    inside = batch.baseline + weight * (batch.inputs - batch.baseline)
    for name, network in environment.equals.items():
        assert torch.equal(network(inside), environment.model(inside)), name


def test_message_and_gate_are_one_function_of_edges_but_not_of_features():
    edges, features = make_environment("edge-types-v1"), make_environment("edge-types-features-v1")
    assert set(edges.equals) == {"gate", "nested message", "nested gate"}
    assert set(features.equals) == {"nested message"}
    half = torch.from_numpy(rows_of([(0, 1)], [(0, 1)]))
    half[..., SIZE:] *= 7 / 8
    # message: relu(2 * 7/4 - 3) = 1/2; gate: relu(7/8 + 7/32 - 5/8) - 7/32 = 1/4
    assert features.model(half).item() == 1 / 2
    assert edges.equals["gate"](half).item() == 1 / 4


@pytest.mark.parametrize("degree", [2, 3, 6])
def test_gate_is_exact_up_to_the_degree_it_was_built_for_and_the_specification_refuses_beyond(degree):
    environment = make_environment("edge-types-gate-v1", degree=degree)
    colourings = list(product(range(COLOURS), repeat=degree + 1))[:: 1 if degree < 6 else 7]
    star = torch.from_numpy(rows_of([(0, leaf) for leaf in range(1, degree + 1)], colourings))
    expected = torch.tensor([[float(counted([(0, leaf) for leaf in range(1, degree + 1)], c, "edge-types-v1"))] for c in colourings])
    assert torch.equal(environment.model(star), expected.double())
    assert least_preactivation(environment.model, star) >= 0.25
    if degree < 6:
        beyond = rows_of([(0, leaf) for leaf in range(1, degree + 2)], [(2,) * (degree + 2)])
        with pytest.raises(ValueError, match=rf"up to {degree}; build it with degree={degree + 1} \(got a node of degree {degree + 1}\)"):
            environment.specification(beyond)


def test_one_degree_too_many_makes_the_gate_leak():
    """The bound is sharp enough to matter: far beyond D, a node that is not an a-node lets its b-neighbours through."""
    gate = make_environment("edge-types-gate-v1", degree=2).model
    star = torch.from_numpy(rows_of([(0, leaf) for leaf in range(1, 6)], [(2, 1, 1, 1, 1, 1)]))
    assert gate(star).item() == 5 - 2 * 1.25  # n - M, and the specification says 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda row: row[0].__setitem__(1, 0.5), "values"),
        (lambda row: row[1].__setitem__(0, 0.0), "without loops: False"),
        (lambda row: row[2].__setitem__(2, 1.0), "without loops: False"),
        (lambda row: row[0].__setitem__(slice(SIZE, None), 1.0), "one-hot or zero"),
    ],
    ids=["weight one half", "one direction", "loop", "three colours at once"],
)
def test_specification_refuses_rows_that_are_no_graphs(spoil, message):
    row = rows_of([(0, 1)], [(0, 1, 2)])
    spoil(row[0])
    with pytest.raises(ValueError, match=message):
        make_environment("edge-types-v1").specification(row)


def test_the_edge_path_of_the_gate_stays_within_its_domain_when_all_weights_are_fractions():
    """Every symmetric reweighting in [0, 1] of K_{1,4} with an a-centre: the gate reads Σ_j A_0j, exactly."""
    gate = make_environment("edge-types-gate-v1").model
    row = torch.from_numpy(rows_of([(0, leaf) for leaf in range(1, 5)], [(0, 1, 1, 2, 1)]))
    for weights in permutations([0.0, 0.25, 0.5, 1.0]):
        weighted = row.clone()
        for leaf, w in enumerate(weights, start=1):
            weighted[0, 0, leaf] = weighted[0, leaf, 0] = w
        assert gate(weighted).item() == weights[0] + weights[1] + weights[3]


@pytest.mark.parametrize("id", IDS)
def test_an_edge_of_weight_zero_is_a_deleted_edge(id):
    environment = make_environment(id)
    colours = (0, 1, 0, 1, 2)
    complete = list(combinations(range(5), 2))
    for edge in complete:
        row = rows_of(complete, [colours])
        row[0, edge[0], edge[1]] = row[0, edge[1], edge[0]] = 0
        deleted = [other for other in complete if other != edge]
        assert environment.model(torch.from_numpy(row)).item() == counted(deleted, colours, id)
