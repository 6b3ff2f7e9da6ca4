"""The evaluations themselves, judged by the exact truth: recorded on some worlds of each kind; only the instrument is asserted.

What is asserted is that the truth does not lose to random scores on the metrics that are trusted with ranking it (those of the instrument
rule), on worlds whose truth states an order; everything else is a finding about the evaluation, and is shown on the page.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attrlab.errors import CheckFailed, NotApplicable
from attrlab.instruments import RANKING, WITHOUT
from attrlab.reliability import judge
from attrlab.reliability.judging import QUESTIONS
from attrlab.study import CEILING, model_free
from evaluations import cells, judging
from evaluations.laboratory import Laboratory
from evaluations.plugin import laboratory_of

pytestmark = pytest.mark.attrlab

WORLDS = (
    "additive-v1",
    "redundant-evidence-v1",
    "parity-v1",
    "unseen-colour-v1",
    "house-v1",
    "edge-type-or-v1",
    "lookup-v1",
    "bag-of-instances-v1",
)
"""What is judged where no environment was asked for: a world of each kind and modality; `attrlab reliability` judges many more."""

PANEL = ("random", "noisy_truth", "gradient", "input_x_gradient", "integrated_gradients", "guided_backprop", "occlusion", "feature_alone")
"""Methods whose order is compared here; `attrlab reliability` compares more."""

CELL = "reliability"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per environment; what is judged is the laboratory, not the methods that were asked for."""
    laboratory = laboratory_of(metafunc.config)
    about_graphs = "model_free" in metafunc.function.__name__
    places = _graphs(laboratory) if about_graphs else laboratory.judging(otherwise=WORLDS)
    cells.parametrize(metafunc, (cells.Cell(method=CEILING, subject=CELL, environment=id) for id in places))


def _graphs(laboratory: Laboratory) -> Iterator[str]:
    return (id for id in laboratory.scored() if laboratory.stage(id).environment.modality == "graph")


def test_what_the_truth_says_of_evaluations_is_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """Every metric under every imputer: truth above random above inverted truth, the ladder of noise, and the order of methods."""
    __tracebackhide__ = True
    properties, stage = request.node.user_properties, laboratory.stage(cell.environment)
    claim = "the truth does not lose to random scores"
    with judging.verdict(properties, cell, evaluation="instruments", claim=claim) as draft:
        found = list(judge(stage, questions=[question for question in QUESTIONS if question != "method"], panel=PANEL))
        judging.record_judgements(properties, found)
        exempt = {name for trait, names in WITHOUT.items() if trait in stage.environment.traits for name in names}
        asked = [one for one in found if one.evaluation in RANKING and one.evaluation not in exempt and one.imputer in ("own", "baseline")]
        ranked = [one for one in asked if one.rows]
        if not ranked:
            raise NotApplicable("the truth states no order on these rows, so there is nothing to rank")
        worst = min(ranked, key=lambda one: one.truth_gain[1])
        draft.measured, draft.bound, draft.cases, draft.summary = worst.truth_gain[1], 0.0, len(ranked), "kept"
        if worst.truth_gain[1] < 0:
            lost = f"{worst.evaluation} finds the truth at least {-worst.truth_gain[1]:.3g} worse than random scores"
            raise CheckFailed(f"{cell.environment}: {lost}, must not be worse")


def test_model_free_scores_of_graphs_are_recorded(cell: cells.Cell, laboratory: Laboratory, request: pytest.FixtureRequest) -> None:
    """What degree, bridges and numbering alone score: an explainer's score means something only beyond these."""
    __tracebackhide__ = True
    with judging.measured(request.node.user_properties, cell, evaluation=CELL):
        judging.record_scores(request.node.user_properties, model_free(laboratory.stage(cell.environment)))
