"""Does an explanation depend on what is explained? Attributions of one output are compared with those of another.

Where one patch drives one output and another patch the other, what is attributed for both is attributed in error (double); where the
explained output does not see a patch, its share is (null); where two equal patches each would do, unequal credit is (repeated). These are
the scores of "Do Explanations Explain?", which are equalities on the designed worlds: the best value is reached by the exact truth.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.metrics.explainer import Asks, Explainer, explainer
from attrlab.metrics.metric import Metric
from attrlab.metrics.randomisation import present_players
from attrlab.metrics.similarity import Sign, spearman


def target_insensitivity(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
    *,
    sign: Sign = "signed",
) -> Tensor:  # (batch,) float64
    """Spearman's correlation of the scores for the target with those for the next output: 1 for a map that ignores what is explained.

    Raises:
        NotApplicable: if the network has a single output.

    Reference:
        Khakzar et al., "Rethinking positive aggregation and propagation", 2020; Sixt et al., "When explanations lie", 2020 (the random
        logit test, with the next logit in place of a random one).
    """
    return spearman(scores, of_other_target(explainer(explain), case).to(scores), present_players(case), sign=sign)


def class_sensitivity_double(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """What both outputs are given credit for in each other's patches, as a share of what they are given in their own: lower is better.

    [sum over P0 and P1 of min(|h0|, |h1|)] / [sum over P0 of |h0| + sum over P1 of |h1|], P_c the players of patch c.

    Raises:
        NotApplicable: if the network has a single output or the case no exact truth.

    Reference:
        Khakzar et al., "Do explanations explain? Model knows best", 2022 (class sensitivity, double feature scenario).
    """
    own, other = patches(case)
    mine, its = scores.double().abs(), of_other_target(explainer(explain), case).to(scores).double().abs()
    shared = torch.where(own | other, torch.minimum(mine, its), 0).sum(1)
    return _quotient(shared, torch.where(own, mine, 0).sum(1) + torch.where(other, its, 0).sum(1))


def class_sensitivity_single(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64, the same in every row
    """Spearman's correlation, over rows, of (mean |h| in the target's patch / mean |h| outside) for the target and for the other output.

    It is one number about a set of rows; every row carries it, so that it can stand in a table, and its interval has no width.

    Raises:
        NotApplicable: as `class_sensitivity_double`.

    Reference:
        Khakzar et al., 2022 (class sensitivity, single feature scenario).
    """
    own, _ = patches(case)
    others = of_other_target(explainer(explain), case).to(scores)
    inside, outside = own, present_players(case) & ~own
    ratios = [_quotient(_mean_over(h.double().abs(), inside), _mean_over(h.double().abs(), outside)) for h in (scores, others)]
    defined = ratios[0].isfinite() & ratios[1].isfinite()
    rows = [torch.where(defined, ratio, 0).unsqueeze(0) for ratio in ratios]
    return spearman(rows[0], rows[1], defined.unsqueeze(0)).expand(len(scores))


def null_feature(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """Credit of the patch that the explained output does not see, over that of the one it sees: lower is better.

    Raises:
        NotApplicable: if the case has no exact truth.

    Reference:
        Khakzar et al., 2022 (null feature), with magnitudes.
    """
    del explain
    seen, unseen = patches(case)
    size = scores.double().abs()
    return _quotient(torch.where(unseen, size, 0).sum(1), torch.where(seen, size, 0).sum(1))


def repeated_feature(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """The least credited of equal patches over the most credited, by mean |h|: 1 where equal patches get equal credit.

    Reference:
        Khakzar et al., 2022 (saturation), as an equality of each row; `repeated_feature_correlation` is the published number.
    """
    del explain
    means = patch_means(case, scores)
    return _quotient(means.nan_to_num(nan=torch.inf).amin(1), means.nan_to_num(nan=-torch.inf).amax(1))


def repeated_feature_correlation(
    case: Case,
    scores: Tensor,  # (batch, players)
) -> float:
    """Spearman's correlation, over rows, of the mean |h| in the first and in the last of equal patches; NaN where either is constant."""
    means = patch_means(case, scores)
    first, last = means[:, 0], means.flip(1).gather(1, (~means.flip(1).isnan()).long().argmax(1, keepdim=True)).squeeze(1)
    return float(spearman(first.unsqueeze(0), last.unsqueeze(0), torch.ones_like(first, dtype=torch.bool).unsqueeze(0)))


def of_other_target(
    explain: Explainer,
    case: Case,
) -> Tensor:  # (batch, players)
    """The scores for the next output, the first following the last.

    Raises:
        NotApplicable: if the network has a single output.
    """
    with torch.no_grad():
        outputs = case.model(case.inputs[:1]).shape[1]
    if outputs < 2:
        raise NotApplicable("the network has a single output, so there is no other target to explain")
    return explain.recalled(case, ("other target",), lambda: explain(replace(case, target=(case.target + 1) % outputs, truth=None)))


def patches(
    case: Case,
) -> tuple[Tensor, Tensor]:  # both (batch, players) bool
    """Among the players whose input differs from their baseline: those that matter for the target, and the others.

    Raises:
        NotApplicable: if the case has no exact truth.
    """
    if case.truth is None:
        raise NotApplicable("patches are told apart by the exact truth, and the case has none")
    live = _live(case)
    return live & (case.truth != 0), live & (case.truth == 0)


