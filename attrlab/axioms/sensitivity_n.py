"""Sensitivity-n: the credits of any n features sum to what is lost without them; completeness is the case of all, removal that of one."""

from __future__ import annotations

from itertools import combinations
from math import comb

import torch
from torch import Tensor

from attrlab.axioms.axiom import Axiom, Explain, Finding, scale_of
from attrlab.axioms.derive import game_of
from attrlab.case import Case
from attrlab.games import Game, Masks, evaluate, worth

FEW = 64
"""All sets of a size are asked where there are at most so many; else `DRAWN` of them, the same in every run."""

SIZES, DRAWN = 5, 8
"""Beyond six players: how many sizes n from 1 to all, and how many sets of each."""


def measure(explain: Explain, case: Case) -> Finding:
    """The largest |Σ_S A_i - (f(x) - f(x without S))| over sets S of every size asked, relative to the scale of scores and effects."""
    sets = _sets(case.players, case.inputs.device)
    effect = _effects(game_of(case), sets)  # (batch, sets)
    scores = explain(case)
    credit = scores @ sets.to(scores.dtype).T
    gap = (credit - effect).abs()

    def sentence(row: int) -> str:
        worst = int(gap[row].argmax())
        members = sets[worst].nonzero().squeeze(1).tolist()
        named = f"players {members}" if len(members) <= 12 else f"a set of {len(members)} players"
        return (
            f"without {named} f loses {float(effect[row, worst]):.6g}, which their credits must sum to (n = {len(members)}); "
            f"they sum to {float(credit[row, worst]):.6g}"
        )

    return Finding(violation=gap.amax(1) / scale_of(scores, effect), scores=scores, sentence=sentence)


def _effects(game: Game, sets: Tensor) -> Tensor:
    """f(x) - f(x without S) of every row and set, (batch, sets)."""
    kept = torch.cat([torch.ones_like(sets[:1]), ~sets])
    sample = torch.arange(len(game), device=sets.device).repeat_interleave(len(kept))
    jobs = Masks(sample=sample, mask=kept.repeat(len(game), 1))
    values = worth(evaluate(game, jobs).logits, game.target[sample]).view(len(game), len(kept))
    return values[:, :1] - values[:, 1:]


def _sets(players: int, device: torch.device) -> Tensor:  # (sets, players) bool
    """Sets of players of many sizes, the whole included."""
    grid = sorted({round(1 + (players - 1) * step / (SIZES - 1)) for step in range(SIZES)})
    sizes = range(1, players + 1) if players <= 6 else grid
    found: list[Tensor] = []
    stream = torch.Generator().manual_seed(0)
    for size in sizes:
        if comb(players, size) <= FEW:
            members = [torch.tensor(chosen) for chosen in combinations(range(players), size)]
        else:
            members = [torch.randperm(players, generator=stream)[:size] for _ in range(DRAWN)]
        found += [torch.zeros(players, dtype=torch.bool).index_fill_(0, index, True) for index in members]
    return torch.stack(found).to(device)


SENSITIVITY_N = Axiom(
    name="sensitivity_n",
    statement="Σ_{i∈S} A_i(f, x, x') = f(x) - f(x with S at x') for every S of size n, for every n",
    reference="Ancona, Ceolini, Öztireli, Gross (2018), section 3.1 (sensitivity-n); for all n at once, additive f only",
    level="lattice",
    needs=(),
    measure=measure,
    condition="kept for every n at once only where f is additive (Ancona et al. 2018, proposition 3)",
)
