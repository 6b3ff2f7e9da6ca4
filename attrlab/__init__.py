"""A laboratory where feature-attribution methods are checked against networks whose truth is known exactly.

The names below are the public ones; each is imported when it is first used, so that `import attrlab` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attrlab.axioms import AXIOMS, Axiom
    from attrlab.case import Case
    from attrlab.claims import Claim, holds, violates
    from attrlab.errors import CheckFailed, InvalidInput, MethodError, NotApplicable, UnknownName
    from attrlab.games import Game, Policy, make_game
    from attrlab.method import Method, explain, player_scores
    from attrlab.metrics import METRICS, Metric
    from attrlab.record import Run, Score, Verdict
    from attrlab.registry import find_method, method_names, register_method
    from attrlab.study import Stage, measure, prepare
    from attrlab.verification import Verification, verify

_HOMES = {
    "AXIOMS": "axioms",
    "Axiom": "axioms",
    "Case": "case",
    "CheckFailed": "errors",
    "Claim": "claims",
    "Game": "games",
    "InvalidInput": "errors",
    "METRICS": "metrics",
    "Method": "method",
    "MethodError": "errors",
    "Metric": "metrics",
    "NotApplicable": "errors",
    "Policy": "games",
    "Run": "record",
    "Score": "record",
    "Stage": "study",
    "UnknownName": "errors",
    "Verdict": "record",
    "Verification": "verification",
    "explain": "method",
    "find_method": "registry",
    "holds": "claims",
    "make_game": "games",
    "measure": "study",
    "method_names": "registry",
    "player_scores": "method",
    "prepare": "study",
    "register_method": "registry",
    "verify": "verification",
    "violates": "claims",
}

__all__ = [  # noqa: RUF022 - the same names as above, which a test compares
    "AXIOMS",
    "Axiom",
    "Case",
    "CheckFailed",
    "Claim",
    "Game",
    "InvalidInput",
    "METRICS",
    "Method",
    "MethodError",
    "Metric",
    "NotApplicable",
    "Policy",
    "Run",
    "Score",
    "Stage",
    "UnknownName",
    "Verdict",
    "Verification",
    "explain",
    "find_method",
    "holds",
    "make_game",
    "measure",
    "method_names",
    "player_scores",
    "prepare",
    "register_method",
    "verify",
    "violates",
]


def __getattr__(name: str) -> Any:
    """Import a public name from where it lives."""
    if name not in _HOMES:
        raise AttributeError(f"module 'attrlab' has no attribute {name!r}; its names are {', '.join(__all__)}")
    return getattr(import_module(f"attrlab.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
