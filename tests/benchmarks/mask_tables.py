"""The tables of the paper of iGOS++, in kind, on a small network trained on digits: three sizes of mask, the ablation, and the objective.

Run as `python tests/benchmarks/mask_tables.py [sizes [METHOD ...]] [ablation] [objective] [reached] [first_steps]`, all parts without
arguments. Deletion (lower is better) and insertion (higher is better) are areas over pixels, in probability. Settings other than the
papers' are chosen on digits of their own, by insertion - deletion, and digits that choose are not scored. Designed worlds are
`judged_masks.py`.
"""

from __future__ import annotations

import functools
import inspect
import sys
from collections.abc import Callable, Sequence
from typing import Any

import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.nn import functional

from attrlab.games.game import make_game
from attrlab.method import players_of
from attrlab.methods.bottlenecks import iba, inverse_iba, multilayer_iba, regression_iba
from attrlab.methods.class_activation import grad_cam
from attrlab.methods.controls import random as random_scores
from attrlab.methods.extremal import extremal_perturbation
from attrlab.methods.igos import igos, igos_naive_insertion, igos_plus_plus
from attrlab.methods.input_bottleneck import input_iba, input_iba_lite
from attrlab.methods.integrated_masks import Descent, integrated_masks, objective_at
from attrlab.methods.line_search import Armijo
from attrlab.methods.optimised_masks import mask
from attrlab.methods.paths import integrated_gradients
from attrlab.methods.pathways import pathway_gradient, prune_gradient
from attrlab.methods.readout_bottleneck import readout_iba
from attrlab.methods.rise import rise
from attrlab.methods.routing import cdrp_gradient
from attrlab.metrics.answers import Answers
from attrlab.metrics.perturbation import perturbation_area
from synthetic import make_environment

Method = Callable[..., Tensor]
Offers = dict[str, Tensor]

SIDE, SIZES, TRAINED = 16, (16, 8, 4), 1500


def asked(method: Method, model: nn.Module, inputs: Tensor, offers: Offers, **how: Any) -> Tensor:
    """Ask a method, with the offers that it names."""
    names = inspect.signature(method).parameters
    return method(model, inputs, **{name: value for name, value in offers.items() if name in names}, **how)


def areas(model: nn.Module, inputs: Tensor, offers: Offers, scores: Tensor, *, value: str, normalised: bool) -> tuple[float, float]:
    """Mean deletion and insertion."""
    question = {name: offers[name] for name in ("target", "baseline", "feature_mask")}
    game = make_game(model, inputs, **question)
    players = players_of(scores, offers["feature_mask"], game.players)
    found = [
        perturbation_area(Answers(game), players, mode=mode, value=value, normalised=normalised, steps=20 if game.players > 100 else None)  # type: ignore[arg-type]
        for mode in ("deletion", "insertion")
    ]
    return float(found[0].nanmean()), float(found[1].nanmean())


@functools.cache
def networks() -> tuple[tuple[nn.Module, nn.Module, nn.Module], Tensor, Tensor]:
    """Networks trained on labels, on the same labels from another start, and on permuted ones; and digits, 1500 of them trained on."""
    data = load_digits()
    images = torch.from_numpy(data.images / 16.0).float().unsqueeze(1)
    images = functional.interpolate(images, size=SIDE, mode="bilinear", align_corners=False)
    labels, generator = torch.from_numpy(data.target), torch.Generator().manual_seed(0)
    order = torch.randperm(len(images), generator=generator)
    images, labels = images[order], labels[order]
    permuted = labels[:TRAINED][torch.randperm(TRAINED, generator=generator)]
    model, same = (trained(images[:TRAINED], labels[:TRAINED], epochs=12, seed=seed) for seed in (0, 1))
    other = trained(images[:TRAINED], permuted, epochs=12, seed=0)
    accuracy = float((model(images[TRAINED:]).argmax(1) == labels[TRAINED:]).float().mean())
    print(f"\nAccuracy on digits not trained on: {accuracy:.3f}")
    return (model, same, other), images, labels


