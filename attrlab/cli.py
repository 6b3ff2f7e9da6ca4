"""The command line: what there is, what it says of itself, and the evaluation of one method by pytest, the laboratory's only engine.

Exit status: 0 - no claim was refuted and the contract is kept; 1 - a claim was refuted or the contract broken; 2 - it could not be run.
"""

from __future__ import annotations

import difflib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from attrlab.errors import AttrlabError, UnknownName

if TYPE_CHECKING:
    from attrlab.claims import Claim

app = typer.Typer(
    help="A laboratory where feature-attribution methods are checked against networks whose truth is known exactly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

Entry = tuple[str, str, list[str]]
"""A name, a few words on it, and lines of detail."""

KINDS = ("methods", "environments", "evaluations", "axioms")


def main() -> None:
    """Run the command line; errors of the laboratory are one line on standard error and exit status 2."""
    try:
        app()
    except AttrlabError as error:
        print(f"attrlab: {error}", file=sys.stderr)
        raise SystemExit(2) from None


@app.command("list")
def list_(kind: Annotated[str, typer.Argument(help="methods, environments, evaluations or axioms")]) -> None:
    """List what there is of one kind."""
    rows = {"methods": _methods, "environments": _environments, "evaluations": _evaluations, "axioms": _axioms}
    if kind not in rows:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Write one of {', '.join(KINDS)}."
        raise UnknownName(f"there is nothing of the kind {kind!r} to list. {hint}")
    _print_entries(rows[kind]())


@app.command()
def show(name: Annotated[str, typer.Argument(help="a method, an environment, an axiom or a metric")]) -> None:
    """Say what is known of one thing: formula, truth, claims, reference."""
    from attrlab.axioms import AXIOMS
    from attrlab.metrics import METRICS
    from synthetic import environment_ids

    if name in environment_ids():
        _print_facts(name, _environment_facts(name))
    elif name in AXIOMS:
        axiom = AXIOMS[name]
        _print_facts(
            name, [("statement", axiom.statement), ("level", axiom.level), ("needs", ", ".join(axiom.needs)), ("from", axiom.reference)]
        )
    elif name in METRICS:
        metric = METRICS[name]
        better = f"{metric.direction} is better"
        _print_facts(name, [("formula", metric.formula), ("range", metric.range), ("direction", better), ("from", metric.reference)])
    else:
        _show_method(name, others=(*environment_ids(), *AXIOMS, *METRICS))


@app.command()
def evaluate(
    method: Annotated[str, typer.Argument(help="a registered name, package.module:object or path/file.py:object")],
    claim: Annotated[list[str] | None, typer.Option(help="hold it to this axiom as well; repeatable")] = None,
    environment: Annotated[list[str] | None, typer.Option(help="only on this environment; repeatable")] = None,
    html: Annotated[Path | None, typer.Option(help="write the page to this file")] = None,
    json: Annotated[Path | None, typer.Option(help="write the records to this file")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    examples: Annotated[int, typer.Option(help="drawn networks per claim that is searched")] = 60,
    seed: Annotated[int, typer.Option(help="seed of every draw")] = 0,
    unclaimed: Annotated[bool, typer.Option("--unclaimed", help="also explore the axioms it does not claim")] = False,
) -> None:
    """Evaluate a method: contract, claims, distance from the truth, deletion and insertion."""
    options = ["--attrlab-method", method, "--attrlab-device", device, "--attrlab-examples", str(examples), "--attrlab-seed", str(seed)]
    options += [part for name in claim or () for part in ("--attrlab-claim", name)]
    options += [part for id in environment or () for part in ("--attrlab-environment", id)]
    options += ["--attrlab-html", str(html)] if html else []
    options += ["--attrlab-json", str(json)] if json else []
    options += ["--attrlab-unclaimed"] if unclaimed else []
    raise typer.Exit(_run_evaluations(options))


def _run_evaluations(options: list[str]) -> int:
    """Run pytest on the installed evaluations, apart from any configuration of the folder it is called from, and translate its status."""
    spec = find_spec("evaluations")
    if spec is None or not spec.submodule_search_locations:
        raise UnknownName("the package 'evaluations' is not installed; install attrlab with pip")
    home = str(Path(next(iter(spec.submodule_search_locations))).parent)
    command = [sys.executable, "-m", "pytest", "--pyargs", "evaluations", "-c", os.devnull, "--rootdir", home]
    command += ["--import-mode=importlib", "-q", "--tb=no", "-rN", "-p", "no:cacheprovider", *options]
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}
    status = subprocess.run(command, env=environment, check=False).returncode
    return status if status in (0, 1) else 2


def _methods() -> list[Entry]:
    from attrlab.registry import find_method, method_names

    entries = []
    for name in method_names():
        method = find_method(name)
        kind = "control" if method.control else ", ".join(sorted(method.modalities)) or "all modalities"
        claims = [", ".join(_claim(claim) for claim in method.claims if claim.expected == expected) for expected in ("holds", "violates")]
        sides = [f"{side} {text}" for side, text in zip(("holds:", "violates:"), claims, strict=True) if text]
        entries.append((name, f"{kind}; {method.cost or 'cost not stated'}", ["   ".join(sides) or "claims nothing", method.reference]))
    return entries


def _claim(claim: Claim) -> str:
    return f"{claim.axiom} if {' and '.join(sorted(claim.given))}" if claim.given else claim.axiom


def _environments() -> list[Entry]:
    from synthetic import environment_ids, make_environment

    worlds = [make_environment(id) for id in environment_ids()]
    return [
        (
            world.id,
            world.modality,
            [world.formula, f"traits: {', '.join(sorted(world.traits))}", f"knobs: {', '.join(world.knobs) or 'none'}"],
        )
        for world in worlds
    ]


def _evaluations() -> list[Entry]:
    from attrlab.contract import RULES
    from attrlab.instruments import INSTRUMENTS
    from attrlab.metrics import METRICS

    entries: list[Entry] = [("axioms", "claims, in both directions", ["see attrlab list axioms"])]
    entries += [(rule.name, "rule of the contract", [rule.statement]) for rule in RULES]
    entries += [(metric.name, f"score, {metric.direction} is better", [metric.formula, metric.reference]) for metric in METRICS.values()]
    entries += [(rule.name, "rule for environments", [rule.statement]) for rule in INSTRUMENTS]
    return entries


def _axioms() -> list[Entry]:
    from attrlab.axioms import AXIOMS

    return [(axiom.name, f"{axiom.level} level", [axiom.statement, axiom.reference]) for axiom in AXIOMS.values()]


def _environment_facts(id: str) -> list[tuple[str, str]]:
    """Everything an environment says of itself, and the truth of one row of it."""
    import torch

    from synthetic import make_environment

    world = make_environment(id)
    batch = world.sample(1, torch.Generator().manual_seed(0))
    facts = [("formula", world.formula), ("modality", world.modality), ("isolates", world.isolates), ("domain", world.domain)]
    facts += [("traits", ", ".join(sorted(world.traits))), ("knobs", ", ".join(f"{name}={value!r}" for name, value in world.knobs.items()))]
    facts += [("equal networks", ", ".join(world.equals)), ("reference", world.reference)]
    if batch.inputs.numel() <= 24:
        facts.append(("a row", f"x = {_numbers(batch.inputs[0])}, x' = {_numbers(batch.baseline[0])}, f(x) = {_output(world, batch):.6g}"))
    for convention, exact in batch.truth.attributions.items():
        facts.append((f"its {convention}", _nonzero(exact[0])))
    return facts


def _show_method(name: str, *, others: Iterable[str]) -> None:
    from attrlab.registry import find_method, method_names

    try:
        method = find_method(name)
    except UnknownName as error:
        near = difflib.get_close_matches(name, [*others, *method_names()], n=3, cutoff=0.5)
        if near:
            raise UnknownName(
                f"there is no method, environment, axiom or metric {name!r}. Did you mean {' or '.join(map(repr, near))}?"
            ) from error
        raise
    facts = [("reference", method.reference), ("cost per row", method.cost), ("aims at", method.convention or "no convention")]
    for claim in method.claims:
        shown = f" (witness {claim.witness})" if claim.witness else f" (tolerance {claim.tolerance:g}, {claim.origin})"
        facts.append((str(claim), claim.because + shown))
    _print_facts(name, facts)
    print(inspect.getdoc(inspect.unwrap(method.attribute)) or "")


def _numbers(values: Any) -> str:
    return "(" + ", ".join(f"{value:g}" for value in values.flatten().tolist()) + ")"


def _output(world: Any, batch: Any) -> float:
    return float(world.model(batch.inputs)[0, int(batch.target[0])])


def _nonzero(scores: Any) -> str:
    """Scores per player; the zeros of a long row are counted, not written."""
    values = scores.tolist()
    if len(values) <= 12:
        return _numbers(scores)
    live = [f"{player}: {value:.6g}" for player, value in enumerate(values) if value]
    return f"{', '.join(live) or 'none'}; 0 for the other {len(values) - len(live)} of {len(values)} players"


def _print_entries(entries: Iterable[Entry]) -> None:
    """Each entry is a line with its name, and what is known of it beneath, indented; no name is ever broken."""
    from rich.console import Console
    from rich.padding import Padding
    from rich.text import Text

    console = Console()
    for name, headline, details in entries:
        console.print(Text.assemble((name, "bold"), "  ", (headline, "dim")), soft_wrap=True)
        for detail in details:
            if detail:
                console.print(Padding(Text(detail), (0, 0, 0, 4)))


def _print_facts(name: str, facts: Iterable[tuple[str, str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    console.print(Text(name, style="bold"))
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", max_width=50)
    table.add_column(overflow="fold")
    for label, text in facts:
        if text:
            table.add_row(Text(label), Text(text))
    console.print(table)
