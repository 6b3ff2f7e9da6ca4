"""Methods that know nothing of graphs explain edges, features and nodes alike, and what is no player stays as the row has it."""

import pytest
import torch

from attrlab.method import player_scores
from attrlab.registry import find_method
from attrlab.study import prepare

GAMES = ["triangle-count-v1", "triangle-count-nodes-v1", "walk-count-features-v1", "relation-count-v1"]


@pytest.mark.parametrize("id", GAMES)
@pytest.mark.parametrize("name", ["occlusion", "shapley", "integrated_gradients"])
def test_exact_truth_of_edges_and_nodes_is_found_by_methods_for_any_row(id, name):
    stage, method = prepare(id, rows=3), find_method(name)
    truth = stage.batch.truth.attributions.get(method.convention)
    if truth is None:
        pytest.skip(f"{id} states no exact {method.convention}")
    # 50 Gauss-Legendre nodes at a few kinks of a unit slope: below 0.1; the others are exact
    tolerance = 0.1 if name == "integrated_gradients" else 1e-9
    torch.testing.assert_close(player_scores(method, stage.case), truth, atol=tolerance, rtol=0)


@pytest.mark.parametrize("id", GAMES)
@pytest.mark.parametrize("name", ["gradient", "input_x_gradient", "smoothgrad", "gnn_explainer", "gnn_lrp", "subgraph_x"])
def test_what_is_no_player_is_shown_to_the_network_as_it_is(id, name):
    case = prepare(id, rows=1).case
    seen = []
    asked = case.model.forward
    case.model.forward = lambda rows: seen.append(rows.detach().clone()) or asked(rows)
    method = find_method(name)
    offers = {keyword: value for keyword, value in case.offers(0).items() if method.names(keyword)}
    method.attribute(case.model, case.inputs, **offers)
    fixed = case.feature_mask[0] < 0
    assert seen
    for rows in seen:
        assert torch.equal(rows[:, fixed], case.inputs[0][fixed].expand(len(rows), -1))
