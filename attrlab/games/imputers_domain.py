"""Whether what an imputer makes occurs in data is counted, not assumed: which colours, column values or tokens were never seen?

A network answers sensibly where it was made to; on values that no data hold, units may fire that never fired (the Unseen Data Effect).
A value here is an atom: the channels of a pixel, the vector of a token or node, one column's number at its column.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from attrlab.games.game import Game
from attrlab.games.plan import Jobs
from attrlab.games.rows import lay_out, maker

Atom = Literal["channels", "vector", "column"]
ATOMS: dict[str, Atom] = {"image": "channels", "sequence": "vector", "set": "vector", "table": "column", "graph": "column"}
"""What is a value in each modality."""


def unseen_share(
    inputs: Tensor,  # (rows, *features)
    reference: Tensor,  # (others, *features)
    *,
    atom: Atom,
) -> Tensor:  # (rows,) float64
    """The share of a row's values that occur nowhere in the reference rows: 0 inside of what was seen, 1 where nothing was."""
    mine, known = _atoms(inputs, atom), _atoms(reference, atom)
    width = mine.shape[2]
    _, group = torch.unique(torch.cat([known.flatten(0, 1), mine.flatten(0, 1)]).view(-1, width), dim=0, return_inverse=True)
    seen = torch.zeros(int(group.max()) + 1 if len(group) else 0, dtype=torch.bool, device=inputs.device)
    seen[group[: known.shape[0] * known.shape[1]]] = True
    return (~seen[group[known.shape[0] * known.shape[1] :]]).view(mine.shape[:2]).double().mean(1)


def unseen(
    game: Game,
    jobs: Jobs,
    reference: Tensor,  # (others, *features)
    *,
    atom: Atom,
) -> Tensor:  # (jobs,) float64
    """The share of unseen values in what the game's imputer makes of each job; the rows themselves count as seen."""
    everything = torch.arange(len(jobs), device=game.inputs.device)
    rows = lay_out(game)
    made = maker(rows, jobs, everything, jobs.sample)(0, len(jobs))
    return unseen_share(made, torch.cat([reference.to(made), game.inputs]), atom=atom)


def _atoms(rows: Tensor, atom: Atom) -> Tensor:  # (rows, atoms, width)
    if atom == "channels":
        return rows.flatten(2).transpose(1, 2)
    if atom == "vector":
        return rows.flatten(2)
    flat = rows.flatten(1)
    column = torch.arange(flat.shape[1], device=rows.device, dtype=rows.dtype).expand_as(flat)
    return torch.stack([column, flat], 2)
