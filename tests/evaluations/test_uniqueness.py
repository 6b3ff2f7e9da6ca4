"""Where claims leave the Shapley value alone, scores that differ show a false claim, and the proof taken apart says which."""

from __future__ import annotations

import pytest
import torch

from attrlab.case import Case
from attrlab.claims import holds
from attrlab.games import Policy
from attrlab.method import Method
from attrlab.methods.coalitions import occlusion, shapley
from attrlab.methods.paths import exact_integrated_gradients
from attrlab.registry import find_method
from evaluations.strategies import stated
from evaluations.uniqueness import ENOUGH, UNITS, combines, determined, differences, false_claim
from synthetic.families import dense


def case_of(rows: list[list[float]], inputs: list[float], baseline: list[float]) -> Case:
    """The case relu(rows · x), one unit."""
    return stated(dense([(rows, [0]), ([[1]], [0])]), [inputs], baseline, Policy())


TWO = case_of([[1, 1]], [-1, -1], [1, 1])  # relu(x1 + x2): AND of two players, from 2 to 0 already by one of them
SUM = case_of([[1, -1, 0]], [1, 1, 1], [0, 0, 0])


def method(attribute) -> Method:
    return Method(name="mine", attribute=attribute, claims=tuple(holds(axiom, because="stated") for axiom in sorted(ENOUGH)))


def twice(model, inputs, *, target, baseline, feature_mask):
    return 2 * shapley(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)


def half_to_the_first(model, inputs, *, target, baseline, feature_mask):
    total = shapley(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
    share = torch.where(total != 0, 1.0, 0.0)
    share[:, 0] *= 3
    return share / share.sum(1, keepdim=True).clamp(min=1) * total.sum(1, keepdim=True)


@pytest.mark.parametrize(
    ("attribute", "case", "false"),
    [
        (twice, TWO, "completeness is false of g(x) ="),
        (occlusion, TWO, "completeness is false of g(x) ="),
        (half_to_the_first, TWO, "symmetry, or invariance of scale and shift, is false"),
        (exact_integrated_gradients, case_of([[1, -1]], [-2, -1], [1, 1]), "lattice_dummy is false: f less its unanimity games"),
    ],
)
def test_the_claim_that_is_false_is_named(attribute, case, false):
    mine = method(attribute)
    gap, _, _ = differences(mine, case)
    assert float(gap[0]) > 1e-3
    assert false in false_claim(mine, case, tolerance=1e-9)


def test_a_method_that_is_right_on_every_unanimity_game_and_not_linear_is_told_so():
    def rounded_up(model, inputs, *, target, baseline, feature_mask):
        scores = shapley(model, inputs, target=target, baseline=baseline, feature_mask=feature_mask)
        negative = (scores < 0).any(1, keepdim=True)
        return torch.where(negative, scores.flip(1), scores)

    assert false_claim(method(rounded_up), SUM, tolerance=1e-9).startswith("linearity is false")


def test_players_of_different_values_are_determined_only_by_claims_about_units():
    equal, unequal = case_of([[1, 1]], [2, 2], [0, 0]), case_of([[1, 1]], [2, 1], [0, 0])
    assert determined(equal, ENOUGH).tolist() == [True]
    assert determined(unequal, ENOUGH).tolist() == [False]
    assert determined(unequal, ENOUGH | UNITS).tolist() == [True]


def test_shapley_values_weighted_by_distance_keep_the_four_claims_and_differ_where_values_do():
    """Why claims about units are needed: weights |x_i - x'_i| are the same for players of one value."""

    def weighted(model, inputs, *, target, baseline):
        value = lambda rows: model(rows).gather(1, target.unsqueeze(1)).squeeze(1)  # noqa: E731
        none, both = value(baseline), value(inputs)
        one = value(torch.stack([inputs[:, 0], baseline[:, 1]], 1)) - none
        two = value(torch.stack([baseline[:, 0], inputs[:, 1]], 1)) - none
        weight = (inputs - baseline).abs()
        share = weight / weight.sum(1, keepdim=True).clamp(min=1e-12)
        return torch.stack([one, two], 1) + share * (both - none - one - two).unsqueeze(1)

    mine = method(weighted)
    equal, unequal = case_of([[1, -1]], [2, 2], [0, 0]), case_of([[1, -1]], [2, 1], [0, 0])
    assert float(differences(mine, equal)[0]) <= 1e-12  # sums of three terms
    assert float(differences(mine, unequal)[0]) > 0.1


def test_the_dummy_axiom_of_functions_determines_nothing_since_the_path_integral_keeps_all_four():
    path = find_method("exact_integrated_gradients")
    assert combines(path)
    claims = frozenset({"completeness", "dummy", "linearity", "symmetry"}) | UNITS
    case = case_of([[1, -1]], [-2, -1], [1, 1])
    assert determined(case, claims).tolist() == [False]
    assert float(differences(path, case)[0]) > 1e-3
