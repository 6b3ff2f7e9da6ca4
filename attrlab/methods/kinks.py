"""A piecewise-linear network restricted to a segment is linear between finitely many kinks, and they can all be found.

One unit's pre-activation is linear on every piece on which no unit before it changes sign. So the layers are cut in the order
in which they are called: where a unit of the first dirty layer has opposite signs at the two ends of a piece, its zero is the
intersection of a line with 0, and the piece is cut there; when a layer is clean everywhere, the next is looked at. Every point goes
through the network once, all that are found in one layer together, so the work is one forward pass per kink. Where there are products,
they and the output are then verified to be linear on every piece: factors that are linear make at most a square, which bends at any inner
point, so a network that only looks piecewise linear is refused instead of misjudged.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.operations import AFFINE, KINKS, PRODUCTS, Watch, outputs_at, require_rows_alone, unknown_call

ROUNDS = 10_000
"""Far above the number of layers of any network; reached only if rounding kept a layer dirty for ever."""

ROUNDING = 256.0
"""A pre-activation within ROUNDING x eps x the layer's largest one is zero: it is a sum of up to some hundred rounded terms."""

KEPT_BYTES = {"cpu": 64 << 20, "cuda": 1 << 30}
"""Pre-activations are kept at every point; rows are cut together as far as these fit, at one kink per unit."""


@dataclass(frozen=True, kw_only=True)
class Pieces:
    """Pieces of the segments x' + a(x - x'), on each of which the network is linear in a; those of a row tile [0, 1] without a gap."""

    row: Tensor  # (pieces,) int64
    start: Tensor  # (pieces,) in [0, 1)
    end: Tensor  # (pieces,) in (0, 1]
    at_start: Tensor  # (pieces,) the explained output there
    at_end: Tensor  # (pieces,)


