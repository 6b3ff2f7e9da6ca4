"""A function of a case's function is a network again: an affine map in front of it, a factor behind it, or a branch beside it.

Where the network begins, or ends, with a linear layer on rows without further structure, the map is folded into that layer, so that the
derived network has the architecture of the case's own, and a method is asked about the function and not about an added layer.
Otherwise the map is an `nn.Module` of its own. All numbers are powers of two and multiples of 1/4, so that nothing is rounded.
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.games import Game, make_game

SHIFTS = (0.5, -1.25, 2.0, 0.75, -0.5)
"""s, repeated over the entries of a row."""

SCALES = (2.0, 0.5, 4.0, 1.0, 0.25)
"""The diagonal of D, repeated over the entries of a row."""


class Affine(nn.Module):
    """u ↦ a u + b, entry by entry."""

    scale: Tensor  # (*features)
    shift: Tensor  # (*features)

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the image, shaped like inputs."""
        return inputs * self.scale + self.shift


class Beside(nn.Module):
    """α f + β g, two branches joined by a linear unit per output."""

    def __init__(self, alpha: float, f: nn.Module, beta: float, g: nn.Module) -> None:
        super().__init__()
        self.f, self.g, self.alpha, self.beta = f, g, alpha, beta

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the weighted sum of the branches, (batch, outputs)."""
        joined: Tensor = self.alpha * self.f(inputs) + self.beta * self.g(inputs)
        return joined


def repeated(
    values: tuple[float, ...],
    inputs: Tensor,  # (batch, *features)
) -> Tensor:  # (*features)
    """The `values`, over and over, in the shape of one row."""
    count = inputs[0].numel() if len(inputs) else inputs.new_zeros(inputs.shape[1:]).numel()
    index = torch.arange(count, device=inputs.device) % len(values)
    return inputs.new_tensor(values)[index].view(inputs.shape[1:])


def behind_affine(
    model: nn.Module,
    scale: Tensor,  # (*features)
    shift: Tensor,  # (*features)
) -> nn.Module:
    """The network u ↦ f(scale u + shift)."""
    first = next(iter(model), None) if isinstance(model, nn.Sequential) else None
    if not (isinstance(first, nn.Linear) and scale.dim() == 1 and isinstance(model, nn.Sequential)):
        return nn.Sequential(Affine(scale, shift), copy.deepcopy(model)).eval()
    folded = copy.deepcopy(model)
    weight = first.weight.detach()
    bias = weight @ shift + (0 if first.bias is None else first.bias.detach())
    folded[0] = _linear(weight * scale, bias)
    return folded


def times(model: nn.Module, factor: float, case: Case) -> nn.Module:
    """The network x ↦ factor f(x)."""
    last = model[-1] if isinstance(model, nn.Sequential) and len(model) else None
    if isinstance(model, nn.Sequential) and isinstance(last, nn.Linear):
        folded = copy.deepcopy(model)
        folded[-1] = _linear(factor * last.weight.detach(), None if last.bias is None else factor * last.bias.detach())
        return folded
    with torch.no_grad():
        outputs = model(case.inputs[:1]).shape[1]
    return nn.Sequential(copy.deepcopy(model), _linear(factor * torch.eye(outputs).to(case.inputs), None)).eval()


def beside_linear(case: Case, *, alpha: float, beta: float) -> tuple[nn.Module, nn.Module]:
    """(α f + β g, g) with g linear in every entry, g(x) = Σ w_i x_i at every output, w = 1, -2, 1/2, 0, -1, ..."""
    weights = repeated((1.0, -2.0, 0.5, 0.0, -1.0), case.inputs).flatten()
    with torch.no_grad():
        outputs = case.model(case.inputs[:1]).shape[1]
    branch = nn.Sequential(nn.Flatten(), _linear(weights.expand(outputs, -1), None)).eval()
    return Beside(alpha, copy.deepcopy(case.model), beta, branch).eval(), branch


def game_of(case: Case) -> Game:
    """The baseline game of a case."""
    return make_game(
        case.model,
        case.inputs,
        target=case.target,
        baseline=case.baseline,
        feature_mask=case.feature_mask,
        players=case.players,
    )


def without(
    case: Case,
    players: Tensor,  # (batch, players) bool
) -> Tensor:  # (batch, *features)
    """The rows with these players at their baseline."""
    owner = case.feature_mask.flatten(1)
    padded = torch.cat([players, players.new_zeros(len(players), 1)], 1)
    gone = padded.gather(1, torch.where(owner < 0, case.players, owner)).view(case.inputs.shape)
    return torch.where(gone, case.baseline, case.inputs)


def chosen(
    player: Tensor,  # (batch,) int64
    players: int,
) -> Tensor:  # (batch, players) bool
    """One player per row, as a set."""
    return torch.arange(players, device=player.device) == player.unsqueeze(1)


def _linear(weight: Tensor, bias: Tensor | None) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0], bias=bias is not None, device="meta")  # draws no numbers
    layer.weight = nn.Parameter(weight.detach().clone(), requires_grad=False)
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone(), requires_grad=False)
    return layer
