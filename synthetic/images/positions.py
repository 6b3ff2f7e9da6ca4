"""A layer's positions are not the input's: an output that reads one place of a map, which another network holds at another place.

The map has one channel, the image two pixels, and f is the first of them. Averaging the slope over the map before it is multiplied by the
activation credits both; and as the equal network "shifted" holds the first pixel at the second position of its map, whatever reads
credit off the layer's positions credits the pixel that the function does not depend on.
"""

from __future__ import annotations

from types import MappingProxyType

import torch
from torch import Tensor, nn

from synthetic import gadgets
from synthetic.environment import Batch, Environment, GroundTruth, frozen
from synthetic.images.detector import pointwise
from synthetic.registry import register

ROWS = ((1.0, 1.0), (3.0, 1.0))


@register("positions-witness-v1")
def positions_witness(*, id: str) -> Environment:
    """Here f = a1 on images of one channel and two pixels, at (1, 1) and (3, 1)."""
    stored = torch.tensor(ROWS, dtype=torch.float64).view(-1, 1, 1, 2)

    def sample(n: int, generator: torch.Generator) -> Batch:
        del generator
        return _rows(stored[torch.arange(n) % len(stored)])

    return Environment(
        id=id,
        modality="image",
        formula="f(x) = a1",
        model=_network(pointwise(torch.ones(1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)), [1.0, 0.0]),
        outputs=1,
        domain="x = (1, 1), (3, 1) against the black image; the formula holds everywhere",
        traits=frozenset({"additive", "bias_free", "monotone", "multilinear", "piecewise_linear", "positively_homogeneous", "witness"}),
        sample=sample,
        specification=lambda images: images[:, 0, 0, :1],
        lattice=lambda: stored.clone(),
        equals=MappingProxyType({"shifted": _network(_shift(), [0.0, 1.0])}),
        isolates="places: the slope averaged over a map credits every pixel that is not black, and the function reads one",
        reference="one channel and two positions; Draelos & Carin 2020, arXiv 2011.08891, on what averaging the slope loses",
    )


def _network(map: nn.Module, reads: list[float]) -> nn.Module:
    return frozen(nn.Sequential(map, nn.Flatten(), gadgets.linear([reads], [0.0])))


def _shift() -> nn.Module:
    """A convolution that moves every pixel to the right by one, and puts black on the left."""
    layer = nn.Conv2d(1, 1, (1, 3), padding=(0, 1), bias=False, dtype=torch.float64, device="meta")
    layer.load_state_dict({"weight": torch.tensor([[[[1.0, 0.0, 0.0]]]], dtype=torch.float64)}, assign=True)
    return layer


def _rows(inputs: Tensor) -> Batch:
    return Batch(
        inputs=inputs.clone(),
        target=torch.zeros(len(inputs), dtype=torch.int64),
        baseline=torch.zeros_like(inputs),
        feature_mask=torch.arange(2).view(1, 1, 1, 2).expand_as(inputs).clone(),
        players=2,
        derive=lambda: _truth(inputs.flatten(1)),
    )


def _truth(pixels: Tensor) -> GroundTruth:
    """All that f is comes from the first pixel, by every convention."""
    first = torch.tensor([True, False])
    scores = pixels * first
    return GroundTruth(
        support=scores != 0,
        sign=scores.sign().to(torch.int8),
        attributions={"shapley": scores, "integrated_gradients": scores, "removal": scores},
        independent=~first.expand(len(pixels), 2),
        orbit=torch.full((len(pixels), 2), -1, dtype=torch.int64),
    )
