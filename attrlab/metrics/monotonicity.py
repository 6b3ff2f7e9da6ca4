"""Two metrics are called monotonicity: does the output never fall while players join, and do larger scores mean larger effects?

Both are computed here under their authors' names, because a number called "monotonicity" alone cannot be read.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.games.plan import Levels, concatenate
from attrlab.games.ranking import average_ranks, rank, rounding_of
from attrlab.metrics.answers import Asked, asked
from attrlab.metrics.metric import Metric
from attrlab.metrics.orders import seeded_ranks
from attrlab.metrics.subsets import correlation, single_drops


def monotonicity_arya(
    game: Asked,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """1 where the target's logit never falls while players join an empty row in ascending order of their signed scores, else 0.

    Where scores are tied it is the share of the fixed orders of the ties in which that is so.

    Reference:
        Arya et al., "One explanation does not fit all", 2019, section 4 (monotonicity); on logits, of which the probability of a single
        output is an increasing function.
    """
    known = asked(game)
    ranked = rank(scores.detach().to(known.game.inputs.device), known.game.present, descending=False)
    tied = bool(((ranked.last > ranked.first) & ranked.inside()).any())
    orders = seeded_ranks(ranked) if tied else seeded_ranks(ranked, orders=1)[:1]
    counts = torch.arange(ranked.order.shape[1] + 1, device=orders.device).clamp(max=ranked.count.unsqueeze(1))
    plans = [Levels(rank=one, threshold=counts, mode="insertion") for one in orders]
    values = known.worth(concatenate(*plans)).view(len(orders), *counts.shape)
    rises = values.diff(dim=2) >= -rounding_of(values.flatten(0, 1)).view(len(orders), -1, 1)
    return rises.all(2).double().mean(0).masked_fill(~ranked.defined | (ranked.count == 0), torch.nan)


def monotonicity_nguyen(
    game: Asked,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """Spearman's correlation, over players, of |a_i| with |v(N) - v(N without i)|.

    Returns:
        NaN where either is constant or a score is not finite.

    Reference:
        Nguyen and Martinez, "On quantitative aspects of model interpretability", 2020, section 2.4. Differs from the paper in that what is
        absent takes the game's imputer's value, where it is drawn from data there.
    """
    known = asked(game)
    present = known.game.present
    effects = single_drops(known).abs()
    ranks = [average_ranks(values, present) for values in (scores.detach().to(effects).abs(), effects)]
    defined = ~torch.where(present, ranks[0] + ranks[1], 0).isnan().any(1) & present.any(1)
    return correlation(ranks[0].nan_to_num(), ranks[1].nan_to_num(), present).where(defined, torch.nan)


METRICS = (
    Metric(
        name="monotonicity_arya",
        question="game",
        direction="higher",
        range="0 or 1; between them where scores are tied",
        formula="1[v rises or stays with every player that joins, smallest a_i first]",
        reference="Arya et al., 2019, section 4",
        measure=monotonicity_arya,
        cost="n forwards",
    ),
    Metric(
        name="monotonicity_nguyen",
        question="game",
        direction="higher",
        range="-1 to 1",
        formula="Spearman_i(|a_i|, |v(N) − v(N∖i)|)",
        reference="Nguyen and Martinez, 2020, section 2.4",
        measure=monotonicity_nguyen,
        ranking="absolute",
        cost="n forwards",
    ),
)
