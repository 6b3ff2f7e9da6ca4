"""Networks trained anew on what a method leaves of the rows: ROAR and KAR, on graphs RoLie and RoMie, and whether the instrument is sound.

Runs with `-m retraining` or --attrlab-retraining. Curves are recorded and never asserted, except on the instrument itself: the exact truth
separates from random removal by more than the interval, and masks that code the class are exposed by what the mask alone gives away.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from attrlab.errors import CheckFailed, NotApplicable
from attrlab.method import Method
from attrlab.metrics.student import mean_and_half_width
from attrlab.record import Score
from attrlab.registry import find_method
from attrlab.retraining import Data, Retraining, Settings, retrain, separated, world
from attrlab.retraining.jobs import KAR, ROAR, Protocol
from attrlab.retraining.stacked import Training
from attrlab.retraining.verdicts import SUSPECT, areas, differences
from attrlab.study import applies
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import PROPERTY, laboratory_of

pytestmark = [pytest.mark.attrlab, pytest.mark.retraining]

WORLDS = ("majority-v1", "colour-dominant-v1", "edge-type-or-v1")
"""A table, images and graphs whose truth separates; the graphs are those of the measurement that is to be reproduced."""

METHODS = ("integrated_gradients", "input_x_gradient")
"""What is retrained on where no method was asked for."""

KNOBS = {"edge-type-or-v1": {"nodes": (12, 12), "edges": 18}}

GRAPHS = (ROAR, KAR, Protocol(measure="kar", evaluated="original"))
"""RoLie and RoMie on modified graphs, and RoMie on the original ones, which inverts."""

FRACTIONS, ROWS, SEEDS = (0.1, 0.3, 0.6), 300, 3

TRAINING = {"table": Training(epochs=15), "image": Training(epochs=15), "graph": Training(epochs=30, batch=50)}

Study = dict[tuple[str, str], Retraining]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per method and world, where retraining was asked for."""
    found: list[cells.Cell] = []
    if _asked(metafunc.config):
        laboratory = laboratory_of(metafunc.config)
        if "instrument" in metafunc.function.__name__:
            checked = [find_method(name) for name in ("truth", "class_coded_mask")]
            found = [
                cells.Cell(method=method, subject="retraining", environment=id) for id in _worlds(metafunc.config) for method in checked
            ]
        else:
            named = metafunc.config.getoption("--attrlab-method")
            methods = laboratory.methods if named else [find_method(name) for name in METHODS]
            found = list(_cells(laboratory, methods, _worlds(metafunc.config)))
    cells.parametrize(metafunc, found)


@pytest.fixture(scope="module")
def studies() -> Study:
    """What was found so far, so that controls are not read again."""
    return {}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where networks are kept: those of controls and of fraction 0 are trained once for all methods."""
    return tmp_path_factory.mktemp("retraining")


def test_accuracy_after_retraining_is_recorded(
    cell: cells.Cell, laboratory: Laboratory, folder: Path, studies: Study, request: pytest.FixtureRequest
) -> None:
    """The area between the curve of random and the method's, by ROAR and by KAR, with the interval over seeds."""
    __tracebackhide__ = True
    properties = request.node.user_properties
    with judging.measured(properties, cell, evaluation="retraining"):
        study = _study(cell.method, cell.environment, laboratory, folder, studies)
        refusal = dict(study.refused).get(cell.method.name)
        if refusal:
            raise NotApplicable(refusal)
        properties.append((PROPERTY, json.dumps({"kind": "retraining", "study": study.to_data()})))
        judging.record_scores(properties, _scores(study, cell, laboratory.seed))


def test_the_instrument_tells_truth_from_random_and_shows_what_leaks(
    cell: cells.Cell, laboratory: Laboratory, folder: Path, studies: Study, request: pytest.FixtureRequest
) -> None:
    """At 10 % removed the truth costs more than random, beyond the interval; masks that code the class are known from the mask alone."""
    __tracebackhide__ = True
    claim = "retraining tells the truth from random, and shows masks that code the class"
    properties = request.node.user_properties
    with judging.verdict(properties, cell, evaluation="instruments", claim=claim) as draft:
        study = _study(cell.method, cell.environment, laboratory, folder, studies)
        first = study.curve(cell.method.name, measure="roar")[0]
        draft.cases = len(first.accuracies)
        if cell.method.name == "truth":
            draft.measured, draft.bound = mean_and_half_width(differences(study, first))
            if not separated(study, first):
                raise CheckFailed(
                    f"{study.data}: at {first.fraction:.0%} removed the truth costs {draft.measured:.3f} more accuracy than random, "
                    f"must be more than its interval {draft.bound:.3f}"
                )
        else:
            leaks = [found.leakage - study.chance for found in study.curve(cell.method.name, measure="roar")]
            draft.measured, draft.bound = max(leaks), SUSPECT
            if draft.measured <= draft.bound:
                raise CheckFailed(f"{study.data}: a mask that codes the class leaks {draft.measured:.3f}, must be more than {SUSPECT}")


def _asked(config: pytest.Config) -> bool:
    return bool(config.getoption("--attrlab-retraining")) or "retraining" in str(config.getoption("markexpr", ""))


def _worlds(config: pytest.Config) -> Sequence[str]:
    """The worlds named, or one of each of three kinds."""
    return config.getoption("--attrlab-environment") or WORLDS


def _cells(laboratory: Laboratory, methods: Sequence[Method], ids: Sequence[str]) -> Sequence[cells.Cell]:
    pairs = [(method, id) for id in ids for method in methods if applies(method, laboratory.stage(id).environment)]
    return [cells.Cell(method=method, subject="retraining", environment=id) for method, id in pairs]


def _study(method: Method, id: str, laboratory: Laboratory, folder: Path, studies: Study) -> Retraining:
    if (method.name, id) not in studies:
        data = world(id, train=ROWS, test=ROWS, seed=laboratory.seed, **KNOBS.get(id, {}))
        studies[method.name, id] = retrain(data, [method], settings=_settings(data, laboratory), folder=folder)
    return studies[method.name, id]


def _settings(data: Data, laboratory: Laboratory) -> Settings:
    return Settings(
        protocols=GRAPHS if data.modality == "graph" else (ROAR, KAR),
        fractions=FRACTIONS,
        seeds=SEEDS,
        training=TRAINING.get(data.modality, Training(epochs=15)),
        device=laboratory.policy.device,
        seed=laboratory.seed,
    )


def _scores(study: Retraining, cell: cells.Cell, seed: int) -> list[Score]:
    found = []
    for measure in ("roar", "kar"):
        mean, half = mean_and_half_width(areas(study, cell.method.name, measure=measure, evaluated="modified"))
        ceiling = areas(study, "truth", measure=measure, evaluated="modified")
        found.append(
            Score(
                method=cell.method.name,
                environment=cell.environment,
                evaluation=f"{measure}_area",
                value=mean,
                interval=(mean - half, mean + half),
                floor=0.0,
                ceiling=mean_and_half_width(ceiling)[0] if ceiling else float("nan"),
                rows=study.rows[1],
                direction="higher",
                seed=seed,
                seconds=study.seconds,
            )
        )
    return found
