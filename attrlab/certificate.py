"""A refutation is handed over as a certificate: network, rows, baseline, axiom, seed and versions, to be checked again by anyone.

Nothing in the file is believed. The network is rebuilt from its numbers, what the file states of it (two networks are equal, the function
is symmetric here, does not fall there) is tried on rows at random, and the axiom is measured again. A file that was changed after it was
written no longer has its own digest.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from attrlab.axioms import find_axiom
from attrlab.case import OF_ROWS, Case
from attrlab.errors import InvalidInput
from attrlab.judge import Examination, examine
from attrlab.knowledge_tried import contradiction
from attrlab.method import Method
from attrlab.networks_as_data import module_as_data, module_of, tensor_as_data, tensor_of
from attrlab.record import versions, write_atomically
from attrlab.study import prepare

FORMAT = "attrlab certificate 1"

_TENSORS = ("inputs", "target", "baseline", "feature_mask", "seeds", "reference", "supports", *OF_ROWS)


@dataclass(frozen=True, kw_only=True)
class Replay:
    """What became of a certificate that was checked again.

    Attributes:
        stands: whether the violation is there again, beyond 100 x the tolerance.
        measured: how large it is now.
        recorded: how large it was.
        sentence: says so.
    """

    stands: bool
    measured: float
    recorded: float
    counterexample: str
    sentence: str


def certificate(method: Method, axiom: str, case: Case, found: Examination, *, seed: int, stage: tuple[str, int, int] | None = None) -> str:
    """A refutation as JSON text.

    Args:
        method: what was refuted; it is named as it was found, its code is not part of the certificate.
        axiom: its name.
        case: where it was refuted.
        found: the refutation.
        seed: of the method's noise.
        stage: of a named environment, its id, how many rows were drawn and from which seed; the network then is the environment's.

    Raises:
        InvalidInput: if the network cannot be written as data.
    """
    body = {
        "format": FORMAT,
        "method": method.source or method.name,
        "axiom": axiom,
        "seed": seed,
        "tolerance": found.tolerance,
        "measured": found.measured,
        "row": found.row,
        "counterexample": found.counterexample,
        "versions": versions(),
        "case": _case_as_data(case) if stage is None else _stage_as_data(stage, case),
    }
    return json.dumps({**body, "digest": _digest(body)}, indent=1, ensure_ascii=False)


def write(path: Path, certificates: Iterable[str]) -> None:
    """Write certificates to one file, as a list."""
    write_atomically(path, json.dumps([json.loads(text) for text in certificates], indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    """The certificates in a file, unchanged since they were written.

    Raises:
        InvalidInput: if it cannot be read, is not a certificate, or was changed.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidInput(f"{str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise InvalidInput(f"{str(path)!r} is not a certificate: it is no JSON ({error})") from error
    found = data if isinstance(data, list) else [data]
    if not found:
        raise InvalidInput(f"{str(path)!r} holds no certificate: write what `attrlab refute METHOD --json PATH` found")
    return [_genuine(certificate, path) for certificate in found]


def _genuine(data: Any, path: Path) -> dict[str, Any]:
    """A certificate whose digest is that of its content, without the digest."""
    if not isinstance(data, dict) or data.get("format") != FORMAT:
        got = data.get("format") if isinstance(data, dict) else type(data).__name__
        raise InvalidInput(f"{str(path)!r} is not a certificate: its format must be {FORMAT!r} (got {got!r})")
    body = {key: value for key, value in data.items() if key != "digest"}
    if data.get("digest") != _digest(body):
        got = data.get("digest")
        raise InvalidInput(f"{str(path)!r} was changed after it was written: its digest is not that of its content (got {got!r})")
    return body


def replay(data: dict[str, Any], method: Method) -> Replay:
    """Check a certificate again, with the method as it is now.

    Raises:
        InvalidInput: if the certificate is incomplete, stale (its environment has changed), or states what is not true of its network.
        NotApplicable, MethodError: as `player_scores`.
    """
    try:
        axiom, case = find_axiom(str(data["axiom"])), _case_of(data["case"])
        seed, tolerance, recorded = int(data["seed"]), float(data["tolerance"]), float(data["measured"])
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidInput(f"the certificate is incomplete: {type(error).__name__}: {error}") from error
    missing = axiom.missing(case)
    if missing:
        raise InvalidInput(f"the certificate is incomplete: {axiom.name} needs {missing}")
    wrong = contradiction(case)
    if wrong:
        raise InvalidInput(f"the certificate states what is not true: {wrong}")
    found = examine(method, axiom, case, tolerance=tolerance, seed=seed)
    stands = found.judgement == "refuted"
    now, before = f"{found.measured:.6g}", f"{recorded:.6g}"
    words = "the violation stands" if stands else "the violation does not stand"
    return Replay(
        stands=stands,
        measured=found.measured,
        recorded=recorded,
        counterexample=found.counterexample,
        sentence=f"{words}: {method.name}, {axiom.name}: {now}, recorded {before}, refuted above {found.bound:.3g}",
    )


def _case_as_data(case: Case) -> dict[str, Any]:
    """A case whose network is written out."""
    tensors = {name: value for name in _TENSORS if isinstance(value := getattr(case, name), Tensor)}
    return {
        "name": case.name,
        "formula": case.formula,
        "modality": case.modality,
        "players": case.players,
        "traits": sorted(case.traits),
        "lipschitz": case.lipschitz,
        "network": module_as_data(case.model),
        "others": {name: module_as_data(network) for name, network in case.others.items()},
        "branches": [[factor, module_as_data(network)] for factor, network in case.branches],
        "tensors": {name: tensor_as_data(value) for name, value in tensors.items()},
    }


def _stage_as_data(stage: tuple[str, int, int], case: Case) -> dict[str, Any]:
    id, rows, seed = stage
    return {"environment": id, "rows": rows, "seed": seed, "inputs": tensor_as_data(case.inputs)}


def _case_of(data: dict[str, Any]) -> Case:
    """The case that was written; of an environment, the one that it has now, if its rows are still those."""
    if "environment" in data:
        case = prepare(str(data["environment"]), rows=int(data["rows"]), seed=int(data["seed"])).case
        if not torch.equal(case.inputs, tensor_of(data["inputs"])):
            raise InvalidInput(f"the certificate is stale: {data['environment']} no longer draws the rows it was written about")
        return case
    tensors: dict[str, Any] = {name: tensor_of(value) for name, value in data["tensors"].items() if name in _TENSORS}
    return Case(
        name=str(data["name"]),
        formula=str(data["formula"]),
        modality=str(data["modality"]),
        players=int(data["players"]),
        traits=frozenset(map(str, data["traits"])),
        lipschitz=None if data["lipschitz"] is None else float(data["lipschitz"]),
        model=module_of(data["network"]),
        others={str(name): module_of(network) for name, network in data["others"].items()},
        branches=tuple((float(factor), module_of(network)) for factor, network in data["branches"]),
        **tensors,
    )


def _digest(body: dict[str, Any]) -> str:
    """SHA-256 of the content, in one order of its keys."""
    return hashlib.sha256(json.dumps(body, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
