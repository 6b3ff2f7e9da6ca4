"""Slow, obvious twins of games, coalition methods and metrics, from their definitions: one row, one coalition, one pair at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from itertools import combinations, pairwise, permutations

from torch import Tensor

Kept = frozenset[int]
Worth = Callable[[Kept], float]


def logits_of(model: Callable[[Tensor], Tensor], inputs: Tensor, baseline: Tensor, feature_mask: Tensor, kept: Iterable[int]) -> Tensor:
    """The logits of one row, entry by entry: an entry keeps its value if it belongs to nobody or to someone kept."""
    row = inputs.clone()
    kept = set(kept)
    for entry, owner in enumerate(feature_mask.flatten().tolist()):
        if owner >= 0 and owner not in kept:
            row.view(-1)[entry] = baseline.flatten()[entry]
    return model(row.unsqueeze(0))[0]


def subsets(players: Sequence[int]) -> list[Kept]:
    """Every subset, in binary order of the players' positions."""
    return [frozenset(p for bit, p in enumerate(players) if code >> bit & 1) for code in range(2 ** len(players))]


def shapley(worth: Worth, players: Sequence[int]) -> dict[int, float]:
    """The mean marginal contribution over all orders in which players may arrive."""
    total = dict.fromkeys(players, 0.0)
    for order in permutations(players):
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            total[player] += worth(before | {player}) - worth(before)
    return {player: value / math.factorial(len(players)) for player, value in total.items()}


def dividend(worth: Worth, coalition: Kept) -> float:
    """The Harsanyi dividend, by inclusion and exclusion over all subsets."""
    members = sorted(coalition)
    return sum(
        (-1) ** (len(members) - size) * worth(frozenset(inner)) for size in range(len(members) + 1) for inner in combinations(members, size)
    )


def curve(worth: Worth, scores: dict[int, float], *, order: str = "morf", mode: str = "deletion") -> list[tuple[Fraction, float]]:
    """Take whole groups of equal scores, one after the other; (fraction taken, worth of what is then kept)."""
    everyone = frozenset(scores)
    taken: Kept = frozenset()
    points = []
    for level in [None, *sorted(set(scores.values()), reverse=order == "morf")]:
        taken |= {player for player, score in scores.items() if score == level}
        points.append((Fraction(len(taken), len(scores)), worth(everyone - taken if mode == "deletion" else taken)))
    return points


def area(points: Sequence[tuple[Fraction, float]]) -> float:
    """Trapezoid by trapezoid."""
    return sum(float(b[0] - a[0]) * (a[1] + b[1]) / 2 for a, b in pairwise(points))


def auroc(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """Pairs won by the positive, ties counting one half; NaN without a pair."""
    pairs = [(a, b) for a, p in zip(scores, positive, strict=True) if p for b, q in zip(scores, positive, strict=True) if not q]
    return sum(1.0 if a > b else 0.5 if a == b else 0.0 for a, b in pairs) / len(pairs) if pairs else math.nan


def average_precision(scores: Sequence[float], positive: Sequence[bool]) -> float:
    """At each distinct score, from the largest: recall gained times precision."""
    total, found_before = 0.0, 0
    for threshold in sorted(set(scores), reverse=True):
        above = [p for s, p in zip(scores, positive, strict=True) if s >= threshold]
        total += (sum(above) - found_before) / sum(positive) * sum(above) / len(above)
        found_before = sum(above)
    return total


def soft_precision_recall_f1(claimed: Sequence[float], wanted: Sequence[bool]) -> tuple[float, float, float]:
    """Value-weighted precision, recall and F1 of non-negative, already normalised claims."""
    found = sum(a for a, w in zip(claimed, wanted, strict=True) if w)
    precision = found / sum(claimed) if sum(claimed) else 1.0
    recall = found / sum(wanted) if sum(wanted) else 1.0
    return precision, recall, 2 * precision * recall / (precision + recall) if precision + recall else 0.0
