"""A layout says which networks a study needs, each once, and which cell reads which of them; it is made before any is retrained.

Methods that do not apply, raise or return NaN are left out here with their reason, and the others go on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from attrlab.errors import MethodError, NotApplicable
from attrlab.games.imputers import Imputer
from attrlab.method import Method
from attrlab.retraining.attributions import player_scores_of
from attrlab.retraining.data import Data
from attrlab.retraining.fills import imputer_of
from attrlab.retraining.jobs import Job, Protocol, Question, Scored, Unit, chunks, jobs_of, keyed
from attrlab.retraining.networks import Network, unstack
from attrlab.retraining.settings import DTYPE, Settings, mask_network_for, network_for
from attrlab.retraining.sizes import models_per_chunk
from attrlab.retraining.stacked import train
from attrlab.retraining.store import read_arrays, write_arrays
from attrlab.retraining.views import Stand, shown, whole

ENDS = "ends of the curve"
"""The name under which the networks with nothing and with everything removed are filed."""

BASE_SEED = 1 << 16
"""From which seed the network that is explained is trained, where none is given: one that no retrained network has."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """A study before it is conducted.

    Attributes:
        scored: the scores of each method that could be asked, and of the ends, all 0.
        refused: (method, reason) of the others.
        anchors, chunks: what is trained, anchors first.
        full, nothing: keys of the networks with nothing and with everything removed.
        rows, masks: the key of each job's network, and of the one that sees its mask alone.
    """

    data: Data
    settings: Settings
    network: Network
    mask_network: Network
    stand: Stand
    scored: dict[str, Scored]
    refused: tuple[tuple[str, str], ...]
    anchors: list[list[Unit]]
    chunks: list[list[Unit]]
    full: tuple[str, ...]
    nothing: tuple[str, ...]
    rows: dict[Job, str]
    masks: dict[Job, str]


def lay_out(data: Data, methods: Sequence[Method], settings: Settings, *, folder: Path | None = None) -> Layout:
    """Ask every method for its scores and lay out what is to be trained.

    Raises:
        NotApplicable: if no method could be asked.
    """
    network, stand = network_for(data, settings.network), stand_of(data, settings)
    mask_network = mask_network_for(data, network)
    model = explained(data, network, settings, stand, folder)
    scored, refused = _ask(data, methods, settings, stand.imputer, model, folder)
    if not scored:
        raise NotApplicable(f"no method could be asked about {data.name}: {'; '.join(reason for _, reason in refused)}")
    stem = f"{data.digest()}|{network.name}|{settings.training}|{stand.imputer.name}|{settings.device}"
    rows: dict[Job, str] = {}
    masks: dict[Job, str] = {}
    ends = _ends(data, stand.imputer)
    asked = jobs_of(scored, settings.protocols, settings.fractions, settings.seeds)
    for name in scored:
        own = [job for job in asked if job.method == name]
        rows.update(keyed(own, scored[name], question="rows", stem=stem))
        leaking = [job for job in own if job.seed < settings.leakage_seeds]
        masks.update(keyed(leaking, scored[name], question="mask", stem=f"{stem}|{mask_network.name}"))
    at_ends = dict(keyed(_end_jobs(settings), ends, question="rows", stem=stem))
    size = settings.chunk or models_per_chunk(network, stand, settings)
    first = _units([(job, key, "rows") for job, key in at_ends.items()], set())
    rest: list[tuple[Job, str, Question]] = [(job, rows[job], "rows") for job in asked]
    rest += [(job, masks[job], "mask") for job in asked if job in masks]
    sizes: dict[Question, int] = {"rows": size, "mask": size}
    return Layout(
        data=data,
        settings=settings,
        network=network,
        mask_network=mask_network,
        stand=stand,
        scored={**scored, ENDS: ends},
        refused=refused,
        anchors=chunks(first, sizes),
        chunks=chunks(_units(rest, {unit.key for unit in first}), sizes),
        full=tuple(key for job, key in at_ends.items() if job.fraction == 0),
        nothing=tuple(key for job, key in at_ends.items() if job.fraction == 1),
        rows=rows,
        masks=masks,
    )


def stand_of(data: Data, settings: Settings) -> Stand:
    """The data as networks are shown them."""
    train_rows, test_rows = (shown(data, split, device=settings.device, dtype=DTYPE) for split in (data.train, data.test))
    return Stand(
        train=train_rows,
        test=test_rows,
        imputer=imputer_of(settings.imputer, train_rows.inputs),
        graph=data.modality == "graph",
        nodes_leave=data.nodes_leave,
    )


def explained(data: Data, network: Network, settings: Settings, stand: Stand, folder: Path | None) -> nn.Module:
    """The network that is explained: the world's own, or one trained here; in float64."""
    if data.model is not None:
        return data.model
    path = None if folder is None else folder / f"explained-{_digest(data, network, settings)}.npz"
    held = None if path is None else read_arrays(path)
    if held is not None:
        parameters = {name: torch.from_numpy(value) for name, value in held.items()}
    else:
        parameters = train(network, whole(stand, 0), stand.train.labels, seeds=[BASE_SEED], training=settings.training)
        parameters = {name: value.cpu() for name, value in parameters.items()}
        if path is not None:
            write_arrays(path, **{name: value.numpy() for name, value in parameters.items()})
    return unstack(network, parameters, 0).double()


