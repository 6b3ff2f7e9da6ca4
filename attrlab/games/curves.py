"""Deletion and insertion are curves over the true fraction of players, read only where an order exists: at the ends of tie blocks.

Inside a block of equal scores an attribution states no order, so a curve has a point before the block and one behind it, and is
straight between them. If the players of the block contribute additively, the straight line is the mean over all orders of the block;
otherwise it interpolates. Nothing depends on how players are numbered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.evaluate import Evaluation, Progress, evaluate
from attrlab.games.game import Game
from attrlab.games.plan import Levels, Selected
from attrlab.games.ranking import Ranking, rank
from attrlab.games.value import Value, worth

Order = Literal["morf", "lerf"]
Mode = Literal["deletion", "insertion"]


@dataclass(frozen=True, kw_only=True)
class Curve:
    """A polyline for each row.

    Attributes:
        fraction: of the row's present players that have been removed (deletion) or inserted (insertion), ascending from 0 to 1.
        value: the worth of what is kept there; NaN in a row whose scores are not finite or that has no player.
        valid: points that are not repetitions; a row with fewer points than others repeats its points, which adds no area.
        forwards: how many rows went through the model.
    """

    fraction: Tensor  # (batch, points) float64
    value: Tensor  # (batch, points)
    valid: Tensor  # (batch, points) bool
    forwards: int


def curve(
    game: Game,
    scores: Tensor,  # (batch, players)
    *,
    order: Order = "morf",
    mode: Mode = "deletion",
    ranking: Literal["signed", "absolute"] = "signed",
    steps: int | None = None,
    value: Value = "logit",
    progress: Progress | None = None,
) -> Curve:
    """Remove or insert players in the order of their scores and follow the worth of what is kept.

    Args:
        game: what is asked.
        scores: of the players, each the sum over its entries (`players_of`).
        order: "morf", most relevant (largest score) first, or "lerf", least relevant first.
        mode: "deletion" starts from the whole input and removes, "insertion" starts from nothing and adds.
        ranking: by the score as it is, or by its absolute value.
        steps: None reads the end of every tie block; T reads the ends of blocks that bracket each of the fractions 0, 1/T, ..., 1.
        value: the worth of a coalition, as `value.worth` takes it.
        progress: called as progress(rows done, rows in all).

    Raises:
        InvalidInput: if an option is unknown, `steps` is not positive, or scores are not (batch, players).

    Reference:
        Samek et al., "Evaluating the visualization of what a deep neural network has learned", 2017 (MoRF, LeRF);
        Petsiuk et al., "RISE", 2018 (deletion, insertion). Differs from both in ties, and in that fractions are those of the
        row's present players.
    """
    require_options(order, mode, ranking, steps, otherwise="the end of every tie block")
    scores = scores.detach().to(game.inputs.device)
    ranked = rank(scores.abs() if ranking == "absolute" else scores, game.present, descending=order == "morf")
    counts = _ends(ranked) if steps is None else _bracketing(ranked, steps)
    jobs = Levels(rank=ranked.of_players(ranked.first), threshold=counts, mode=mode)
    new = torch.cat([torch.ones_like(counts[:, :1], dtype=torch.bool), counts.diff(dim=1) > 0], 1)
    found, values = _along(game, jobs, new, value, progress)
    undefined = ~(ranked.defined & (ranked.count > 0)).unsqueeze(1)
    return Curve(
        fraction=counts.double() / ranked.count.clamp(min=1).unsqueeze(1),
        value=values.masked_fill(undefined, torch.nan),
        valid=new & ~undefined,
        forwards=found.forwards,
    )


def area(
    curve: Curve,
) -> Tensor:  # (batch,) float64
    """The exact area under the polyline over true fractions; NaN where the curve is undefined."""
    height = (curve.value[:, 1:].double() + curve.value[:, :-1].double()) / 2
    return (curve.fraction.diff(dim=1) * height).sum(1) + 0 * curve.value[:, 0]


def _along(game: Game, jobs: Levels, new: Tensor, value: Value, progress: Progress | None) -> tuple[Evaluation, Tensor]:
    """The worth of every level; where everyone is live, levels that are not new are exactly the repetitions, and no keys are needed."""
    if bool((game.live == game.present).all()):
        chosen = Selected(plan=jobs, index=new.flatten().nonzero().squeeze(1))
        found = evaluate(game, chosen, progress=progress)
        return found, worth(found.logits, game.target[chosen.sample], value=value)[new.flatten().cumsum(0) - 1].view(new.shape)
    found = evaluate(game, jobs, progress=progress)
    return found, worth(found.logits, game.target[jobs.sample], value=value).view(new.shape)


def _ends(ranked: Ranking) -> Tensor:  # (batch, points) int64
    """How many players stand before each end of a block: 0, then every end, the last one repeated."""
    at_end = (ranked.last == ranked.positions()) & ranked.inside()
    counts = torch.where(at_end, ranked.positions() + 1, ranked.count.unsqueeze(1)).sort(1).values
    points = int(at_end.sum(1).max()) if at_end.numel() else 0
    return torch.cat([torch.zeros_like(ranked.count).unsqueeze(1), counts[:, :points]], 1)


def _bracketing(ranked: Ranking, steps: int) -> Tensor:  # (batch, points) int64
    """The last end at or below and the first end at or above each grid point, ascending."""
    ends = _ends(ranked)
    grid = torch.arange(steps + 1, device=ends.device) * ranked.count.unsqueeze(1)
    below, above = grid // steps, (grid + steps - 1) // steps
    lower = ends.gather(1, torch.searchsorted(ends, below, right=True).clamp(max=ends.shape[1]) - 1)
    upper = ends.gather(1, torch.searchsorted(ends, above).clamp(max=ends.shape[1] - 1))
    return torch.cat([lower, upper], 1).sort(1).values


def require_options(order: str, mode: str, ranking: str, steps: int | None, *, otherwise: str) -> None:
    """Check what a curve is asked for; `otherwise` says what it reads where no steps are stated.

    Raises:
        InvalidInput: if an option is unknown or `steps` is not positive.
    """
    for name, got, known in (
        ("order", order, ("morf", "lerf")),
        ("mode", mode, ("deletion", "insertion")),
        ("ranking", ranking, ("signed", "absolute")),
    ):
        if got not in known:
            raise InvalidInput(f"{name} is {' or '.join(map(repr, known))} (got {got!r})")
    if steps is not None and steps < 1:
        raise InvalidInput(f"steps is a positive number, or None for {otherwise} (got {steps})")