def patch_means(
    case: Case,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch, patches) float64
    """The mean |h| of each connected patch of an image, in the order of their first pixels; NaN where a row has fewer.

    Raises:
        NotApplicable: if rows are not images.
    """
    label = _components(case)
    count = max(1, int(label.max()) + 1)  # where nothing differs from its baseline, one patch that no row has
    member = label.unsqueeze(1) == torch.arange(count, device=label.device).view(1, -1, 1)
    size = scores.double().abs().unsqueeze(1)
    return torch.where(member, size, 0).sum(2) / torch.where(member.any(2), member.sum(2), torch.nan)


def _live(case: Case) -> Tensor:  # (batch, players) bool
    owner = case.feature_mask.flatten(1)
    differs = (case.inputs != case.baseline).flatten(1) & (owner >= 0)
    column = torch.where(differs, owner, case.players)
    marks = torch.zeros(len(owner), case.players + 1, dtype=torch.bool, device=owner.device)
    return marks.scatter_(1, column, True)[:, : case.players]


def _components(case: Case) -> Tensor:  # (batch, players) int64, -1 for players of no patch
    """The number of each player's connected patch, neighbours being the eight around a pixel."""
    if case.inputs.dim() != 4:
        raise NotApplicable(f"patches are those of images (batch, channels, height, width) (got {tuple(case.inputs.shape)})")
    there = (case.inputs != case.baseline).any(1)
    height, width = there.shape[1:]
    place = torch.arange(1, height * width + 1, device=there.device, dtype=torch.float64).flip(0).view(1, height, width)
    label = place * there
    for _ in range(height * width):
        wider = functional.max_pool2d(label.unsqueeze(1), 3, stride=1, padding=1).squeeze(1) * there
        if torch.equal(wider, label):
            break
        label = wider
    heads = (label == place).flatten(1).long()
    number = heads.cumsum(1).gather(1, (height * width - label.flatten(1)).long().clamp(max=height * width - 1)) - 1
    number = torch.where(there.flatten(1), number, -1)
    owner = case.feature_mask[:, 0].flatten(1)
    found = torch.full((len(owner), case.players + 1), -1, device=owner.device)
    return found.scatter_reduce_(1, torch.where(owner < 0, case.players, owner), number, "amax")[:, : case.players]


def _mean_over(values: Tensor, chosen: Tensor) -> Tensor:
    return _quotient(torch.where(chosen, values, 0).sum(1), chosen.sum(1).double())


def _quotient(above: Tensor, below: Tensor) -> Tensor:
    return above / torch.where(below > 0, below, torch.nan)


def _insensitivity(sign: Sign) -> Metric:
    def measure(explain: Asks, case: Case, scores: Tensor) -> Tensor:
        return target_insensitivity(explain, case, scores, sign=sign)

    side = {"signed": "a", "positive": "a⁺", "absolute": "|a|"}[sign]
    return Metric(
        name="target_insensitivity" if sign == "signed" else f"target_insensitivity_{sign}",
        question="method",
        direction="lower",
        range="-1 to 1; 1 for a map that ignores the target",
        formula=f"Spearman({side} for the target, {side} for the next output)",
        reference="Khakzar et al., 2020; Sixt et al., 2020",
        measure=measure,
        ranking="absolute" if sign == "absolute" else "signed",
        cost="1 explanation",
    )


_SIGNS: tuple[Sign, ...] = ("signed", "positive", "absolute")
_TWO, _NULL, _REPEATED = frozenset({"two-class-patches-v1"}), frozenset({"null-patch-v1"}), frozenset({"repeated-patch-v1"})
_PAPER = "Khakzar et al., 'Do explanations explain? Model knows best', 2022"

METRICS = (
    *(_insensitivity(sign) for sign in _SIGNS),
    Metric(
        name="class_sensitivity_double",
        question="method",
        direction="lower",
        range="0 to 1; 0 for the exact truth",
        formula="Σ_{P0∪P1} min(|h⁰|, |h¹|) / (Σ_{P0} |h⁰| + Σ_{P1} |h¹|)",
        reference=_PAPER,
        measure=class_sensitivity_double,
        ranking="absolute",
        worlds=_TWO,
        ends=(1.0, 0.0),
        cost="1 explanation",
    ),
    Metric(
        name="class_sensitivity_single",
        question="method",
        direction="lower",
        range="-1 to 1",
        formula="Spearman over rows of mean|h| in P / mean|h| outside, for the target and for the other output",
        reference=_PAPER,
        measure=class_sensitivity_single,
        ranking="absolute",
        worlds=_TWO,
        cost="1 explanation",
    ),
    Metric(
        name="null_feature",
        question="method",
        direction="lower",
        range="0 to infinity; 0 for the exact truth, 1 for a constant map",
        formula="Σ_{P0} |h| / Σ_{P1} |h|, P0 null for the explained output",
        reference=_PAPER,
        measure=null_feature,
        ranking="absolute",
        worlds=_NULL,
        ends=(1.0, 0.0),
    ),
    Metric(
        name="repeated_feature",
        question="method",
        direction="higher",
        range="0 to 1; 1 for the exact truth and for a constant map",
        formula="min over equal patches of mean|h| / max over them",
        reference=_PAPER + " (saturation), as an equality of each row",
        measure=repeated_feature,
        ranking="absolute",
        worlds=_REPEATED,
        ends=(0.0, 1.0),
    ),
)
