"""Modified backward rules beside Captum's, and beside the plain gradient: one forward and one backward pass of the same network.

Run as `python tests/benchmarks/backward_rules.py [ROUNDS]`; float32, 64 rows, one thread. Captum is given what its hooks can see:
modules, each used once.
"""

from __future__ import annotations

import sys
import warnings
from functools import partial

import torch
from captum.attr import LRP, GuidedBackprop
from side_by_side import Row, compare
from torch import Tensor, nn

from attrlab.methods.backward_rules import guided_backprop
from attrlab.methods.gradients import gradient
from attrlab.methods.relevance import lrp_0, lrp_alpha_beta, lrp_epsilon, lrp_gamma


class Convolutional(nn.Module):
    """Two convolutions, written without nn.Flatten, for which Captum's LRP has no rule."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU()]
        self.body, self.pool, self.head = nn.Sequential(*layers), nn.AdaptiveAvgPool2d(1), nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        logits: Tensor = self.head(self.pool(self.body(x)).flatten(1))
        return logits


def rows(name: str, model: nn.Module, x: Tensor) -> list[Row]:
    """Every method beside its peer and beside the gradient."""
    target = torch.arange(len(x)) % 10
    slope = partial(gradient, model, x, target=target)

    def captum(method: type) -> object:
        return method(model).attribute(x.clone().requires_grad_(), target=target)

    pairs = [(guided_backprop, GuidedBackprop), (lrp_epsilon, LRP)]
    found = [
        Row(
            name=f"{name}, {ours.__name__} / Captum",
            work=partial(ours, model, x, target=target),
            bounds=(partial(captum, peer),),
            target="<= 1",
        )
        for ours, peer in pairs
    ]
    plus = partial(lrp_alpha_beta, alpha=1.0, beta=0.0)
    for label, method in (
        ("guided_backprop", guided_backprop),
        ("lrp_0", lrp_0),
        ("lrp_epsilon", lrp_epsilon),
        ("z plus", plus),
        ("lrp_gamma", lrp_gamma),
    ):
        found.append(Row(name=f"{name}, {label} / gradient", work=partial(method, model, x, target=target), bounds=(slope,), target="-"))
    return found


def main(rounds: int) -> None:
    """Print one line per comparison."""
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", category=UserWarning)  # Captum announces its hooks
    dense = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))
    print(f"{'comparison':40} {'median ratio':>13} {'of minima':>10} {'ms':>8}  target")
    for name, model, x in (("CNN", Convolutional(), torch.randn(64, 3, 32, 32)), ("MLP", dense, torch.randn(64, 20))):
        for row in rows(name, model.eval(), x):
            ratio, minima, seconds = compare(row, rounds=rounds)
            print(f"{row.name:40} {ratio:13.2f} {minima:10.2f} {seconds * 1e3:8.2f}  {row.target}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 30)
