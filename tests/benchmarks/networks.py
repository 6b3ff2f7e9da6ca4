"""Networks of the sizes that evaluations are run on, and games on them; none is trained, as time does not depend on weights."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from attrlab.games import Game, Policy, make_game


def images(rows: int, device: str, *, kind: str = "small", model: nn.Module | None = None) -> tuple[nn.Module, Game, Tensor]:
    """A network on 3 x 32 x 32, a game whose players are pixels, and an attribution."""
    generator = torch.Generator().manual_seed(0)
    model = model or {"small": small, "residual": residual, "hand-set": hand_set}[kind]()
    model = model.eval().requires_grad_(False).to(device)
    inputs = torch.randn(rows, 3, 32, 32, generator=generator).to(device)
    mask = torch.arange(1024).view(1, 1, 32, 32).expand(rows, 3, 32, 32)
    return model, game(model, inputs, mask), torch.randn(rows, 1024, generator=generator).to(device)


def small() -> nn.Module:
    """Two convolutions, 3.3 million multiplications and additions."""
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(16, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(32 * 64, 10))


def hand_set() -> nn.Module:
    """Colours are told apart pixel by pixel and counted, as hand-set networks on images do it: a 1 x 1 convolution and a sum."""
    model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 1024, 2))
    with torch.no_grad():
        model[3].weight.copy_(torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat_interleave(1024 * 4, 1).view(2, -1) / 1024)  # type: ignore[union-attr]
    return model


class Residual(nn.Module):
    """Two 3 x 3 convolutions beside the identity, or beside a 1 x 1 convolution where the shape changes."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        stride = 1 if before == after else 2
        self.branch = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
            nn.Conv2d(after, after, 3, padding=1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.beside = nn.Identity() if before == after else nn.Conv2d(before, after, 1, stride=2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.branch(x) + self.beside(x))


def residual(width: int = 16) -> nn.Module:
    """A ResNet18 of 16 to 128 channels on images of 32 x 32."""
    stem = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
    widths = [width, width, width, 2 * width, 2 * width, 4 * width, 4 * width, 8 * width, 8 * width]
    blocks = [Residual(before, after) for before, after in pairwise(widths)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8 * width, 10))


def sparse_images(rows: int, device: str) -> tuple[nn.Module, Game, list[Tensor]]:
    """A network where 24 of 256 pixels differ from the baseline, and four attributions that are 0 elsewhere."""
    generator = torch.Generator().manual_seed(0)
    layers = [nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 256, 10)]
    model = nn.Sequential(*layers).eval().requires_grad_(False).to(device)
    on = torch.rand(rows, 1, 16, 16, generator=generator) < 24 / 256
    inputs = (torch.randn(rows, 3, 16, 16, generator=generator) * on).to(device)
    mask = torch.arange(256).view(1, 1, 16, 16).expand(rows, 3, 16, 16)
    scores = [(torch.randn(rows, 256, generator=generator) * on.flatten(1)).to(device) for _ in range(4)]
    return model, game(model, inputs, mask), scores


def table(players: int, hidden: int, device: str) -> tuple[nn.Module, Game]:
    """A small fully connected network on one row."""
    layers = [nn.Linear(players, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 1)]
    model = nn.Sequential(*layers).eval().requires_grad_(False).to(device)
    inputs = torch.randn(1, players, generator=torch.Generator().manual_seed(0)).to(device)
    return model, game(model, inputs, torch.arange(players).unsqueeze(0))


class Dense(nn.Module):
    """Two graph convolutions on rows [A | X]: sum over neighbours, twice, and over nodes."""

    def __init__(self, nodes: int) -> None:
        super().__init__()
        self.nodes = nodes
        self.first, self.second, self.head = nn.Linear(4, 16), nn.Linear(16, 16), nn.Linear(16, 2)
        self.relu, self.again = nn.ReLU(), nn.ReLU()

    def forward(self, rows: Tensor) -> Tensor:
        adjacency, features = rows[..., : self.nodes], rows[..., self.nodes :]
        hidden = self.relu(self.first(torch.bmm(adjacency, features) + features))
        outputs: Tensor = self.head(self.again(self.second(torch.bmm(adjacency, hidden) + hidden)).sum(1))
        return outputs


def graphs(rows: int, nodes: int, edges: int, device: str) -> tuple[nn.Module, Game]:
    """Directed edges drawn at random; each is a player."""
    generator = torch.Generator().manual_seed(0)
    inputs, mask = torch.zeros(rows, nodes, nodes + 4), torch.full((rows, nodes, nodes + 4), -1)
    inputs[..., nodes:] = torch.randn(rows, nodes, 4, generator=generator)
    elsewhere = (~torch.eye(nodes, dtype=torch.bool)).nonzero()
    for row in range(rows):
        i, j = elsewhere[torch.randperm(len(elsewhere), generator=generator)[:edges]].T
        inputs[row, i, j], mask[row, i, j] = 1.0, torch.arange(edges)
    model = Dense(nodes).eval().requires_grad_(False).to(device)
    inputs, mask = inputs.to(device), mask.to(device)
    return model, game(model, inputs, mask, baseline=torch.where(mask < 0, inputs, 0.0))


def game(model: nn.Module, inputs: Tensor, mask: Tensor, *, baseline: Tensor | None = None) -> Game:
    """The game of these players about the first output, from the baseline 0."""
    target = torch.zeros(len(inputs), dtype=torch.int64, device=inputs.device)
    baseline = torch.zeros_like(inputs) if baseline is None else baseline
    return make_game(model, inputs, target=target, baseline=baseline, feature_mask=mask.to(inputs.device), policy=Policy.of(inputs))
