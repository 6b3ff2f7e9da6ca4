"""A bag is positive if it holds an instance of every kind, and an instance is of a kind if two of its bits are set together.

Bags come in pairs of cases with equal column sums: where a positive bag has the instances 11 and 00, a negative one has 10 and 01. So no
sum over the bag tells the label, the instances must be looked at one by one, and attention finds the ones that matter. The removal of
one of two instances of a kind changes nothing; attention gives each half.
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

EXTRA = 2
"""Columns beside the evidence: a random bit and the mark 1 of every instance, by which an instance differs from an empty slot."""


@register("bag-of-instances-sum-v1", pooling="sum")
@register("bag-of-instances-v1")
def bag_of_instances(
    *, id: str, instances: int = 8, kinds: int = 2, witnesses: int = 1, pooling: str = "attention", players: str = "instances"
) -> Environment:
    """f(x) = 1[for every kind k some instance has both bits of k], or the number of such instances and kinds.

    Args:
        id: the registered id.
        instances: the largest bag; the smallest has two fewer, if there is room.
        kinds: how many kinds of instances a positive bag needs.
        witnesses: how many instances of each kind a positive bag has.
        pooling: "attention", or "sum" for the linear twin that counts.
        players: "instances", or "features" for the bits of instances.

    Raises:
        ValueError: if the bag has no room for the witnesses and their counterparts, or too many players for enumeration.
    """
    blocks = 2 * kinds * witnesses
    require(
        kinds >= 1 and witnesses >= 1 and blocks <= instances,
        message=f"a bag needs 2 kinds witnesses <= instances, a counterpart for each witness "
        f"(got instances={instances}, kinds={kinds}, witnesses={witnesses})",
    )
    require(players in ("instances", "features"), message=f"players must be 'instances' or 'features' (got {players!r})")
    live = instances if players == "instances" else 2 * instances
    require(
        live <= MOST_LIVE,
        message=f"all 2^n coalitions are enumerated for n <= {MOST_LIVE} players that differ from the baseline, up to "
        f"{'one' if players == 'instances' else 'two'} per instance here; use fewer instances (got instances={instances})",
    )
    require_pooling(pooling)
    return set_environment(
        id=id,
        formula=_formula(pooling, kinds),
        detector=lambda: _detector(kinds),
        detect=lambda bags: _detect(bags, kinds),
        kinds=kinds,
        pooling=pooling,
        level=_level(players, kinds, pooling),
        draw=lambda n, streams: _draw(n, instances, kinds, witnesses, streams),
        domain=f"bags of up to {instances} instances of bits, or empty slots, in any order",
        traits=_traits(pooling, players, kinds, witnesses),
        isolates="a label of the bag whose evidence is in single instances, which no sum over the bag shows",
        reference="Dietterich et al. 1997; Ilse, Tomczak, Welling 2018 (attention-based multiple-instance learning)",
        knobs={"instances": instances, "kinds": kinds, "witnesses": witnesses, "pooling": pooling, "players": players},
    )


def _formula(pooling: str, kinds: int) -> str:
    """The function, with the bits of kind k written x_i,2k-1 and x_i,2k."""
    if pooling == "sum":
        return f"f(x) = Σ_i Σ_k x_i,2k-1 x_i,2k, k = 1 ... {kinds}"
    return f"f(x) = 1[∀k ∃i: x_i,2k-1 = x_i,2k = 1], k = 1 ... {kinds}"


def _traits(pooling: str, players: str, kinds: int, witnesses: int) -> set[str]:
    if pooling == "sum":
        return {"piecewise_linear", "monotone", "flat_gradient"} | ({"additive"} if players == "instances" else {"interacting"})
    found = {"attention", "monotone", "saturating", "flat_gradient"}
    return (
        found | ({"interacting"} if kinds * witnesses > 1 or players == "features" else set()) | ({"redundant"} if witnesses > 1 else set())
    )


def _detector(kinds: int) -> nn.Module:
    """1[x_2k-1 + x_2k >= 2] of each kind."""
    pairs = torch.zeros(kinds, 2 * kinds + EXTRA, dtype=torch.float64)
    for kind in range(kinds):
        pairs[kind, 2 * kind : 2 * kind + 2] = 1
    return nn.Sequential(linear(pairs, None), step(2, size=kinds))


def _detect(bags: np.ndarray, kinds: int) -> np.ndarray:  # (batch, instances, columns) -> (batch, instances, kinds)
    require_bits(bags)
    return np.asarray(np.logical_and(bags[..., 0 : 2 * kinds : 2], bags[..., 1 : 2 * kinds : 2]))


def _level(players: str, kinds: int, pooling: str) -> Level:
    """Instances of equal content can change places; so can the two bits of one kind in one instance, where they are equal."""
    shares = None if pooling == "attention" else lambda bags: _shares(bags, kinds)
    if players == "instances":
        return Level(
            null=lambda bags: np.broadcast_to(~_detect(bags, kinds).any(2, keepdims=True), bags.shape),
            entries=None,
            orbit=contents,
            independent=lambda bags: np.zeros(bags.shape[:2], dtype=bool),
            integrated_gradients=shares,
        )
    columns = 2 * kinds + 1
    entries = np.arange(columns + 1) < columns  # the mark of an instance is no player

    def null(bags: np.ndarray) -> np.ndarray:
        found = np.ones(bags.shape, dtype=bool)
        found[..., : 2 * kinds] = ~_detect(bags, kinds).repeat(2, axis=2)
        return found

    def orbit(bags: np.ndarray) -> np.ndarray:
        n, instances, _ = bags.shape
        pairs = bags[..., : 2 * kinds].reshape(n, instances, kinds, 2)
        number = np.where(pairs[..., 0] == pairs[..., 1], np.arange(instances)[:, None] * kinds + np.arange(kinds), -1)
        found = np.full((n, instances, columns), -1)
        found[..., : 2 * kinds] = number.repeat(2, axis=2)
        return found.reshape(n, -1)

    def independent(bags: np.ndarray) -> np.ndarray:
        return np.broadcast_to(np.tile(np.arange(columns) == columns - 1, bags.shape[1]), (len(bags), bags.shape[1] * columns))

    return Level(null=null, entries=entries, orbit=orbit, independent=independent, integrated_gradients=shares)


def _shares(bags: np.ndarray, kinds: int) -> np.ndarray:
    """Under the sum, each instance of a kind is worth 1, and its two bits rise together on the straight path: half each."""
    scores = np.zeros(bags.shape)
    scores[..., : 2 * kinds] = _detect(bags, kinds).repeat(2, axis=2) / 2
    return scores


def _draw(n: int, instances: int, kinds: int, witnesses: int, streams: Streams) -> tuple[Tensor, Tensor]:
    """Pairs 11, 00 of every kind; in negative bags the pairs of one kind are 10, 01; then instances with at most one bit."""
    blocks = 2 * kinds * witnesses
    evidence = torch.zeros(n, instances, kinds, 2, dtype=torch.float64)
    negative = torch.rand(n, generator=next(streams)) < 0.5
    missing = torch.where(negative, torch.randint(kinds, (n,), generator=next(streams)), -1)
    for kind in range(kinds):
        for block in range(witnesses):
            first = 2 * (kind * witnesses + block)
            evidence[:, first, kind, 0] = 1
            evidence[:, first, kind, 1] = (missing != kind).double()
            evidence[:, first + 1, kind, 1] = (missing == kind).double()
    fillers = instances - blocks
    single = torch.randint(-kinds, 2 * kinds, (n, fillers), generator=next(streams))  # none of the bits for a third of them
    chosen = torch.nn.functional.one_hot(single.clamp(min=0), 2 * kinds).double() * (single >= 0).unsqueeze(2)
    evidence[:, blocks:] = chosen.view(n, fillers, kinds, 2)
    other = torch.randint(2, (n, instances, 1), generator=next(streams)).double()
    bags = torch.cat([evidence.flatten(2), other, torch.ones_like(other)], dim=2)
    least = max(blocks, instances - 2)
    size = torch.randint(least, instances + 1, (n,), generator=next(streams))
    return in_random_slots(bags, size, streams)
