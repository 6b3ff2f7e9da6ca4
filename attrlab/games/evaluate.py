"""One engine answers every question to a game: each distinct effective kept set once, in chunks that fit the cache.

Players whose absence changes nothing do not count in a kept set's key, so jobs that would send the same input through the network
share one evaluation, across metrics, directions and methods. A chunk's size follows from the bytes that one row's largest layer
moves, which the first chunk shows while it is computed; running out of memory halves it. No result depends on the chunks beyond
the rounding of the library's own kernels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.games.footprint import Footprint
from attrlab.games.game import Game
from attrlab.games.imputers import keep_baseline
from attrlab.games.plan import Jobs
from attrlab.games.policy import applied, keep_freed_memory
from attrlab.games.rows import lay_out, maker

Progress = Callable[[int, int], None]

SMALLEST, LARGEST = 16, 16384
"""Bounds of a chunk: fewer rows leave a CPU's vector units idle, more gain nothing on one and cost memory."""

LARGEST_CUDA = 2**20
"""On CUDA a small network is bound by launches until some ten thousand rows each; the byte target is the only other bound."""

FIRST = 17
"""Rows of the first chunk, by which a row's footprint is measured; a prime, so that a parameter is seldom taken for a batch."""

EVENLY = 4
"""Chunks by which what remains is cut evenly at the end."""

FIRST_BYTES = 2**18
"""Bytes of inputs that the first chunk may have where no target is stated, whatever the network does: a small plan is one chunk."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The answers to a plan.

    Attributes:
        logits: on the game's device, in its dtype.
        forwards: how many rows went through the model: the distinct effective kept sets.
    """

    logits: Tensor  # (jobs, outputs)
    forwards: int


def evaluate(
    game: Game,
    jobs: Jobs,
    *,
    progress: Progress | None = None,
) -> Evaluation:
    """Ask a game for the logits of every job, evaluating each distinct effective kept set once.

    Args:
        game: what is asked.
        jobs: the plan, of at least one job.
        progress: called as progress(rows done, rows in all) after each chunk.

    Raises:
        InvalidInput: if there is no job, if the model does not return (rows, outputs), or if a target is out of its range.
        NotApplicable: if not even one row fits into memory, or if players are kept in part and the imputer does not interpolate.
    """
    if len(jobs) == 0:
        raise InvalidInput("there is nothing to evaluate: the plan has no jobs (got an empty batch or no thresholds)")
    sample = jobs.sample
    chosen, answer = _distinct(game, jobs, sample)
    with torch.no_grad(), applied(game.policy):
        logits = _forward(game, jobs, chosen, sample if answer is None else sample[chosen], progress)
    return Evaluation(logits=logits if answer is None else logits[answer], forwards=len(chosen))


def zobrist(
    game: Game,
) -> Tensor:  # (batch, players) int64
    """A random 64-bit number per row and player, 0 where a player's absence changes nothing; the same every time."""
    generator = torch.Generator().manual_seed(0x5EED)
    numbers = torch.randint(-(2**63), 2**63 - 1, tuple(game.live.shape), generator=generator, dtype=torch.int64)
    return numbers.to(game.live.device).masked_fill(~game.live, 0)


def _distinct(game: Game, jobs: Jobs, sample: Tensor) -> tuple[Tensor, Tensor | None]:
    """One job for each distinct effective kept set, in the order of the plan, and for each job the place of its answer."""
    everything = torch.arange(len(jobs), device=sample.device)
    if jobs.distinct:
        return everything, None
    generator = torch.Generator().manual_seed(0x5A17)
    salt = torch.randint(-(2**63), 2**63 - 1, (len(game),), generator=generator, dtype=torch.int64).to(sample.device)
    found, group = torch.unique(jobs.keys(zobrist(game)) + salt[sample], return_inverse=True)
    first = torch.full_like(found, len(jobs)).scatter_reduce_(0, group, everything, "amin")
    chosen, order = first.sort()
    place = torch.empty_like(order).scatter_(0, order, everything[: len(order)])
    return chosen, place[group]


