"""An explanation of a network must change when the network does: the model-parameter randomisation test.

Parameters are redrawn from the output downwards (cascading) or one module at a time (independent), and the explanations of the networks
before and after are compared. Redrawn weights are normal with the root mean square of the old ones; `keep_signs` redraws magnitudes alone,
because a hand-set network may say most of what it says by signs. Where methods handle signs by dropping them, similarity is to be read for
{signed, positive, absolute} scores side by side: a map can be insensitive in one of the three only.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise
from typing import Literal

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.errors import NotApplicable
from attrlab.method import spread
from attrlab.metrics.explainer import Asks, Explainer, explainer
from attrlab.metrics.metric import Metric
from attrlab.metrics.similarity import Sign, hog_similarity, signed_as, spearman, ssim

Kind = Literal["cascading", "independent"]
Alike = Literal["spearman", "ssim", "hog"]

STAGES = 3
"""Networks of a run of the laboratory: modules are redrawn in so many groups, from the output down; the paper takes one each."""

SEED = 0x5A41


def layers(
    model: nn.Module,
) -> tuple[str, ...]:
    """The modules that own parameters, from the one registered last, which is nearest to the output, to the first.

    Raises:
        NotApplicable: if there is none.
    """
    found = tuple(name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False)))
    if not found:
        raise NotApplicable("the network has no parameters that could be redrawn")
    return found[::-1]


def randomised(
    model: nn.Module,
    names: tuple[str, ...],
    *,
    generator: torch.Generator,  # on the CPU
    keep_signs: bool = False,
) -> nn.Module:
    """A copy of the network with the parameters of the named modules redrawn; the network itself is not touched."""
    changed = copy.deepcopy(model)
    modules = dict(changed.named_modules())
    with torch.no_grad():
        for name in names:
            for parameter in modules[name].parameters(recurse=False):
                noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64).to(parameter)
                drawn = noise * parameter.square().mean().sqrt()
                parameter.copy_(drawn.abs() * parameter.sign() if keep_signs else drawn)
    return changed


def explanations(
    explain: Asks,
    case: Case,
    *,
    kind: Kind,
    stages: int = STAGES,
    keep_signs: bool = False,
    seed: int = SEED,
) -> Tensor:  # (stages, batch, players)
    """Player scores of every randomised network, in the order in which modules are reached from the output.

    Raises:
        NotApplicable: if the network has no parameters, or as the method.
        MethodError: as the method.
    """
    known = explainer(explain)
    name = (kind, stages, keep_signs, seed)
    return known.recalled(case, name, lambda: _explanations(known, case, kind, stages, keep_signs, seed))


def similarity_after_randomisation(
    explain: Asks,
    case: Case,
    scores: Tensor,  # (batch, players)
    *,
    kind: Kind = "cascading",
    alike: Alike = "spearman",
    sign: Sign = "signed",
    stages: int = STAGES,
    keep_signs: bool = False,
    seed: int = SEED,
) -> Tensor:  # (batch,) float64
    """The mean similarity, over randomised networks, of their explanations with that of the network itself: lower is better.

    Args:
        explain: the method.
        case: the rows and the network.
        scores: of the network itself, which the explanations of others are compared with.
        kind: "cascading" or "independent".
        alike: "spearman" on player scores, or "ssim" or "hog" on maps of images.
        sign: whether scores are compared as they are, by their positive part, or by magnitude.
        stages: into how many groups modules are divided.
        keep_signs: whether weights keep their signs.
        seed: of the new weights.

    Returns:
        NaN in rows where no similarity is defined, as for a constant map.

    Raises:
        NotApplicable: as `explanations`, or if maps are wanted of rows that are not images.

    Reference:
        Adebayo et al., "Sanity checks for saliency maps", 2018, section 4; signs: Khakzar et al., "Rethinking positive aggregation and
        propagation of gradients in gradient-based saliency methods", 2020.

    Differs from the paper in: the class that is explained stays the row's target.
    """
    others = explanations(explain, case, kind=kind, stages=stages, keep_signs=keep_signs, seed=seed)
    found = torch.stack([similarity_of(case, scores, other, alike=alike, sign=sign) for other in others])
    return found.nanmean(0)


def similarity_of(
    case: Case,
    scores: Tensor,  # (batch, players)
    other: Tensor,  # (batch, players)
    *,
    alike: Alike,
    sign: Sign,
) -> Tensor:  # (batch,) float64
    """How alike two explanations of the same rows are.

    Raises:
        NotApplicable: if maps are wanted of rows that are not images.
    """
    if alike == "spearman":
        return spearman(scores.to(other), other, present_players(case), sign=sign)
    maps = [_map(case, values, sign) for values in (scores.to(other), other)]
    return ssim(*maps) if alike == "ssim" else hog_similarity(*maps)


def present_players(
    case: Case,
) -> Tensor:  # (batch, players) bool
    """Which players own an entry of each row."""
    owner = case.feature_mask.flatten(1)
    marks = torch.zeros(len(owner), case.players + 1, dtype=torch.bool, device=owner.device)
    return marks.scatter_(1, torch.where(owner < 0, case.players, owner), True)[:, : case.players]


def _explanations(known: Explainer, case: Case, kind: Kind, stages: int, keep_signs: bool, seed: int) -> Tensor:
    names = layers(case.model)
    edges = [round(len(names) * stage / min(stages, len(names))) for stage in range(min(stages, len(names)) + 1)]
    found, unknown = [], replace(case, truth=None)
    for low, high in pairwise(edges):
        group = names[:high] if kind == "cascading" else names[low:high]
        network = randomised(case.model, group, generator=torch.Generator().manual_seed(seed), keep_signs=keep_signs)
        found.append(known(unknown, model=network))
    return torch.stack(found)


def _map(case: Case, scores: Tensor, sign: Sign) -> Tensor:  # (batch, height, width)
    if case.inputs.dim() != 4:
        raise NotApplicable(f"maps are those of images (batch, channels, height, width) (got {tuple(case.inputs.shape)})")
    return signed_as(spread(scores, case.feature_mask).sum(1), sign)


def _metric(kind: Kind, alike: Alike, sign: Sign) -> Metric:
    def measure(explain: Asks, case: Case, scores: Tensor) -> Tensor:
        return similarity_after_randomisation(explain, case, scores, kind=kind, alike=alike, sign=sign)

    what = {"spearman": "Spearman", "ssim": "SSIM", "hog": "corr of HOG"}[alike]
    side = {"signed": "a", "positive": "a⁺", "absolute": "|a|"}[sign]
    suffix = ("" if alike == "spearman" else f"_{alike}") + ("" if sign == "signed" else f"_{sign}")
    reached = "from the output downwards, cumulatively" if kind == "cascading" else "one group at a time"
    return Metric(
        name=f"{kind}_randomisation{suffix}",
        question="method",
        direction="lower",
        range="-1 to 1; 1 for a map that ignores the network, about 0 for one that follows it",
        formula=f"mean of {what}({side}(f), {side}(f')) over networks f' with weights redrawn in {STAGES} groups {reached}",
        reference="Adebayo et al., 2018, section 4; Khakzar et al., 2020 (signs)",
        measure=measure,
        ranking="absolute" if sign == "absolute" else "signed",
        modalities=frozenset() if alike == "spearman" else frozenset({"image"}),
        ends=(1.0, 0.0),
        cost=f"{STAGES} explanations",
    )


_SIGNS: tuple[Sign, ...] = ("signed", "positive", "absolute")
_OF_MAPS: tuple[Alike, ...] = ("ssim", "hog")
_KINDS: tuple[Kind, ...] = ("cascading", "independent")

METRICS = (
    *(_metric("cascading", "spearman", sign) for sign in _SIGNS),
    *(_metric("independent", "spearman", sign) for sign in _SIGNS),
    *(_metric(kind, alike, "absolute") for kind in _KINDS for alike in _OF_MAPS),
)
