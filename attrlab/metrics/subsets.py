"""If a score says what a player is worth, the scores of a set should say what the set is worth: sums of scores against drops of the output.

Sensitivity-n, infidelity and faithfulness correlation all remove random sets S and compare the sum of a_i over S with the drop,
v(N) - v(N without S). The sets are drawn once, from fixed keys of the players, so that every method, row and batch is asked about the
same ones, and what they answer is remembered.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.plan import Levels, Masks, Without, concatenate
from attrlab.games.ranking import rounding_of
from attrlab.metrics.answers import Answers, Asked, asked
from attrlab.metrics.metric import Metric

SEED = 0x5B5E7
DRAWS, SIZES, SHARE = 32, 4, 0.2
"""Sets of each size, sizes of sensitivity-n, and the share of players of faithfulness correlation."""


def sensitivity_n(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    sizes: int = SIZES,
    draws: int = DRAWS,
) -> Tensor:  # (batch,) float64
    """The correlation, over random sets S of size n, of the sum of a_i over S with v(N) - v(N without S); the mean over a grid of n.

    The grid is logarithmic, from 1 to the number of players less one. A size at which either side is constant is left out.

    Returns:
        NaN where no size is left, as in a row of one player, or where a score is not finite.

    Reference:
        Ancona et al., "Towards better understanding of gradient-based attribution methods for deep neural networks", 2018, section 4.
        For n = N it is the completeness axiom, of which a correlation knows nothing.
    """
    known = asked(game)
    count = known.game.present.sum(1)
    grid = torch.linspace(0, 1, sizes, dtype=torch.float64, device=count.device) if sizes > 1 else torch.zeros(1, device=count.device)
    wanted = ((count - 1).clamp(min=1).double().unsqueeze(1) ** grid).round().long()
    new = torch.cat([torch.ones_like(wanted[:, :1], dtype=torch.bool), wanted.diff(dim=1) > 0], 1) & (count > 1).unsqueeze(1)
    sums, drops = sums_and_drops(known, scores, wanted, draws=draws)
    found = correlation(sums, drops).masked_fill(~new, torch.nan)
    return _defined(found.nanmean(1), scores, known)


def faithfulness_correlation(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    share: float = SHARE,
    draws: int = DRAWS,
) -> Tensor:  # (batch,) float64
    """The same correlation at the one size ceil(share x number of players).

    Reference:
        Bhatt, Weller and Moura, "Evaluating and aggregating feature-based model explanations", 2020, definition 3.
    """
    known = asked(game)
    size = (known.game.present.sum(1, keepdim=True) * share).ceil().long()
    sums, drops = sums_and_drops(known, scores, size, draws=draws)
    return _defined(correlation(sums, drops).squeeze(1), scores, known)


def infidelity(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    draws: int = 2 * DRAWS,
    scaled: bool = False,
) -> Tensor:  # (batch,) float64
    """The mean over random sets S of (sum of a_i over S - (v(N) - v(N without S)))^2, each player in S with probability 1/2.

    Args:
        game: what is asked.
        scores: of the players, in units of the output: what a method that multiplies by the input difference returns.
        draws: how many sets.
        scaled: whether scores are first multiplied by the factor that makes it least, so that a method's unit does not count.

    Reference:
        Yeh et al., "On the (in)fidelity and sensitivity of explanations", 2019, definition 2.1 with the perturbation I = (x - x') on S, and
        proposition 4.1 (optimal scaling).
    """
    known = asked(game)
    players = known.game.players
    chosen = torch.rand(draws, players, generator=torch.Generator().manual_seed(SEED)).to(known.game.inputs.device) < 0.5
    rows = len(known.game)
    sample = torch.arange(rows, device=chosen.device).repeat_interleave(draws + 1)
    kept = ~torch.cat([torch.zeros_like(chosen[:1]), chosen]).repeat(rows, 1)
    found = known.reduced(known.game.inputs, ("infidelity", draws), lambda: known.worth(Masks(sample=sample, mask=kept)))
    worth = found.view(rows, -1)
    drops, sums = worth[:, :1] - worth[:, 1:], _finite(scores, known) @ chosen.double().T
    power = sums.square().sum(1)
    best = torch.where(power > 0, (sums * drops).sum(1) / torch.where(power > 0, power, 1), 0)
    factor = best if scaled else torch.ones_like(best)
    return _defined(((factor.view(-1, 1) * sums - drops) ** 2).mean(1), scores, known)


def faithfulness_estimate(
    game: Asked,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """The correlation, over players, of a_i with v(N) - v(N without i).

    Reference:
        Alvarez-Melis and Jaakkola, "Towards robust interpretability with self-explaining neural networks", 2018, section 5.2.
    """
    known = asked(game)
    present = known.game.present
    return _defined(correlation(_finite(scores, known), single_drops(known), present), scores, known)


def single_drops(
    known: Answers,
) -> Tensor:  # (batch, players) float64
    """v(N) - v(N without i) for every player; 0 for absent ones."""
    rows, players = known.game.present.shape

    def build() -> Tensor:
        player = torch.arange(-1, players, device=known.game.inputs.device).repeat(rows)
        sample = torch.arange(rows, device=player.device).repeat_interleave(players + 1)
        found = known.worth(Without(sample=sample, player=player, players=players)).view(rows, players + 1)
        return torch.where(known.game.present, found[:, :1] - found[:, 1:], 0)

    return known.reduced(known.game.inputs, ("single drops",), build)


def sums_and_drops(
    known: Answers,
    scores: Tensor,  # (batch, players)
    sizes: Tensor,  # (batch, sizes) int64
    *,
    draws: int,
) -> tuple[Tensor, Tensor]:  # both (batch, sizes, draws) float64
    """For `draws` random sets of each size: the sum of their scores, and how far the output falls without them."""
    order = _orders(known, draws)
    name = ("subsets", draws, tuple(map(tuple, sizes.tolist())))
    drops = known.reduced(known.game.inputs, name, lambda: _drops(known, order, sizes))
    placed = torch.zeros(order.shape, dtype=torch.float64, device=order.device)
    placed.scatter_(2, order, _finite(scores, known).expand(order.shape))
    sums = torch.cat([torch.zeros_like(placed[..., :1]), placed.cumsum(2)], 2).gather(2, sizes.expand(draws, -1, -1))
    return sums.permute(1, 2, 0), drops


def correlation(
    first: Tensor,  # (..., samples)
    second: Tensor,  # (..., samples)
    present: Tensor | None = None,  # (..., samples) bool
) -> Tensor:  # (...) float64
    """Pearson's correlation along the last dimension; NaN where either side is constant within rounding."""
    inside = torch.ones_like(first, dtype=torch.bool) if present is None else present
    count = inside.sum(-1, keepdim=True)
    parts = []
    for values in (first.double(), second.double()):
        mean = torch.where(inside, values, 0).sum(-1, keepdim=True) / count
        centred = torch.where(inside, values - mean, 0)
        largest = torch.where(inside, values, 0).flatten(0, -2)
        bound = rounding_of(largest).view(mean.shape)
        parts.append(centred.masked_fill(centred.abs().amax(-1, keepdim=True) <= bound, 0))
    one, two = parts
    scale = (one.square().sum(-1) * two.square().sum(-1)).sqrt()
    return ((one * two).sum(-1) / torch.where(scale > 0, scale, torch.nan)).clamp(-1, 1)


def _orders(known: Answers, draws: int) -> Tensor:  # (draws, batch, players) int64
    """For each draw, the place of every player in a random order of the row's present players; the same keys in every row."""
    keys = torch.rand(draws, 1, known.game.players, generator=torch.Generator().manual_seed(SEED)).to(known.game.inputs.device)
    return keys.masked_fill(~known.game.present, 2.0).argsort(dim=2, stable=True).argsort(dim=2)


def _drops(known: Answers, order: Tensor, sizes: Tensor) -> Tensor:  # (batch, sizes, draws) float64
    whole = torch.zeros_like(sizes[:, :1])
    plans = [Levels(rank=one, threshold=torch.cat([whole, sizes], 1)) for one in order]
    found = known.worth(concatenate(*plans)).view(len(order), len(sizes), -1)
    return (found[..., :1] - found[..., 1:]).permute(1, 2, 0)


def _finite(scores: Tensor, known: Answers) -> Tensor:  # (batch, players) float64
    scores = scores.detach().to(known.game.inputs.device).double()
    return torch.where(known.game.present & scores.isfinite(), scores, 0)


def _defined(found: Tensor, scores: Tensor, known: Answers) -> Tensor:
    fine = (scores.to(found.device).isfinite() | ~known.game.present).all(1) & known.game.present.any(1)
    return found.where(fine, torch.nan)


def scaled_infidelity(
    game: Asked,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """`infidelity` with the optimal factor."""
    return infidelity(game, scores, scaled=True)


_CORRELATION = "-1 to 1; 1 for exact scores of an additive game"

METRICS = (
    Metric(
        name="sensitivity_n",
        question="game",
        direction="higher",
        range=_CORRELATION,
        formula="mean over n of corr_S(Σ_{i in S} a_i, v(N) − v(N∖S)), S random of size n, n on a logarithmic grid from 1 to N − 1",
        reference="Ancona et al., 2018, section 4",
        measure=sensitivity_n,
        ranking="none",
        cost=f"{SIZES * DRAWS} forwards",
    ),
    Metric(
        name="faithfulness_correlation",
        question="game",
        direction="higher",
        range=_CORRELATION,
        formula=f"corr_S(Σ_{{i in S}} a_i, v(N) − v(N∖S)), S random of size ⌈{SHARE:g} N⌉",
        reference="Bhatt et al., 2020, definition 3",
        measure=faithfulness_correlation,
        ranking="none",
        cost=f"{DRAWS} forwards",
    ),
    Metric(
        name="infidelity",
        question="game",
        direction="lower",
        range="0 to infinity, in squared logits; 0 for exact scores of an additive game",
        formula="mean over S of (Σ_{i in S} a_i − (v(N) − v(N∖S)))², each player in S with probability 1/2",
        reference="Yeh et al., 2019, definition 2.1",
        measure=infidelity,
        ranking="none",
        cost=f"{2 * DRAWS} forwards",
    ),
    Metric(
        name="infidelity_scaled",
        question="game",
        direction="lower",
        range="0 to infinity, in squared logits; 0 for any multiple of the exact scores of an additive game",
        formula="min over β of mean over S of (β Σ_{i in S} a_i − (v(N) − v(N∖S)))²",
        reference="Yeh et al., 2019, proposition 4.1",
        measure=scaled_infidelity,
        ranking="none",
        cost=f"{2 * DRAWS} forwards",
    ),
    Metric(
        name="faithfulness_estimate",
        question="game",
        direction="higher",
        range=_CORRELATION,
        formula="corr_i(a_i, v(N) − v(N∖i))",
        reference="Alvarez-Melis and Jaakkola, 2018, section 5.2",
        measure=faithfulness_estimate,
        ranking="none",
        cost="n forwards",
    ),
)
