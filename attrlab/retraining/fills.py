"""Imputers by name, as a study's settings write them; each is made from training rows alone.

What stands in the place of what is removed decides how much of the mask can be seen: a constant shows all of it, a filling that looks
like its neighbours little.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches

import torch
from torch import Tensor

from attrlab.errors import UnknownName
from attrlab.games.imputers import Imputer, constant, fill, keep_baseline
from attrlab.games.imputers_data import channel_mean, marginal
from attrlab.games.imputers_graphs import drop_node, mean_features, rewire
from attrlab.games.imputers_images import blur, noisy_linear

Make = Callable[[Tensor], Imputer]


def _of_background(rows: Tensor) -> Imputer:
    """The commonest colour of the corner pixels: of a palette, so that no new colour comes in."""
    corners = rows[:, :, 0, 0]
    colours, counts = torch.unique(corners, dim=0, return_counts=True)
    return fill(colours[counts.argmax()].view(-1, 1, 1), name="background")


def _always(make: Callable[[], Imputer]) -> Make:
    """An imputer that needs no rows to be made."""

    def made(rows: Tensor) -> Imputer:
        del rows
        return make()

    return made


IMPUTERS: Mapping[str, Make] = {
    "baseline": _always(lambda: keep_baseline),
    "mean": channel_mean,
    "zero": _always(lambda: constant(0.0)),
    "background": _of_background,
    "blur": _always(blur),
    "noisy_linear": _always(noisy_linear),
    "marginal": marginal,
    "drop_node": _always(drop_node),
    "mean_features": _always(mean_features),
    "rewire": _always(rewire),
}
"""By name: the row's baseline; ROAR's mean per channel or column; 0; the background of a palette; blur; ROAD's noisy linear imputer; a
row drawn from training data; and of graphs, nodes with their edges, features from neighbours, edges exchanged instead of removed."""


def imputer_of(
    name: str | Imputer,
    rows: Tensor,  # (rows, *features)
) -> Imputer:
    """The imputer of that name, or the one given.

    Raises:
        UnknownName: if there is none; the nearest is suggested.
    """
    if isinstance(name, Imputer):
        return name
    if name not in IMPUTERS:
        near = get_close_matches(name, IMPUTERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(IMPUTERS)}"
        raise UnknownName(f"there is no imputer {name!r}; {hint}")
    return IMPUTERS[name](rows)