def digits(*, rows: int = 24, first: int = 0) -> tuple[nn.Module, nn.Module, nn.Module, Tensor, Offers]:
    """The networks, some digits they were not trained on, and the offers for them."""
    (model, same, other), images, _ = networks()
    shown = images[TRAINED + first : TRAINED + first + rows]
    offers = {"target": model(shown).argmax(1), "baseline": torch.zeros_like(shown), "seeds": torch.arange(rows)}
    offers |= {"feature_mask": torch.arange(SIDE * SIDE).view(1, 1, SIDE, SIDE).repeat(rows, 1, 1, 1), "reference": images[:500]}
    return model, same, other, shown, offers


def of_kinks() -> tuple[nn.Module, Tensor, Tensor]:
    """A network that pools by means, so that its rectifiers are its only kinks, in float64, with digits and its answers."""
    _, images, labels = networks()
    model = trained(images[:TRAINED], labels[:TRAINED], epochs=12, seed=0, pool=nn.AvgPool2d).double()
    rows = images[TRAINED : TRAINED + 6].double()
    return model, rows, model(rows).argmax(1)


def trained(images: Tensor, labels: Tensor, *, epochs: int, seed: int, pool: type[nn.Module] = nn.MaxPool2d) -> nn.Module:
    """Two convolutions and a head, by Adam."""
    body = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), pool(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), pool(2)]
    model, generator = nn.Sequential(*body, nn.Flatten(), nn.Linear(256, 10)), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            fan = parameter[0].numel() if parameter.dim() > 1 else 1
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * ((2 / fan) ** 0.5 if parameter.dim() > 1 else 0.0))
    adam = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(epochs):
        for rows in torch.randperm(len(images), generator=generator).split(50):
            adam.zero_grad()
            functional.cross_entropy(model(images[rows]), labels[rows]).backward()
            adam.step()
    return model.eval().requires_grad_(False)


IGOS: tuple[dict[str, Any], ...] = tuple({"step": step, "l1": l1} for step in (1000.0, 3.0) for l1 in (1.0, 3.0))
BETA: tuple[dict[str, Any], ...] = tuple({"beta": beta} for beta in (10.0, 1.0, 0.1))
LAYER: tuple[dict[str, Any], ...] = (*BETA, *({"layer": layer, "beta": beta} for layer in ("1", "4") for beta in (10.0, 1.0, 0.1)))
BOTH: tuple[dict[str, Any], ...] = tuple({"beta": beta, "feature_beta": feature} for beta in (20.0, 2.0, 0.2) for feature in (20.0, 1.0))
SPARSITY: tuple[dict[str, Any], ...] = tuple({"sparsity": sparsity} for sparsity in (0.85, 0.5))

EXPLAINED: tuple[tuple[str, Method, dict[str, Any], tuple[dict[str, Any], ...]], ...] = (
    ("random", random_scores, {}, ()),
    ("grad_cam", grad_cam, {}, ()),
    ("integrated_gradients", integrated_gradients, {}, ()),
    ("rise", rise, {"samples": 1000}, ()),
    ("mask", mask, {"bounded": "softmax"}, ({}, {"tv": 0.02}, {"tv": 2.0})),
    ("extremal_perturbation", extremal_perturbation, {"bounded": "softmax", "steps": 300}, ({}, {"smoothness": 0.02})),
    ("igos", igos, {"bounded": "softmax"}, IGOS),
    ("igos_naive_insertion", igos_naive_insertion, {"bounded": "softmax"}, IGOS),
    ("igos_plus_plus", igos_plus_plus, {"bounded": "softmax"}, IGOS),
    ("iba", iba, {}, LAYER),
    ("regression_iba", regression_iba, {}, LAYER),
    ("inverse_iba", inverse_iba, {}, LAYER),
    ("multilayer_iba", multilayer_iba, {}, BETA),
    ("readout_iba", readout_iba, {}, BETA),
    ("input_iba", input_iba, {}, BOTH),
    ("input_iba_lite", input_iba_lite, {}, BOTH),
    ("pathway_gradient", pathway_gradient, {}, SPARSITY),
    ("prune_gradient", prune_gradient, {}, SPARSITY),
    ("cdrp_gradient", cdrp_gradient, {"steps": 300}, SPARSITY),
)
"""Name, method, what is always said, and settings to choose from, the paper's first."""


