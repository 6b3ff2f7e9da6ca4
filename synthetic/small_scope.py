"""Every small network there is: all ReLU networks of a shape with weights and biases in {-1, 0, 1}, in order of size, equal ones once.

A statement about all functions is refuted by one network, and the smallest tells most; where none of them refutes it, that is a proof for
this scope. What is known of each network (on which inputs the function depends, whether it is symmetric, monotone, a function of the sum,
and which networks compute the same function) is decided, not sampled. With one hidden layer it is read from a normal form, see
`synthetic.one_layer`. With two, and two inputs, all kinks lie on finitely many lines, and on each cell between the lines the function is
linear: it is known everywhere from its gradient in every cell and its value at the origin.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from synthetic.formulas import Layers
from synthetic.one_layer import LEVELS, UNITS, normal_form, nowhere_falls, planes

SHAPES: tuple[tuple[int, ...], ...] = ((), (1,), (2,), (1, 1), (2, 1), (3,), (3, 1))
"""Hidden units of each layer of the networks that are known everywhere: their kinks lie on the lines of `cells`."""

LONGEST = 2
"""Inputs up to which the cells are enumerated; of networks of one hidden layer, one more is known."""

PART, POINTS = 1 << 14, 1 << 17
"""Networks that are decided at once by algebra, and networks times cells."""

NEAR = 2.0**-14
"""How far from a vertex its cells are looked at: the distance of two vertices is at least 1 / 324, since determinants are at most 18."""


@dataclass(frozen=True, kw_only=True)
class SmallNetworks:
    """All networks of one shape, the smallest first; network k maps (inputs,) to one number.

    Attributes:
        inputs: d.
        hidden: the units of each hidden layer.
        weights: of each layer, (networks, after, before).
        biases: of each layer, (networks, after).
    """

    inputs: int
    hidden: tuple[int, ...]
    weights: tuple[Tensor, ...]
    biases: tuple[Tensor, ...]

    def __len__(self) -> int:
        return self.biases[0].shape[0]

    def rows(self, index: Tensor) -> SmallNetworks:
        """The networks named by `index`, in that order."""
        return SmallNetworks(
            inputs=self.inputs,
            hidden=self.hidden,
            weights=tuple(weight[index] for weight in self.weights),
            biases=tuple(bias[index] for bias in self.biases),
        )

    def layers(self, network: int) -> Layers:
        """One of them as numbers."""
        return [(w[network].tolist(), b[network].tolist()) for w, b in zip(self.weights, self.biases, strict=True)]

    def values(self, points: Tensor) -> Tensor:  # (points, inputs) -> (networks, points)
        """F of every network at every point, (points, d)."""
        value = points.T.expand(len(self), -1, -1)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            value = (weight @ value + bias.unsqueeze(2)).clamp(min=0)
        return (self.weights[-1] @ value + self.biases[-1].unsqueeze(2)).squeeze(1)

    def least_preactivation(self, points: Tensor) -> Tensor:  # (points, inputs) -> (networks, points)
        """How far every point is from the nearest kink of a unit; infinite without units."""
        value = points.T.expand(len(self), -1, -1)
        least = torch.full((len(self), len(points)), torch.inf, dtype=torch.float64)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            before = weight @ value + bias.unsqueeze(2)
            least, value = torch.minimum(least, before.abs().amin(1)), before.clamp(min=0)
        return least

    def reached(self) -> Tensor:  # (networks, inputs) bool
        """From which inputs a path of non-zero weights leads to the output."""
        paths = self.weights[0].abs()
        for weight in self.weights[1:]:
            paths = weight.abs() @ paths
        return paths.squeeze(1) > 0

    def gradients(self, points: Tensor) -> Tensor:  # (points, inputs) -> (networks, points, inputs)
        """The gradient of every network at every point, by the chain rule; exact, for points off the kinks."""
        value, active = points.T.expand(len(self), -1, -1), []
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            before = weight @ value + bias.unsqueeze(2)
            active.append(before > 0)
            value = before.clamp(min=0)
        slope = self.weights[-1].transpose(1, 2).expand(-1, -1, len(points))  # (networks, units, points)
        for weight, on in zip(reversed(self.weights[:-1]), reversed(active), strict=True):
            slope = weight.transpose(1, 2) @ (slope * on)
        return slope.transpose(1, 2)


@dataclass(frozen=True, kw_only=True)
class Knowledge:
    """What is true everywhere of each network of a shape.

    Attributes:
        independent: inputs on which the function does not depend, (networks, inputs).
        nondecreasing: inputs in which it never falls, (networks, inputs).
        symmetric: whether it is unchanged when inputs i and j change places, (networks, inputs, inputs).
        of_the_sum: whether inputs i and j enter through their sum only, (networks, inputs, inputs).
        function: of each network, a digest of the function: equal ones of as many inputs compute the same, whatever their shapes.
    """

    independent: Tensor
    nondecreasing: Tensor
    symmetric: Tensor
    of_the_sum: Tensor
    function: tuple[bytes, ...]


def small_networks(inputs: int, hidden: Sequence[int]) -> SmallNetworks:
    """Every network with these many inputs and hidden units, weights and biases in {-1, 0, 1}, in order of size.

    Left out, because a smaller network computes the same in the same way: units that read nothing or are read by nobody, and all but one
    order of the units of a layer; and, of networks with a hidden layer on three inputs, all but one order of the inputs. Size is the number
    of numbers that are not zero; equal sizes are in the order of the numbers.

    Raises:
        ValueError: if there is no input, or a hidden layer without a unit; or several hidden layers on more than two inputs.
    """
    hidden = tuple(hidden)
    if inputs < 1 or any(units < 1 for units in hidden):
        raise ValueError(f"a network has at least one input and one unit in every hidden layer (got {inputs} inputs, hidden {hidden})")
    if inputs > LONGEST and len(hidden) > 1:
        raise ValueError(f"networks of several hidden layers have up to {LONGEST} inputs (got {inputs} inputs, hidden {hidden})")
    if len(hidden) == 1 or hidden[1:] == (1,):
        return _of_units(inputs, hidden)
    found = sorted(_networks(inputs, hidden), key=_size)
    weights = tuple(_tensor([network[layer][0] for network in found]) for layer in range(len(hidden) + 1))
    biases = tuple(_tensor([network[layer][1] for network in found]) for layer in range(len(hidden) + 1))
    return SmallNetworks(inputs=inputs, hidden=hidden, weights=weights, biases=biases)


def _of_units(inputs: int, hidden: tuple[int, ...]) -> SmallNetworks:
    """Those whose first layer is read by one: every choice of units with repetitions, each with its outward weight, and what comes after.

    What comes after is an offset; or the bias of a unit, what reads it, and an offset.
    """
    listed = [(*w, b, v) for w in itertools.product(LEVELS, repeat=inputs) if any(w) for b in LEVELS for v in (-1, 1)]
    described = torch.tensor(listed, dtype=torch.int8)  # in ascending order, and so are the units of each choice
    chosen = torch.combinations(torch.arange(len(described)), hidden[0], with_replacement=True).view(-1, hidden[0])
    if inputs > LONGEST:
        chosen = chosen[_first_of_its_orders(described, chosen)]
    after = torch.tensor(list(itertools.product(*[LEVELS, (-1, 1), LEVELS][2 * (len(hidden) == 1) :])), dtype=torch.int8)
    units = described[chosen].repeat_interleave(len(after), 0)  # (networks, units, inputs + 2)
    later = after.repeat(len(chosen), 1)
    place = _rank(torch.cat([units[:, :, :-2].flatten(1), units[:, :, -2], units[:, :, -1], later], 1)).argsort()
    units, later = units[place].double(), later[place].double()
    return SmallNetworks(
        inputs=inputs,
        hidden=hidden,
        weights=(units[:, :, :-2], units[:, :, -1].unsqueeze(1), *later[:, None, None, 1:-1].unbind(3)),
        biases=(units[:, :, -2], *later[:, ::2].unsqueeze(1).unbind(2)),
    )


def _first_of_its_orders(described: Tensor, chosen: Tensor) -> Tensor:  # (choices,) bool
    """Whether no other order of the inputs makes these units come earlier."""
    powers = 3 ** torch.arange(described.shape[1] - 1, -1, -1)
    code = described.long() @ powers
    place_of = {int(value): place for place, value in enumerate(code)}
    first = torch.ones(len(chosen), dtype=torch.bool)
    own = _rank(described[chosen].transpose(1, 2).flatten(1))
    for order in itertools.permutations(range(described.shape[1] - 2)):
        moved = described[:, [*order, -2, -1]].long() @ powers
        other = torch.tensor([place_of[int(value)] for value in moved])[chosen].sort(1).values
        first &= own <= _rank(described[other].transpose(1, 2).flatten(1))
    return first


def _rank(numbers: Tensor) -> Tensor:  # (networks, numbers) int8 -> (networks,) int64
    """Networks of one shape in their order: how many numbers are not zero, how many are negative, then the numbers, larger ones first."""
    rank = (numbers != 0).sum(1) * (numbers.shape[1] + 1) + (numbers < 0).sum(1)
    for column in numbers.unbind(1):
        rank = rank * len(LEVELS) + (1 - column.long())
    return rank


def knowledge(networks: SmallNetworks) -> Knowledge:
    """Decide what is true of each network everywhere.

    Raises:
        ValueError: if a network of several hidden layers has more inputs or units than cells are enumerated for, or one more of either.
    """
    shallow = len(networks.hidden) < 2 and networks.inputs <= LONGEST + 1 and sum(networks.hidden) <= UNITS
    if not shallow and (networks.inputs > LONGEST or networks.hidden not in SHAPES):
        raise ValueError(
            f"cells are enumerated for up to {LONGEST} inputs and hidden units {SHAPES}, and networks of one hidden layer decided for up "
            f"to {LONGEST + 1} inputs and {UNITS} units (got {networks.inputs} inputs, {networks.hidden})"
        )
    decided = by_cells if networks.inputs <= LONGEST else by_algebra
    width = PART if networks.inputs > LONGEST else max(1, POINTS // len(_cells_of(networks)))
    parts = [torch.arange(start, min(start + width, len(networks))) for start in range(0, len(networks), width)]
    return _joined([decided(networks.rows(part)) for part in parts])


def by_cells(networks: SmallNetworks) -> Knowledge:
    """What the gradient in every cell, and the value at the origin, say of networks on up to two inputs."""
    points = _cells_of(networks)
    slopes = networks.gradients(points).to(torch.int8)  # integers up to 6
    origin = networks.values(torch.zeros(1, networks.inputs, dtype=torch.float64))
    mirrored = networks.gradients(points.flip(1)).to(torch.int8).flip(2)
    itself = torch.eye(networks.inputs, dtype=torch.bool)
    return Knowledge(
        independent=(slopes == 0).all(1),
        nondecreasing=(slopes >= 0).all(1),
        symmetric=(slopes == mirrored).all(2).all(1).view(-1, 1, 1) | itself,
        of_the_sum=(slopes == slopes[..., :1]).all(2).all(1).view(-1, 1, 1) | itself,
        function=_digests(torch.cat([slopes.flatten(1), origin.to(torch.int8)], 1)),
    )


def by_algebra(networks: SmallNetworks) -> Knowledge:
    """What the normal form says of networks without a hidden layer, or with one of up to three units."""
    units, outward, rest = _one_layer(networks, list(range(networks.inputs)))
    form = normal_form(units, outward, rest)
    slopes = torch.cat(
        [form.jumps.unsqueeze(2) * planes(networks.inputs)[:, :-1], form.rest[:, None, :-1]], 1
    )  # (networks, planes + 1, inputs)
    return Knowledge(
        independent=(slopes == 0).all(1),
        nondecreasing=nowhere_falls(units, outward, rest),
        symmetric=_unchanged_by_swaps(networks, torch.cat([form.jumps, form.rest], 1)),
        of_the_sum=(slopes.unsqueeze(3) == slopes.unsqueeze(2)).all(1),
        function=_digests(torch.cat([form.jumps, form.rest], 1).to(torch.int8)),
    )


def _unchanged_by_swaps(networks: SmallNetworks, form: Tensor) -> Tensor:
    """Whether the normal form stays as it is when two inputs change places, (networks, inputs, inputs)."""
    found = torch.eye(networks.inputs, dtype=torch.bool).expand(len(networks), -1, -1).clone()
    for i, j in itertools.combinations(range(networks.inputs), 2):
        order = list(range(networks.inputs))
        order[i], order[j] = j, i
        swapped = normal_form(*_one_layer(networks, order))
        found[:, i, j] = found[:, j, i] = (torch.cat([swapped.jumps, swapped.rest], 1) == form).all(1)
    return found


def _one_layer(networks: SmallNetworks, order: list[int]) -> tuple[Tensor, Tensor, Tensor]:
    """Units (networks, units, inputs + 1), what reads them (networks, units), and the affine rest, the inputs in this order."""
    last = torch.cat([networks.weights[-1].squeeze(1), networks.biases[-1]], 1)
    if not networks.hidden:
        none = last.new_zeros(len(networks), 0)
        return none.unsqueeze(2).expand(-1, -1, networks.inputs + 1), none, torch.cat([last[:, order], last[:, -1:]], 1)
    units = torch.cat([networks.weights[0][..., order], networks.biases[0].unsqueeze(2)], 2)
    return units, last[:, :-1], torch.cat([last.new_zeros(len(networks), networks.inputs), last[:, -1:]], 1)


def _joined(parts: list[Knowledge]) -> Knowledge:
    return Knowledge(
        independent=torch.cat([part.independent for part in parts]),
        nondecreasing=torch.cat([part.nondecreasing for part in parts]),
        symmetric=torch.cat([part.symmetric for part in parts]),
        of_the_sum=torch.cat([part.of_the_sum for part in parts]),
        function=tuple(digest for part in parts for digest in part.function),
    )


@cache
def cells(inputs: int, *, units: int = 2) -> Tensor:  # (cells, inputs)
    """A point in every cell between the lines w·x + b = 0, w in {-n, ..., n}^d and b in {-n - 1, ..., n + 1}.

    On these lie all kinks of networks of a hidden layer, and of a unit that reads n units of it. Every cell has a vertex, and around it
    lies one cell between any two neighbouring lines; so a point near each vertex in the direction between each two neighbouring lines
    meets every cell. Of several points in a cell one is kept.
    """
    normals = [w for w in itertools.product(range(-units, units + 1), repeat=inputs) if w > tuple([0] * inputs)]
    shifts = range(-units - 1, units + 2)
    normal = _tensor([w for w in normals for _ in shifts])
    shift = _tensor([b for _ in normals for b in shifts])
    points = _around_points(normal, shift) if inputs == 1 else _around_vertices(normal, shift)
    return points[_first_of_each((points @ normal.T + shift > 0).to(torch.int8))]


def _cells_of(networks: SmallNetworks) -> Tensor:
    return cells(networks.inputs, units=max(2, networks.hidden[0]) if len(networks.hidden) > 1 else 2)


def _around_points(normal: Tensor, shift: Tensor) -> Tensor:
    ends = torch.unique(-shift / normal.squeeze(1))
    return torch.cat([ends - NEAR, ends + NEAR]).unsqueeze(1)


def _around_vertices(normal: Tensor, shift: Tensor) -> Tensor:
    one, other = torch.combinations(torch.arange(len(normal))).unbind(1)
    determinant = normal[one, 0] * normal[other, 1] - normal[one, 1] * normal[other, 0]
    one, other, determinant = (value[determinant != 0] for value in (one, other, determinant))
    x = (normal[one, 1] * shift[other] - normal[other, 1] * shift[one]) / determinant
    y = (normal[other, 0] * shift[one] - normal[one, 0] * shift[other]) / determinant
    vertices = torch.unique(torch.stack([x, y], 1).mul(2**20).round().div(2**20), dim=0)  # thirds round alike whatever the lines
    angles = torch.unique(torch.atan2(normal[:, 0], -normal[:, 1]).remainder(torch.pi).mul(2**20).round().div(2**20))
    around = torch.cat([angles, angles + torch.pi, angles[:1] + 2 * torch.pi])
    between = (around[1:] + around[:-1]) / 2
    directions = torch.stack([between.cos(), between.sin()], 1)
    points: Tensor = (vertices.unsqueeze(1) + NEAR * directions).flatten(0, 1)
    return points


def _networks(inputs: int, hidden: tuple[int, ...]) -> Iterator[list[tuple[list[tuple[int, ...]], tuple[int, ...]]]]:
    """Every network as (weight rows, biases) per layer."""
    if not hidden:
        for weight in itertools.product(LEVELS, repeat=inputs):
            for bias in LEVELS:
                yield [([weight], (bias,))]
        return
    units = [(w, b) for w in itertools.product(LEVELS, repeat=inputs) if any(w) for b in LEVELS]
    for later in _networks(hidden[0], hidden[1:]):
        read = later[0][0]
        columns = list(zip(*read, strict=True))
        if not all(any(column) for column in columns):
            continue
        for chosen in itertools.product(units, repeat=hidden[0]):
            described = [(unit, column) for unit, column in zip(chosen, columns, strict=True)]
            if described == sorted(described):
                yield [([w for w, _ in chosen], tuple(b for _, b in chosen)), *later]


def _size(network: list[tuple[list[tuple[int, ...]], tuple[int, ...]]]) -> tuple[int, int, object]:
    numbers = [number for weight, bias in network for row in (*weight, bias) for number in row]
    negative = sum(number < 0 for number in numbers)
    return sum(number != 0 for number in numbers), negative, [-number for number in numbers]


def _digests(rows: Tensor) -> tuple[bytes, ...]:
    """SHA-256 of each row; no two rows that differ are known to share one."""
    return tuple(hashlib.sha256(row.tobytes()).digest() for row in rows.contiguous().numpy())


def _first_of_each(rows: Tensor) -> Tensor:
    """Where each distinct row is met first."""
    met: dict[bytes, int] = {}
    for place, row in enumerate(rows.contiguous().numpy()):
        met.setdefault(row.tobytes(), place)
    return torch.tensor(list(met.values()))


def _tensor(numbers: object) -> Tensor:
    return torch.tensor(numbers, dtype=torch.float64)
