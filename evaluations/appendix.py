"""The appendix: of every method and every axiom the smallest counterexample there is, or how far the axiom is proved, in one table.

    python -m evaluations.appendix --scope default --store cells > appendix.md

What stands here is found by exhaustive search (see `evaluations.scope`), so a counterexample is the smallest of the scope in its order, and
"holds" is a proof for these networks and points. Where theory says that an axiom is violated and no network of the scope shows it, what the
random search finds beyond the scope stands beside the proof. Every cell that was found is kept, so that a run can be taken up again.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from attrlab.axioms import AXIOMS, Axiom, find_axiom
from attrlab.axioms.knowledge import KNOWLEDGE
from attrlab.claims import FLOAT64
from attrlab.errors import AttrlabError, InvalidInput
from attrlab.method import Method
from attrlab.methods.registered.theory import TABLE
from attrlab.record import write_atomically
from attrlab.registry import find_method
from evaluations.beyond import expected, search_beyond
from evaluations.scope import GRAPH_SCOPES, SCOPES, Exhausted, can_be_exhausted, exhaust
from evaluations.small_cases import VALUES, VALUES_OF_THREE

HEAD = ("method", "axiom", "f", "x", "x'", "scores A", "what is required, and what is found")

SLOW = {"optimisation": "tiny", "fitted": "tiny"}
"""The largest scope on which methods of a cost class are asked: each row of theirs takes seconds."""


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How far a search goes: the scope, for how long for each cell, and whether what it leaves is searched beyond it."""

    scope: str
    limit_s: float
    beyond: bool = False

    def of(self, method: Method) -> str:
        """The scope of one method."""
        slowest = SLOW.get(method.cost_class, self.scope)
        return min(self.scope, slowest, key=list(SCOPES).index)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the methods and axioms asked for; exit status 2 if one of them does not exist."""
    asked = _options().parse_args(arguments)
    torch.set_num_threads(1)  # two threads on networks of this size are many times slower than one
    try:
        methods = [find_method(name) for name in asked.methods or TABLE]
        axioms = [find_axiom(name) for name in asked.axioms] or [axiom for axiom in AXIOMS.values() if can_be_exhausted(axiom)]
        store = _folder(asked.store)
    except AttrlabError as error:
        print(f"appendix: {error}", file=sys.stderr)
        return 2
    extent = Extent(scope=asked.scope, limit_s=asked.seconds, beyond=asked.beyond)
    for line in appendix(methods, axioms, extent, store=store):
        print(line, flush=True)
    return 0


def appendix(methods: Iterable[Method], axioms: Sequence[Axiom], extent: Extent, *, store: Path | None = None) -> Iterator[str]:
    """The lines of the document: what was enumerated, then a row for each method and axiom, as they are found.

    Args:
        methods: the rows, in order.
        axioms: of each row, in order.
        extent: how far to search.
        store: a folder in which found cells are kept, and from which they are read.

    Raises:
        MethodError: if a method raises, or returns something that cannot be read.
    """
    yield from _introduction(extent)
    yield _row(HEAD)
    yield _row(["---"] * len(HEAD))
    for method in methods:
        for axiom in axioms:
            yield _row([method.name, axiom.name, *_kept(method, axiom, extent, store)])


def _kept(method: Method, axiom: Axiom, extent: Extent, store: Path | None) -> list[str]:
    """The cell from the store, or found now and put there."""
    asked = {"scope": extent.of(method), "limit_s": extent.limit_s, "beyond": extent.beyond}
    path = None if store is None else store / f"{method.name}.{axiom.name}.json"
    if path is not None and path.is_file():
        kept = json.loads(path.read_text(encoding="utf-8"))
        if {name: kept[name] for name in asked} == asked:
            cells: list[str] = kept["cells"]
            return cells
    found = _cells(method, axiom, extent)
    if path is not None:
        write_atomically(path, json.dumps({**asked, "cells": found}, ensure_ascii=False))
    return found


def _cells(method: Method, axiom: Axiom, extent: Extent) -> list[str]:
    """What stands behind method and axiom: the counterexample, or the proof, with what lies beyond it where theory expects something."""
    tolerance = max((claim.tolerance for claim in method.claims if claim.axiom == axiom.name), default=FLOAT64)
    if can_be_exhausted(axiom):
        found = exhaust(method, axiom, tolerance=tolerance, scope=extent.of(method), limit_s=extent.limit_s)
        if found.refutation is not None:
            return _mathematics(found.refutation.counterexample)
        proof = _proof(found)
    else:
        proof = f"*not enumerated*: needs {', '.join(KNOWLEDGE[need].what for need in axiom.needs) or 'what small networks do not have'}"
    if extent.beyond and expected(method, axiom.name) == "violated":
        beyond = search_beyond(method, axiom)
        if beyond.found is not None and beyond.refuted:
            function, *rest = _mathematics(beyond.found.counterexample)
            place = "networks drawn at random" if beyond.place == "drawn-networks" else f"`{beyond.place}`"
            return [f"{proof}. Beyond it, on {place}: {function}", *rest]
    return [proof, "", "", "", ""]


def _mathematics(counterexample: str) -> list[str]:
    """Function, point, baseline, scores and sentence of a counterexample that is told in lines."""
    function, *middle, sentence = counterexample.splitlines()
    found = {line.split(" = ", 1)[0]: line.split(" = ", 1)[1] for line in middle if " = " in line}
    x, _, baseline = found.get("x", ", ".join(line for line in middle if " = " not in line)).partition(", x' = ")
    name, _, formula = function.partition(": ")
    return [formula.removeprefix("f(x) = ") or name, x, baseline, found.get("A", ""), sentence]


def _proof(found: Exhausted) -> str:
    if not found.networks:
        return f"*not asked*: {found.refusal or 'the axiom says nothing about these networks'}"
    doubt = f"; inconclusive on {found.inconclusive:,}" if found.inconclusive else ""
    doubt += f"; up to approximation error on {found.approximate:,}" if found.approximate else ""
    doubt += f"; {found.refused:,} refused" if found.refused else ""
    scope, networks, rows, _ = found.proved
    first = f"no counterexample among the first {found.networks:,} networks, {found.rows:,} rows of `{found.scope}`{doubt}"
    if not networks:
        return first
    proved = f"**holds** on all {networks:,} networks, {rows:,} rows of `{scope}`"
    return f"{proved}{doubt}" if found.finished else f"{proved}; {first}"


def _introduction(extent: Extent) -> Iterator[str]:
    values, three = (", ".join(f"{value:g}" for value in values) for values in (VALUES, VALUES_OF_THREE))
    yield "# The smallest counterexamples, and what holds on all small networks"
    yield ""
    yield (
        f"Every ReLU network of the scope `{extent.scope}`, weights and biases in {{-1, 0, 1}}, at every x in {{{values}}}^d "
        f"({{{three}}}^d for three inputs) off the kinks, against x' = 0 and x' = 1. Networks come in order of their size, points in order "
        "of theirs, and the first violation is shown; none found is a proof for these networks and points, and the number of those that "
        f"the axiom says something about is given. A search that takes more than {extent.limit_s:g} seconds of processor time for a cell "
        "is ended; it tells the largest scope that it finished, and how far it came. Players are numbered from 0. No "
        "counterexample rests on a row whose path from x' to x runs along a kink, where rounding decides a slope."
    )
    yield ""
    before: tuple[object, ...] = ()
    for name in list(SCOPES)[: list(SCOPES).index(extent.scope) + 1]:
        added = [size for size in SCOPES[name] if size not in before]
        before = SCOPES[name]
        shapes = "; ".join(f"{inputs} → {' → '.join([*map(str, hidden), '1'])}" for inputs, hidden in added)
        graphs = ", ".join(f"{nodes} nodes with {rounds} round{'s' * (rounds > 1)}" for _, nodes, rounds in GRAPH_SCOPES[name])
        yield f"- `{name}`{' adds' if name != 'tiny' else ''}: units of each layer {shapes}; graphs of {graphs}"
    yield ""
    yield (
        "Axioms about graphs are asked of every network of message passing of one unit, h_i ← relu(s x_i + m Σ_j A_ij x_j + b), on every "
        "graph of that many nodes with features -1 or 1, the edges or the nodes being the players: on every numbering for permutation "
        "equivariance, else up to isomorphism. Networks are counted for each number of nodes and each kind of player."
    )
    yield ""


def _folder(path: str | None) -> Path | None:
    if path is None:
        return None
    found = Path(path)
    try:
        found.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InvalidInput(f"--store names a folder that can be written to: {error.strerror} (got {path!r})") from error
    return found


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluations.appendix", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scope", default="default", choices=SCOPES, help="the networks that are enumerated (default: %(default)s)")
    parser.add_argument("--methods", nargs="*", default=[], metavar="NAME", help="these methods (default: those of the table of theory)")
    parser.add_argument("--axioms", nargs="*", default=[], metavar="NAME", help="these axioms (default: all that can be enumerated)")
    parser.add_argument(
        "--seconds", type=float, default=60.0, metavar="S", help="processor time for each cell at most (default: %(default)s)"
    )
    parser.add_argument(
        "--beyond", action="store_true", help="search drawn networks where theory expects a violation and the scope has none"
    )
    parser.add_argument("--store", metavar="FOLDER", help="keep every cell there, and read those that are there already")
    return parser


if __name__ == "__main__":
    sys.exit(main())
