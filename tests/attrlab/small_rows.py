"""Small networks and rows on which methods that optimise are quick: a table, an image and a graph, with what is offered for them."""

from __future__ import annotations

import torch
from torch import nn


def dense(columns: int, *, outputs: int = 3, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    layers = [nn.Linear(columns, 8).double(), nn.Tanh(), nn.Linear(8, outputs).double()]
    return drawn(nn.Sequential(*layers), generator)


def convolutional(*, outputs: int = 3, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    body = [nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, outputs)]
    return drawn(nn.Sequential(*body, *head).double(), generator)


def drawn(model: nn.Module, generator: torch.Generator) -> nn.Module:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.7)
    return model.eval().requires_grad_(False)


def table_rows(rows: int = 3, columns: int = 5, *, seed: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, columns, generator=generator, dtype=torch.float64)
    return inputs, offered(inputs, torch.arange(columns).expand(rows, columns))


def image_rows(rows: int = 3, side: int = 6, *, seed: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, 2, side, side, generator=generator, dtype=torch.float64)
    return inputs, offered(inputs, torch.arange(side * side).view(1, 1, side, side).expand_as(inputs))


def offered(inputs: torch.Tensor, feature_mask: torch.Tensor) -> dict[str, torch.Tensor]:
    return {
        "target": torch.arange(len(inputs)) % 3,
        "baseline": torch.zeros_like(inputs),
        "feature_mask": feature_mask.contiguous(),
        "seeds": torch.arange(len(inputs)) + 100,
    }


def chosen(offers: dict[str, torch.Tensor], index: torch.Tensor) -> dict[str, torch.Tensor]:
    return {name: value[index] for name, value in offers.items()}
