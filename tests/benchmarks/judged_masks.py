"""Optimised masks, bottlenecks and pathways on designed worlds, beside IG, Shapley and random: truth, curves, the pair, contract, axioms.

Run as `python tests/benchmarks/judged_masks.py [worlds] [contract] [axioms]`, all parts without arguments; prints markdown. Settings
other than the papers' are chosen for each world on rows of their own, by the AUROC of the exact support, and rows that choose are not
scored.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch

from attrlab.axioms import AXIOMS
from attrlab.claims import FLOAT64
from attrlab.contract import RULES
from attrlab.errors import AttrlabError, NotApplicable
from attrlab.games import Policy
from attrlab.judge import examine
from attrlab.method import Method
from attrlab.record import Score
from attrlab.registry import find_method
from attrlab.study import applies, metrics_of, prepare, score

ROWS, SCORED, CHOOSING = 8, 0, 100

WORLDS = (
    "colour-count-v1",
    "colour-or-v1",
    "two-class-patches-v1",
    "spurious-mark-v1",
    "spurious-mark-unused-v1",
    "saturated-or-v1",
    "interacting-v1",
    "edge-types-v1",
    "bag-of-patches-v1",
)

_IGOS: tuple[dict[str, Any], ...] = ({}, {"step": 3.0}, {"step": 3.0, "tv": 1.0}, {"step": 3.0, "tv": 1.0, "l1": 0.1})
_BETA: tuple[dict[str, Any], ...] = ({}, {"beta": 1.0}, {"beta": 0.1}, {"beta": 0.01})
_BOTH: tuple[dict[str, Any], ...] = ({}, {"beta": 1.0, "feature_beta": 0.1}, {"beta": 0.1, "feature_beta": 0.1})
_SPARSITY: tuple[dict[str, Any], ...] = ({}, {"sparsity": 0.5}, {"sparsity": 0.2})

SETTINGS: dict[str, tuple[dict[str, Any], ...]] = {
    "random": ({},),
    "integrated_gradients": ({},),
    "shapley": ({},),
    "shapley_sampling": ({},),
    "mask": ({}, {"tv": 0.01}, {"tv": 0.01, "l1": 0.001}),
    "extremal_perturbation": ({}, {"smoothness": 0.02}, {"smoothness": 0.02, "areas": (0.02, 0.05, 0.1)}),
    "igos": _IGOS,
    "igos_naive_insertion": _IGOS,
    "igos_plus_plus": _IGOS,
    "iba": _BETA,
    "regression_iba": _BETA,
    "inverse_iba": _BETA,
    "multilayer_iba": _BETA,
    "readout_iba": _BETA,
    "input_iba": _BOTH,
    "input_iba_lite": _BOTH,
    "pathway_gradient": _SPARSITY,
    "pathway_gradient_integrated": _SPARSITY,
    "prune_gradient": _SPARSITY,
    "cdrp_gradient": _SPARSITY,
    "instance_grad_cam": ({},),
    "instance_regression_iba": _BETA,
    "instance_inverse_iba": _BETA,
    "instance_input_iba": _BOTH,
    "raw_attention": ({},),
    "lrp_epsilon": ({},),
    "lrp_alpha1_beta0": ({},),
}
"""The papers' settings first; of Shapley, the exact values where there are at most 12 players and sampled ones elsewhere."""

THROUGH_THE_POOL = ("raw_attention", "lrp_epsilon", "lrp_alpha1_beta0")
"""Asked of bags only, beside the methods for instances."""

JUDGED = [name for name in SETTINGS if name not in ("random", "integrated_gradients", "shapley", "shapley_sampling", *THROUGH_THE_POOL)]

METRICS = (
    "support_auroc",
    "rank_correlation",
    "relative_l1",
    "deletion",
    "insertion",
    "soundness",
    "information_completeness",
)
HEADS = "| method | setting | AUROC, paper's | AUROC | rank | distance | deletion | insertion | soundness | completeness | ms/row |"


def worlds(ids: Sequence[str]) -> None:
    """One table for each world."""
    for id in ids:
        scored = prepare(id, rows=ROWS, seed=SCORED, policy=Policy())
        print(f"\n### {id}\n\n`{scored.environment.formula}`\n")
        print(f"{HEADS}\n|---|---|{'---:|' * 9}")
        for name in SETTINGS:
            method = find_method(name)
            if not applies(method, scored.environment) or _other_shapley(name, scored.case.players):
                continue
            if name in THROUGH_THE_POOL and scored.environment.modality != "set":
                continue
            try:
                print(_line(method, scored), flush=True)
            except AttrlabError as error:
                print(f"| `{name}` | {str(error).split(';')[0][:90]} |{' |' * 9}", flush=True)


def _other_shapley(name: str, players: int) -> bool:
    return name == ("shapley" if players > 12 else "shapley_sampling")


