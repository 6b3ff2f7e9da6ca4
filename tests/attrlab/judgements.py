"""A judgement of an evaluation and a bias of one, as pages and tables are given them: the tests change what they are about."""

from __future__ import annotations

from attrlab.record import Bias, Judgement

TRUSTED = Judgement(
    evaluation="deletion",
    question="game",
    environment="linear-v1",
    modality="table",
    kind="additive",
    imputer="baseline",
    unseen=0.0,
    truth_wins=1.0,
    truth_gain=(0.1, 0.2),
    random_wins=1.0,
    random_gain=(0.1, 0.2),
    kendall=0.9,
    methods=5,
    ladder=1.0,
    rows=12,
)

WRITTEN_OFF = Bias(
    evaluation="soundness",
    environment="a-v1",
    attribution="truth",
    threshold=0.01,
    performance="probability",
    imputer="baseline",
    estimate=0.6,
    exact=1.0,
    bias=-0.4,
    interval=(-0.5, -0.3),
    rows=4,
)
