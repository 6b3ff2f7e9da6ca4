"""What the papers of masks, bottlenecks and pathways claim, judged: the mark, all against enough, finer maps, linear balls, sanity.

Run as `python tests/benchmarks/mask_claims.py [mark] [inverse] [finer] [ball] [sanity]`, all parts without arguments; prints markdown.
Settings beyond the papers' are chosen as in `judged_masks.py`, on rows that are not scored here.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from judged_masks import JUDGED, SETTINGS, chosen
from mask_tables import SIDE, asked, digits, of_kinks
from torch import Tensor

from attrlab.errors import AttrlabError
from attrlab.games import Policy
from attrlab.method import Method, player_scores, players_of
from attrlab.methods.bottlenecks import iba, inverse_iba, regression_iba
from attrlab.methods.class_activation import grad_cam
from attrlab.methods.extremal import extremal_perturbation
from attrlab.methods.igos import igos, igos_naive_insertion, igos_plus_plus
from attrlab.methods.input_bottleneck import input_iba
from attrlab.methods.linear_ball import linear_ball
from attrlab.methods.optimised_masks import mask
from attrlab.methods.paths import integrated_gradients
from attrlab.methods.pathways import critical_pathway, pathway_gradient, prune_gradient
from attrlab.methods.readout_bottleneck import readout_iba
from attrlab.methods.routing import cdrp_gradient
from attrlab.metrics.localisation import support_auroc
from attrlab.metrics.randomisation import layers, randomised
from attrlab.metrics.similarity import spearman
from attrlab.registry import find_method
from attrlab.study import applies, prepare

ROWS = 16
USED, UNUSED = "spurious-mark-v1", "spurious-mark-unused-v1"
CORNER = 3
"""Side of the corner in which the mark stands."""


def mark() -> None:
    """The share of a map's magnitude that lies in the corner, in rows that have the mark: where it is read, and where it is not."""
    side = prepare(USED, rows=2, seed=0, policy=Policy()).case.inputs.shape[-1]
    print(f"\n### The spurious mark\n\nAn even map has {CORNER**2 / side**2:.2f} of its magnitude in the corner.\n")
    print("| method | setting | read | not read | found where it is read only |\n|---|---|---:|---:|---|")
    for name in ("random", "integrated_gradients", "shapley_sampling", *JUDGED):
        method = find_method(name)
        stages = [prepare(id, rows=ROWS, seed=0, policy=Policy()) for id in (USED, UNUSED)]
        if not applies(method, stages[0].environment):
            continue
        for how in _settings(method, USED):
            try:
                found = [_in_the_corner(method.with_parameters(**how), stage) for stage in stages]
            except AttrlabError as error:
                print(f"| `{name}` | {str(error).split(';')[0][:70]} | | | |")
                break
            even = CORNER**2 / side**2
            good = "yes" if found[0] > 2 * even and found[1] < even / 2 else "no"
            print(f"| `{name}` | {_told(how)} | {found[0]:.2f} | {found[1]:.2f} | {good} |", flush=True)


def _settings(method: Method, id: str) -> list[dict[str, Any]]:
    """The paper's, and the one chosen for a world where that is another."""
    if len(SETTINGS[method.name]) == 1:
        return [{}]
    try:
        best = chosen(method, id)
    except AttrlabError:  # and it will be said of the paper's setting
        best = {}
    return [{}, best] if best else [{}]


def _told(how: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in how.items()) or "paper's"


def _in_the_corner(method: Method, stage: Any) -> float:
    scores = player_scores(method, stage.case).abs()
    side = stage.case.inputs.shape[-1]
    corner = torch.zeros(side, side, dtype=torch.bool)
    corner[:CORNER, :CORNER] = True
    marked = (stage.case.inputs - stage.case.baseline).abs().sum(1)[:, corner].sum(1) > 0
    share = scores[:, corner.flatten()].sum(1) / scores.sum(1)
    return float(share[marked].nanmean())


LONG: tuple[dict[str, Any], ...] = tuple(
    {"layer": "detector.2", "smoothing": 0.0, "steps": 60, "lr": 0.3, "beta": beta} for beta in (3.0, 0.3, 0.03)
)
"""At the layer that says of each pixel which colour it has, without smoothing, and long enough to arrive."""


def inverse() -> None:
    """Of the pixels that matter, how many have at least a quarter of the largest bits: enough of them, or all of them.

    Of an OR any one pixel is enough to keep the output, and all must go to lose it; of an AND of two counts, one pixel of each colour is
    enough to keep it, and all of one colour to lose it.
    """
    print("\n### All that informs, or enough of it\n")
    print("| world | bottleneck | setting | of the support, found | elsewhere, found | AUROC |\n|---|---|---|---:|---:|---:|")
    for id in ("colour-or-v1", "colour-and-v1"):
        stage = prepare(id, rows=ROWS, seed=0, policy=Policy())
        for name in ("regression_iba", "inverse_iba"):
            method = find_method(name)
            for how in ({}, {"layer": "detector.2"}, chosen(method, id, LONG)):
                scores = player_scores(method.with_parameters(**how), stage.case)
                several = stage.batch.truth.support.sum(1) > 1
                scores, support = scores[several], stage.batch.truth.support[several]
                high = (scores >= 0.25 * scores.amax(1, keepdim=True)) & (scores > 0)
                inside, outside = (float(((high & part).sum(1) / part.sum(1)).mean()) for part in (support, ~support))
                auroc = support_auroc(scores, truth=scores, support=support, present=torch.ones_like(support)).nanmean()
                print(f"| {id} | `{name}` | {_told(how)} | {inside:.2f} | {outside:.2f} | {float(auroc):.2f} |", flush=True)


