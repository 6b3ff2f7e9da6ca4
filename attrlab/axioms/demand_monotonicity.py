"""Demand monotonicity: where the function does not fall as a feature rises, that feature's credit does not fall either."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.axioms.derive import chosen, without
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.method import players_of


@dataclass(frozen=True, kw_only=True)
class Raised:
    """Pairs of rows that differ in one player, in which f is non-decreasing: that player has risen."""

    upper: Tensor  # (pairs,) int64, the row with the player raised
    lower: Tensor  # (pairs, *features), the row before
    player: Tensor  # (pairs,) int64


def measure(explain: Explain, case: Case) -> Finding:
    """The largest fall of a credit A_i as x_i rises, relative to the scale of both scores.

    The pairs are those found among the rows, and each row against itself with one monotone player lowered to its baseline. Both
    rows of a pair have the same seed.

    Raises:
        NotApplicable: if no player in which f is monotone is above its baseline, and no two rows differ in one.
    """
    pairs = _joined(_among_the_rows(case), _against_the_baseline(case))
    if not len(pairs.player):
        raise NotApplicable("in no row does a player in which f is monotone stand above another value, so there is nothing to raise")
    upper = case.rows(pairs.upper)
    high, low = explain(upper), explain(upper.derived(inputs=pairs.lower, model=case.model))
    before, after = (scores.gather(1, pairs.player.unsqueeze(1)).squeeze(1) for scores in (low, high))
    fall = (before - after).clamp(min=0) / scale_of(high, low)
    worst = fall.new_zeros(len(case)).scatter_reduce_(0, pairs.upper, fall, "amax")
    scores = high.new_zeros(len(case), case.players).index_copy_(0, pairs.upper.flip(0), high.flip(0))

    def sentence(row: int) -> str:
        pair = int(torch.where(pairs.upper == row, fall, -1).argmax())
        player = int(pairs.player[pair])
        values = [
            players_of(x[None], upper.feature_mask[pair][None], case.players)[0, player] for x in (pairs.lower[pair], upper.inputs[pair])
        ]
        return (
            f"f does not fall as player {player} rises from {float(values[0]):.6g} to {float(values[1]):.6g}, so its credit must not fall; "
            f"it falls from {float(before[pair]):.6g} to {float(after[pair]):.6g}"
        )

    return Finding(violation=worst, scores=scores, sentence=sentence)


def _among_the_rows(case: Case) -> Raised:
    """All pairs of rows with one baseline, target and mask that differ in one monotone player, risen in every entry."""
    assert case.monotone is not None
    rows, flat = len(case), case.inputs.flatten(1)
    first, second = torch.ones(rows, rows, dtype=torch.bool, device=flat.device).nonzero(as_tuple=True)
    alike = (case.target[first] == case.target[second]) & (case.baseline[first] == case.baseline[second]).flatten(1).all(1)
    alike &= (case.feature_mask[first] == case.feature_mask[second]).flatten(1).all(1)
    rise = flat[first] - flat[second]
    moved = players_of((rise != 0).to(flat.dtype), case.feature_mask[first].flatten(1), case.players) > 0
    alike &= (rise >= 0).all(1) & (moved.sum(1) == 1) & ((rise != 0) <= (case.feature_mask[first].flatten(1) >= 0)).all(1)
    player = moved.long().argmax(1)
    alike &= case.monotone[first, player]
    return Raised(upper=first[alike], lower=case.inputs[second[alike]], player=player[alike])


def _against_the_baseline(case: Case) -> Raised:
    """Each row and itself with one monotone player at its baseline: the one that stands highest above it."""
    assert case.monotone is not None
    above = case.inputs - case.baseline
    negative = players_of((above < 0).to(above.dtype), case.feature_mask, case.players) > 0
    height = players_of(above, case.feature_mask, case.players).masked_fill(negative | ~case.monotone, 0)
    player = height.argmax(1)
    rows = (height.amax(1) > 0).nonzero().squeeze(1)
    return Raised(upper=rows, lower=without(case, chosen(player, case.players))[rows], player=player[rows])


def _joined(one: Raised, two: Raised) -> Raised:
    return Raised(
        upper=torch.cat([one.upper, two.upper]), lower=torch.cat([one.lower, two.lower]), player=torch.cat([one.player, two.player])
    )


DEMAND_MONOTONICITY = Axiom(
    name="demand_monotonicity",
    statement="f non-decreasing in x_i, y = x but for y_i ≥ x_i  ⇒  A_i(f, y, x') ≥ A_i(f, x, x')",
    reference="Friedman (2004); Sundararajan, Najmi (2020), section 2 (demand monotonicity)",
    level="functional",
    needs=("monotone",),
    measure=measure,
    condition="a player in which f is non-decreasing stands above its baseline, or two rows differ in one",
    of_rows_together=True,
)