def linear_pieces(
    model: Model,
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
    together = _together(_Segment(model, inputs[:1], baseline[:1], target[:1]))
    groups = torch.split(torch.arange(len(inputs), device=inputs.device), together)
    parts = [_Cut(_Segment(model, inputs[rows], baseline[rows], target[rows])).pieces(rows) for rows in groups]
    return Pieces(**{field.name: torch.cat([getattr(part, field.name) for part in parts]) for field in fields(Pieces)})


def _together(segment: _Segment) -> int:
    """How many rows are cut together."""
    row = torch.zeros(len(segment.inputs), dtype=torch.int64, device=segment.inputs.device)
    zeros, _ = segment.at(row, segment.inputs.new_zeros(len(row)))
    units = max(1, sum(layer.shape[1] for layer in zeros))
    return max(1, KEPT_BYTES[segment.inputs.device.type] // (units**2 * segment.inputs.element_size()))


class _Segment:
    """The network along the rows' segments: its kinks, its products and its output at given points."""

    def __init__(self, model: Model, inputs: Tensor, baseline: Tensor, target: Tensor) -> None:
        self._model, self.inputs, self._baseline, self._target = model, inputs, baseline, target

    def at(self, row: Tensor, point: Tensor, *, since: float = 0) -> tuple[list[Tensor], list[tuple[str, Tensor]]]:
        """Arguments (rows, units) of the piecewise-linear calls, and results of all products and the output, in the order of the calls.

        Arguments before the one numbered `since` are not needed any more, and are empty.
        """
        zeros: list[Tensor] = []
        values: list[tuple[str, Tensor]] = []

        def see(name: str, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
            if name in KINKS:
                kwargs = {key: value for key, value in kwargs.items() if key != "inplace"}
                for z in KINKS[name](*args, **kwargs):
                    zeros.append(_per_row(z, len(row)).clone() if len(zeros) >= since else z.new_zeros(len(row), 0))
            elif name in PRODUCTS:
                if result.is_floating_point():
                    values.append((f"the product {name!r}", result.clone()))
            elif name not in AFFINE:
                raise unknown_call(name)

        with torch.no_grad():
            inputs = torch.lerp(self._baseline[row], self.inputs[row], point.view(-1, *(1,) * (self.inputs.dim() - 1)))
            with Watch(see):
                outputs = self._model(inputs)
            return zeros, [*values, ("the output", outputs_at(lambda _: outputs, inputs, self._target[row]))]


class _Cut:
    """The points found so far on some rows' segments, with what the network says at each; every point is asked for once."""

    def __init__(self, segment: _Segment) -> None:
        self._segment, batch = segment, len(segment.inputs)
        ends = torch.tensor([0.0, 1.0], dtype=segment.inputs.dtype, device=segment.inputs.device)
        self._row = torch.arange(batch, device=ends.device).repeat_interleave(2)
        self._point = ends.repeat(batch)
        self._order = torch.arange(2 * batch, device=ends.device)
        zeros, values = segment.at(self._row, self._point)
        self._zeros, self._values = [zeros], [values]  # one entry for each time that points were added

    def pieces(self, names: Tensor) -> Pieces:
        """Cut layer by layer until no unit changes sign within a piece; names (rows,) are what the rows are called."""
        layer = 0
        for _ in range(ROUNDS):
            if layer == len(self._zeros[0]):
                break
            layer += self._cut(layer)
        else:
            raise NotApplicable(f"the network still has kinks after {ROUNDS} rounds of cutting, one per layer; use integrated_gradients")
        row, start, end, place = self._open()
        self._verify(row, start, end, place)
        start, end = _tiled(row, start, end)
        output = torch.cat([block[-1][1] for block in self._values])[self._order]
        return Pieces(row=names[row], start=start, end=end, at_start=output[place], at_end=output[place + 1])

    def _open(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Row, start, end and place in the order of the pieces that have a width; units with one kink give cuts that differ by rounding."""
        row, point = self._row[self._order], self._point[self._order]
        wide = (row[1:] == row[:-1]) & (point[1:] - point[:-1] > ROUNDING * torch.finfo(point.dtype).eps)
        place = wide.nonzero().squeeze(1)
        return row[place], point[place], point[place + 1], place

    def _cut(self, layer: int) -> bool:
        """Cut where units of a layer change sign within a piece; return whether none does any more."""
        row, start, end, place = self._open()
        left, right = self._order[place], self._order[place + 1]
        zeros = torch.cat([block[layer] for block in self._zeros])
        above, below = _signs(zeros, self._row, len(self._segment.inputs))
        crossing = (above[left] & below[right]) | (below[left] & above[right])
        piece, unit = crossing.nonzero(as_tuple=True)
        if not len(piece):
            return True
        a, b = zeros[left[piece], unit], zeros[right[piece], unit]
        kept, cut = _thinned(piece, torch.lerp(start[piece], end[piece], a / (a - b)))
        self._add(row[kept], cut, since=layer)
        return len(kept) == len(piece)

    def _add(self, row: Tensor, point: Tensor, *, since: int) -> None:
        zeros, values = self._segment.at(row, point, since=since)
        self._zeros.append(zeros)
        self._values.append(values)
        self._row, self._point = torch.cat([self._row, row]), torch.cat([self._point, point])
        order = torch.argsort(self._point, stable=True)
        self._order = order[torch.argsort(self._row[order], stable=True)]

    def _verify(self, row: Tensor, start: Tensor, end: Tensor, place: Tensor) -> None:
        """Refuse a network of which a product, and so perhaps the output, bends inside a piece, seen at a third of it."""
        if len(self._values[0]) == 1:
            return
        _, inside = self._segment.at(row, torch.lerp(start, end, 1 / 3), since=math.inf)
        for index, (what, third) in enumerate(inside):
            known = torch.cat([block[index][1] for block in self._values])
            left, right = known[self._order[place]], known[self._order[place + 1]]
            bend = (third - torch.lerp(left, right, 1 / 3)).abs()
            if not bool((bend <= tolerance(left, right)).all()):
                raise NotApplicable(
                    f"the network is not piecewise linear along the path from baseline to input: between two kinks {what} bends by "
                    f"{float(bend.max()):.3g}. A product of two values that both vary does this; use integrated_gradients"
                )


def tolerance(left: Tensor, right: Tensor) -> Tensor:
    """What a value may be off a line between two others: √eps covers the deepest networks, and still sees any curvature."""
    bound: Tensor = torch.finfo(left.dtype).eps ** 0.5 * (1 + left.abs() + right.abs())
    return bound


def _signs(zeros: Tensor, row: Tensor, batch: int) -> tuple[Tensor, Tensor]:
    """Where a pre-activation is above zero and where below, zero up to rounding counting as neither."""
    if not zeros.shape[1]:
        return zeros > 0, zeros < 0
    low, high = torch.aminmax(zeros, dim=1)
    scale = zeros.new_full((batch,), 1e-30).scatter_reduce_(0, row, torch.maximum(-low, high), "amax")
    zero = (ROUNDING * torch.finfo(zeros.dtype).eps * scale)[row, None]
    return zeros > zero, zeros < -zero


def _thinned(piece: Tensor, cut: Tensor) -> tuple[Tensor, Tensor]:
    """The cuts in order, without those that lie between two of their piece closer than rounding: the outer two stand for them."""
    order = torch.argsort(cut, stable=True)
    order = order[torch.argsort(piece[order], stable=True)]
    piece, cut = piece[order], cut[order]
    near = (piece[1:] == piece[:-1]) & (cut[1:] - cut[:-1] <= ROUNDING * torch.finfo(cut.dtype).eps)
    apart = torch.ones_like(piece, dtype=torch.bool)
    apart[1:-1] = ~(near[:-1] & near[1:])
    return piece[apart], cut[apart]


def _tiled(row: Tensor, start: Tensor, end: Tensor) -> tuple[Tensor, Tensor]:
    """Starts and ends such that each piece begins where the one before it ends: what was left out for having no width is closed."""
    end = end.clone()
    first = torch.ones_like(row, dtype=torch.bool)
    first[1:] = row[1:] != row[:-1]
    end[first.roll(-1)] = 1
    return torch.where(first, torch.zeros_like(start), end.roll(1)), end


def _per_row(zeros: Tensor, rows: int) -> Tensor:
    if zeros.dim() == 0 or zeros.shape[0] != rows:
        raise NotApplicable(
            f"an activation is called on a tensor whose first dimension is not the batch of {rows} (got {tuple(zeros.shape)})"
        )
    return zeros.flatten(1) if zeros.dim() > 1 else zeros[:, None]
