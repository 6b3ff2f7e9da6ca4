"""The command line: what there is, what it says of itself, and the evaluation of one method by pytest, the laboratory's only engine.

Exit status: 0 - no claim was refuted and the contract is kept; 1 - a claim was refuted or the contract broken; 2 - it could not be run.
"""

from __future__ import annotations

import difflib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from attrlab.catalogue import axioms, environment_facts, environments, evaluations, method_facts, methods
from attrlab.errors import AttrlabError, UnknownName
from attrlab.printing import print_entries, print_facts, print_sweep, print_verifications

app = typer.Typer(
    help="A laboratory where feature-attribution methods are checked against networks whose truth is known exactly.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

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
    listed = {"methods": methods, "environments": environments, "evaluations": evaluations, "axioms": axioms}
    if kind not in listed:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Write one of {', '.join(KINDS)}."
        raise UnknownName(f"there is nothing of the kind {kind!r} to list. {hint}")
    print_entries(listed[kind]())


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="a method, an environment, an axiom or a metric")],
    png: Annotated[Path | None, typer.Option(help="of an environment: draw a sample beside its truth into this file")] = None,
) -> None:
    """Say what is known of one thing: formula, truth, claims, reference; of an environment also how it was verified."""
    from attrlab.axioms import AXIOMS
    from attrlab.metrics import METRICS
    from synthetic import environment_ids

    if name in environment_ids():
        print_facts(name, environment_facts(name))
        if png is not None:
            _draw_environment(name, png)
    elif name in AXIOMS:
        axiom = AXIOMS[name]
        print_facts(
            name, [("statement", axiom.statement), ("level", axiom.level), ("needs", ", ".join(axiom.needs)), ("from", axiom.reference)]
        )
    elif name in METRICS:
        metric = METRICS[name]
        better = f"{metric.direction} is better"
        print_facts(name, [("formula", metric.formula), ("range", metric.range), ("direction", better), ("from", metric.reference)])
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
    seeds: Annotated[int, typer.Option(min=1, help="of the noise of a stochastic method, whose spread is stated")] = 3,
    unclaimed: Annotated[bool, typer.Option("--unclaimed", help="also explore the axioms it does not claim")] = False,
    retraining: Annotated[bool, typer.Option("--retraining", help="also retrain networks: ROAR and KAR, RoLie and RoMie")] = False,
) -> None:
    """Evaluate a method: contract, claims, distance from the truth, deletion and insertion."""
    options = ["--attrlab-method", method, "--attrlab-device", device, "--attrlab-examples", str(examples), "--attrlab-seed", str(seed)]
    options += [part for name in claim or () for part in ("--attrlab-claim", name)]
    options += [part for id in environment or () for part in ("--attrlab-environment", id)]
    options += ["--attrlab-html", str(html)] if html else []
    options += ["--attrlab-json", str(json)] if json else []
    options += ["--attrlab-seeds", str(seeds)]
    options += ["--attrlab-unclaimed"] if unclaimed else []
    options += ["--attrlab-retraining"] if retraining else []
    raise typer.Exit(_run_evaluations(options))


@app.command("retrain")
def retrain_(
    method: Annotated[list[str], typer.Argument(help="methods; the controls run beside them")],
    on: Annotated[str, typer.Option(help="an environment, digits, breast-cancer, a file.npz or a folder with one folder per class")],
    fraction: Annotated[list[float] | None, typer.Option(help="of the players, removed or kept; repeatable; else 0 to 0.9")] = None,
    seeds: Annotated[int, typer.Option(min=1, help="networks per point")] = 3,
    ranking: Annotated[str, typer.Option(help="absolute or signed")] = "absolute",
    imputer: Annotated[str, typer.Option(help="for what is absent: baseline, mean, blur, noisy_linear, ...")] = "baseline",
    lerf: Annotated[bool, typer.Option("--lerf", help="also the least relevant first")] = False,
    rows: Annotated[int, typer.Option(min=8, help="of an environment, training rows and as many test rows")] = 400,
    epochs: Annotated[int, typer.Option(min=1, help="passes over the training rows")] = 20,
    memory: Annotated[int, typer.Option(min=1, help="MiB that networks trained at once may take")] = 512,
    workers: Annotated[int, typer.Option(min=1, help="processes, on a CPU")] = 1,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    seed: Annotated[int, typer.Option(min=0, help="of rows, and of the methods' own noise")] = 0,
    folder: Annotated[Path | None, typer.Option(help="keep finished work here; the same command continues there")] = None,
    html: Annotated[Path | None, typer.Option(help="write the page to this file")] = None,
    json: Annotated[Path | None, typer.Option(help="write the points of all curves to this file")] = None,
) -> None:
    """Remove what methods call important, train anew, and see what is lost: ROAR and KAR, on graphs RoLie and RoMie."""
    from attrlab.retraining import FRACTIONS, Training
    from attrlab.retraining.command import run

    limits = {"memory": memory * 2**20, "workers": workers, "device": device, "seed": seed}
    stated = {"fractions": tuple(fraction or FRACTIONS), "seeds": seeds, "ranking": ranking, "imputer": imputer, **limits}
    run(method, on, rows=rows, lerf=lerf, folder=folder, html=html, json=json, training=Training(epochs=epochs), **stated)


