"""What every metric owes whatever it asks, as one table: metric by property. An exception names its reason, and must be one.

Rows are images of two channels; networks read them through a mirror where the image is mirrored, so that everything is as it was but for
the numbers of pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.games import Game, make_game
from attrlab.metrics import METRICS, Metric
from attrlab.metrics.explainer import Explainer

SIDE, PLAYERS = 6, 36
CLOSE = {"atol": 1e-6, "rtol": 1e-6, "equal_nan": True}  # soundness adds 1e-6 to a divisor; all else agrees to about 1e-12
EVERY = pytest.mark.parametrize("metric", METRICS.values(), ids=lambda metric: metric.name)

SETS = "random sets of players are drawn by their numbers"
NOISE = "noise, of neighbours or of what is imputed, is drawn by the places of entries"
ORDER = "one order of tied players is fixed by their numbers, as published"
UNIT = "it is stated in the unit of the scores"
BATCH = "it is a number about a set of rows"

EXCEPTIONS = {
    "renumbering": dict.fromkeys(("sensitivity_n", "faithfulness_correlation", "infidelity", "infidelity_scaled"), SETS)
    | {"soundness": ORDER},
    "mirroring": dict.fromkeys(("sensitivity_n", "faithfulness_correlation", "infidelity", "infidelity_scaled"), SETS)
    | dict.fromkeys(("max_sensitivity", "average_sensitivity", "local_lipschitz"), NOISE)
    | {"soundness": ORDER, "road": NOISE},
    "rescaling": dict.fromkeys(("infidelity", "relative_l1", "local_lipschitz"), UNIT),
    "company": {"class_sensitivity_single": BATCH},
}


class Mirror(nn.Module):
    """Turns images around."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flip(3)


@dataclass(frozen=True)
class World:
    """Rows with everything that a metric of any kind is given."""

    case: Case
    game: Game
    scores: Tensor  # (batch, players)
    explain: Explainer


def networks(*, mirrored: bool, side: int) -> dict[str, nn.Module]:
    """The network, and three that might have been trained."""
    found = {}
    for seed, name in enumerate(("own", "true", "same", "permuted")):
        net = nn.Sequential(Mirror() if mirrored else nn.Identity(), nn.Flatten(), nn.Linear(2 * side**2, 5), nn.Tanh(), nn.Linear(5, 2))
        generator = torch.Generator().manual_seed(seed)
        for parameter in net.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2
        found[name] = net.double().requires_grad_(False)
    return found


def explainer(scale: float, change) -> Explainer:
    """The gradient times the input, in units of `scale`, as `change` leaves it."""

    def ask(case: Case, *, model: nn.Module | None = None) -> Tensor:
        with torch.enable_grad():
            point = case.inputs.clone().requires_grad_()
            (case.model if model is None else model)(point).gather(1, case.target.unsqueeze(1)).sum().backward()
        entries = (scale * point.grad * case.inputs).flatten(1)
        owner = case.feature_mask.flatten(1)
        return change(torch.zeros(len(entries), case.players, dtype=entries.dtype).scatter_add_(1, owner, entries))

    return Explainer(ask)


