"""Is what is called important necessary, and is it sufficient? Fidelity+ removes it, fidelity- keeps nothing else.

The first hopes for a fall of the output, the second for none, and so they reward different truths. Where either of two edges is enough (an
OR), one of them is a perfect sufficient explanation and has fidelity+ 0; only both together have both. A score should be read with the
object that it rewards: `necessary_auroc` is judged against the necessary players, `support_auroc` against all that matter.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.curves import Mode
from attrlab.games.value import Value
from attrlab.metrics.answers import Asked, asked
from attrlab.metrics.metric import Metric
from attrlab.metrics.orders import mean_curve

SHARES = (0.1, 0.2, 0.3, 0.4, 0.5)
"""The sizes of explanations that fidelity is averaged over, as shares of a row's players."""

BINS = (0.01, 0.05, 0.1, 0.2, 0.5)
"""The published bins of comprehensiveness and sufficiency."""


def drop_at(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    shares: Sequence[float],
    mode: Mode,
    value: Value = "probability",
) -> Tensor:  # (batch, shares) float64
    """v(N) - v(without the top k), or v(N) - v(of the top k alone), for k = ceil(share x number of players).

    Ties give the mean over choices.

    Raises:
        InvalidInput: if a share is not between 0 and 1.
    """
    if not shares or not all(0 <= share <= 1 for share in shares):
        raise InvalidInput(f"shares of players are between 0 and 1 (got {tuple(shares)})")
    known = asked(game)
    found = mean_curve(known, scores, mode=mode, value=value)
    count = known.game.present.sum(1, keepdim=True)
    chosen = (torch.tensor(tuple(shares), dtype=torch.float64, device=count.device) * count - 1e-9).ceil().long().clamp(min=0)
    whole = found.value[:, :1] if mode == "deletion" else found.value[:, -1:]
    return whole - found.value.gather(1, chosen)


def fidelity_plus(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    shares: Sequence[float] = SHARES,
) -> Tensor:  # (batch,) float64
    """The mean over sizes of p(N) - p(N without the explanation): high where what is called important is necessary.

    Reference:
        Pope et al., "Explainability methods for graph convolutional neural networks", 2019; Yuan et al., "Explainability in graph neural
        networks: a taxonomic survey", 2022, equation 6 (probability).
    """
    return drop_at(game, scores, shares=shares, mode="deletion").mean(1)


def fidelity_minus(
    game: Asked,
    scores: Tensor,  # (batch, players)
    *,
    shares: Sequence[float] = SHARES,
) -> Tensor:  # (batch,) float64
    """The mean over sizes of p(N) - p(the explanation alone): low where what is called important is sufficient.

    Reference:
        Yuan et al., 2022, equation 8 (probability).
    """
    return drop_at(game, scores, shares=shares, mode="insertion").mean(1)


def comprehensiveness(
    game: Asked,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """`fidelity_plus` on the bins 1, 5, 10, 20 and 50 %.

    Reference:
        DeYoung et al., "ERASER: a benchmark to evaluate rationalized NLP models", 2020, section 4 (aggregated).
    """
    return fidelity_plus(game, scores, shares=BINS)


def sufficiency(
    game: Asked,
    scores: Tensor,  # (batch, players)
) -> Tensor:  # (batch,) float64
    """`fidelity_minus` on the bins 1, 5, 10, 20 and 50 %.

    Reference:
        DeYoung et al., 2020, section 4 (aggregated).
    """
    return fidelity_minus(game, scores, shares=BINS)


_GRAPH, _SEQUENCE = frozenset({"graph"}), frozenset({"sequence"})

METRICS = (
    Metric(
        name="fidelity_plus",
        question="game",
        direction="higher",
        range="-1 to 1; rewards necessary players",
        formula="mean over s = 0.1, …, 0.5 of p(N) − p(N∖top ⌈sn⌉)",
        reference="Pope et al., 2019; Yuan et al., 2022, equation 6",
        measure=fidelity_plus,
        modalities=_GRAPH,
        object="necessary",
        cost="5 forwards",
    ),
    Metric(
        name="fidelity_minus",
        question="game",
        direction="lower",
        range="-1 to 1; rewards sufficient sets",
        formula="mean over s = 0.1, …, 0.5 of p(N) − p(top ⌈sn⌉)",
        reference="Yuan et al., 2022, equation 8",
        measure=fidelity_minus,
        modalities=_GRAPH,
        cost="5 forwards",
    ),
    Metric(
        name="comprehensiveness",
        question="game",
        direction="higher",
        range="-1 to 1; rewards necessary players",
        formula="mean over s = 1, 5, 10, 20, 50 % of p(N) − p(N∖top ⌈sn⌉)",
        reference="DeYoung et al., 'ERASER', 2020, section 4",
        measure=comprehensiveness,
        modalities=_SEQUENCE,
        object="necessary",
        cost="5 forwards",
    ),
    Metric(
        name="sufficiency",
        question="game",
        direction="lower",
        range="-1 to 1; rewards sufficient sets",
        formula="mean over s = 1, 5, 10, 20, 50 % of p(N) − p(top ⌈sn⌉)",
        reference="DeYoung et al., 'ERASER', 2020, section 4",
        measure=sufficiency,
        modalities=_SEQUENCE,
        cost="5 forwards",
    ),
)
