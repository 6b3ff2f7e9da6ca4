"""Networks and rows that tests of path integrals share."""

from __future__ import annotations

import torch
from hypothesis import settings
from torch import nn

SEARCH = settings(max_examples=60, deadline=None)  # machines differ in speed, and speed is not the claim
WEIGHTS_IN_FLOAT32 = 1e-5
"""Captum holds nodes and weights of the quadrature in float32: 6e-8, times scores of order 10 and slopes that jump by as much."""

ROUNDING = 1e-12
"""Float64 rounding of some fifty terms of order 10."""


class Function(nn.Module):
    """A network given as a plain function of the rows, with a linear layer on either side where `width` is given."""

    def __init__(self, function, *, columns=4, width=None):
        super().__init__()
        self.function = function
        generator = torch.Generator().manual_seed(7)
        self.first, self.last = (nn.Linear(columns, width), nn.Linear(width, 2)) if width else (nn.Identity(), nn.Identity())
        for parameter in self.parameters():
            parameter.data = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
        self.requires_grad_(False)

    def forward(self, rows):
        return self.last(self.function(self.first(rows)))


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def zeros(batch):
    return torch.zeros(batch, dtype=torch.int64)


def gap(model, inputs, baseline, target, scores):
    rows = torch.arange(len(inputs))
    delta = model(inputs)[rows, target] - model(baseline)[rows, target]
    return float((scores.flatten(1).sum(1) - delta).abs().max())
