"""One mask does not say why a network answers: which players it needs, which it needs together, and which would have been enough.

Of parity the Shapley value can be 0 where every player is necessary; of OR no player is necessary where each is enough. So a row's
certificates stand beside its scores: necessary players, minimal sufficient sets, and the order of interaction.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthetic.environment import Batch
from synthetic.oracles import coalition_table, moebius

LIMIT = 12
"""Players up to which sufficient sets are listed: a certificate is for reading."""


@dataclass(frozen=True, kw_only=True)
class Certificates:
    """What is true of one row's baseline game, exactly.

    Attributes:
        relevant: players that change some coalition's value.
        necessary: players without which, all others present, the value is another.
        sufficient: minimal sets whose every superset has the value of all players; a superset-closed definition, so that
            a set is not called enough because the players it lacks happen to cancel.
        order: the size of the largest set with a non-zero dividend (Möbius coefficient): 1 for additive games, 0 for constant ones.
    """

    relevant: frozenset[int]
    necessary: frozenset[int]
    sufficient: frozenset[frozenset[int]]
    order: int


def certificates(specification: Callable[[np.ndarray], np.ndarray], batch: Batch, row: int) -> Certificates:
    """Certify one row of a batch by enumerating its coalitions through the specification.

    Raises:
        ValueError: if more than `LIMIT` players differ from the baseline.
    """
    parts = (batch.inputs, batch.baseline, batch.feature_mask)
    x, x0, owner = (part[row].detach().cpu().numpy() for part in parts)
    live, values = coalition_table(specification, x, x0, owner, int(batch.target[row]), limit=LIMIT)
    n, everyone = len(live), len(values) - 1
    names = [int(player) for player in live]
    changes = [k for k in range(n) if any(values[code | 1 << k] != values[code] for code in range(len(values)))]
    return Certificates(
        relevant=frozenset(names[k] for k in changes),
        necessary=frozenset(names[k] for k in range(n) if values[everyone & ~(1 << k)] != values[everyone]),
        sufficient=frozenset(frozenset(names[k] for k in range(n) if code >> k & 1) for code in minimal_sufficient(values)),
        order=interaction_order(values),
    )


def minimal_sufficient(
    values: np.ndarray,  # (2^n,) value of each coalition, bit k = player k
) -> list[int]:
    """The codes of the minimal sets of which every superset has the value of all players."""
    enough = values == values[-1]
    codes = np.arange(len(values))
    n = len(values).bit_length() - 1
    for k in range(n):  # every superset: the set with player k must be sufficient as well
        without = codes[codes >> k & 1 == 0]
        enough[without] &= enough[without | 1 << k]
    return [int(code) for code in codes[enough] if not any(code >> k & 1 and enough[code & ~(1 << k)] for k in range(n))]


def interaction_order(
    values: np.ndarray,  # (2^n,)
) -> int:
    """The size of the largest coalition with a dividend beyond rounding."""
    dividends = moebius(values)
    bound = 1e-9 * max(1.0, float(np.abs(values).max()))  # 2^n additions of values of this size
    sizes = [int(code).bit_count() for code in np.flatnonzero(np.abs(dividends) > bound)]
    return max(sizes, default=0)
