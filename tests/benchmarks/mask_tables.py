"""The tables of the papers of optimised masks and bottlenecks, in kind: on designed networks, and on a small network trained on digits.

Run as `python tests/benchmarks/mask_tables.py [worlds] [sizes] [ablation] [sanity]`; all parts without arguments. Deletion (lower is
better) and insertion (higher is better) are areas over players; of worlds relative to the output, of digits in probability.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
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
from attrlab.methods.sampling import shapley_sampling
from attrlab.metrics.answers import Answers
from attrlab.metrics.localisation import support_auroc
from attrlab.metrics.perturbation import perturbation_area
from attrlab.metrics.randomisation import layers, randomised
from attrlab.metrics.similarity import spearman
from synthetic import make_environment

Method = Callable[..., Tensor]
Offers = dict[str, Tensor]

WORLDS = ("colour-count-v1", "colour-or-v1", "spurious-mark-v1", "spurious-mark-unused-v1", "saturated-or-v1", "edge-types-v1")
SIDE, SIZES = 16, (16, 8, 4)

METHODS: dict[str, Method] = {
    "random": random_scores,
    "integrated_gradients": integrated_gradients,
    "shapley_sampling": shapley_sampling,
    "mask": mask,
    "extremal_perturbation": extremal_perturbation,
    "igos": igos,
    "igos_naive_insertion": igos_naive_insertion,
    "igos_plus_plus": igos_plus_plus,
    "regression_iba": regression_iba,
    "regression_iba, beta 0.1": partial(regression_iba, beta=0.1),
    "inverse_iba, beta 0.1": partial(inverse_iba, beta=0.1),
    "multilayer_iba": multilayer_iba,
    "readout_iba": readout_iba,
    "input_iba_lite": input_iba_lite,
    "input_iba": input_iba,
    "pathway_gradient": pathway_gradient,
    "prune_gradient": prune_gradient,
}


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


def worlds() -> None:
    """Truth, deletion and insertion of each method on designed worlds."""
    for id in WORLDS:
        world = make_environment(id)
        batch = world.sample(12, torch.Generator().manual_seed(0))
        known = world.sample(64, torch.Generator().manual_seed(1)).inputs
        offers = {"target": batch.target, "baseline": batch.baseline, "feature_mask": batch.feature_mask}
        offers |= {"seeds": torch.arange(12), "reference": known, "generator": torch.Generator().manual_seed(0)}
        support = batch.truth.support
        present = players_of(torch.ones_like(batch.inputs), batch.feature_mask, support.shape[1]) > 0
        print(f"\n{id:28} {'AUROC':>7} {'deletion':>9} {'insertion':>10}")
        for name, method in METHODS.items():
            try:
                scores = asked(method, world.model, batch.inputs, offers)
            except Exception as error:
                print(f"{name:28} {type(error).__name__}")
                continue
            players = players_of(scores, batch.feature_mask, support.shape[1])
            truth = support_auroc(players, truth=players, support=support, present=present).nanmean()
            deletion, insertion = areas(world.model, batch.inputs, offers, scores, value="logit", normalised=True)
            print(f"{name:28} {float(truth):7.3f} {deletion:9.3f} {insertion:10.3f}", flush=True)


def digits() -> tuple[nn.Module, nn.Module, Tensor, Offers]:
    """A network trained on digits of 16 x 16 pixels, one trained on shuffled labels, rows they were not trained on, and the offers."""
    data = load_digits()
    images = torch.from_numpy(data.images / 16.0).float().unsqueeze(1)
    images = functional.interpolate(images, size=SIDE, mode="bilinear", align_corners=False)
    labels, generator = torch.from_numpy(data.target), torch.Generator().manual_seed(0)
    order = torch.randperm(len(images), generator=generator)
    train, test = order[:1500], order[1500:]
    shuffled = labels[train][torch.randperm(1500, generator=generator)]
    model, other = trained(images[train], labels[train], epochs=12), trained(images[train], shuffled, epochs=12)
    accuracy = float((model(images[test]).argmax(1) == labels[test]).float().mean())
    print(f"accuracy on digits not trained on: {accuracy:.3f}")
    rows = images[test][:24]
    offers = {"target": model(rows).argmax(1), "baseline": torch.zeros_like(rows), "seeds": torch.arange(24)}
    offers |= {"feature_mask": torch.arange(SIDE * SIDE).view(1, 1, SIDE, SIDE).repeat(24, 1, 1, 1), "reference": images[train][:500]}
    return model, other, rows, offers


def trained(images: Tensor, labels: Tensor, *, epochs: int) -> nn.Module:
    """Two convolutions and a head, by Adam."""
    body = [nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    model, generator = nn.Sequential(*body, nn.Flatten(), nn.Linear(256, 10)), torch.Generator().manual_seed(0)
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


def sizes(model: nn.Module, rows: Tensor, offers: Offers) -> None:
    """Deletion and insertion at three sizes of mask."""
    print(f"\n{'digits, mask of':28} " + " ".join(f"{f'{size} x {size}':>15}" for size in SIZES))
    softmax = {"bounded": "softmax"}
    for name, method, how in (
        ("random", random_scores, {}),
        ("grad_cam", grad_cam, {}),
        ("integrated_gradients", integrated_gradients, {}),
        ("rise", rise, {"samples": 1000}),
        ("mask", mask, softmax),
        ("igos", igos, softmax),
        ("igos_naive_insertion", igos_naive_insertion, softmax),
        ("igos_plus_plus", igos_plus_plus, softmax),
        ("extremal_perturbation", extremal_perturbation, softmax | {"steps": 300}),
        ("iba", iba, {}),
        ("inverse_iba", inverse_iba, {}),
        ("input_iba", input_iba, {}),
        ("pathway_gradient", pathway_gradient, {}),
    ):
        found = []
        for size in SIZES:
            own = {"cells": size} if method is rise else {"size": size} if "bounded" in how else {}
            if found and not own:
                continue
            given = offers | {"generator": torch.Generator().manual_seed(0)}
            found.append(areas(model, rows, offers, asked(method, model, rows, given, **how, **own), value="probability", normalised=False))
        print(f"{name:28} " + " ".join(f"{deletion:7.3f}/{insertion:.3f}  " for deletion, insertion in found), flush=True)


def ablation(model: nn.Module, rows: Tensor, offers: Offers) -> None:
    """What each part of iGOS++ is worth, and the objective that one mask and two reach."""
    question = {name: offers[name] for name in ("target", "baseline", "feature_mask", "seeds")}
    print(f"\n{'digits, 16 x 16':28} {'deletion':>9} {'insertion':>10} {'naive objective':>16}")
    one = Descent(objective="naive", noise=0.0)
    for name, descent in (
        ("igos_plus_plus", Descent()),
        ("no noise", Descent(noise=0.0)),
        ("fixed step", Descent(fixed=1000.0, armijo=Armijo(start=1000.0))),
        ("no bilateral variation", Descent(bilateral=False)),
        ("insertion only", Descent(objective="insertion")),
        ("deletion only", Descent(objective="deletion")),
        ("naive sum", Descent(objective="naive")),
    ):
        found = integrated_masks(model, rows, **question, descent=descent, size=SIDE, bounded="softmax")
        reached = objective_of(model, rows, question, found.product, one)
        deletion, insertion = areas(model, rows, offers, found.scores, value="probability", normalised=False)
        print(f"{name:28} {deletion:9.3f} {insertion:10.3f} {reached:16.3f}", flush=True)


def objective_of(model: nn.Module, rows: Tensor, question: Offers, product: Tensor, descent: Descent) -> float:
    """The mean of D(m) - I(m) + penalty at some masks."""
    return float(objective_at(model, rows, **question, masks=product, descent=descent, size=SIDE, bounded="softmax").mean())


def sanity(model: nn.Module, other: nn.Module, rows: Tensor, offers: Offers) -> None:
    """Rank correlation of |scores| with those of a network of random weights, of one trained on random labels, and of another class."""
    print(f"\n{'digits, |rank correlation|':28} {'random weights':>15} {'random labels':>14} {'another class':>14}")
    weightless = randomised(model, layers(model), generator=torch.Generator().manual_seed(3))
    elsewhere = offers | {"target": (offers["target"] + 1) % 10}
    present = torch.ones(len(rows), SIDE * SIDE, dtype=torch.bool)
    for name, method, how in (
        ("integrated_gradients", integrated_gradients, {}),
        ("mask", mask, {"bounded": "softmax"}),
        ("igos", igos, {"bounded": "softmax"}),
        ("igos_plus_plus", igos_plus_plus, {"bounded": "softmax"}),
        ("extremal_perturbation", extremal_perturbation, {"bounded": "softmax", "steps": 200}),
        ("iba", iba, {}),
        ("inverse_iba", inverse_iba, {}),
        ("input_iba", input_iba, {}),
        ("pathway_gradient", pathway_gradient, {}),
        ("prune_gradient", prune_gradient, {}),
    ):
        scores = [
            asked(method, network, rows, given, **how).flatten(1).abs()
            for network, given in ((model, offers), (weightless, offers), (other, offers), (model, elsewhere))
        ]
        alike = [float(spearman(scores[0], found, present).nanmean()) for found in scores[1:]]
        print(f"{name:28} {alike[0]:15.2f} {alike[1]:14.2f} {alike[2]:14.2f}", flush=True)


def main(parts: list[str]) -> None:
    """Print the tables that are asked for."""
    torch.set_num_threads(1)
    if not parts or "worlds" in parts:
        worlds()
    if not parts or set(parts) & {"sizes", "ablation", "sanity"}:
        model, other, rows, offers = digits()
        if not parts or "sizes" in parts:
            sizes(model, rows, offers)
        if not parts or "ablation" in parts:
            ablation(model, rows, offers)
        if not parts or "sanity" in parts:
            sanity(model, other, rows, offers)


if __name__ == "__main__":
    main(sys.argv[1:])
