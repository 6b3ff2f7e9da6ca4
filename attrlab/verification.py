"""A world is trusted because its network was compared with a specification that never calls it, and each truth with a second derivation.

Where the domain is finite and small it is enumerated; elsewhere at least ten thousand rows and coalitions of rows with their baseline are
drawn. The oracle's truths (plain numpy over the specification) are compared with the laboratory's own solvers run on the network:
two derivations that share no code. What was done is a record.
"""

from __future__ import annotations

import copy
import math
import time
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.games import make_game, removal, shapley
from attrlab.method import players_of, spread
from attrlab.methods.paths import exact_integrated_gradients
from attrlab.randomness import row_uniform
from attrlab.study import load
from synthetic import Batch, Environment
from synthetic.gadgets import least_preactivation

MARGIN = 0.25
"""No pre-activation on the lattice is closer to a kink than this (design.md, section 7, rule 1)."""

ON_KINKS, APPROXIMATE = "on_kinks", "approximate"
"""Traits of worlds that are about kinks and keep no margin, and of worlds whose network equals its specification up to rounding only."""

ROUNDING = 1e-6
"""What an approximate world may differ by in float32; exact ones may not differ at all."""

AGREEMENT = 1e-9
"""What two derivations of a truth may differ by in float64: rounding of sums of 2^n terms."""

LATTICE = 200_000
DRAWN, EXHAUSTIVE = 10_000, 200_000
"""Points up to which a lattice is enumerated, and rows that are drawn where there is none: by default, and on request."""

ROWS = 16
"""Rows on which the truths are derived a second time."""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was compared of one environment, and how it came out.

    Attributes:
        points: how many rows went through network and specification.
        enumerated: whether these are the whole lattice.
        error: the largest difference, by number type.
        preactivation: the least |pre-activation| on the points; infinite without a ReLU.
        disagreement: by convention, the largest difference between the two derivations over `rows` rows.
        problems: what is wrong, in sentences; empty if the world is what it says.
    """

    environment: str
    device: str
    points: int
    enumerated: bool
    error: dict[str, float]
    preactivation: float
    rows: int
    disagreement: dict[str, float]
    problems: tuple[str, ...]
    seconds: float


def verify(id: str, *, exhaustive: bool = False, device: str = "cpu", seed: int = 0) -> Verification:
    """Compare the network of an environment with its specification, and its truths with their second derivations.

    Raises:
        UnknownName: if there is no such environment.
    """
    start = time.perf_counter()
    environment = load(id)
    points, enumerated = points_of(environment, count=EXHAUSTIVE if exhaustive else DRAWN, seed=seed)
    error = {str(dtype).removeprefix("torch."): difference(environment, points, dtype, device) for dtype in (torch.float64, torch.float32)}
    preactivation = least_preactivation(environment.model, points)
    batch = environment.sample(ROWS, torch.Generator().manual_seed(seed + 1))
    disagreement = _disagreement(environment, batch, device)
    return Verification(
        environment=id,
        device=device,
        points=len(points),
        enumerated=enumerated,
        error=error,
        preactivation=preactivation,
        rows=len(batch),
        disagreement=disagreement,
        problems=_problems(environment, error, preactivation, disagreement),
        seconds=time.perf_counter() - start,
    )


def points_of(environment: Environment, *, count: int, seed: int) -> tuple[Tensor, bool]:
    """The whole lattice, and True, where it has at most `LATTICE` points; else `count` rows, half of them coalitions, and False."""
    lattice = None if environment.lattice is None else environment.lattice()
    if lattice is not None and len(lattice) <= LATTICE:
        return lattice, True
    batch = environment.sample(count // 2, torch.Generator().manual_seed(seed))
    return torch.cat([batch.inputs, coalitions(batch, seed=seed)]), False


def coalitions(batch: Batch, *, seed: int) -> Tensor:
    """Every row of a batch with each player kept or put to its baseline by a fair coin."""
    seeds = torch.arange(len(batch), device=batch.inputs.device) + (seed << 32)
    kept = row_uniform(seeds, (batch.players,)) < 0.5
    entries = spread(kept.to(batch.inputs.dtype), batch.feature_mask) > 0
    return torch.where(entries, batch.inputs, batch.baseline)


def difference(environment: Environment, points: Tensor, dtype: torch.dtype, device: str) -> float:
    """The largest |network - specification| over the points, (points, *features), computed in `dtype` on `device`."""
    network: nn.Module = copy.deepcopy(environment.model).to(device=device, dtype=dtype)
    worst = 0.0
    for part in torch.tensor_split(points, max(1, len(points) // 2048)):
        wanted = torch.as_tensor(environment.specification(part.cpu().numpy()), dtype=torch.float64)
        with torch.no_grad():
            found = network(part.to(device=device, dtype=dtype)).double().cpu()
        if found.shape != wanted.shape or not bool(torch.isfinite(found).all()):
            return math.inf
        worst = max(worst, float((found - wanted).abs().max()))
    return worst


def _disagreement(environment: Environment, batch: Batch, device: str) -> dict[str, float]:
    """The oracle's truths beside the laboratory's solvers on the network; NaN where the network has no exact solver."""
    placed = batch.to(device=device)
    network: nn.Module = copy.deepcopy(environment.model).to(device)
    game = make_game(
        network,
        placed.inputs,
        target=placed.target,
        baseline=placed.baseline,
        feature_mask=placed.feature_mask,
        players=placed.players,
    )
    second = {"shapley": lambda: shapley(game), "removal": lambda: removal(game), "integrated_gradients": lambda: _path(network, placed)}
    found = {}
    for convention, exact in placed.truth.attributions.items():
        try:
            found[convention] = float((second[convention]() - exact).abs().max())
        except NotApplicable:
            found[convention] = math.nan
    return found


def _path(network: nn.Module, batch: Batch) -> Tensor:
    scores = exact_integrated_gradients(network, batch.inputs, target=batch.target, baseline=batch.baseline)
    return players_of(scores, batch.feature_mask, batch.players)


def _problems(environment: Environment, error: dict[str, float], preactivation: float, disagreement: dict[str, float]) -> tuple[str, ...]:
    allowed = ROUNDING if APPROXIMATE in environment.traits else 0.0
    problems = [f"in {dtype} the network differs from its specification by {gap:.3g}" for dtype, gap in error.items() if gap > allowed]
    if ON_KINKS not in environment.traits and preactivation < MARGIN:
        problems.append(f"a pre-activation is {preactivation:.3g} from its kink, must be >= {MARGIN}")
    problems += [f"two derivations of {name} differ by {gap:.3g}" for name, gap in disagreement.items() if gap > AGREEMENT]
    return tuple(problems)