@app.command("reliability")
def reliability_(
    environment: Annotated[list[str] | None, typer.Option(help="an id, with knobs behind it as in 'ID redundant=0'; repeatable")] = None,
    rows: Annotated[int, typer.Option(min=2, help="rows of each environment")] = 12,
    seed: Annotated[int, typer.Option(min=0, help="seed of every draw")] = 0,
    seeds: Annotated[int, typer.Option(min=1, help="from that seed on; a word is given only where all of them agree")] = 1,
    json: Annotated[Path | None, typer.Option(help="write every judgement to this file")] = None,
    html: Annotated[Path | None, typer.Option(help="write the page to this file")] = None,
    markdown: Annotated[Path | None, typer.Option(help="write the table of evaluations to this file")] = None,
) -> None:
    """Judge the evaluations themselves by the exact truth: which can be trusted for what?"""
    from attrlab.reliability import WORLDS
    from attrlab.reliability.command import run

    files = {"json": json, "html": html, "markdown": markdown}
    run(environment or WORLDS, rows=rows, seed=seed, seeds=seeds, **files, progress=_shown_progress)


@app.command("refute")
def refute_(
    method: Annotated[str, typer.Argument(help="a registered name, package.module:object or path/file.py:object")],
    axiom: Annotated[list[str] | None, typer.Option(help="this axiom; repeatable; all by default")] = None,
    environment: Annotated[list[str] | None, typer.Option(help="of the named worlds only this one; repeatable")] = None,
    scope: Annotated[str, typer.Option(help="the small networks that are enumerated: none, tiny, small, default or large")] = "default",
    seconds: Annotated[float, typer.Option(help="how much processor time they are enumerated for, for each axiom")] = 30.0,
    examples: Annotated[int, typer.Option(help="networks drawn at random for each axiom")] = 60,
    seed: Annotated[int, typer.Option(help="seed of every draw")] = 0,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
    json: Annotated[Path | None, typer.Option(help="write the certificates of what is refuted to this file")] = None,
) -> None:
    """Look for the smallest counterexample: exit status 0 not refuted, 1 refuted, 3 inconclusive, 2 could not be run."""
    from attrlab.refuting import report, run

    options = ["--attrlab-method", method, "--attrlab-scope", scope, "--attrlab-scope-seconds", str(seconds), "--attrlab-device", device]
    options += ["--attrlab-examples", str(examples), "--attrlab-seed", str(seed)]
    options += [part for name in axiom or ("all",) for part in ("--attrlab-refute", name)]
    options += [part for id in environment or () for part in ("--attrlab-environment", id)]
    raise typer.Exit(report(run(options, _pytest_on("test_refutation.py")), json))


@app.command("replay")
def replay_(
    file: Annotated[Path, typer.Argument(help="what `attrlab refute METHOD --json FILE` wrote")],
    method: Annotated[str | None, typer.Option(help="the method, if it now stands elsewhere than the file says")] = None,
) -> None:
    """Check certificates again: exit status 0 every violation stands, 1 one does not, 2 not a certificate."""
    from attrlab.certificate import read, replay
    from attrlab.registry import find_method

    found = [replay(certificate, find_method(method or str(certificate["method"]))) for certificate in read(file)]
    for again in found:
        print(again.sentence)
        print(*(f"    {line}" for line in again.counterexample.splitlines()), sep="\n")
    raise typer.Exit(0 if all(again.stands for again in found) else 1)