def _forward(game: Game, jobs: Jobs, chosen: Tensor, sample: Tensor, progress: Progress | None) -> Tensor:
    """Send the chosen jobs through the model, chunk by chunk, and return their logits."""
    _require_whole(game, jobs, chosen)
    keep_freed_memory()
    total, done, limit = len(chosen), 0, int(game.found.get("limit", 0))
    made = maker(lay_out(game), jobs, chosen, sample)
    logits: Tensor | None = None
    while done < total:
        here = even_chunk(total - done, limit) if limit else _first(game, total)
        here = made.until(done, done + here) - done if done + here < total else here
        footprint = None if limit else Footprint(here)
        outputs = _attempt(game, partial(made, done, done + here), here, footprint)
        if outputs is None:
            limit = game.found["limit"] = _halved(game, here)
            continue
        if logits is None:
            _require_targets(game, outputs.shape[1])
            logits = outputs.new_empty(total, outputs.shape[1])
        logits[done : done + here] = outputs
        done += here
        if not limit:
            limit = game.found["limit"] = fitting(game.policy.forward_bytes(), footprint, on_cuda=outputs.is_cuda)
        if progress is not None:
            progress(done, total)
    assert logits is not None, "a plan has at least one job"
    return logits


def even_chunk(
    remaining: int,
    limit: int,
) -> int:
    """The next chunk, at most `limit` rows, so that none is left on its own.

    There are `limit` while plenty remain, as memory of one size is had again while it is hot; the last few chunks are cut evenly.
    """
    return limit if remaining > EVENLY * limit else math.ceil(remaining / math.ceil(remaining / limit))


def fitting(
    target: int,
    footprint: Footprint | None,
    *,
    on_cuda: bool,
) -> int:
    """How many rows bring a chunk's largest layer to `target` bytes, between `SMALLEST` and the largest that gains anything."""
    per_row = max(1, footprint.bytes_per_row()) if footprint is not None else target
    return min(max(target // per_row, SMALLEST), LARGEST_CUDA if on_cuda else LARGEST)


def _first(game: Game, total: int) -> int:
    free = FIRST_BYTES // max(1, game.inputs[:1].nbytes) if game.policy.chunk_bytes is None else 0
    first = max(FIRST, free)
    return total if total <= first + 1 else first


def _attempt(game: Game, made: Callable[[], Tensor], rows: int, footprint: Footprint | None) -> Tensor | None:
    """The logits of one chunk, or None where memory did not suffice."""
    try:
        inputs = made()
        with footprint or nullcontext():
            outputs = game.model(inputs)
    except (RuntimeError, MemoryError) as error:
        if not _is_out_of_memory(error):
            raise
        outputs = None
    if outputs is None and torch.device(game.policy.device).type == "cuda":
        torch.cuda.empty_cache()
    if outputs is not None:
        _require_outputs(outputs, rows)
        if footprint is not None:
            footprint.make(inputs)
            footprint.see(inputs, outputs)
    return outputs


def _is_out_of_memory(error: BaseException) -> bool:
    text = str(error).lower()
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "out of memory" in text or "can't allocate memory" in text


def _halved(game: Game, rows: int) -> int:
    if rows == 1:
        raise NotApplicable(
            f"a single row of shape {tuple(game.inputs.shape[1:])} does not fit into the memory of {game.policy.device}: write "
            "policy=Policy(dtype=torch.float32), or take another device or a smaller network (got an out-of-memory error at 1 row)"
        )
    return rows // 2


def _require_whole(game: Game, jobs: Jobs, chosen: Tensor) -> None:
    if game.imputer is not keep_baseline and jobs.keep(chosen[:1]).is_floating_point():
        raise NotApplicable(
            f"players are kept in part here, which the imputer {game.imputer.name!r} has no meaning for: write imputer=keep_baseline"
        )


def _require_outputs(outputs: object, rows: int) -> None:
    if not isinstance(outputs, Tensor):
        raise InvalidInput(f"the model must return a tensor (rows, outputs): wrap it so that it does (got {type(outputs).__name__})")
    if outputs.dim() != 2 or len(outputs) != rows:
        hint = "return output.unsqueeze(1)" if outputs.dim() == 1 and len(outputs) == rows else f"return output.reshape({rows}, -1)"
        raise InvalidInput(f"the model must return (rows, outputs), one row per row: {hint} (got {tuple(outputs.shape)} for {rows} rows)")


def _require_targets(game: Game, outputs: int) -> None:
    bad = (game.target >= outputs).nonzero()
    if len(bad):
        row = int(bad[0])
        allowed = " or ".join(map(str, range(outputs))) if outputs <= 3 else f"a number from 0 to {outputs - 1}"
        raise InvalidInput(f"target {int(game.target[row])} of row {row}, but the model has {outputs} output(s): write {allowed}")