def chosen(method: Method, id: str, settings: Sequence[dict[str, Any]] = ()) -> dict[str, Any]:
    """The setting whose scores tell the exact support best on rows of a world that are not scored; of equals the first."""
    settings = settings or SETTINGS[method.name]
    if len(settings) == 1:
        return settings[0]
    stage = prepare(id, rows=ROWS, seed=CHOOSING, policy=Policy())
    found = [_values(method.with_parameters(**how), stage, ("support_auroc",))["support_auroc"] for how in settings]
    return settings[max(range(len(found)), key=lambda number: (_finite(found[number]), -number))]


def _line(method: Method, scored: Any) -> str:
    """The method at the paper's setting and at the one that is chosen."""
    how = chosen(method, scored.environment.id)
    first = _values(method, scored, ("support_auroc",))["support_auroc"]
    asked = method.with_parameters(**how)
    start = time.thread_time()
    values = _values(asked, scored, METRICS)
    spent = (time.thread_time() - start) / ROWS * 1e3
    told = ", ".join(f"{key} {value}" for key, value in how.items()) or "paper's"
    return f"| `{method.name}` | {told} | {first:.2f} | " + " | ".join(f"{values[name]:.2f}" for name in METRICS) + f" | {spent:.0f} |"


def _finite(value: float) -> float:
    return value if math.isfinite(value) else -1.0


def _values(method: Method, stage: Any, names: Sequence[str]) -> dict[str, float]:
    found: list[Score] = []
    for question in ("truth", "game"):
        among = [metric for metric in metrics_of(stage.environment, question=question) if metric.name in names]
        if among:
            found += score(method, stage, question=question, among=among)
    return {name: next((float(s.value) for s in found if s.evaluation == name and s.value is not None), math.nan) for name in names}


def contract() -> None:
    """Which rules of the contract each method keeps, on a world of each modality."""
    print("\n### The contract\n\n| method | worlds | kept | broken |\n|---|---|---:|---|")
    for name in JUDGED:
        method = find_method(name)
        light, kept, broken, places = method.with_parameters(**method.light), 0, [], []
        for id in ("two-class-patches-v1", "saturated-or-v1", "edge-types-v1", "bag-of-patches-v1"):
            stage = prepare(id, rows=3, seed=SCORED, policy=Policy())
            if not applies(method, stage.environment):
                continue
            for rule in RULES:
                try:
                    rule.check(light, stage.case)
                    kept += 1
                except NotApplicable:
                    break
                except AttrlabError as error:
                    broken.append(f"{rule.name} on {id}: {str(error)[:60]}")
            else:
                places.append(id)
        print(f"| `{name}` | {len(places)} | {kept} | {'; '.join(broken) or 'none'} |", flush=True)


def axioms() -> None:
    """What is found of each axiom on some worlds, in the light setting of each method: refuted where, or not refuted on so many."""
    print("\n### Axioms\n\n| method | refuted, on the first of these worlds | not refuted on any world asked |\n|---|---|---|")
    for name in JUDGED:
        method = find_method(name)
        light, refuted, kept = method.with_parameters(**method.light), [], []
        for axiom in AXIOMS.values():
            asked, where = 0, ""
            for stage in _stages(method):
                if axiom.applies_to(stage.case):
                    try:
                        found = examine(light, axiom, stage.case, tolerance=FLOAT64)
                    except AttrlabError:
                        continue
                    asked += 1
                    if found.judgement == "refuted":
                        where = stage.environment.id
                        break
            if where:
                refuted.append(f"{axiom.name} ({where})")
            elif asked:
                kept.append(f"{axiom.name} ({asked})")
        print(f"| `{name}` | {', '.join(refuted)} | {', '.join(kept)} |", flush=True)


AXIOM_WORLDS = (
    "saturation-witness-v1",
    "invariance-witness-v1",
    "symmetry-witness-v1",
    "sign-witness-v1",
    "monotonicity-witness-v1",
    "sum-witness-v1",
    "or-witness-v1",
    "continuity-witness-v1",
    "dummy-witness-v1",
    "positions-witness-v1",
    "colour-count-v1",
    "colour-difference-v1",
    "two-class-patches-v1",
    "edge-types-v1",
    "bag-of-patches-v1",
)


def _stages(method: Method) -> Iterator[Any]:
    for id in AXIOM_WORLDS:
        stage = prepare(id, rows=4, seed=SCORED, policy=Policy())
        if applies(method, stage.environment):
            yield stage


def main(parts: list[str]) -> None:
    """Print the parts that are asked for."""
    torch.set_num_threads(1)
    ids = [part for part in parts if part in WORLDS]
    if not parts or "worlds" in parts or ids:
        worlds(ids or WORLDS)
    if not parts or "contract" in parts:
        contract()
    if not parts or "axioms" in parts:
        axioms()


if __name__ == "__main__":
    main(sys.argv[1:])
