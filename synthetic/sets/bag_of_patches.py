"""A slide is cut into patches, and is positive if one of them shows a shape: which patch matters, and which of its pixels.

A patch is a binary image of three by three pixels, three of which are set; it counts if these are the diagonal. Negative slides hold
the same pixels, place by place: one pixel of the diagonal is exchanged with one of another patch. So neither intensity nor the sum of all
patches tells the label, and there is a truth at both levels: the patch has all of the value, its three pixels a third each.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from synthetic.environment import Environment
from synthetic.gadgets import linear, step
from synthetic.registry import register
from synthetic.sequences.world import require
from synthetic.sets.bags import MOST_LIVE, Level, contents, in_random_slots, require_bits, require_pooling, set_environment
from synthetic.streams import Streams

SHAPE = np.eye(3, dtype=bool)
"""The pixels of the shape; the detector also asks that no other pixel is set."""

PIXELS = int(SHAPE.sum())


@register("bag-of-patches-v1")
def bag_of_patches(*, id: str, instances: int = 4, witnesses: int = 1, pooling: str = "attention", players: str = "pixels") -> Environment:
    """f(x) = 1[some patch is exactly the shape], or the number of such patches.

    Args:
        id: the registered id.
        instances: the largest slide, in patches; the smallest has one fewer, if there is room.
        witnesses: how many patches of a positive slide show the shape.
        pooling: "attention", or "sum" for the linear twin that counts.
        players: "pixels", or "instances" for whole patches.

    Raises:
        ValueError: if the slide has no room for the witnesses and their counterparts, or too many pixels for enumeration.
    """
    require(
        witnesses >= 1 and 2 * witnesses <= instances,
        message=f"a slide needs 2 witnesses <= instances, a counterpart for each (got instances={instances}, witnesses={witnesses})",
    )
    require(players in ("pixels", "instances"), message=f"players must be 'pixels' or 'instances' (got {players!r})")
    require(
        instances * (PIXELS if players == "pixels" else 1) <= MOST_LIVE,
        message=f"all 2^n coalitions are enumerated for n <= {MOST_LIVE} players that differ from the baseline, {PIXELS} pixels of "
        f"each patch or the patch; use fewer instances (got instances={instances}, players={players!r})",
    )
    require_pooling(pooling)
    counted = "Σ_i 1[x_i = D]" if pooling == "sum" else "1[∃i: x_i = D]"
    return set_environment(
        id=id,
        formula=f"f(x) = {counted}, x_i a patch of 3x3 pixels, D the diagonal",
        detector=_detector,
        detect=_detect,
        kinds=1,
        pooling=pooling,
        level=_level(players, pooling),
        draw=lambda n, streams: _draw(n, instances, witnesses, streams),
        domain=f"bags of up to {instances} binary patches in any order",
        traits=_traits(pooling, players, witnesses),
        isolates="two levels of truth: attention weights name the patch, but which pixels of it matter they cannot say",
        reference="Ilse, Tomczak, Welling 2018; Sadafi et al. 2023 (pixel-level explanation of multiple-instance learning)",
        knobs={"instances": instances, "witnesses": witnesses, "pooling": pooling, "players": players},
    )


def _traits(pooling: str, players: str, witnesses: int) -> set[str]:
    if pooling == "sum":
        return {"piecewise_linear", "flat_gradient"} | ({"additive"} if players == "instances" else {"interacting"})
    found = {"attention", "saturating", "flat_gradient"}
    return found | ({"redundant"} if witnesses > 1 else set()) | ({"interacting"} if witnesses > 1 or players == "pixels" else set())


def _detector() -> nn.Module:
    """1[pixels of the shape - other pixels >= all pixels of the shape]: a filter as large as the patch, and a step."""
    template = torch.from_numpy(np.where(SHAPE, 1.0, -1.0)).reshape(1, -1)
    return nn.Sequential(linear(template, None), step(PIXELS))


def _detect(bags: np.ndarray) -> np.ndarray:  # (batch, instances, 3, 3) -> (batch, instances, 1)
    require_bits(bags)
    return np.asarray((bags == SHAPE).all((2, 3))[..., None])


def _level(players: str, pooling: str) -> Level:
    """Equal patches can change places; so can equal pixels of one patch, within the shape and outside of it."""

    def orbit(bags: np.ndarray) -> np.ndarray:
        number = (np.arange(bags.shape[1])[:, None, None] * 2 + SHAPE) * 2 + bags.astype(int)
        return np.asarray(number.reshape(len(bags), -1))

    def independent(bags: np.ndarray) -> np.ndarray:
        return np.zeros((len(bags), bags.shape[1] * (SHAPE.size if players == "pixels" else 1)), dtype=bool)

    def null(bags: np.ndarray) -> np.ndarray:
        whole = (bags[..., SHAPE] == 1).all(2) if players == "pixels" else _detect(bags)[..., 0]
        return np.broadcast_to(~whole[..., None, None], bags.shape)

    return Level(
        null=null,
        entries=np.ones_like(SHAPE) if players == "pixels" else None,
        orbit=orbit if players == "pixels" else contents,
        independent=independent,
        integrated_gradients=None if pooling == "attention" else _shares,
    )


def _shares(bags: np.ndarray) -> np.ndarray:
    """Under the sum, a patch of the shape is worth 1, and its pixels rise together on the straight path: a third each."""
    return np.asarray(_detect(bags)[..., None] * bags / PIXELS)


def _draw(n: int, instances: int, witnesses: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """Pairs (shape, any three other pixels); in negative slides the two have exchanged a pixel; then patches of three pixels that mix."""
    others = _outside(n, instances, streams)
    shape = torch.from_numpy(SHAPE).double().flatten().expand(n, witnesses, -1)
    counterpart = others[:, witnesses : 2 * witnesses]
    leaves, comes = (_one_of(patch, streams) for patch in (shape, counterpart))
    swap = (torch.rand(n, 1, 1, generator=next(streams)) < 0.5).double() * (comes - leaves)
    rest = others[:, 2 * witnesses :]
    mixed = rest - _one_of(rest, streams) + _one_of(torch.from_numpy(SHAPE).double().flatten().expand_as(rest), streams)
    bags = torch.cat([shape + swap, counterpart - swap, mixed], dim=1).view(n, instances, *SHAPE.shape)
    size = torch.randint(max(2 * witnesses, instances - 1), instances + 1, (n,), generator=next(streams))
    return in_random_slots(bags, size, streams)


def _outside(n: int, instances: int, streams: Streams) -> Tensor:  # (n, instances, 9)
    """Patches of as many pixels as the shape has, none of them in it."""
    order = torch.rand(n, instances, SHAPE.size, generator=next(streams)) + torch.from_numpy(SHAPE).double().flatten()
    chosen = order.argsort(2).argsort(2) < PIXELS
    return chosen.double()


def _one_of(patches: Tensor, streams: Streams) -> Tensor:  # (n, patches, 9) -> (n, patches, 9)
    """One set pixel of each patch."""
    drawn = torch.rand(patches.shape, generator=next(streams)) * patches
    return torch.nn.functional.one_hot(drawn.argmax(2), patches.shape[2]).double()
