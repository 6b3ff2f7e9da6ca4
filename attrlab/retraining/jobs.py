"""A study is methods x protocols x fractions x seeds; what would train on equal rows from an equal start is trained once.

Conventions. `roar` removes a fraction of the players, `kar` keeps one; "morf" means that the most relevant are those removed (kept),
"lerf" the least relevant. On the edges of graphs roar is RoLie, retraining on the least important, and kar is RoMie, retraining on the
most important. The key of a unit of work is a digest of what its network will be shown, so that fraction 0 of all methods, methods that
agree, and the ends of a curve meet in one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.retraining.removal import positions, removed_counts

Question = Literal["rows", "mask"]
"""What a network is shown: the rows with players removed, or nothing but which players are left."""


_WORDS = {
    "measure": ("roar", "kar"),
    "order": ("morf", "lerf"),
    "evaluated": ("modified", "original"),
    "isolated": ("kept", "dropped"),
}


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """One way of removing, retraining and testing.

    Attributes:
        measure: "roar" removes the fraction, "kar" keeps it.
        order: "morf", the most relevant players are removed (kept); "lerf", the least relevant.
        evaluated: whether the test rows are "modified" like the training rows, or "original".
        isolated: of graphs, whether nodes left without an edge are "kept" or "dropped".

    Raises:
        InvalidInput: if a word is unknown.
    """

    measure: Literal["roar", "kar"] = "roar"
    order: Literal["morf", "lerf"] = "morf"
    evaluated: Literal["modified", "original"] = "modified"
    isolated: Literal["kept", "dropped"] = "kept"

    def __post_init__(self) -> None:
        known = {
            "measure": ("roar", "kar"),
            "order": ("morf", "lerf"),
            "evaluated": ("modified", "original"),
            "isolated": ("kept", "dropped"),
        }
        for name, words in known.items():
            if getattr(self, name) not in words:
                raise InvalidInput(f"{name} is {' or '.join(map(repr, words))} (got {getattr(self, name)!r})")

    @property
    def descending(self) -> bool:
        """Whether players leave from the most relevant on."""
        return (self.measure == "roar") == (self.order == "morf")

    @property
    def keeps(self) -> bool:
        """Whether the fraction is the one kept."""
        return self.measure == "kar"


ROAR, KAR = Protocol(measure="roar"), Protocol(measure="kar")


def romie_and_rolie() -> tuple[Protocol, ...]:
    """The 2 x 2 of graphs for both measures: isolated nodes kept or dropped, test graphs modified or original.

    Reference:
        Rezaei et al., "On discrepancies of retraining evaluation for graph neural networks", arXiv 2401.00633.
    """
    return tuple(
        Protocol(measure=measure, evaluated=evaluated, isolated=isolated)
        for measure in ("roar", "kar")
        for isolated in ("kept", "dropped")
        for evaluated in ("modified", "original")
    )


@dataclass(frozen=True, kw_only=True)
class Job:
    """One cell of the study for one seed: a point of one curve."""

    method: str
    protocol: Protocol
    fraction: float
    seed: int


@dataclass(frozen=True, kw_only=True)
class Unit:
    """One network to be trained; `key` says on what, and `job` is one of those that ask for it."""

    key: str
    question: Question
    job: Job


@dataclass(frozen=True, kw_only=True)
class Scored:
    """A method's player scores on both splits, and which players are there and matter to the imputer."""

    scores: tuple[Tensor, Tensor]  # each (rows, players)
    present: tuple[Tensor, Tensor]  # each (rows, players) bool
    live: tuple[Tensor, Tensor]  # each (rows, players) bool

    def places(self, job: Job, split: int) -> Tensor:  # (rows, players) int16
        """The order in which players leave one split; ties are broken by the job's seed."""
        return positions(self.scores[split], self.present[split], seed=2 * job.seed + split, descending=job.protocol.descending)

    def counts(self, job: Job, split: int) -> Tensor:  # (rows,) int16
        """How many leave."""
        return removed_counts(self.present[split], job.fraction, keep=job.protocol.keeps)


def jobs_of(methods: Iterable[str], protocols: Sequence[Protocol], fractions: Sequence[float], seeds: int) -> list[Job]:
    """Every cell of the study, in order."""
    return [
        Job(method=method, protocol=protocol, fraction=fraction, seed=seed)
        for seed in range(seeds)
        for method in methods
        for protocol in protocols
        for fraction in fractions
    ]


def keyed(jobs: Iterable[Job], scored: Scored, *, question: Question, stem: str) -> Iterator[tuple[Job, str]]:
    """The key of what each job's network is shown; jobs are those of one method, whose scores these are.

    `stem` says what else the result depends on: data, network, training, imputer.
    """
    kept: dict[tuple[int, bool, float, bool], bytes] = {}
    places: dict[tuple[int, bool], tuple[Tensor, Tensor]] = {}
    for job in jobs:
        order = (job.seed, job.protocol.descending)
        if order not in places:
            places[order] = (scored.places(job, 0), scored.places(job, 1))
        what = (*order, job.fraction, job.protocol.keeps)
        if what not in kept:
            kept[what] = _digest(scored, job, places[order], question)
        # A network that is shown masks alone is shown them whatever becomes of isolated nodes.
        isolated = job.protocol.isolated if question == "rows" else "-"
        told = f"{stem}|{question}|{isolated}|{job.seed}|".encode()
        yield job, hashlib.sha256(told + kept[what]).hexdigest()[:32]


def chunks(units: Sequence[Unit], sizes: dict[Question, int]) -> list[list[Unit]]:
    """Units that can be trained together: one question and one fate of isolated nodes, as many as `sizes` says, in order."""
    groups: dict[tuple[Question, str], list[Unit]] = {}
    for unit in units:
        groups.setdefault((unit.question, unit.job.protocol.isolated), []).append(unit)
    return [
        found[start : start + sizes[question]] for (question, _), found in groups.items() for start in range(0, len(found), sizes[question])
    ]


def _digest(scored: Scored, job: Job, places: tuple[Tensor, Tensor], question: Question) -> bytes:
    """What is kept in both splits; of rows, a player whose absence changes nothing counts as kept."""
    found = hashlib.sha256()
    for split in (0, 1):
        kept = places[split] >= scored.counts(job, split).unsqueeze(1)
        kept = kept | ~(scored.live[split] if question == "rows" else torch.ones_like(kept))
        found.update(_packed(kept))
    return found.digest()


def _packed(kept: Tensor) -> bytes:
    return np.packbits(kept.numpy()).tobytes()
