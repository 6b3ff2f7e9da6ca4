"""Wasserstein critics, one for each row, trained together: their weights are batched, so a product is one call whatever the batch is.

Updates are elementwise (RMSprop, then clipping of weights), so a row's game is the one it plays alone; weights and noise are drawn from
the row's own stream.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.methods.masked_rows import step_seeds
from attrlab.methods.row_noise import counted_normal, entry_normal
from attrlab.randomness import row_uniform

HIDDEN = (64, 32)
"""Units of a critic's two hidden layers."""

SLOPE = 0.2
"""Of its leaky rectifiers."""

CRITIC_LR, CLIP = 5e-5, 0.01
"""The critics' step size and the bound of their weights (Arjovsky et al. 2017, algorithm 1)."""

PRIOR_LR = {"mask": 0.003, "mean": 0.1, "deviation": 0.05}
"""Step sizes of what the critics judge."""

DECAY, EPSILON = 0.99, 1e-8
"""Of RMSprop, as torch has them."""

Made = Callable[[dict[str, Tensor], Tensor], Tensor]
Real = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True, kw_only=True)
class Critics:
    """Weights (rows, units in, units out) and biases (rows, 1, units out) of three layers; they are updated in place."""

    weights: list[Tensor]
    biases: list[Tensor]

    def scores(
        self,
        values: Tensor,  # (rows, samples, units)
    ) -> Tensor:  # (rows, samples)
        """What each row's critic says of its own values."""
        for number, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias, values, weight)
            values = functional.leaky_relu(values, SLOPE) if number + 1 < len(self.weights) else values
        return values.squeeze(2)


def critics_of(
    units: int,
    seeds: Tensor,  # (rows,) int64
    *,
    like: Tensor,
    counts: Tensor | None = None,  # (rows,)
) -> Critics:
    """Critics of values of so many units, `counts` of which a row has, with weights drawn from the rows' streams and clipped."""
    sizes = (units, *HIDDEN, 1)
    streams = step_seeds(seeds + 2, len(sizes) - 1)
    weights = []
    for number, (above, below) in enumerate(itertools.pairwise(sizes)):
        drawn = counted_normal(streams[number], samples=below, count=above, dtype=like.dtype).transpose(1, 2)
        size = drawn.new_full((len(seeds),), above) if counts is None or number else counts.to(drawn)
        weights.append((drawn / size.sqrt().view(-1, 1, 1)).clamp(-CLIP, CLIP))
    return Critics(weights=weights, biases=[like.new_zeros(len(seeds), 1, below) for below in sizes[1:]])


def wasserstein_rounds(
    critics: Critics,
    parameters: dict[str, Tensor],  # each (rows, *anything)
    made: Made,
    real: Real,
    seeds: Tensor,  # (rows,) int64
    *,
    owned: Tensor,  # (rows, *features) bool
    rounds: int,
    samples: int,
    critic_steps: int,
) -> dict[str, Tensor]:
    """Train critics to tell real values from made ones, and the parameters of what is made to be told apart less.

    `made(parameters, grain)` and `real(uniform, grain)` return (rows, samples, units); grain is standard normal, of what is made at the
    entries that are owned.
    """
    parameters = {name: value.detach().clone() for name, value in parameters.items()}
    squares = {name: torch.zeros_like(value) for name, value in parameters.items()}
    trained = [*critics.weights, *critics.biases]
    moments = [torch.zeros_like(value) for value in trained]
    units = critics.weights[0].shape[1]
    streams = iter(step_seeds(seeds + 3, rounds * (critic_steps * 3 + 1)))
    dtype = trained[0].dtype
    for _ in range(rounds):
        for _ in range(critic_steps):
            uniform = row_uniform(next(streams), (samples, 2)).to(dtype)
            truth = real(uniform, counted_normal(next(streams), samples=samples, count=units, dtype=dtype))
            with torch.no_grad():
                false = made(parameters, entry_normal(next(streams), owned, samples=samples, dtype=dtype))
            _train(critics, trained, moments, truth, false)
        _improve(critics, parameters, squares, made, entry_normal(next(streams), owned, samples=samples, dtype=dtype))
    return parameters


def _train(critics: Critics, trained: list[Tensor], moments: list[Tensor], truth: Tensor, false: Tensor) -> None:
    """One step of all critics."""
    with torch.enable_grad():
        for value in trained:
            value.requires_grad_()
        loss = (critics.scores(false) - critics.scores(truth)).mean(1).sum()
        slopes = torch.autograd.grad(loss, trained)
    for value, moment, slope in zip(trained, moments, slopes, strict=True):
        value.requires_grad_(False)
        _rms_step(value, moment, slope, CRITIC_LR)
        value.clamp_(-CLIP, CLIP)


def _improve(critics: Critics, parameters: dict[str, Tensor], squares: dict[str, Tensor], made: Made, grain: Tensor) -> None:
    """One step of what is made."""
    with torch.enable_grad():
        leaves = {name: value.detach().requires_grad_() for name, value in parameters.items()}
        loss = -critics.scores(made(leaves, grain)).mean(1).sum()
        slopes = torch.autograd.grad(loss, list(leaves.values()), allow_unused=True)
    for (name, value), slope in zip(parameters.items(), slopes, strict=True):
        if slope is not None:
            _rms_step(value, squares[name], slope, PRIOR_LR[name])


def _rms_step(value: Tensor, moment: Tensor, slope: Tensor, lr: float) -> None:
    moment.mul_(DECAY).addcmul_(slope, slope, value=1 - DECAY)
    value.addcdiv_(slope, moment.sqrt().add_(EPSILON), value=-lr)