def sizes(names: Sequence[str] = ()) -> None:
    """Deletion / insertion at three sizes of mask, with the paper's settings and with chosen ones; of these methods, or of all."""
    model, _, _, rows, offers = digits()
    _, _, _, others, their = digits(first=24)
    heads = " | ".join(f"{size} x {size}" for size in SIZES)
    print(f"\n### Digits: deletion / insertion\n\n| method | setting | {heads} |\n|---|---|{'---:|' * len(SIZES)}")
    for name, method, always, settings in EXPLAINED:
        if names and name not in names:
            continue
        resized = "bounded" in always
        how = max(settings, key=lambda one: _gap(model, others, their, method, always | one)) if settings else {}
        for setting in [{}, how] if settings and how not in ({}, settings[0]) else [{}]:
            told = []
            for size in SIZES if resized or method is rise else SIZES[:1]:
                own = {"cells": size} if method is rise else {"size": size} if resized else {}
                deletion, insertion = _areas_of(model, rows, offers, method, always | setting | own)
                told.append(f"{deletion:.3f} / {insertion:.3f}")
            said = ", ".join(f"{key} {value}" for key, value in setting.items()) or "paper's"
            print(f"| `{name}` | {said} | {' | '.join(told + [''] * (len(SIZES) - len(told)))} |", flush=True)


def _areas_of(model: nn.Module, rows: Tensor, offers: Offers, method: Method, how: dict[str, Any]) -> tuple[float, float]:
    given = offers | {"generator": torch.Generator().manual_seed(0)}
    return areas(model, rows, offers, asked(method, model, rows, given, **how), value="probability", normalised=False)


def _gap(model: nn.Module, rows: Tensor, offers: Offers, method: Method, how: dict[str, Any]) -> float:
    deletion, insertion = _areas_of(model, rows, offers, method, how)
    return insertion - deletion


def ablation() -> None:
    """What each part of iGOS++ is worth, from the paper's first step and from one in proportion to a small mask."""
    model, _, _, rows, offers = digits()
    print("\n### Digits, 16 x 16: the ablation\n\n| variant | first step | deletion | insertion | removed |\n|---|---:|---:|---:|---:|")
    for start in (1000.0, 3.0):
        search = Armijo(start=start)
        for name, descent in (
            ("igos_plus_plus", Descent(armijo=search)),
            ("no noise", Descent(noise=0.0, armijo=search)),
            ("fixed step", Descent(fixed=start, armijo=search)),
            ("no bilateral variation", Descent(bilateral=False, armijo=search)),
            ("insertion only", Descent(objective="insertion", armijo=search)),
            ("deletion only", Descent(objective="deletion", armijo=search)),
            ("naive sum", Descent(objective="naive", armijo=search)),
        ):
            found = integrated_masks(model, rows, **_question(offers), descent=descent, size=SIDE, bounded="softmax")
            deletion, insertion = areas(model, rows, offers, found.scores, value="probability", normalised=False)
            print(f"| {name} | {start:g} | {deletion:.3f} | {insertion:.3f} | {float((1 - found.product).mean()):.2f} |", flush=True)