def _ask(
    data: Data, methods: Sequence[Method], settings: Settings, imputer: Imputer, model: nn.Module, folder: Path | None
) -> tuple[dict[str, Scored], tuple[tuple[str, str], ...]]:
    """The scores of every method that can be asked, and why the others cannot."""
    scored, refused = {}, []
    place = None if folder is None else folder / "attributions"
    for method in methods:
        try:
            found = player_scores_of(method, data, model, seed=settings.seed, folder=place)
        except (NotApplicable, MethodError) as reason:
            refused.append((method.name, str(reason)))
            continue
        ranked = tuple(value.abs() if settings.ranking == "absolute" else value for value in found)
        scored[method.name] = _scored(data, (ranked[0], ranked[1]), imputer)
    return scored, tuple(refused)


def _scored(data: Data, scores: tuple[torch.Tensor, torch.Tensor], imputer: Imputer) -> Scored:
    """Scores with who is there, and whose absence changes anything."""
    present = (data.train.present(data.players), data.test.present(data.players))
    return Scored(scores=scores, present=present, live=(_live(data, 0, imputer), _live(data, 1, imputer)))


def _live(data: Data, split: int, imputer: Imputer) -> torch.Tensor:  # (rows, players) bool
    rows = shown(data, (data.train, data.test)[split], device="cpu", dtype=DTYPE)
    changes = imputer.changes(rows.inputs, rows.baseline).flatten(1)
    owner = torch.where(rows.feature_mask < 0, data.players, rows.feature_mask).flatten(1)
    counts = torch.zeros(len(owner), data.players + 1, dtype=torch.int64)
    return counts.scatter_add_(1, owner, changes.long())[:, : data.players] > 0


def _ends(data: Data, imputer: Imputer) -> Scored:
    """Scores that rank nothing: at both ends of a curve there is nothing to rank."""
    nothing = (torch.zeros(len(data.train), data.players), torch.zeros(len(data.test), data.players))
    return _scored(data, (nothing[0].double(), nothing[1].double()), imputer)


def _end_jobs(settings: Settings) -> list[Job]:
    """With nothing and with everything removed, for each fate of isolated nodes."""
    fates = dict.fromkeys(protocol.isolated for protocol in settings.protocols)
    ends = (0.0, 1.0)
    return jobs_of([ENDS], [Protocol(isolated=fate) for fate in fates], ends, settings.seeds)


def _units(asked: Iterable[tuple[Job, str, Question]], known: set[str]) -> list[Unit]:
    """One unit per key that is not known yet, named by the first job that asks for it."""
    seen = set(known)
    units = []
    for job, key, question in asked:
        if key not in seen:
            seen.add(key)
            units.append(Unit(key=key, question=question, job=job))
    return units


def _digest(data: Data, network: Network, settings: Settings) -> str:
    return hashlib.sha256(f"{data.digest()} {network.name} {settings.training}".encode()).hexdigest()[:16]
