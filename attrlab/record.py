"""Results are records: what was measured, of what, against which bound, and what it cost. Reports are made from records only.

Every field is a plain Python value, so that a record crosses process borders (pytest-xdist) and becomes JSON unchanged.
"""

from __future__ import annotations

import json
import math
import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, Literal

Outcome = Literal["passed", "failed", "xfailed", "xpassed", "skipped", "error"]
"""pytest's words. Of a claim: passed - not refuted; failed - refuted; xfailed - the violation claimed is there; xpassed - it
is not; skipped - inconclusive or not applicable, with the reason; error - it could not be judged."""


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """One judged statement about one method on one environment (or family of drawn networks).

    Attributes:
        evaluation: which evaluation judged it ("contract", "axioms", "instruments").
        axiom: the axiom, or the rule of the contract.
        claim: the claim that was tested, in words; "unclaimed" where nothing was claimed.
        outcome: pytest's word; `summary` says what it means here.
        measured: the worst value found, in the unit of `bound`; NaN where nothing could be measured.
        bound: what it had to stay below.
        cases: how many (network, input) pairs were judged.
        counterexample: the smallest failing case as mathematics, empty where there is none.
        reason: why, in one sentence.
        seconds: what it cost.
        certificate: of a refutation, the case as JSON text, to be checked again by `attrlab replay`.
        networks: how many networks the cases are about; 0 where it is the environment's one.
        scope: of enumerated networks, what was enumerated, in words.
    """

    method: str
    evaluation: str
    axiom: str
    environment: str
    claim: str
    outcome: Outcome
    summary: str = ""
    measured: float = math.nan
    bound: float = math.nan
    cases: int = 0
    counterexample: str = ""
    reason: str = ""
    seconds: float = 0.0
    certificate: str = ""
    networks: int = 0
    scope: str = ""


@dataclass(frozen=True, kw_only=True)
class Score:
    """One recorded number of one method on one environment, between its floor and its ceiling. Never asserted.

    Attributes:
        evaluation: the metric's name, as in `attrlab list evaluations`.
        value: the mean over the rows on which it is defined; NaN where it is defined on none.
        interval: a 95 % percentile-bootstrap interval of that mean over rows.
        floor: the same number for the random control.
        ceiling: the same number for the exact truth.
        rows: on how many rows it is defined.
        direction: which way is better.
        values: row by row in six digits, NaN where it is not defined, so that methods can be compared on the same rows; means over the
            method's own seeds where several were asked.
        seeds: how many seeds of the method's own noise were asked; 1 for a method without noise.
        spread: of several seeds, the 95 % interval of the mean over seeds (Student's); NaN where there is one. It says how far luck moves
            the number on these very rows, `interval` how far other rows would.
    """

    method: str
    environment: str
    evaluation: str
    value: float
    interval: tuple[float, float]
    floor: float
    ceiling: float
    rows: int
    direction: Literal["higher", "lower"]
    seed: int
    seconds: float = 0.0
    values: tuple[float, ...] = ()
    seeds: int = 1
    spread: tuple[float, float] = (math.nan, math.nan)


@dataclass(frozen=True, kw_only=True)
class MeanCurve:
    """The mean over rows of one method's normalised deletion or insertion curve; its area is the score of that name.

    Attributes:
        method: the method; "floor" and "ceiling" are those of the random control and of the exact truth.
        mode: "deletion" or "insertion".
        fractions: of players, ascending from 0 to 1.
        values: of the curve there, 0 being v(empty) and 1 or -1 v(N).
    """

    method: str
    environment: str
    mode: str
    fractions: tuple[float, ...]
    values: tuple[float, ...]

    @staticmethod
    def from_data(row: Mapping[str, Any]) -> MeanCurve:
        """Read plain values."""
        return MeanCurve(**{**row, "fractions": tuple(row["fractions"]), "values": tuple(row["values"])})


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """What the exact truth of one environment says of one evaluation, under one imputer.

    Attributes:
        evaluation: the metric's name, as in `attrlab list evaluations`.
        question: what the metric asks: "truth", "scores", "game" or "method".
        kind: of the world, in words, such as "additive".
        imputer: what stood for absent players; "own" where the metric brings its own or asks for no coalition.
        unseen: the share of values in imputed rows that no data hold; NaN where nothing was imputed.
        truth_wins: how often the truth beats random scores on a row, ties counting one half.
        truth_gain: the interval of the mean gain of the truth over random scores; positive is better whatever the metric's direction.
        random_wins: how often random scores beat the inverted truth.
        random_gain: the interval of that gain.
        kendall: tau-b between the metric's ranking of a panel of methods and that by agreement with the truth.
        methods: how many methods the panel had.
        ladder: tau-b between the metric and the share of truth along (1 - w) truth + w noise.
        rows: on how many rows the truth could be judged.
        reason: why it could not be asked, empty where it could.
    """

    evaluation: str
    question: str
    environment: str
    modality: str
    kind: str
    imputer: str
    unseen: float = math.nan
    truth_wins: float = math.nan
    truth_gain: tuple[float, float] = (math.nan, math.nan)
    random_wins: float = math.nan
    random_gain: tuple[float, float] = (math.nan, math.nan)
    kendall: float = math.nan
    methods: int = 0
    ladder: float = math.nan
    rows: int = 0
    seed: int = 0
    seconds: float = 0.0
    reason: str = ""

    @staticmethod
    def from_data(row: Mapping[str, Any]) -> Judgement:
        """Read plain values, in which null stands for NaN."""
        numbers = ("unseen", "truth_wins", "random_wins", "kendall", "ladder")
        filled = _numbers(dict(row), numbers)
        for name in ("truth_gain", "random_gain"):
            low, high = filled[name]
            filled[name] = (math.nan if low is None else low, math.nan if high is None else high)
        return Judgement(**filled)


