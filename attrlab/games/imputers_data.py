"""What is absent may be drawn from data: from anywhere (marginal), from rows that agree with what is kept (conditional), or from a partner.

The first breaks what goes together in the data, the second does not and thereby lets an absent player be known from a present one: that is
the difference between interventional and observational values. A draw is one fixed row, or one fixed order of rows, for all questions of a
game, so that a coalition's value stays a function of the coalition; an expectation is the mean over several such imputers.
"""

from __future__ import annotations

import torch
from torch import Tensor

from attrlab.errors import InvalidInput
from attrlab.games.imputers import Imputer, everywhere, fill

BYTES = 2**24
"""Comparisons that are held at a time when agreeing rows are looked up."""


def channel_mean(
    reference: Tensor,  # (rows, channels, *places)
) -> Imputer:
    """What is absent takes the mean of its channel (or column) over reference data.

    Raises:
        InvalidInput: if there is no reference row.

    Reference:
        Hooker et al., "A benchmark for interpretability methods in deep neural networks", 2019, section 3.
    """
    _require_rows(reference)
    places = [0, *range(2, reference.dim())]
    mean = reference.double().mean(places).view(-1, *(1,) * (reference.dim() - 2))
    return fill(mean, name="channel mean", leaves="always")


def marginal(
    reference: Tensor,  # (rows, *features)
    *,
    draw: int = 0,
) -> Imputer:
    """What is absent takes the value it has in one row of reference data, whatever is kept.

    Raises:
        InvalidInput: if there are not so many reference rows.

    Reference:
        Strumbelj and Kononenko, 2014; Janzing, Minorics and Bloebaum, "Feature relevance quantification in explainable AI: a causal
        problem", 2020 (the interventional value, as the mean over draws).
    """
    _require_rows(reference, least=draw + 1)
    return fill(reference[draw], name=f"marginal {draw}", leaves="with mixtures")


def conditional(
    states: Tensor,  # (states, *features), equally likely
    *,
    draw: int = 0,
) -> Imputer:
    """What is absent is drawn from the states that agree with everything kept, for worlds whose states can be listed.

    States stand in an order drawn from `draw`, and the first that agrees is taken: each agreeing state is first equally often.

    Raises:
        InvalidInput: if there is no state, or, when it is asked, if no state agrees with what is kept: the row is then none of the states.

    Reference:
        Lundberg and Lee, "A unified approach to interpreting model predictions", 2017, equation 9; Janzing et al., 2020 (observational).
    """
    _require_rows(states)
    ordered = states[torch.randperm(len(states), generator=torch.Generator().manual_seed(draw)).to(states.device)]

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del baseline, sample
        listed = ordered.to(inputs)
        return torch.where(kept, inputs, listed[_first_agreeing(inputs.flatten(1), kept.flatten(1), listed.flatten(1))])

    return Imputer(name=f"conditional {draw}", impute=impute, changes=everywhere, leaves="never")


def partner(
    partners: Tensor,  # (batch, *features), the partner of each row of the game
) -> Imputer:
    """What is absent takes its value in the row's partner: a corrupted sequence, a counterfactual image, another class.

    Reference:
        Meng et al., "Locating and editing factual associations in GPT", 2022 (corrupted runs); Zhang and Nanda, 2024 (symmetric token
        replacement keeps a sequence among those that data hold).
    """

    def impute(inputs: Tensor, baseline: Tensor, kept: Tensor, sample: Tensor) -> Tensor:
        del baseline
        return torch.where(kept, inputs, partners.to(inputs).index_select(0, sample))

    def changes(inputs: Tensor, baseline: Tensor) -> Tensor:
        del baseline
        return inputs.ne(partners.to(inputs))

    return Imputer(name="partner", impute=impute, changes=changes, leaves="with mixtures")


def _first_agreeing(inputs: Tensor, kept: Tensor, states: Tensor) -> Tensor:  # (rows,) int64
    """The first state that equals each row wherever it is kept, some rows at a time."""
    block = max(1, BYTES // max(1, states.numel()))
    found = []
    for start in range(0, len(inputs), block):
        rows, present = inputs[start : start + block], kept[start : start + block]
        agrees = ((rows.unsqueeze(1) == states) | ~present.unsqueeze(1)).all(2)
        if not bool(agrees.any(1).all()):
            row = int((~agrees.any(1)).nonzero()[0])
            raise InvalidInput(
                f"no state agrees with what is kept, so the row is none of the states: list every state of the world, or take `marginal` "
                f"(got {rows[row][present[row]].tolist()} among {len(states)} states)"
            )
        found.append(agrees.long().argmax(1))
    return torch.cat(found) if found else torch.zeros(0, dtype=torch.int64, device=inputs.device)


def _require_rows(reference: Tensor, *, least: int = 1) -> None:
    if len(reference) < least:
        raise InvalidInput(f"at least {least} reference row{'s' * (least > 1)} must be given (got {len(reference)})")