def world(rows=3, *, side=SIDE, mirrored=False, renumbered=False, scale=1.0, change=lambda scores: scores) -> World:
    """Patches of several strengths; scores in steps, so that a few pixels are tied."""
    players = side**2
    generator = torch.Generator().manual_seed(0)
    images = (torch.randint(1, 4, (rows, 2, side, side), generator=generator) / 2).double()
    images[:, :, side // 2 : side // 2 + 1] = 0  # two patches
    scores = torch.randint(-20, 21, (rows, players), generator=generator).double()
    truth = torch.where(torch.arange(players) < players // 2, scores, 0)
    mask = torch.arange(players).view(1, 1, side, side).expand(images.shape)
    if mirrored:
        images, scores, truth = images.flip(3), *(v.view(-1, side, side).flip(2).flatten(1) for v in (scores, truth))
    if renumbered:
        name = torch.randperm(players, generator=generator)
        mask, scores, truth = name[mask], *(torch.empty_like(v).index_copy_(1, name, v) for v in (scores, truth))
    nets = networks(mirrored=mirrored, side=side)
    common = {"target": torch.arange(rows) % 2, "baseline": torch.zeros_like(images), "feature_mask": mask, "players": players}
    case = Case(name="w", formula="", modality="image", model=nets["own"], inputs=images, truth=truth, learnt=lambda: nets, **common)
    return World(case, make_game(nets["own"], images, **common), change(scale * scores), explainer(scale, change))


def measured(metric: Metric, given: World) -> Tensor:
    """One metric of any of the four kinds."""
    if metric.question == "method":
        return metric.measure(given.explain, given.case, given.scores)
    with torch.no_grad():
        if metric.question == "game":
            return metric.measure(given.game, given.scores)
        if metric.question == "scores":
            return metric.measure(given.scores, present=given.game.present)
        truth = given.case.truth
        return metric.measure(given.scores, truth=truth, support=truth != 0, present=given.game.present)


def alike(metric: Metric, prop: str, one: Tensor, two: Tensor) -> None:
    """Equal, or an exception that is one."""
    if metric.name == "seconds_per_row":
        return  # a time
    if metric.name in EXCEPTIONS[prop]:
        assert not torch.allclose(one, two, **CLOSE), f"{metric.name} is no exception to {prop} any more"
        return
    torch.testing.assert_close(one, two, **CLOSE)


@EVERY
def test_it_does_not_depend_on_the_numbers_of_players(metric):
    alike(metric, "renumbering", measured(metric, world()), measured(metric, world(renumbered=True)))


@EVERY
def test_a_mirrored_image_with_mirrored_scores_scores_the_same(metric):
    alike(metric, "mirroring", measured(metric, world()), measured(metric, world(mirrored=True)))


@EVERY
def test_it_has_no_unit_of_scores(metric):
    alike(metric, "rescaling", measured(metric, world()), measured(metric, world(scale=1024.0)))


@EVERY
def test_a_row_scores_the_same_in_any_company_and_alone(metric):
    together = measured(metric, world())
    alone = []
    for row in range(3):
        given = world()
        case = given.case.rows(torch.tensor([row]))
        common = {"target": case.target, "baseline": case.baseline, "feature_mask": case.feature_mask, "players": PLAYERS}
        game = make_game(case.model, case.inputs, **common)
        alone.append(measured(metric, replace(given, case=case, game=game, scores=given.scores[row : row + 1])))
    alike(metric, "company", together, torch.cat(alone))


@EVERY
def test_nothing_that_is_given_is_written_into_and_no_global_generator_moves(metric):
    given, state = world(), torch.get_rng_state()
    before = [t.clone() for t in (given.case.inputs, given.case.baseline, given.scores, *given.case.model.parameters())]
    measured(metric, given)
    after = (given.case.inputs, given.case.baseline, given.scores, *given.case.model.parameters())
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    assert torch.equal(torch.get_rng_state(), state)
    assert not given.case.model._forward_hooks


KINDS = {
    "negative": lambda scores: -scores.abs() - 1,
    "zero": lambda scores: 0 * scores,
    "constant": lambda scores: 0 * scores + 3,
    "float32": lambda scores: scores.float(),
}


@EVERY
@pytest.mark.parametrize("kind", KINDS)
def test_scores_of_any_kind_are_accepted(metric, kind):
    found = measured(metric, world(2, change=KINDS[kind]))
    assert (found.shape, found.dtype) == ((2,), torch.float64)
    assert not found.isinf().any()


WINDOWED = {name for name in METRICS if "_ssim" in name}
"""Similarities of maps that are read through a window."""


@EVERY
def test_one_row_of_one_player_is_measured_and_a_map_smaller_than_a_window_refused(metric):
    if metric.name in WINDOWED:
        with pytest.raises(NotApplicable, match="maps at least as large"):
            measured(metric, world(1, side=1))
        return
    assert measured(metric, world(1, side=1)).shape == (1,)
