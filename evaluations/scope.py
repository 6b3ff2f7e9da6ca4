"""Small scope, exhaustively: every network up to a size, at every point of a lattice, in order of size.

A refutation found this way is the smallest there is in that order; none found is a bounded proof. Many networks are put to a method
at once where its scores are the same on each network alone, which is tried; where not, one at a time. What is reported was found on
the network alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.claims import MARGIN
from attrlab.errors import NotApplicable
from attrlab.games import Policy
from attrlab.judge import Examination, examine
from attrlab.method import Method, player_scores
from evaluations.kinked_paths import runs_along_a_kink
from evaluations.refined import explained
from evaluations.small_cases import VALUES, VALUES_OF_THREE, WIDTH, Block, blocks, can_enumerate
from evaluations.small_graph_cases import ANSWERED as OF_GRAPHS
from evaluations.small_graph_cases import EVERY_NUMBERING, GraphBlock, GraphSize, graph_blocks
from evaluations.small_graph_cases import WIDTH as GRAPH_WIDTH

Size = tuple[int, tuple[int, ...]]
Blocks = Block | GraphBlock

_TINY: tuple[Size, ...] = ((1, ()), (2, ()), (1, (1,)), (2, (1,)))
_SMALL: tuple[Size, ...] = (*_TINY, (1, (2,)), (2, (2,)), (1, (1, 1)), (2, (1, 1)))
_DEFAULT: tuple[Size, ...] = (*_SMALL, (3, ()), (3, (1,)), (1, (2, 1)), (2, (2, 1)))

SCOPES: dict[str, tuple[Size, ...]] = {
    "tiny": _TINY,
    "small": _SMALL,
    "default": _DEFAULT,
    "large": (*_DEFAULT, (2, (3, 1)), (1, (3,)), (2, (3,)), (3, (2,)), (3, (3,))),
}
"""Sizes (inputs, units of each hidden layer) by the name of the scope, in order."""

GRAPH_SCOPES: dict[str, tuple[GraphSize, ...]] = {
    "tiny": (("graph", 2, 1),),
    "small": (("graph", 2, 1), ("graph", 3, 1)),
    "default": (("graph", 2, 1), ("graph", 3, 1), ("graph", 3, 2)),
    "large": (("graph", 2, 1), ("graph", 3, 1), ("graph", 3, 2), ("graph", 4, 1), ("graph", 4, 2)),
}
"""Sizes (nodes, rounds of message passing) of the graphs that axioms about graphs are asked of."""

ROUNDING = 1e-9
"""Scores on a network alone and beside others may differ by the rounding of differently ordered sums."""

TRIED = 3
"""Networks on which a method is tried alone, of the first block in which there are as many."""

NARROW = WIDTH // 2
MANY = frozenset({"path"})
"""Methods that lay out many rows for each, on a path or against reference rows, spend their time in the network, of which every row reads
the part of one: there are fewer of them at once."""


@dataclass(frozen=True, kw_only=True)
class Exhausted:
    """What an exhaustive search found.

    Attributes:
        scope: its name.
        lattice: what a row is of, in words.
        networks: how many networks were examined.
        rows: how many (network, input, baseline).
        refutation: the smallest, or None.
        case: the one row it is about, on the network alone.
        worst: the largest violation met that was not refuted.
        inconclusive: how many networks have a violation between the tolerance and 100 x the tolerance.
        approximate: how many have one that shrinks as the method's budget grows: approximation error.
        refusal: why the method did not apply to networks it refused, once.
        refused: how many those are; they are not among `networks`.
        finished: whether the scope was gone through to its end, or to its refutation.
        proved: the largest scope that was gone through to its end without a refutation, how many networks and rows it has, and how long it
            took; an empty name if none was.
        seconds: how much processor time it took.
    """

    scope: str
    lattice: str
    networks: int
    rows: int
    refutation: Examination | None
    case: Case | None
    worst: float
    inconclusive: int
    approximate: int
    refusal: str
    refused: int
    finished: bool
    proved: tuple[str, int, int, float]
    seconds: float

    def __str__(self) -> str:
        count = f"{self.networks:,} networks, {self.rows:,} rows {self.lattice}"
        if self.refutation is not None:
            return f"refuted; the smallest counterexample of the scope {self.scope!r}, after {count}"
        if not self.networks:
            return f"nothing could be asked in the scope {self.scope!r}: {self.refusal or 'the axiom says nothing about these networks'}"
        bounded = "holds on all" if self.finished else "holds on the first"
        doubt = f"; inconclusive on {self.inconclusive}" if self.inconclusive else ""
        doubt += f"; up to approximation error on {self.approximate}" if self.approximate else ""
        refused = f"; refuses {self.refused}" if self.refused else ""
        return f"{bounded} {count} (scope {self.scope!r}, worst violation {self.worst:.2g}){doubt}{refused}"


def exhaust(
    method: Method,
    axiom: Axiom,
    *,
    tolerance: float,
    scope: str = "default",
    policy: Policy | None = None,
    seed: int = 0,
    limit_s: float = 60.0,
    progress: Callable[[Iterable[Blocks]], Iterable[Blocks]] = iter,
) -> Exhausted:
    """Examine `axiom` for `method` on every network of a scope, until one refutes it or `limit_s` seconds of processor time are spent.

    Processor time, so that what else the machine does at the time does not decide how far a bounded proof comes.

    Raises:
        KeyError: if there is no such scope.
        NotApplicable: if the axiom needs what is not known of enumerated networks.
        MethodError: if the method raises, or returns something that cannot be read.
    """
    if not can_be_exhausted(axiom):
        raise NotApplicable(f"{axiom.name} needs {', '.join(axiom.needs)}, which is not known of enumerated networks")
    search = _Search(method=method, axiom=axiom, tolerance=tolerance, policy=policy or Policy(), seed=seed)
    start, finished, refutation, scopes = time.process_time(), True, None, _scopes(axiom)
    proved, sizes = ("", 0, 0, 0.0), scopes[scope]
    for block in progress(_blocks(axiom, sizes, search.width(sizes), search.policy)):
        ended = _ended(scopes, sizes[: sizes.index(block.size)])
        if ended != proved[0]:
            proved = (ended, search.networks, search.rows, time.process_time() - start)
        refutation = search.look(block)
        if refutation is not None:
            break
        if time.process_time() - start > limit_s:
            finished = False
            break
    return Exhausted(
        scope=scope,
        lattice=_lattice_of(axiom, sizes),
        networks=search.networks,
        rows=search.rows,
        refutation=refutation,
        case=search.case,
        worst=search.worst,
        inconclusive=search.inconclusive,
        approximate=search.approximate,
        refusal=search.refusal,
        refused=search.refused,
        finished=finished,
        proved=(scope, search.networks, search.rows, time.process_time() - start) if finished and refutation is None else proved,
        seconds=time.process_time() - start,
    )


def _lattice_of(axiom: Axiom, sizes: tuple[Any, ...]) -> str:
    if not about_graphs(axiom):
        three = f", {{{', '.join(f'{value:g}' for value in VALUES_OF_THREE)}}}^3" if any(size[0] == 3 for size in sizes) else ""
        return f"with x in {{{', '.join(f'{value:g}' for value in VALUES)}}}^d{three}"
    once = "in every numbering" if axiom.name == EVERY_NUMBERING else "up to isomorphism"
    return f"on all graphs of {sizes[0][1]} to {sizes[-1][1]} nodes {once} with features in {{-1, 1}}, edges or nodes being the players"


def can_be_exhausted(axiom: Axiom) -> bool:
    """Whether all that the axiom needs is known of enumerated networks, or of enumerated graphs."""
    return can_enumerate(axiom) or about_graphs(axiom)


def about_graphs(axiom: Axiom) -> bool:
    """Whether the axiom is asked of message-passing networks on small graphs."""
    return "graph" in axiom.needs and OF_GRAPHS.issuperset(axiom.needs)


def _scopes(axiom: Axiom) -> Mapping[str, tuple[Any, ...]]:
    return GRAPH_SCOPES if about_graphs(axiom) else SCOPES


def _blocks(axiom: Axiom, sizes: tuple[Any, ...], width: int, policy: Policy) -> Iterator[Blocks]:
    if about_graphs(axiom):
        return graph_blocks(axiom, sizes, width=min(width, GRAPH_WIDTH), policy=policy)
    return blocks(axiom, sizes, width=width, policy=policy)


def _ended(scopes: Mapping[str, tuple[Any, ...]], sizes: tuple[Any, ...]) -> str:
    """The largest scope of which nothing but these sizes is made; empty if there is none."""
    return next((name for name, whole in reversed(list(scopes.items())) if whole == sizes[: len(whole)]), "")


@dataclass(kw_only=True)
class _Search:
    """The state of one search."""

    method: Method
    axiom: Axiom
    tolerance: float
    policy: Policy
    seed: int
    networks: int = 0
    rows: int = 0
    worst: float = 0.0
    inconclusive: int = 0
    approximate: int = 0
    refusal: str = ""
    refused: int = 0
    case: Case | None = None

    def width(self, sizes: tuple[Any, ...]) -> int:
        """How many networks are put to the method at once: many, if it scores each of the first ones as it does alone."""
        for block in _blocks(self.axiom, sizes, WIDTH, self.policy):
            if len(block.members) > 1:
                return self._usual() if self._scores_alike(block) else 1
        return self._usual()

    def _usual(self) -> int:
        return NARROW if self.method.cost_class in MANY or self.method.names("reference") else WIDTH

    def _scores_alike(self, block: Blocks) -> bool:
        try:
            together = player_scores(self.method, block.case, seed=self.seed)
        except NotApplicable:
            return False
        last = len(block.members) - 1
        for member in sorted({round(last * step / (TRIED - 1)) for step in range(TRIED)}):
            rows = block.case.target == member
            if not bool(rows.any()):
                continue
            try:
                alone = player_scores(self.method, block.alone(member, self.policy), seed=self.seed)
            except NotApplicable:
                return False
            if float((together[rows] - alone).abs().max()) > ROUNDING * float(alone.abs().max().clamp(min=1)):
                return False
        return True

    def look(self, block: Blocks) -> Examination | None:
        """Examine one block, and return the smallest refutation in it."""
        suspects, before = self._suspects(block), self.refused
        for member in suspects:
            found = self._alone(block, member)
            if found is not None and found.judgement == "refuted":
                self._count(block, member + 1)
                return found
            self.inconclusive += found is not None and found.judgement == "inconclusive"
            self.approximate += found is not None and found.judgement == "approximation error"
            self.worst = max(self.worst, 0.0 if found is None else found.measured)
        if self.refused - before < len(set(block.case.target.tolist())):
            self._count(block, len(block.members), refused=self.refused - before)
        return None

    def _count(self, block: Blocks, members: int, *, refused: int = 0) -> None:
        """Count the networks of the first `members` of which there is a row, less those that were refused."""
        about = block.case.target[block.case.target < members]
        asked = len(set(about.tolist()))
        self.networks += asked - refused
        self.rows += len(about) * (asked - refused) // max(1, asked)

    def _suspects(self, block: Blocks) -> list[int]:
        """The networks of a block whose violation is above the tolerance, the smallest first; all where the method refuses the block."""
        try:
            finding = self.axiom.measure(lambda case: player_scores(self.method, case, seed=self.seed), block.case)
        except NotApplicable as refusal:
            self.refusal = str(refusal)
            return list(range(len(block.members)))
        violation = finding.violation
        allowed = violation[violation <= MARGIN * self.tolerance]
        self.worst = max(self.worst, float(allowed.max()) if len(allowed) else 0.0)
        suspects = set(block.case.target[violation > self.tolerance].tolist())
        if len(suspects) > 1:
            shrinks = explained(self.method, self.axiom, block.case, violation, tolerance=self.tolerance, seed=self.seed)
            self.approximate += len(shrinks)
            self.worst = max([self.worst, *(float(violation[block.case.target == network].max()) for network in shrinks)])
            suspects -= shrinks
        return sorted(suspects)

    def _alone(self, block: Blocks, member: int) -> Examination | None:
        """Examine one network alone, on its smallest rows first."""
        case = block.alone(member, self.policy)
        if len(case):
            case = case.rows((~self._along_a_kink(case)).nonzero().squeeze(1))
        if not len(case):
            return None
        try:
            found = examine(self.method, self.axiom, case, tolerance=self.tolerance, seed=self.seed)
        except NotApplicable as refusal:
            self.refusal, self.refused = str(refusal), self.refused + 1
            return None
        if found.judgement != "refuted":
            return found
        self.case = case
        return self._smallest_row(case, block.told) or found

    def _along_a_kink(self, case: Case) -> Tensor:  # (batch,) bool
        """Rows whose path from the baseline runs along a kink; or from a row of the reference, where the method reads it."""
        starts = [case.baseline]
        if self.method.names("reference") and case.reference is not None:
            starts += [row.expand_as(case.inputs) for row in case.reference]
        return torch.stack([runs_along_a_kink(case.model, case.inputs, start) for start in starts]).any(0)

    def _smallest_row(self, case: Case, told: Callable[[Case], Case]) -> Examination | None:
        """The refutation on the smallest row that refutes without the others."""
        for row in range(len(case)):
            alone = told(case.rows(torch.tensor([row], device=case.inputs.device)))
            try:
                found = examine(self.method, self.axiom, alone, tolerance=self.tolerance, seed=self.seed)
            except NotApplicable:
                continue
            if found.judgement == "refuted":
                self.case = alone
                return found
        return None
