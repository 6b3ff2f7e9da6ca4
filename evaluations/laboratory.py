"""The laboratory of one run: which methods and environments, on which device, from which seed; stages are prepared once."""

from __future__ import annotations

import difflib
import os
from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from attrlab.axioms import AXIOMS, find_axiom
from attrlab.claims import SMALL_SCOPE
from attrlab.errors import InvalidInput, UnknownName
from attrlab.games import Policy
from attrlab.method import Method
from attrlab.registry import find_method, method_names
from attrlab.study import WITNESS, Stage, prepare
from evaluations.scope import SCOPES
from synthetic import environment_ids
from synthetic.traits import TRAITS

SHOWN = 3
"""Environments of each modality on which the contract is asked, where none is asked for by name; and claims and scores of the whole
catalogue of methods, where neither methods nor environments are."""


SEEDS = 3
"""Seeds of the noise of methods that are asked for by name; one in a run of the whole catalogue."""


@dataclass(frozen=True, kw_only=True)
class Laboratory:
    """What is evaluated, and how."""

    methods: tuple[Method, ...]
    environments: tuple[str, ...]
    policy: Policy
    rows: int
    examples: int
    seed: int
    seeds: int  # of the noise of stochastic methods
    unclaimed: bool
    chosen: bool  # whether the methods were asked for by name
    named: bool  # whether the environments were asked for by name
    refuted: tuple[str, ...]  # axioms that a counterexample is looked for, whatever is claimed
    scope: str  # the networks that are enumerated for that
    limit_s: float  # for how long, for each axiom
    everywhere: bool  # whether claims and scores are asked on all environments, or on some of each modality
    json: Path | None
    html: Path | None
    _stages: dict[str, Stage] = field(default_factory=dict, repr=False)

    @staticmethod
    def from_options(options: Namespace) -> Laboratory:
        """Read the --attrlab- options.

        Raises:
            AttrlabError: if a method, environment, axiom, device, number or path is not usable; the message says what to write.
        """
        torch.set_num_threads(1)  # two threads on networks of this size are 10 to 40 times slower than one
        claims = tuple(find_axiom(name).name for name in options.attrlab_claim)
        names = tuple(dict.fromkeys(options.attrlab_method)) or method_names(peers=options.attrlab_everywhere)
        laboratory = Laboratory(
            methods=_distinct(tuple(find_method(name, claims=claims) for name in names)),
            environments=tuple(dict.fromkeys(options.attrlab_environment)) or environment_ids(),
            policy=Policy(device=options.attrlab_device),
            rows=_at_least("--attrlab-rows", options.attrlab_rows, 2),
            examples=_at_least("--attrlab-examples", options.attrlab_examples, 1),
            seed=_at_least("--attrlab-seed", options.attrlab_seed, 0),
            seeds=_seeds(options),
            unclaimed=options.attrlab_unclaimed,
            chosen=bool(options.attrlab_method),
            named=bool(options.attrlab_environment),
            refuted=_axioms(options.attrlab_refute),
            scope=_scope(options.attrlab_scope),
            limit_s=options.attrlab_scope_seconds,
            everywhere=bool(options.attrlab_method or options.attrlab_environment or options.attrlab_everywhere),
            json=_writable("--attrlab-json", options.attrlab_json),
            html=_writable("--attrlab-html", options.attrlab_html),
        )
        for id in options.attrlab_environment:
            laboratory.stage(id)
        for method in laboratory.methods:
            _require_judgeable(method)
        return laboratory

    def stage(self, id: str) -> Stage:
        """The environment `id` with its rows; the same object every time."""
        if id not in self._stages:
            self._stages[id] = prepare(id, rows=self.rows, seed=self.seed, policy=self.policy)
        return self._stages[id]

    def scored(self) -> tuple[str, ...]:
        """The environments that methods are compared on: all but the witnesses, or some of each modality for the whole catalogue."""
        return self._ranking() if self.everywhere else self.some(self._ranking())

    def some(self, ids: Iterable[str], *, shown: int = SHOWN) -> tuple[str, ...]:
        """Up to `shown` of these environments of each modality, spread over the catalogue."""
        kinds: dict[str, list[str]] = {}
        for id in ids:
            kinds.setdefault(self.stage(id).environment.modality, []).append(id)
        return tuple(id for found in kinds.values() for id in found[:: -(-len(found) // shown)])

    def _ranking(self) -> tuple[str, ...]:
        return tuple(id for id in self.environments if WITNESS not in self.stage(id).environment.traits)

    def representatives(self) -> tuple[str, ...]:
        """Up to `SHOWN` environments of each modality, spread over the catalogue; all that were asked for by name.

        The contract is about behaviour on a kind of row, not about functions, so some worlds of each kind stand for the rest.
        """
        return self._ranking() if self.named else self.some(self._ranking(), shown=SHOWN if self.everywhere else 1)

    def judging(self, *, otherwise: Iterable[str]) -> tuple[str, ...]:
        """The environments on which the evaluations themselves are judged: those named, or `otherwise` where none is.

        None where methods are named too: the run is then about those methods on those environments.
        """
        if self.named:
            return () if self.chosen else self.scored()
        return tuple(id for id in otherwise if id in self.environments)

    def header(self) -> str:
        """One line that says what is evaluated."""
        methods = ", ".join(method.name for method in self.methods)
        return f"attrlab: {methods} on {len(self.environments)} environments, {self.policy.device}, seed {self.seed}"


def _require_judgeable(method: Method) -> None:
    """Refuse a claim that could never be tested: of an unknown axiom, given an unknown trait, or without a witness that exists.

    Raises:
        UnknownName: naming the nearest.
        InvalidInput: if a violation is claimed and no witness is named.
    """
    for claim in method.claims:
        said = f"{method.name} claims that {claim}"
        _require_known(claim.axiom, AXIOMS, said=said, kind="axiom")
        for trait in claim.given:
            _require_known(trait, TRAITS, said=said, kind="trait")
        if claim.expected == "violates":
            if claim.witness is None:
                raise InvalidInput(f"{said}, which needs an environment that shows it: write witness='or-witness-v1' (got None)")
            _require_known(claim.witness, (*environment_ids(), SMALL_SCOPE), said=said, kind="environment to witness it")


def _require_known(name: str, names: Iterable[str], *, said: str, kind: str) -> None:
    if name not in names:
        near = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
        raise UnknownName(f"{said}; there is no such {kind}, {hint} (got {name!r})")


def _distinct(methods: tuple[Method, ...]) -> tuple[Method, ...]:
    """Methods with names that differ: two functions of one name, from two files, are numbered."""
    seen: dict[str, int] = {}
    named = []
    for method in methods:
        seen[method.name] = seen.get(method.name, 0) + 1
        named.append(method if seen[method.name] == 1 else replace(method, name=f"{method.name}#{seen[method.name]}"))
    return tuple(named)


def _axioms(names: list[str]) -> tuple[str, ...]:
    """The axioms of these names; `all` stands for all of them."""
    return tuple(AXIOMS) if "all" in names else tuple(dict.fromkeys(find_axiom(name).name for name in names))


def _scope(name: str) -> str:
    """The name of a scope, or none."""
    names = ("none", *SCOPES)
    if name not in names:
        raise InvalidInput(f"--attrlab-scope is one of {', '.join(names)} (got {name!r})")
    return name


def _seeds(options: Namespace) -> int:
    """As many as are asked for; otherwise `SEEDS` for methods asked for by name, and one for the catalogue."""
    if options.attrlab_seeds is None:
        return SEEDS if options.attrlab_method else 1
    return _at_least("--attrlab-seeds", options.attrlab_seeds, 1)


def _at_least(option: str, value: int, least: int) -> int:
    if value < least:
        raise InvalidInput(f"{option} is at least {least} (got {value})")
    return value


def _writable(option: str, path: str | None) -> Path | None:
    """A report that cannot be written is refused before the run, not after it."""
    if path is None:
        return None
    folder = Path(path).resolve().parent
    if not folder.is_dir():
        raise InvalidInput(f"{option} needs an existing folder; create {str(folder)!r} first (got {path!r})")
    if not os.access(folder, os.W_OK) or Path(path).is_dir():
        raise InvalidInput(f"{option} names a file that can be written (got {path!r})")
    return Path(path)
