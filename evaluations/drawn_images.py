"""Tiny convolutional networks on images one pixel high, drawn for the methods that read images only.

A convolution of one or two channels, its kernel one or two pixels wide, a ReLU, and a linear layer that reads every position with a weight
of its own. It is a dense network whose first weights are shared, and what is known of it is read off that one; its modules and its rows,
(1, 1, pixels), are those of an image, so that what reads a layer's positions, enlarges a grid or slides a window has something to read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from attrlab.case import Case
from synthetic.environment import frozen
from synthetic.families import DrawnNetwork, dense
from synthetic.formulas import Layers, formula_of
from synthetic.gadgets import linear, relu_network

KNOWN = frozenset({"others", "independent", "unreachable", "null", "orbit", "monotone", "additive", "parameters"})
"""What a drawn convolution can be made to know, in the words of `attrlab.axioms.KNOWLEDGE`."""

TRAITS = frozenset({"positively_homogeneous", "additive", "nonnegative_inputs", "piecewise_linear", "bias_free"})
"""The traits that it can be made to have."""


WEIGHT = st.sampled_from((1, -1, 2, -2))
"""Of a kernel, the simplest first; 0 would leave a constant."""


@dataclass(frozen=True, kw_only=True)
class Convolution:
    """The numbers of Σ_c Σ_p reads[c][p] relu(Σ_j kernels[c][j] x[p + j] + biases[c]) + shift, on 1 x `pixels` images.

    Attributes:
        doubled: whether the first pixel stands twice at the left edge, as padding; there are as many more positions.
    """

    pixels: int
    kernels: Sequence[Sequence[float]]
    biases: Sequence[float]
    reads: Sequence[Sequence[float]]
    shift: float
    doubled: bool = False

    def layers(self) -> Layers:
        """The dense network that computes the same on the pixels; of one without padding."""
        rows, wide = [], len(self.kernels[0])
        for kernel in self.kernels:
            for place in range(self.pixels - wide + 1):
                rows.append([0] * place + list(kernel) + [0] * (self.pixels - wide - place))
        shifts = [bias for bias, reads in zip(self.biases, self.reads, strict=True) for _ in reads]
        return [(rows, shifts), ([[read for reads in self.reads for read in reads]], [self.shift])]

    def model(self) -> nn.Module:
        """The network, (batch, 1, 1, pixels) -> (batch, 1)."""
        conv = nn.Conv2d(1, len(self.kernels), (1, len(self.kernels[0])), dtype=torch.float64, device="meta").to_empty(device="cpu")
        conv.requires_grad_(False)
        conv.weight.copy_(torch.tensor(self.kernels, dtype=torch.float64).view(conv.weight.shape))
        assert conv.bias is not None
        conv.bias.copy_(torch.tensor(self.biases, dtype=torch.float64))
        front = [nn.ReplicationPad2d((1, 0, 0, 0))] if self.doubled else []
        head = linear([[read for reads in self.reads for read in reads]], [self.shift])
        return frozen(nn.Sequential(*front, conv, nn.ReLU(), nn.Flatten(), head))


@st.composite
def convolutions(draw: st.DrawFn, *, needs: frozenset[str], given: frozenset[str]) -> DrawnNetwork:
    """A network of which what is needed is known, with the traits that are given."""
    apart = "additive" in given | needs or "orbit" in needs
    pixels = draw(st.integers(3 if "parameters" in needs else 2, 4 if "parameters" in needs else 3), label="pixels")
    wide = 1 if apart else draw(st.integers(1, 2), label="kernel")
    places, channels = pixels - wide + 1, draw(st.integers(1, 2 if pixels == 2 else 1), label="channels")
    number, free = st.integers(-2, 2), not given & {"positively_homogeneous", "bias_free"}
    shift = st.integers(-2, 2) if free else st.just(0)
    heads = st.lists(st.lists(number, min_size=places, max_size=places), min_size=channels, max_size=channels)
    reads = draw(heads.filter(lambda rows: any(map(any, rows))), label="reads")
    if needs & {"independent", "unreachable"}:
        edge = draw(st.sampled_from((places - 1, 0)), label="position that is not read")
        reads = [[0 if place == edge else read for place, read in enumerate(row)] for row in reads]
    if "orbit" in needs:
        reads = [[row[0], row[0], *row[2:]] for row in reads]
    found = Convolution(
        pixels=pixels,
        kernels=draw(st.lists(st.lists(WEIGHT, min_size=wide, max_size=wide), min_size=channels, max_size=channels), label="kernels"),
        biases=draw(st.lists(shift, min_size=channels, max_size=channels), label="biases"),
        reads=reads,
        shift=draw(shift, label="shift"),
    )
    return described(found, orbit=(0, 0, *[-1] * (pixels - 2)) if "orbit" in needs else None)


def described(network: Convolution, *, orbit: tuple[int, ...] | None = None) -> DrawnNetwork:
    """A convolution with what is known of the dense network that computes the same; it takes images."""
    layers = network.layers()
    known = dense(layers)
    return replace(
        known,
        formula=f"{formula_of(layers)}; kernels {_shown(network.kernels)}, positions read by {_shown(network.reads)}",
        model=network.model(),
        rewrite=lambda: equals(network),
        orbit=known.orbit if orbit is None else orbit,
    )


def equals(network: Convolution) -> Mapping[str, nn.Module]:
    """Networks that compute the same function of the pixels: by other channels, at other positions, and without any."""
    (kernel, *kernels), (bias, *biases), (reads, *others) = network.kernels, network.biases, network.reads
    half, double = [read / 2 for read in reads], [2 * weight for weight in kernel]
    split = replace(network, kernels=[kernel, kernel, *kernels], biases=[bias, bias, *biases], reads=[half, half, *others])
    rescaled = replace(network, kernels=[double, *kernels], biases=[2 * bias, *biases], reads=[half, *others])
    moved = replace(network, reads=[[0, *row] for row in network.reads], doubled=True)
    return {
        "a channel split in two": split.model(),
        "a channel rescaled": rescaled.model(),
        "every position one further": moved.model(),
        "units instead of positions": frozen(nn.Sequential(nn.Flatten(), *relu_network(network.layers()))),
    }


def as_images(case: Case) -> Case:
    """The case of a drawn convolution, its rows as images one pixel high."""

    def shaped(rows: Tensor) -> Tensor:
        return rows.view(len(rows), 1, 1, -1)

    assert case.reference is not None
    return replace(
        case,
        modality="image",
        inputs=shaped(case.inputs),
        baseline=shaped(case.baseline),
        feature_mask=shaped(case.feature_mask),
        reference=shaped(case.reference),
    )


def _shown(rows: Sequence[Sequence[float]]) -> str:
    return ", ".join("(" + ", ".join(f"{value:g}" for value in row) + ")" for row in rows)
