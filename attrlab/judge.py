"""A claim is judged by the worst violation found, against the size of numerical error, with the counterexample as mathematics.

Up to the claim's tolerance a violation is rounding; above `MARGIN` times it the claim is refuted; in between it is inconclusive and
says so. An approximate method is asked again with other budgets, up to twenty times its own, on the suspected rows: a gap that shrinks in
step is approximation error and not a violation. (A bias smaller than what is left of the gap cannot be told from it, so what is left
is part of the verdict.)
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass, replace
from typing import Literal

from torch import Tensor

from attrlab.axioms import Axiom, Finding
from attrlab.case import Case
from attrlab.claims import MARGIN
from attrlab.method import Method, player_scores

Judgement = Literal["not refuted", "inconclusive", "refuted", "approximation error"]

SUSPECTS = 4
"""How many rows a suspected violation is repeated on with a larger budget; the worst ones."""

NEAR = (-3, 1, 7)
FAR = (10, 20)
"""Where a suspected gap is measured again: at the method's own budget plus each of NEAR, and times each of FAR. Quadrature at a kink errs
like 1 / n, but erratically: a node may happen to stand right, at every multiple of 5 if the kink does. So the gap to be explained is the
largest of four at neighbouring, mostly coprime budgets, and it must have halved at one that is ten or twenty times larger. (The nodes of
Gauss-Legendre are an eigenvalue problem of cost n^3, so no more is asked for.)"""


@dataclass(frozen=True, kw_only=True)
class Examination:
    """One axiom examined on one case.

    Attributes:
        judgement: not refuted, inconclusive, refuted, or explained as approximation error.
        measured: the largest relative violation over the rows, with the method's own budget.
        tolerance: what it is compared with.
        row: the row it was found on.
        counterexample: that row as mathematics; empty if the axiom was not violated beyond its tolerance.
        note: what was done beyond one measurement.
    """

    judgement: Judgement
    measured: float
    tolerance: float
    row: int
    counterexample: str = ""
    note: str = ""

    @property
    def bound(self) -> float:
        """Above this the axiom is refuted."""
        return MARGIN * self.tolerance


def examine(method: Method, axiom: Axiom, case: Case, *, tolerance: float, seed: int = 0) -> Examination:
    """Measure `axiom` for `method` on every row of `case`, and judge the worst.

    Raises:
        NotApplicable, MethodError: as `player_scores`.
    """
    finding = _measure(method, axiom, case, seed)
    row = int(finding.violation.argmax())
    measured = float(finding.violation[row])
    found = Examination(judgement="not refuted", measured=measured, tolerance=tolerance, row=row)
    if measured <= tolerance:
        return found
    found = replace(found, counterexample=describe(case, finding, row))
    if method.budget is not None:
        note = _refined(method, axiom, case, finding, tolerance=tolerance, seed=seed)
        if note:
            return replace(found, judgement="approximation error", note=note)
    return replace(found, judgement="refuted" if measured > MARGIN * tolerance else "inconclusive")


def describe(case: Case, finding: Finding, row: int) -> str:
    """One row of a case as mathematics: the function, the point, the baseline, the scores, and what is wrong with them."""
    lines = [f"{case.name}: {case.formula}"]
    if case.inputs[row].numel() <= 12:
        lines.append(f"x = {_vector(case.inputs[row])}, x' = {_vector(case.baseline[row])}")
    else:
        lines.append(f"row {row} of the sample, {tuple(case.inputs.shape[1:])}, output {int(case.target[row])}")
    if finding.scores.shape[1] <= 12:
        lines.append(f"A = {_vector(finding.scores[row])}")
    return "\n".join([*lines, finding.sentence(row)])


def _measure(method: Method, axiom: Axiom, case: Case, seed: int) -> Finding:
    def explain(asked: Case) -> Tensor:
        return player_scores(method, asked, seed=seed)

    return axiom.measure(explain, case)


def _refined(method: Method, axiom: Axiom, case: Case, finding: Finding, *, tolerance: float, seed: int) -> str:
    """A sentence if the violation of the suspected rows shrinks with the budget; empty if one stays."""
    assert method.budget is not None
    suspects = finding.violation.topk(min(SUSPECTS, len(case))).indices
    suspects = suspects[finding.violation[suspects] > tolerance]
    suspected = case if axiom.of_rows_together else case.rows(suspects)
    keyword, default = method.budget, _budget(method)

    def gap(budget: int) -> float:
        refined = method.with_parameters(**{keyword: max(1, budget)})
        return float(_measure(refined, axiom, suspected, seed).violation.max())

    near = max(float(finding.violation[suspects].max()), *(gap(default + offset) for offset in NEAR))
    for factor in FAR:
        far = gap(default * factor)
        if far <= max(tolerance, near / 2):
            budgets = f"{keyword} grows from {default} to {default * factor}"
            return f"the violation shrinks from {near:.2g} to {far:.2g} as {budgets}: approximation error"
    return ""


def _budget(method: Method) -> int:
    assert method.budget is not None
    return int(inspect.signature(method.attribute).parameters[method.budget].default)


def _vector(values: Tensor) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values.flatten().tolist()) + ")"
