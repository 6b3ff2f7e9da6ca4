"""Input-shift invariance: a network that undoes a constant shift of its input explains the shifted input as before.

Kindermans et al. leave open what becomes of the reference. Moved along with the input, it is the same question in other units; held
fixed, it is another question, and every method that measures from a reference has to answer differently. So these are two axioms.
"""

from __future__ import annotations

from collections.abc import Callable

import torch

from attrlab.axioms.axiom import Axiom, Explain, Finding
from attrlab.axioms.derive import SHIFTS, behind_affine, game_of, repeated
from attrlab.axioms.unchanged import unchanged
from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.games import removal


def measure(*, moved: bool) -> Callable[[Explain, Case], Finding]:
    """The largest |A_i(g, x + s) - A_i(f, x)| with g(u) = f(u - s), relative to the scale; `moved` moves the reference along.

    Raises:
        NotApplicable: if the reference is not moved, and coalitions with it are where f is not a number.
    """

    def of(explain: Explain, case: Case) -> Finding:
        shift = repeated(SHIFTS, case.inputs)
        fixed = torch.where(case.feature_mask < 0, case.baseline + shift, case.baseline)  # what is no player is not absent
        asked = case.derived(
            model=behind_affine(case.model, torch.ones_like(shift), -shift),
            inputs=case.inputs + shift,
            baseline=case.baseline + shift if moved else fixed,
            reference=case.reference if case.reference is None or not moved else case.reference + shift,
        )
        if not moved and not bool(removal(game_of(asked)).isfinite().all()):
            raise NotApplicable("against the reference left behind, f is not defined on all coalitions")
        reference = "x' + s" if moved else "x'"
        return unchanged(explain(case), explain(asked), f"for g(u) = f(u - s) at x + s against {reference}, s = {_shown(shift)}")

    return of


def _shown(shift: torch.Tensor) -> str:
    values = ", ".join(f"{value:g}" for value in shift.flatten()[:5].tolist())
    return f"({values}{', ...' if shift.numel() > len(SHIFTS) else ''})"


INPUT_SHIFT_INVARIANCE = Axiom(
    name="input_shift_invariance",
    statement="g(u) = f(u - s)  ⇒  A(g, x + s, x' + s) = A(f, x, x')",
    reference="Kindermans et al. (2017, 2019), section 2 (input invariance), the reference moved along",
    level="functional",
    needs=(),
    measure=measure(moved=True),
)

INPUT_SHIFT_INVARIANCE_FIXED = Axiom(
    name="input_shift_invariance_fixed",
    statement="g(u) = f(u - s)  ⇒  A(g, x + s, x') = A(f, x, x')",
    reference="Kindermans et al. (2017, 2019), section 3, the reference held fixed",
    level="functional",
    needs=(),
    measure=measure(moved=False),
)
