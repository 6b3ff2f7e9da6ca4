"""Some claims leave no choice: together they determine the scores, so a method that makes them and scores otherwise has made a false one.

Theorem. Let A satisfy completeness, linearity, symmetry and the dummy axiom on the lattice. Then, on every row whose players that differ
from the baseline all have one value and one baseline, A is the Shapley value of the baseline game; with affine scale and input shift
invariance it is so on every row. Proof: v = Σ c_T u_T (unanimity games). Let g_T(z) = relu(Σ_{k in T} t_k - |T| + 1) with
t_k = (z_k - x'_k) / (x_k - x'_k): its game is u_T, so it must give 0 outside of T (dummy), the same to all of T, in which it is symmetric,
and 1 in total: 1 / |T|. The rest r = f - f(x') - Σ c_T g_T has the game 0, so all its players get 0 (dummy). By linearity
A(f) = Σ c_T A(g_T) + A(r), which is Shapley (1953).

The dummy axiom of functions in place of that of the lattice does not do: it says nothing of r, and integrated gradients satisfies all
four (Sundararajan and Najmi 2020). Symmetry of functions says nothing of players with different values: Shapley values weighted by
|x_i - x'_i| satisfy all four with the lattice's. The proof is a procedure, and it tells which claim is false.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from attrlab.axioms.axiom import scale_of
from attrlab.axioms.derive import Beside, game_of
from attrlab.case import Case
from attrlab.claims import MARGIN, Claim
from attrlab.games.exact import shapley
from attrlab.method import Method, player_scores
from synthetic.environment import frozen
from synthetic.formulas import Layers, formula_of
from synthetic.gadgets import relu_network

ENOUGH = frozenset({"completeness", "lattice_dummy", "linearity", "symmetry"})
"""What determines the scores of rows whose players have one value and one baseline."""

UNITS = frozenset({"affine_scale_invariance", "input_shift_invariance"})
"""What makes all rows such."""

NOT_ENOUGH = (
    "the claims are of functions and leave a choice: the dummy axiom of functions does not speak of a function that vanishes on the "
    "lattice of coalitions, and integrated gradients satisfies all four claims; lattice_dummy in its place would leave the Shapley value "
    "alone"
)

Subset = tuple[int, ...]


def claimed(claims: Iterable[Claim]) -> frozenset[str]:
    """The axioms that are claimed to hold without a condition."""
    return frozenset(claim.axiom for claim in claims if claim.expected == "holds" and not claim.given)


def combines(method: Method) -> bool:
    """Whether a method claims completeness, linearity, symmetry and a dummy axiom, of functions or of the lattice."""
    found = claimed(method.claims)
    return ENOUGH - {"lattice_dummy"} <= found and bool(found & {"dummy", "lattice_dummy"})


def determined(case: Case, claims: frozenset[str]) -> Tensor:  # (batch,) bool
    """The rows on which these claims leave the Shapley value alone."""
    if not claims >= ENOUGH:
        return torch.zeros(len(case), dtype=torch.bool, device=case.inputs.device)
    if claims >= UNITS:
        return torch.ones(len(case), dtype=torch.bool, device=case.inputs.device)
    inputs, baseline = case.inputs.flatten(1), case.baseline.flatten(1)
    moved = inputs != baseline
    return _one_value(inputs, moved) & _one_value(baseline, moved)


def differences(method: Method, case: Case, *, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    """Per row the largest |A_i - Shapley_i| relative to the scale, (batch,), with the scores and the Shapley values, (batch, players).

    Raises:
        NotApplicable, MethodError: as `player_scores`.
    """
    scores, wanted = player_scores(method, case, seed=seed), shapley(game_of(case))
    return (scores - wanted).abs().amax(1) / scale_of(scores, wanted), scores, wanted


def false_claim(method: Method, case: Case, *, tolerance: float, seed: int = 0) -> str:
    """Which claim is false, on a case of one row of a table and one output on which the scores are not the Shapley value.

    The function is taken apart as in the proof, and the method is asked about the parts.
    """
    players = [int(player) for player in (case.inputs[0] != case.baseline[0]).nonzero()]
    subsets = [subset for size in range(1, len(players) + 1) for subset in itertools.combinations(players, size)]
    allowed = MARGIN * tolerance
    for subset in subsets:
        scores = player_scores(method, case.derived(model=_unanimity(case, {subset: 1.0}, 0.0)), seed=seed)[0]
        said = _wrong(scores, subset, allowed)
        if said:
            game = formula_of(_layers(case, {subset: 1.0}, 0.0)).replace("f(x)", "g(x)")
            return f"{said} of {game}, which is 1 if all of the players {list(subset)} are there and else 0: A = {_shown(scores)}"
    dividends = _dividends(case, subsets)
    empty = float(_values(case, ())[0])
    rest = Beside(1.0, case.model, -1.0, _unanimity(case, dividends, empty)).eval()
    scores = player_scores(method, case.derived(model=rest), seed=seed)[0]
    if float(scores.abs().max()) > allowed:
        return f"lattice_dummy is false: f less its unanimity games is 0 for every coalition, and A = {_shown(scores)} of it must be 0"
    return "linearity is false: f is a sum of unanimity games and of a function that is 0 for every coalition, each scored as it must be"


def _wrong(scores: Tensor, subset: Subset, allowed: float) -> str:
    inside = scores[list(subset)]
    outside = [float(score) for player, score in enumerate(scores) if player not in subset]
    if any(abs(score) > allowed for score in outside):
        return "lattice_dummy is false"
    if abs(float(scores.sum()) - 1) > allowed:
        return "completeness is false"
    if float(inside.max() - inside.min()) > allowed:
        return "symmetry, or invariance of scale and shift, is false"
    return ""


def _unanimity(case: Case, coefficients: dict[Subset, float], shift: float) -> nn.Module:
    """The network shift + Σ c_T relu(Σ_{k in T} t_k - |T| + 1)."""
    return frozen(relu_network(_layers(case, coefficients, shift))).to(case.inputs)


def _layers(case: Case, coefficients: dict[Subset, float], shift: float) -> Layers:
    rows, biases = [], []
    for subset in coefficients:
        slopes = {player: 1 / float(case.inputs[0, player] - case.baseline[0, player]) for player in subset}
        rows.append([slopes.get(player, 0.0) for player in range(case.players)])
        biases.append(1 - len(subset) - sum(slope * float(case.baseline[0, player]) for player, slope in slopes.items()))
    return [(rows, biases), ([list(coefficients.values())], [shift])]


def _values(case: Case, subset: Subset) -> Tensor:
    """The value of a coalition, (1,)."""
    row = case.baseline.clone()
    row[:, list(subset)] = case.inputs[:, list(subset)]
    with torch.no_grad():
        value: Tensor = case.model(row)[:, 0]
    return value


def _dividends(case: Case, subsets: list[Subset]) -> dict[Subset, float]:
    """The coefficients c_T of v - v(∅), smaller coalitions first."""
    empty = float(_values(case, ())[0])
    found: dict[Subset, float] = {}
    for subset in subsets:
        below = sum(value for other, value in found.items() if set(other) < set(subset))
        found[subset] = float(_values(case, subset)[0]) - empty - below
    return found


def _one_value(values: Tensor, where: Tensor) -> Tensor:
    high, low = values.masked_fill(~where, -torch.inf).amax(1), values.masked_fill(~where, torch.inf).amin(1)
    return high <= low  # no player moved: -inf <= inf


def _shown(values: Tensor) -> str:
    return "(" + ", ".join(f"{value:.6g}" for value in values.tolist()) + ")"