@dataclass(frozen=True, kw_only=True)
class Bias:
    """What an estimate said and what was so, for one attribution under one setting.

    Attributes:
        evaluation: "soundness" or "information_completeness".
        attribution: what was judged, such as "truth" or "constant".
        threshold: the rise of performance up to which what comes is called false; NaN where there is none.
        performance: the criterion, "accuracy", "probability" or "effect".
        imputer: what stood for absent players.
        estimate, exact, bias: means over rows of the estimate, of the exact value, and of their difference with its interval.
    """

    evaluation: str
    environment: str
    attribution: str
    threshold: float
    performance: str
    imputer: str
    estimate: float
    exact: float
    bias: float
    interval: tuple[float, float]
    rows: int


@dataclass(frozen=True, kw_only=True)
class Run:
    """All records of one run, with what they depend on; `studies` are those of retraining, as plain values."""

    verdicts: tuple[Verdict, ...]
    scores: tuple[Score, ...]
    judgements: tuple[Judgement, ...] = ()
    biases: tuple[Bias, ...] = ()
    curves: tuple[MeanCurve, ...] = ()
    studies: tuple[Mapping[str, Any], ...] = ()
    policy: Mapping[str, Any] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    def to_json(self) -> str:
        """Return this run as JSON; NaN and infinities become null."""
        return json.dumps(_finite(asdict(self)), indent=1, allow_nan=False, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Run:
        """Read what `to_json` wrote; null becomes NaN in numeric fields."""
        data = json.loads(text)
        return Run(
            verdicts=tuple(Verdict(**_numbers(row, ("measured", "bound"))) for row in data["verdicts"]),
            scores=tuple(Score(**_numbers(row, ("value", "floor", "ceiling"))) for row in data["scores"]),
            curves=tuple(MeanCurve.from_data(row) for row in data.get("curves", ())),
            biases=tuple(Bias(**_numbers(row, ("threshold", "estimate", "exact", "bias"))) for row in data.get("biases", ())),
            judgements=tuple(Judgement.from_data(row) for row in data.get("judgements", ())),
            studies=tuple(data.get("studies", ())),
            policy=data["policy"],
            versions=data["versions"],
            seconds=data["seconds"],
        )


def versions() -> dict[str, str]:
    """The versions a result depends on."""
    names = ("attrlab", "torch", "numpy", "captum", "torch-geometric", "hypothesis", "pytest")
    found = {"python": platform.python_version()}
    for name in names:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def write_atomically(path: Path | str, text: str) -> None:
    """Write `text` to a temporary name beside `path` and rename it, so that no partial file is ever left.

    Raises:
        OSError: if the folder does not exist or cannot be written to; nothing is left behind.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    return value


def _numbers(row: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    filled: dict[str, Any] = {key: (math.nan if key in names and item is None else item) for key, item in row.items()}
    for ends in ("interval", "spread"):
        if ends in filled:
            low, high = filled[ends]
            filled[ends] = (math.nan if low is None else low, math.nan if high is None else high)
    if "values" in filled:
        filled["values"] = tuple(math.nan if value is None else value for value in filled["values"])
    return filled
