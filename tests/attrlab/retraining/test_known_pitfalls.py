"""The pitfalls of retraining that the literature knows happen here, and are exposed by the controls that are there for them."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from attrlab.games.imputers_images import blur
from attrlab.metrics.student import mean_and_half_width
from attrlab.retraining import KAR, ROAR, Protocol, Retraining, Settings, Training, find_data, mapped, retrain, separated, telling, world
from attrlab.retraining.verdicts import SUSPECT, differences

pytestmark = pytest.mark.slow


def test_blurred_noise_beats_noise_though_it_knows_nothing_and_leaks_nothing():
    """Blur bias: Song, Cha, Seo, "On pitfalls of RemOve-And-Retrain", arXiv 2304.13836."""
    pytest.importorskip("sklearn")
    settings = Settings(seeds=4, protocols=(ROAR,), fractions=(0.5,), training=Training(epochs=8))
    study = retrain(find_data("digits"), [], settings=settings, controls=("random", "blurred_random"))
    blurred = study.curve("blurred_random")[0]
    assert separated(study, blurred)
    assert blurred.leakage - study.chance < SUSPECT


def test_on_original_graphs_keeping_the_truth_is_worse_than_keeping_anything():
    """graphs.md, 4.4: RoMie on original test graphs inverts the ranking at small fractions; RoLie on modified ones does not."""
    data = world("edge-type-or-v1", train=400, test=400, nodes=(12, 12), edges=18)
    inverted = Protocol(measure="kar", evaluated="original", isolated="dropped")
    rolie = Protocol(measure="roar", isolated="dropped")
    settings = Settings(seeds=5, protocols=(inverted, rolie), fractions=(0.1, 0.3), training=Training(epochs=40, batch=50), leakage_seeds=0)
    study = retrain(data, [], settings=settings, controls=("random", "truth"))
    mean, half = mean_and_half_width(differences(study, study.curve("truth", measure="kar")[1]))
    assert mean < -half
    assert separated(study, study.curve("truth", measure="roar")[0])


def test_what_a_choice_keeps_can_tell_more_than_whole_rows():
    """graphs.md, 4.4: RoMie on modified graphs exceeds the accuracy on whole graphs, since the choice was made with the answer."""
    data = world("edge-type-or-v1", train=400, test=400, nodes=(12, 12), edges=18)
    settings = Settings(seeds=3, protocols=(KAR,), fractions=(0.1,), training=Training(epochs=30, batch=50), leakage_seeds=0)
    study = retrain(data, [], settings=settings, controls=("random", "truth"))
    assert [cell.method for cell in telling(study)] == ["truth"]


@pytest.mark.parametrize("imputer", ["mean", "background", "noisy_linear", "marginal"])
def test_the_truth_of_coloured_pixels_separates_whatever_stands_in_their_place(imputer: str):
    study = coloured(imputer)
    assert study.settings["imputer"] == imputer
    assert separated(study, study.curve("truth")[0])


def test_a_blur_puts_back_what_it_takes_away():
    """Where the colour of a pixel is the evidence, its blurred image still holds it, and removing the truth costs no more than noise."""
    study = coloured("blur")
    assert not separated(study, study.curve("truth")[0])


def coloured(imputer: str) -> Retraining:
    settings = Settings(seeds=3, protocols=(ROAR,), fractions=(0.1,), imputer=imputer, training=Training(epochs=15), leakage_seeds=0)
    return retrain(world("colour-dominant-v1", train=300, test=300), [], settings=settings, controls=("random", "truth"))


def test_a_module_and_an_imputer_of_ones_own_go_the_same_way():
    def own() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.GELU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 2))

    settings = Settings(
        seeds=2,
        protocols=(ROAR,),
        fractions=(0.5,),
        network=mapped("own cnn", own),
        imputer=blur(sigma=1.0, kernel=3),
        training=Training(epochs=6),
    )
    study = retrain(world("colour-count-v1", train=200, test=200), [], settings=settings, controls=("random",))
    assert study.network == "own cnn"
    assert study.settings["imputer"] == "blur 1"
    assert torch.tensor(study.full).mean() > study.chance
