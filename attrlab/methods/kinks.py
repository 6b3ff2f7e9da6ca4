"""A piecewise-linear network restricted to a segment is linear between finitely many kinks, and they can all be found.

One unit's pre-activation is linear on every piece on which no unit before it changes sign. So the layers are cut in the order
in which they are called: where a unit of the first dirty layer has opposite signs at the two ends of a piece, its zero is the
intersection of a line with 0, and the piece is cut there; when a layer is clean everywhere, the next is looked at. The number of
rounds is the number of layers, whatever the number of kinks, and every round is one batched pass. The output and every product
are then verified to be linear on every piece: factors that are linear make at most a square, which bends at any inner point, so a
network that only looks piecewise linear is refused instead of misjudged.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.methods.operations import AFFINE, KINKS, PRODUCTS, Watch, outputs_at, require_rows_alone, unknown_call

ROUNDS = 10_000
"""Far above the number of layers of any network; reached only if rounding kept a layer dirty for ever."""

ROUNDING = 256.0
"""A pre-activation within ROUNDING x eps x the layer's largest one is zero: it is a sum of up to some hundred rounded terms."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Pieces of the segments x' + a(x - x'), on each of which the network is linear in a; those of a row tile [0, 1] without a gap."""

    row: Tensor  # (pieces,) int64
    start: Tensor  # (pieces,) in [0, 1)
    end: Tensor  # (pieces,) in (0, 1]


def linear_pieces(
    model: nn.Module,
    inputs: Tensor,  # (batch, *features)
    baseline: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
) -> Pieces:
    """Cut each row's straight path into the pieces on which the network is linear.

    Raises:
        NotApplicable: if a call is not known to be piecewise linear, a piece is found not to be linear, or a row's output depends on
            its batch.
    """
    require_rows_alone(model)
    segment = _Segment(model, inputs, baseline, target)
    rows = torch.arange(len(inputs), device=inputs.device)
    done: list[tuple[Tensor, Tensor, Tensor]] = []
    open_ = (rows, torch.zeros(len(inputs), dtype=inputs.dtype, device=inputs.device), torch.ones_like(rows, dtype=inputs.dtype))
    for _ in range(ROUNDS):
        clean, open_ = _cut(segment, *open_)
        done.append(clean)
        if not len(open_[0]):
            break
    else:
        raise NotApplicable(f"the network still has kinks after {ROUNDS} rounds of cutting, one per layer; use integrated_gradients")
    row, start, end = (torch.cat(part) for part in zip(*done, strict=True))
    segment.verify(row, start, end)
    return _tiled(row, start, end)


def _tiled(row: Tensor, start: Tensor, end: Tensor) -> Pieces:
    """The pieces in order, each beginning where the one before it ends: what was left out for having no width is closed."""
    order = torch.argsort(start, stable=True)
    order = order[torch.argsort(row[order], stable=True)]
    row, end = row[order], end[order].clone()
    first = torch.ones_like(row, dtype=torch.bool)
    first[1:] = row[1:] != row[:-1]
    end[first.roll(-1)] = 1
    return Pieces(row=row, start=torch.where(first, torch.zeros_like(end), end.roll(1)), end=end)


def _cut(segment: _Segment, row: Tensor, start: Tensor, end: Tensor) -> tuple[tuple[Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Split pieces into those no unit changes sign on, and the cuts of the others at the zeros of their first dirty layer."""
    left, right = segment.kinks(row, start), segment.kinks(row, end)
    dirty = torch.zeros(len(row), dtype=torch.bool, device=row.device)
    piece_of, cut_at = [row[:0]], [start[:0]]
    for z_left, z_right in zip(left, right, strict=True):
        crossing = _opposite(z_left, z_right) & ~dirty[:, None]
        piece, unit = crossing.nonzero(as_tuple=True)
        a, b = z_left[piece, unit], z_right[piece, unit]
        piece_of.append(piece)
        cut_at.append(torch.lerp(start[piece], end[piece], a / (a - b)))
        dirty |= crossing.any(1)
    clean = (row[~dirty], start[~dirty], end[~dirty])
    return clean, _between(row, start, end, dirty, torch.cat(piece_of), torch.cat(cut_at))


def _between(row: Tensor, start: Tensor, end: Tensor, dirty: Tensor, piece: Tensor, cut: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The pieces between consecutive cuts of each dirty piece, without those of no width."""
    index = dirty.nonzero().squeeze(1)
    piece = torch.cat([index, piece, index])
    point = torch.cat([start[index], cut, end[index]])
    order = torch.argsort(point, stable=True)
    order = order[torch.argsort(piece[order], stable=True)]
    piece, point = piece[order], point[order]
    # Two units with the same kink give two cuts that differ by rounding.
    keep = (piece[1:] == piece[:-1]) & (point[1:] - point[:-1] > ROUNDING * torch.finfo(point.dtype).eps)
    return row[piece[:-1][keep]], point[:-1][keep], point[1:][keep]


def _opposite(left: Tensor, right: Tensor) -> Tensor:
    """Where a pre-activation has strictly opposite signs at the two ends, zero up to rounding counting as neither."""
    scale = torch.maximum(left.abs().amax(1, keepdim=True), right.abs().amax(1, keepdim=True)).clamp(min=1e-30)
    zero = ROUNDING * torch.finfo(left.dtype).eps * scale
    return ((left > zero) & (right < -zero)) | ((left < -zero) & (right > zero))


def _per_row(zeros: Tensor, rows: int) -> Tensor:
    if zeros.dim() == 0 or zeros.shape[0] != rows:
        raise NotApplicable(
            f"an activation is called on a tensor whose first dimension is not the batch of {rows} (got {tuple(zeros.shape)})"
        )
    return zeros.reshape(rows, -1)


class _Segment:
    """The network along the rows' segments: its kinks and its output at given points."""

    def __init__(self, model: nn.Module, inputs: Tensor, baseline: Tensor, target: Tensor) -> None:
        self._model, self._inputs, self._baseline, self._target = model, inputs, baseline, target

    def point(self, row: Tensor, at: Tensor) -> Tensor:
        shape = (-1,) + (1,) * (self._inputs.dim() - 1)
        return torch.lerp(self._baseline[row], self._inputs[row], at.view(shape))

    def kinks(self, row: Tensor, at: Tensor) -> list[Tensor]:
        """The arguments of all piecewise-linear calls, in the order of the calls, each (rows, units)."""
        seen: list[Tensor] = []

        def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            del result
            if name in KINKS:
                kwargs = {key: value for key, value in kwargs.items() if key != "inplace"}
                seen.extend(_per_row(zeros, len(row)).clone() for zeros in KINKS[name](*args, **kwargs))
            elif name not in AFFINE and name not in PRODUCTS:
                raise unknown_call(name)

        point = self.point(row, at)
        with torch.no_grad(), Watch(see):
            self._model(point)
        return seen

    def values(self, row: Tensor, at: Tensor) -> list[tuple[str, Tensor]]:
        """The results of all products, in the order of the calls, and the output."""
        seen: list[tuple[str, Tensor]] = []

        def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            del args, kwargs
            if name in PRODUCTS and result.is_floating_point():
                seen.append((f"the product {name!r}", result.clone()))

        with torch.no_grad():
            point = self.point(row, at)
            with Watch(see):
                outputs = self._model(point)
            return [*seen, ("the output", outputs_at(lambda _: outputs, point, self._target[row]))]

    def verify(self, row: Tensor, start: Tensor, end: Tensor) -> None:
        """Refuse a network of which the output or a product bends inside a piece, seen at a third of it."""
        third = torch.lerp(start, end, 1 / 3)
        for (what, left), (_, right), (_, inside) in zip(*(self.values(row, at) for at in (start, end, third)), strict=True):
            # Rounding of one forward pass; the square root of eps covers the deepest networks and still sees any real curvature.
            bound = torch.finfo(left.dtype).eps ** 0.5 * (1 + left.abs() + right.abs())
            bend = (inside - torch.lerp(left, right, 1 / 3)).abs()
            if not bool((bend <= bound).all()):
                raise NotApplicable(
                    f"the network is not piecewise linear along the path from baseline to input: between two kinks {what} bends by "
                    f"{float(bend.max()):.3g}. A product of two values that both vary does this; use integrated_gradients"
                )
