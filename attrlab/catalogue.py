"""What the laboratory holds, and what is known of each thing, as names and lines of text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from attrlab.claims import Claim
    from attrlab.method import Method
    from attrlab.verification import Verification

Entry = tuple[str, str, list[str]]
"""A name, a few words on it, and lines of detail."""

Facts = list[tuple[str, str]]
"""Labels and what they stand for; empty texts are not printed."""


def methods() -> list[Entry]:
    """Every entry of its kind."""
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


def environments() -> list[Entry]:
    """Every entry of its kind."""
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


def evaluations() -> list[Entry]:
    """Every entry of its kind."""
    from attrlab.contract import RULES
    from attrlab.instruments import INSTRUMENTS
    from attrlab.metrics import METRICS

    entries: list[Entry] = [("axioms", "claims, in both directions", ["see attrlab list axioms"])]
    entries += [(rule.name, "rule of the contract", [rule.statement]) for rule in RULES]
    entries += [(metric.name, f"score, {metric.direction} is better", [metric.formula, metric.reference]) for metric in METRICS.values()]
    entries += [(rule.name, "rule for environments", [rule.statement]) for rule in INSTRUMENTS]
    return entries


def axioms() -> list[Entry]:
    """Every entry of its kind."""
    from attrlab.axioms import AXIOMS

    return [(axiom.name, f"{axiom.level} level", [axiom.statement, axiom.reference]) for axiom in AXIOMS.values()]


def environment_facts(id: str) -> Facts:
    """Everything an environment says of itself, and the truth of one row of it."""
    import torch

    from attrlab.verification import verify
    from synthetic import make_environment

    world = make_environment(id)
    batch = world.sample(1, torch.Generator().manual_seed(0))
    facts: Facts = [("formula", world.formula), ("modality", world.modality), ("isolates", world.isolates), ("domain", world.domain)]
    facts += [("traits", ", ".join(sorted(world.traits))), ("knobs", ", ".join(f"{name}={value!r}" for name, value in world.knobs.items()))]
    facts += [("equal networks", ", ".join(world.equals)), ("reference", world.reference)]
    if batch.inputs.numel() <= 24:
        facts.append(("a row", f"x = {_numbers(batch.inputs[0])}, x' = {_numbers(batch.baseline[0])}, f(x) = {_output(world, batch):.6g}"))
    for convention, exact in batch.truth.attributions.items():
        facts.append((f"its {convention}", _nonzero(exact[0])))
    return [*facts, *_certified(world, batch), ("verified", verified(verify(id)))]


def _certified(world: Any, batch: Any) -> Facts:
    """Necessary players, minimal sufficient sets and the order of interaction of the first row, where it has few enough players."""
    from synthetic.certificates import certificates

    try:
        found = certificates(world.specification, batch, 0)
    except ValueError as refusal:
        return [("certificates", str(refusal))]
    sets = sorted(sorted(players) for players in found.sufficient)
    shown = ", ".join(_players(players) for players in sets[:4]) + (f" and {len(sets) - 4} more" if len(sets) > 4 else "")
    return [("necessary", _players(found.necessary)), ("minimal sufficient", shown), ("order of interaction", str(found.order))]


def _players(players: Iterable[int]) -> str:
    return "{" + ", ".join(map(str, sorted(players))) + "}"


def verified(record: Verification) -> str:
    """A verification in one sentence."""
    points = f"{record.points:,} points{' (the whole lattice)' if record.enumerated else ''}"
    truths = ", ".join(f"{name} {gap:.1g}" for name, gap in record.disagreement.items() if gap == gap)
    errors = f"float64 {record.error['float64']:.2g}, float32 {record.error['float32']:.2g}"
    problems = "; ".join(record.problems) or "no problem"
    margin = f"least |pre-activation| {record.preactivation:.3g}"
    return f"{problems}: {points}, differs from its specification by {errors}; {margin}; truths agree to {truths}"


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


def method_facts(method: Method) -> Facts:
    """What a method says of itself, each claim with its reason, its witness or its tolerance."""
    facts: Facts = [("reference", method.reference), ("cost per row", method.cost), ("aims at", method.convention or "no convention")]
    for claim in method.claims:
        shown = f" (witness {claim.witness})" if claim.witness else f" (tolerance {claim.tolerance:g}, {claim.origin})"
        facts.append((str(claim), claim.because + shown))
    return facts
