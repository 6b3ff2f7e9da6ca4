"""The appendix: of every method and every axiom the smallest counterexample there is, or how far the axiom is proved, in one table.

    python -m evaluations.appendix --scope default > appendix.md

What stands here is found by exhaustive search (see `evaluations.scope`), so a counterexample is the smallest of the scope in its order, and
"holds" is a proof for these networks and points. An axiom is left out where it needs what is not known of enumerated networks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence

import torch

from attrlab.axioms import AXIOMS, Axiom, find_axiom
from attrlab.claims import FLOAT64
from attrlab.errors import AttrlabError
from attrlab.method import Method
from attrlab.methods.registered.theory import TABLE
from attrlab.registry import find_method
from evaluations.scope import SCOPES, Exhausted, exhaust
from evaluations.small_cases import VALUES, can_enumerate

HEAD = ("method", "axiom", "f", "x", "x'", "scores A", "what is required, and what is found")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table of the methods and axioms asked for; exit status 2 if one of them does not exist."""
    asked = _options().parse_args(arguments)
    torch.set_num_threads(1)  # two threads on networks of this size are many times slower than one
    try:
        methods = [find_method(name) for name in asked.methods or TABLE]
        axioms = [find_axiom(name) for name in asked.axioms] or [axiom for axiom in AXIOMS.values() if can_enumerate(axiom)]
    except AttrlabError as error:
        print(f"appendix: {error}", file=sys.stderr)
        return 2
    for line in appendix(methods, axioms, scope=asked.scope, limit_s=asked.seconds):
        print(line, flush=True)
    return 0


def appendix(methods: Iterable[Method], axioms: Sequence[Axiom], *, scope: str, limit_s: float) -> Iterator[str]:
    """The lines of the document: what was enumerated, then a row for each method and axiom, as they are found.

    Raises:
        NotApplicable: if an axiom needs what is not known of enumerated networks.
        MethodError: if a method raises, or returns something that cannot be read.
    """
    yield from _introduction(scope, limit_s)
    yield _row(HEAD)
    yield _row(["---"] * len(HEAD))
    for method in methods:
        for axiom in axioms:
            yield _row([method.name, axiom.name, *_cells(_found(method, axiom, scope, limit_s))])


def _found(method: Method, axiom: Axiom, scope: str, limit_s: float) -> Exhausted:
    tolerance = max((claim.tolerance for claim in method.claims if claim.axiom == axiom.name), default=FLOAT64)
    return exhaust(method, axiom, tolerance=tolerance, scope=scope, limit_s=limit_s)


def _introduction(scope: str, limit_s: float) -> Iterator[str]:
    sizes = "; ".join(f"{inputs} → {' → '.join([*map(str, hidden), '1'])}" for inputs, hidden in SCOPES[scope])
    values = ", ".join(f"{value:g}" for value in VALUES)
    yield "# The smallest counterexamples, and what holds on all small networks"
    yield ""
    yield (
        f"Every ReLU network of the scope `{scope}` (units of each layer: {sizes}), weights and biases in {{-1, 0, 1}}, at every x in "
        f"{{{values}}}^d off the kinks, against x' = 0 and x' = 1. Networks come in order of their size, points in order of theirs, and "
        "the first violation is shown; none found is a proof for these networks and points, and the number of those that the axiom says "
        f"something about is given. A cell that is not finished within {limit_s:g} seconds tells how far it came. Players are numbered "
        "from 0."
    )
    yield ""


def _cells(found: Exhausted) -> list[str]:
    """What stands behind method and axiom: the counterexample, or the proof."""
    if found.refutation is None:
        return [_proof(found), "", "", "", ""]
    function, *middle, sentence = found.refutation.counterexample.splitlines()
    point, scores = middle
    x, baseline = point.removeprefix("x = ").split(", x' = ")
    return [function.split(": f(x) = ", 1)[1], x, baseline, scores.removeprefix("A = "), sentence]


def _proof(found: Exhausted) -> str:
    if not found.networks:
        return f"*not asked*: {found.refusal or 'the axiom says nothing about these networks'}"
    count = f"{found.networks:,} networks, {found.rows:,} rows"
    doubt = f"; inconclusive on {found.inconclusive:,}" if found.inconclusive else ""
    doubt += f"; up to approximation error on {found.approximate:,}" if found.approximate else ""
    refused = f"; {found.refused:,} refused" if found.refused else ""
    bounded = "**holds** on all" if found.finished else "no counterexample among the first"
    return f"{bounded} {count}{doubt}{refused}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluations.appendix", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--scope", default="default", choices=SCOPES, help="the networks that are enumerated (default: %(default)s)")
    parser.add_argument("--methods", nargs="*", default=[], metavar="NAME", help="these methods (default: those of the table of theory)")
    parser.add_argument("--axioms", nargs="*", default=[], metavar="NAME", help="these axioms (default: all that can be enumerated)")
    parser.add_argument("--seconds", type=float, default=60.0, metavar="S", help="for each cell at most (default: %(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
