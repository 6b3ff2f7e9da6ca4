"""The power of the laboratory: the share of planted faults that are caught by the rule or the axiom meant for them, and its false alarms.

    python -m tests.power [--false-alarms] [--seeds 20]

A check that cannot fail is worthless, and one that fails for no reason is worse.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator

import torch

from attrlab.axioms import AXIOMS
from attrlab.contract import RULES
from attrlab.errors import CheckFailed
from attrlab.games import Policy
from attrlab.method import Method
from attrlab.registry import find_method
from attrlab.study import prepare
from evaluations.refutation import ROUNDS
from evaluations.search import search
from tests.liars import LIARS, ON_CUDA, Liar
from tests.mutants import OFFENDERS, Mutant
from tests.test_truth_table import COLUMNS, TABLE

EXAMPLES = 60
"""Networks in a round of the search, as `attrlab refute` draws them."""

CORRECT = ("exact_integrated_gradients", "shapley", "occlusion", "gradient")
"""Methods of which theory proves what they claim; and no axiom that it proves is refuted."""

PLACES = ("additive-v1", "colour-or-v1", "edge-types-features-v1")
"""Where the contract is asked: a table, images and graphs."""

MORE = ("output_scaling_positive",)
"""Axioms that all of them keep and that the table has no column for."""


def faults(*, cuda: bool = False) -> tuple[Mutant | Liar, ...]:
    """Every planted fault; those of a CUDA device where there is one."""
    return (*OFFENDERS, *LIARS, *(ON_CUDA if cuda else ()))


def is_caught(fault: Mutant | Liar, *, policy: Policy | None = None) -> bool:
    """Whether the rule or the axiom that is meant for a fault finds it, and says what is wrong with it."""
    method = Method(name=fault.method.__name__, attribute=fault.method)
    said = _broken(method, fault) if isinstance(fault, Mutant) else _refuted(method, fault, policy or Policy())
    return bool(said) and fault.message in said


def _broken(method: Method, fault: Mutant) -> str:
    (rule,) = [rule for rule in RULES if rule.name == fault.caught_by]
    for id in PLACES:
        try:
            rule.check(method, prepare(id, rows=4, seed=0, policy=Policy()).case)
        except CheckFailed as failure:
            return str(failure)
    return ""


def _refuted(method: Method, fault: Liar, policy: Policy) -> str:
    for start in range(ROUNDS):
        found = search(method, AXIOMS[fault.caught_by], tolerance=1e-9, policy=policy, examples=EXAMPLES, start=start)
        if found.worst is not None and found.worst.judgement == "refuted":
            return found.worst.counterexample
    return ""


def proved(name: str) -> tuple[str, ...]:
    """The axioms that theory proves of a method without a condition."""
    return (*(axiom for axiom, cell in zip(COLUMNS, TABLE[name].split(), strict=True) if cell == "+"), *MORE)


def false_alarms(seeds: range, *, examples: int = 20, among: tuple[str, ...] = CORRECT) -> Iterator[tuple[str, str, int, str]]:
    """Of every correct method, axiom it keeps and seed: the counterexample that was found, empty where none was."""
    for name in among:
        for axiom in proved(name):
            for start in seeds:
                found = search(find_method(name), AXIOMS[axiom], tolerance=1e-9, policy=Policy(), examples=examples, start=start)
                worst = found.worst
                yield name, axiom, start, "" if worst is None or worst.judgement == "not refuted" else worst.counterexample


def main() -> int:
    """Print what is caught, and the share; with --false-alarms, what correct methods are refuted on. Exit status 1 if it is not perfect."""
    parser = argparse.ArgumentParser(prog="python -m tests.power", description=__doc__)
    parser.add_argument("--false-alarms", action="store_true", help="search correct methods for what theory proves of them")
    parser.add_argument("--seeds", type=int, default=20)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    return _alarms(asked.seeds) if asked.false_alarms else _power()


def _power() -> int:
    asked = faults(cuda=torch.cuda.is_available())
    missed = 0
    for fault in asked:
        started, policy = time.perf_counter(), Policy(device="cuda") if fault in ON_CUDA else None
        caught = is_caught(fault, policy=policy)
        missed += not caught
        seconds = time.perf_counter() - started
        print(f"{'caught' if caught else 'MISSED'}  {fault.method.__name__:40} by {fault.caught_by:36} {seconds:5.1f} s", flush=True)
    print(f"{len(asked) - missed} of {len(asked)} planted faults are caught by what is meant for them: {1 - missed / len(asked):.0%}")
    return int(missed > 0)


def _alarms(seeds: int) -> int:
    found = list(false_alarms(range(seeds)))
    wrong = [entry for entry in found if entry[3]]
    for name, axiom, start, counterexample in wrong:
        print(f"FALSE ALARM  {name} {axiom} seed {start}\n{counterexample}")
    print(f"{len(wrong)} false alarms in {len(found)} searches: {', '.join(CORRECT)}, {seeds} seeds")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
