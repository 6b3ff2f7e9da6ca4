"""Axioms about graphs are decided on all small graphs: the smallest counterexample is found, and what is said of a row is true."""

from __future__ import annotations

from itertools import pairwise

import pytest
import torch

from attrlab.axioms import AXIOMS
from attrlab.case import Case
from attrlab.games import Policy
from attrlab.method import Method
from attrlab.methods.gradients import gradient
from attrlab.registry import find_method
from evaluations.scope import exhaust
from evaluations.small_graph_cases import graph_blocks

GRAPH_AXIOMS = ("permutation_equivariance", "disjoint_union_additivity", "locality", "edge_order_invariance")
SIZES = (("graph", 3, 1), ("graph", 3, 2))


def search(attribute, axiom, *, scope="small"):
    method = Method(name=attribute.__name__, attribute=attribute, modalities=frozenset({"graph"}))
    return exhaust(method, AXIOMS[axiom], tolerance=1e-9, scope=scope)


@pytest.mark.parametrize("axiom", GRAPH_AXIOMS)
def test_gradient_keeps_what_is_said_of_graphs_on_all_of_them(axiom):
    found = exhaust(find_method("gradient"), AXIOMS[axiom], tolerance=1e-9, scope="small")
    assert found.refutation is None
    assert found.finished
    assert "on all graphs of 2 to 3 nodes" in str(found)


def test_a_method_that_reads_the_numbers_of_nodes_falls_on_two_nodes():
    def numbered(model, inputs, *, target):
        return gradient(model, inputs, target=target) * torch.arange(inputs.shape[1]).view(1, -1, 1)

    counterexample = search(numbered, "permutation_equivariance").refutation.counterexample
    assert "2 nodes, edges none, X = (1, 1)" in counterexample
    assert "with the nodes taken in the order [1, 0]" in counterexample


def test_a_method_that_is_wrong_for_one_numbering_of_three_nodes_is_found():
    def wrong_where_a_path_ends_at_the_last(model, inputs, *, target):
        scores = gradient(model, inputs, target=target)
        odd = (inputs[:, 0, 1] == 1) & (inputs[:, 1, 2] == 1) & (inputs[:, 0, 2] == 0) if inputs.shape[1] == 3 else inputs[:, 0, 0] > 1
        return scores + odd.view(-1, 1, 1) * inputs

    found = search(wrong_where_a_path_ends_at_the_last, "permutation_equivariance")
    assert found.refutation is not None
    assert "3 nodes" in found.refutation.counterexample
    assert found.proved[0] == "tiny"


def test_a_method_that_divides_by_the_number_of_nodes_is_not_additive():
    def averaged(model, inputs, *, target):
        return gradient(model, inputs, target=target) / inputs.shape[1]

    assert "in the disjoint union" in search(averaged, "disjoint_union_additivity").refutation.counterexample


def test_a_method_that_credits_all_features_is_not_local():
    def everywhere(model, inputs, *, target):
        return inputs.clone()

    counterexample = search(everywhere, "locality").refutation.counterexample
    assert "node 0 marked, edges none" in counterexample
    assert "is outside of the receptive field and must get 0" in counterexample


@pytest.mark.parametrize("edges_play", [False, True])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_the_output_does_not_change_with_what_is_out_of_reach(size, edges_play):
    blocks = [block for block in graph_blocks(AXIOMS["locality"], (size,), policy=Policy()) if block.edges_play == edges_play]
    for block in blocks[::7]:
        case = block.case
        far = torch.cat([case.unreachable, torch.zeros(len(case), 1, dtype=torch.bool)], 1)
        gone = far.gather(1, torch.where(case.feature_mask < 0, case.players, case.feature_mask).flatten(1)).view(case.inputs.shape)
        asked, without = (values.gather(1, case.target[:, None]) for values in map(case.model, (case.inputs, case.inputs * ~gone)))
        assert gone.flatten(1).any(1).all()
        assert torch.equal(asked, without)


def test_side_by_side_outputs_are_those_of_each_network_alone():
    block = next(graph_blocks(AXIOMS["edge_order_invariance"], SIZES[1:], policy=Policy()))
    together = block.case.model(block.case.inputs).gather(1, block.case.target.unsqueeze(1))
    for member in range(len(block.members)):
        alone: Case = block.alone(member, Policy())
        assert torch.equal(alone.model(alone.inputs), together[block.case.target == member])
        states, least = block.members[member].states(alone.inputs[:, :, :3], alone.inputs[:, :, 3])
        assert torch.equal(alone.model(alone.inputs)[:, 0], block.members[member].head * states[0].sum(1))
        assert float(least.min()) >= 1  # integers off the kinks


def test_every_graph_meets_every_graph_in_a_union():
    block = next(block for block in graph_blocks(AXIOMS["disjoint_union_additivity"], SIZES[:1], policy=Policy()) if not block.edges_play)
    for member in range(len(block.members)):
        rows = [tuple(row) for row in block.case.inputs[block.case.target == member].flatten(1).tolist()]
        assert {(one, two) for one, two in pairwise(rows)} == {(one, two) for one in rows for two in rows}
