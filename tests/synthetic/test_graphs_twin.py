"""The sparse torch-geometric twin computes what the dense network computes, on whatever row it is given."""

import ast
from pathlib import Path

import pytest
import torch
from torch_geometric.data import Batch as GraphBatch

import synthetic.graphs
from synthetic import make_environment
from synthetic.graphs.twin import sparse_twin

IDS = [
    "edge-types-v1",
    "edge-types-gate-v1",
    "edge-types-features-v1",
    "edge-types-gate-features-v1",
    "colour-nodes-v1",
    "colour-nodes-features-v1",
]
SIZE = 7


def drawn(id, n, seed):
    return make_environment(id), make_environment(id).sample(n, torch.Generator().manual_seed(seed))


def between(batch, levels, times, seed):
    """Each row `times` times, its players at a multiple of 1/levels of the way from baseline to input; 1 level: coalitions."""
    batch = batch.rows(torch.arange(len(batch)).repeat_interleave(times))
    weight = torch.randint(0, levels + 1, (len(batch), batch.players), generator=torch.Generator().manual_seed(seed)).double() / levels
    owner = batch.feature_mask.clamp(min=0).flatten(1)
    return batch.baseline + weight.gather(1, owner).view(batch.inputs.shape) * (batch.inputs - batch.baseline)


@pytest.mark.parametrize("id", IDS)
def test_twin_equals_the_dense_network_on_drawn_graphs_coalitions_and_weighted_graphs(id):
    environment, batch = drawn(id, 10, seed=1)
    module, to_data = environment.twin()
    for rows in (batch.inputs, between(batch, 1, 20, seed=2), between(batch, 16, 20, seed=3)):
        graphs = GraphBatch.from_data_list([to_data(row) for row in rows])
        together = module(graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch)
        # dyadic weights and values: sums are exact in any order, so == is meant
        assert torch.equal(together, environment.model(rows))


@pytest.mark.parametrize("id", IDS)
def test_a_batch_of_graphs_equals_the_graphs_one_by_one(id):
    environment, batch = drawn(id, 6, seed=2)
    rows = torch.cat([batch.inputs, between(batch, 1, 4, seed=1)])
    module, to_data = environment.twin()
    data = [to_data(row) for row in rows]
    graphs = GraphBatch.from_data_list(data)
    together = module(graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch)
    alone = torch.cat([module(one.x, one.edge_index, one.edge_weight) for one in data])
    assert torch.equal(together, alone)


@pytest.mark.parametrize("id", ["edge-types-v1", "edge-types-gate-v1", "colour-nodes-v1"])
def test_an_edge_weight_of_zero_equals_a_removed_edge(id):
    environment, batch = drawn(id, 6, seed=3)
    module, to_data = environment.twin()
    for row in batch.inputs:
        data = to_data(row)
        pairs = data.edge_index.shape[1] // 2
        for edge in range(pairs):
            both = torch.tensor([edge, edge + pairs])
            weight = data.edge_weight.clone()
            weight[both] = 0
            kept = torch.ones(2 * pairs, dtype=torch.bool)
            kept[both] = False
            removed = module(data.x, data.edge_index[:, kept], data.edge_weight[kept])
            assert torch.equal(module(data.x, data.edge_index, weight), removed)


def test_data_leaves_out_padding_and_says_where_each_node_stands():
    environment, batch = drawn("edge-types-features-v1", 16, seed=4)
    _, to_data = environment.twin()
    for row in batch.inputs:
        data = to_data(row)
        rebuilt = torch.zeros_like(row)
        source, receiver = data.position[data.edge_index]
        rebuilt[receiver, source] = data.edge_weight
        rebuilt[data.position, SIZE:] = data.x
        assert torch.equal(rebuilt, row)
        assert data.x.any(1).all()
        pairs = data.edge_index.shape[1] // 2
        assert torch.equal(data.edge_index[:, :pairs], data.edge_index[:, pairs:].flip(0))


def test_an_empty_row_keeps_one_node_and_its_place_in_a_batch():
    environment, batch = drawn("edge-types-gate-features-v1", 1, seed=5)
    rows = batch.inputs
    module, to_data = environment.twin()
    graphs = GraphBatch.from_data_list([to_data(row) for row in (rows[0], torch.zeros_like(rows[0]))])
    output = module(graphs.x, graphs.edge_index, graphs.edge_weight, graphs.batch)
    assert torch.equal(output, torch.cat([environment.model(rows[:1]), torch.zeros(1, 1, dtype=torch.float64)]))


@pytest.mark.parametrize("id", ["edge-types-v1", "edge-types-gate-v1"])
def test_the_weight_from_j_to_i_is_the_entry_in_row_i(id):
    """Explainers may weigh the two directions apart, which the dense network reads as a matrix that is not symmetric."""
    environment, batch = drawn(id, 6, seed=7)
    module, to_data = environment.twin()
    directed = batch.inputs.clone()
    directed[..., :SIZE] *= torch.arange(SIZE * SIZE).view(SIZE, SIZE) / 64
    data = [to_data(row) for row in directed]
    assert torch.equal(torch.cat([module(one.x, one.edge_index, one.edge_weight) for one in data]), environment.model(directed))
    assert not torch.equal(environment.model(directed), environment.model(torch.cat([directed[..., :SIZE].mT, directed[..., SIZE:]], -1)))


def test_weights_of_one_are_the_default():
    environment, batch = drawn("edge-types-features-v1", 1, seed=6)
    module, to_data = environment.twin()
    data = to_data(batch.inputs[0])
    assert torch.equal(module(data.x, data.edge_index), module(data.x, data.edge_index, data.edge_weight))


def test_each_call_gives_a_module_of_its_own():
    environment = make_environment("edge-types-v1")
    (first, _), (second, _) = environment.twin(), environment.twin()
    with torch.no_grad():
        first.sender.weight.zero_()
    assert second.sender.weight.any()
    assert torch.equal(second.sender.weight, environment.model.sender.weight)


def test_a_network_without_a_twin_and_a_batch_of_rows_are_refused():
    with pytest.raises(TypeError, match=r"got Linear"):
        sparse_twin(torch.nn.Linear(2, 1))
    _, to_data = make_environment("edge-types-v1").twin()
    with pytest.raises(ValueError, match=r"row by row \(got \(2, 7, 10\)\)"):
        to_data(torch.zeros(2, 7, 10))


def test_torch_geometric_is_imported_by_two_modules_which_are_imported_inside_a_function():
    folder = Path(synthetic.graphs.__file__).parent
    for file in sorted(folder.glob("*.py")):
        names = [name for statement in ast.parse(file.read_text()).body for name in imported(statement)]
        assert not any(name.endswith(("graphs.sparse", "graphs.sparse_layers")) for name in names), file.name
        assert any(name.startswith("torch_geometric") for name in names) == (file.name in ("sparse.py", "sparse_layers.py")), file.name


def imported(statement):
    """Names imported by one statement of a module's top level."""
    if isinstance(statement, ast.ImportFrom):
        return [statement.module or "", *(f"{statement.module}.{alias.name}" for alias in statement.names)]
    return [alias.name for alias in statement.names] if isinstance(statement, ast.Import) else []