def finer() -> None:
    """Sharpness, the mean difference of neighbouring pixels over the mean magnitude, and AUROC of pixels, of bits and of shares."""
    print("\n### Finer maps\n\n| world | method | setting | sharpness | AUROC |\n|---|---|---|---:|---:|")
    for id in ("colour-continuous-v1", "two-class-patches-v1", "spurious-mark-v1"):
        stage = prepare(id, rows=ROWS, seed=0, policy=Policy())
        side = stage.case.inputs.shape[-1]
        for name in ("grad_cam", "regression_iba", "multilayer_iba", "input_iba", "input_iba_lite"):
            method = find_method(name)
            for how in _settings(method, id) if name in SETTINGS else [{}]:
                scores = player_scores(method.with_parameters(**how), stage.case)
                support = stage.batch.truth.support
                auroc = support_auroc(scores, truth=scores, support=support, present=torch.ones_like(support)).nanmean()
                told = f"{sharpness(scores.view(-1, side, side)):.2f} | {float(auroc):.2f}"
                print(f"| {id} | `{name}` | {_told(how)} | {told} |", flush=True)


def sharpness(
    maps: Tensor,  # (batch, height, width)
) -> float:
    """The mean absolute difference of neighbours over the mean magnitude, 0 of an even map; rows of zeros are left out."""
    apart = (maps.diff(dim=1).abs().mean((1, 2)) + maps.diff(dim=2).abs().mean((1, 2))) / 2
    return float((apart / maps.abs().mean((1, 2))).nanmean())


def ball() -> None:
    """The radius around digits in which the network, or its pathway, is linear, as a share of the digit's norm."""
    print("\n### The ball in which a pathway is linear\n")
    print("| silenced | median radius / norm | tenth | of the network with random neurons silenced |\n|---|---:|---:|---:|")
    model, rows, target = of_kinks()
    norm = rows.flatten(1).norm(dim=1)
    generator = torch.Generator().manual_seed(0)
    for sparsity in (0.0, 0.5, 0.85, 0.99):
        gates = critical_pathway(model, rows, target=target, sparsity=sparsity)
        radius = linear_ball(model, rows, target=target, gates=gates).radius / norm
        other = [(torch.rand(gate.shape, generator=generator) >= sparsity).to(gate) for gate in gates]
        control = linear_ball(model, rows, target=target, gates=other).radius / norm
        told = f"{float(radius.median()):.2g} | {float(radius.quantile(0.1)):.2g} | {float(control.median()):.2g}"
        print(f"| {sparsity:g} | {told} |", flush=True)


SANE: tuple[tuple[str, Callable[..., Tensor], dict[str, Any]], ...] = (
    ("integrated_gradients", integrated_gradients, {}),
    ("grad_cam", grad_cam, {}),
    ("mask", mask, {"bounded": "softmax"}),
    ("extremal_perturbation", extremal_perturbation, {"bounded": "softmax", "steps": 200}),
    ("igos", igos, {"bounded": "softmax"}),
    ("igos_naive_insertion", igos_naive_insertion, {"bounded": "softmax"}),
    ("igos_plus_plus", igos_plus_plus, {"bounded": "softmax"}),
    ("igos_plus_plus, step 3", igos_plus_plus, {"bounded": "softmax", "step": 3.0}),
    ("iba", iba, {}),
    ("regression_iba", regression_iba, {}),
    ("inverse_iba", inverse_iba, {}),
    ("readout_iba", readout_iba, {}),
    ("input_iba", input_iba, {}),
    ("pathway_gradient", pathway_gradient, {}),
    ("prune_gradient", prune_gradient, {}),
    ("cdrp_gradient", cdrp_gradient, {"steps": 300}),
)


def sanity() -> None:
    """How alike maps are to those of random weights, permuted labels and another class, beside the same labels from another start.

    A check is passed where the maps are less alike than those of two networks that learnt the same labels, by twice the standard error
    over rows of the paired difference.
    """
    model, same, other, rows, offers = digits(rows=16)
    weightless = randomised(model, layers(model), generator=torch.Generator().manual_seed(3))
    elsewhere = offers | {"target": (offers["target"] + 1) % 10}
    present = torch.ones(len(rows), SIDE * SIDE, dtype=torch.bool)
    print("\n### Sanity: digits, mean rank correlation of |scores|\n")
    print("| method | same labels | random weights | permuted labels | another class |\n|---|---:|---:|---:|---:|")
    for name, method, how in SANE:
        maps = []
        for network, given in ((model, offers), (same, offers), (weightless, offers), (other, offers), (model, elsewhere)):
            drawn = given | {"generator": torch.Generator().manual_seed(len(maps))}
            maps.append(players_of(asked(method, network, rows, drawn, **how), offers["feature_mask"], SIDE * SIDE).abs())
        alike = [spearman(maps[0], found, present) for found in maps[1:]]
        told = [f"{float(alike[0].nanmean()):.2f}"] + [f"{float(found.nanmean()):.2f} {_passed(alike[0], found)}" for found in alike[1:]]
        print(f"| `{name}` | {' | '.join(told)} |", flush=True)


def _passed(usual: Tensor, found: Tensor) -> str:
    apart = usual - found
    apart = apart[apart.isfinite()]
    if len(apart) < 2:
        return "undefined"
    error = float(apart.std() / math.sqrt(len(apart)))
    return "passed" if float(apart.mean()) > 2 * error else "failed"


PARTS = {"mark": mark, "inverse": inverse, "finer": finer, "ball": ball, "sanity": sanity}


def main(parts: list[str]) -> None:
    """Print the parts that are asked for."""
    torch.set_num_threads(1)
    for part in parts or PARTS:
        PARTS[part]()


if __name__ == "__main__":
    main(sys.argv[1:])