def objective() -> None:
    """The objective of one mask, D(m) - I(m) + penalty, that the naive sum and the product of iGOS++ reach, and iGOS++'s own.

    The product has the scores twice, so it is also given twice the penalty.
    """
    model, _, _, rows, offers = digits()
    one = Descent(objective="naive", noise=0.0)
    print("\n### Digits, 16 x 16: objectives reached\n")
    print("| descent | penalty | first step | steps | of one mask | its own | both masks 0 |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for kind in ("naive", "product"):
        for times in (1, 2) if kind == "product" else (1,):
            for start, steps in ((1000.0, 15), (3.0, 15), (1.0, 60)):
                descent = Descent(objective=kind, l1=1.0 * times, tv=20.0 * times, steps=steps, armijo=Armijo(start=start))
                found = integrated_masks(model, rows, **_question(offers), descent=descent, size=SIDE, bounded="softmax")
                reached = objective_at(model, rows, **_question(offers), masks=found.product, descent=one, size=SIDE, bounded="softmax")
                both = float(((found.deletion == 0) & (found.insertion == 0)).float().mean())
                own = float(found.objective.mean())
                print(f"| {kind} | {times} | {start:g} | {steps} | {float(reached.mean()):.3f} | {own:.3f} | {both:.3f} |", flush=True)


def first_steps() -> None:
    """The objective of iGOS++ from several first steps, on digits that are scored nowhere."""
    model, _, _, rows, offers = digits(first=24)
    print("\n### Digits that choose: the first step of iGOS++\n")
    print("| first step | its objective | removed | both masks 0 |\n|---:|---:|---:|---:|")
    for start in (1000.0, 300.0, 100.0, 30.0, 10.0, 3.0, 1.0, 0.3):
        descent = Descent(armijo=Armijo(start=start))
        found = integrated_masks(model, rows, **_question(offers), descent=descent, size=SIDE, bounded="softmax")
        both = float(((found.deletion == 0) & (found.insertion == 0)).float().mean())
        told = f"{float(found.objective.mean()):.3f} | {float((1 - found.product).mean()):.2f} | {both:.3f}"
        print(f"| {start:g} | {told} |", flush=True)


OBJECTIVE_WORLDS = (
    "spurious-mark-v1",
    "two-class-patches-v1",
    "colour-continuous-v1",
    "colour-count-v1",
    "colour-or-v1",
    "colour-and-v1",
    "repeated-patch-v1",
    "saturated-or-v1",
    "interacting-v1",
    "unanimity-v1",
    "edge-types-v1",
    "house-v1",
)


def reached() -> None:
    """The objective of one mask that the naive sum and the product reach on designed worlds, without noise, on 4 rows of each."""
    print("\n### Worlds: the objective of one mask that is reached\n\n| world | naive sum | product | lower |\n|---|---:|---:|---|")
    one = Descent(objective="naive", noise=0.0)
    for id in OBJECTIVE_WORLDS:
        world = make_environment(id)
        batch = world.sample(4, torch.Generator().manual_seed(0))
        question = {name: getattr(batch, name) for name in ("target", "baseline", "feature_mask")} | {"seeds": torch.arange(4)}
        values = []
        for kind in ("naive", "product"):
            found = integrated_masks(world.model, batch.inputs, **question, descent=Descent(objective=kind, noise=0.0))
            value = objective_at(world.model, batch.inputs, **question, masks=found.product, descent=one)
            values.append(float(value[found.explained].mean()))
        lower = "neither" if abs(values[0] - values[1]) < 1e-3 else "product" if values[1] < values[0] else "naive sum"
        print(f"| {id} | {values[0]:.3f} | {values[1]:.3f} | {lower} |", flush=True)


def _question(offers: Offers) -> Offers:
    return {name: offers[name] for name in ("target", "baseline", "feature_mask", "seeds")}


PARTS: dict[str, Callable[..., None]] = {
    "sizes": sizes,
    "ablation": ablation,
    "objective": objective,
    "reached": reached,
    "first_steps": first_steps,
}


def main(parts: list[str]) -> None:
    """Print the tables that are asked for."""
    torch.set_num_threads(1)
    names = [part for part in parts if part not in PARTS]
    for part in [part for part in parts if part in PARTS] or PARTS:
        PARTS[part](*([names] if part == "sizes" else []))


if __name__ == "__main__":
    main(sys.argv[1:])