@app.command("verify")
def verify_(
    environment: Annotated[list[str] | None, typer.Argument(help="environments; all of them by default")] = None,
    exhaustive: Annotated[
        bool, typer.Option("--exhaustive", help="draw twenty times as many rows where a domain cannot be enumerated")
    ] = False,
    device: Annotated[str, typer.Option(help="cpu, cuda or cuda:N")] = "cpu",
) -> None:
    """Compare every network with its specification, and every exact truth with a second derivation."""
    from attrlab.games import Policy
    from attrlab.verification import verify
    from synthetic import environment_ids

    Policy(device=device)  # refuses a device that is not there, before anything runs
    found = [verify(id, exhaustive=exhaustive, device=device) for id in _with_progress(environment or environment_ids())]
    print_verifications(found)
    raise typer.Exit(1 if any(record.problems for record in found) else 0)


@app.command("sweep")
def sweep_(
    method: Annotated[list[str] | None, typer.Argument(help="methods; all that are registered by default")] = None,
    environment: Annotated[list[str] | None, typer.Option(help="only on this environment; repeatable")] = None,
    rows: Annotated[int, typer.Option(min=1, help="rows of each environment")] = 4,
    seed: Annotated[int, typer.Option(min=0, help="seed of every draw")] = 0,
    json: Annotated[Path | None, typer.Option(help="write every cell to this file")] = None,
) -> None:
    """Ask every method about every environment of its modality once: does it run, or say why it does not apply?"""
    import torch

    from attrlab.registry import find_method, method_names
    from attrlab.sweep import sweep, write
    from synthetic import environment_ids

    torch.set_num_threads(1)  # two threads on networks of this size are 10 to 40 times slower than one
    asked = [find_method(name) for name in method or method_names()]
    found = sweep(asked, environment or environment_ids(), rows=rows, seed=seed, progress=_with_progress)
    if json is not None:
        write(json, found)
    print_sweep(found)
    raise typer.Exit(1 if any(swept.fate == "failed" for swept in found) else 0)


def _run_evaluations(options: list[str]) -> int:
    """Run pytest on the installed evaluations, and translate its status."""
    status = subprocess.run([*_pytest_on(""), *options], env=_undisturbed(), check=False).returncode
    return status if status in (0, 1) else 2


def _pytest_on(file: str) -> list[str]:
    """The command that runs one file of the installed evaluations, or all, apart from any configuration of the folder it is called from."""
    spec = find_spec("evaluations")
    if spec is None or not spec.submodule_search_locations:
        raise UnknownName("the package 'evaluations' is not installed; install attrlab with pip")
    place = Path(next(iter(spec.submodule_search_locations)))
    asked = [str(place / file)] if file else ["--pyargs", "evaluations"]
    command = [sys.executable, "-m", "pytest", *asked, "-c", os.devnull, "--rootdir", str(place.parent)]
    return [*command, "--import-mode=importlib", "-q", "--tb=no", "-rN", "-p", "no:cacheprovider"]


def _undisturbed() -> dict[str, str]:
    """The environment without options for pytest that somebody else set."""
    return {name: value for name, value in os.environ.items() if name != "PYTEST_ADDOPTS"}


def _draw_environment(id: str, path: Path) -> None:
    """A sample beside its truth in every convention, as one picture."""
    import torch

    from attrlab.report.pictures import beside
    from synthetic import make_environment

    world = make_environment(id)
    path.write_bytes(beside(world, world.sample(8, torch.Generator().manual_seed(0))))
    print(f"picture: {path}")


def _with_progress(ids: Iterable[str]) -> Iterator[str]:
    """Go through `ids`, saying on a terminal how far it is and how long it will take; unknown ones are refused before the first."""
    from attrlab.study import load

    names = list(ids)
    for name in names:
        load(name)
    yield from _shown_progress(names)


def _shown_progress(names: Iterable[str]) -> Iterator[str]:
    """Go through them, saying on a terminal how far it is and how long it will take."""
    from rich.console import Console
    from rich.progress import track

    yield from track(list(names), description="environments", console=Console(stderr=True), transient=True)


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
    print_facts(name, method_facts(method))
    print(inspect.getdoc(inspect.unwrap(method.attribute)) or "")
