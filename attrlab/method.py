"""A method is a plain function; what it needs it names, as pytest hands out fixtures.

    def my_method(model, inputs, *, target, baseline): ...  # scores, shaped like inputs

The laboratory offers the keywords of `OFFERED`; a method receives those that it names. There is no base class to
inherit, and nothing to register in order to evaluate one's own.
"""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from attrlab.case import Case
from attrlab.claims import Claim
from attrlab.errors import InvalidInput, MethodError, NotApplicable

OFFERED: Mapping[str, str] = {
    "target": "(batch,) int64, which output of each row is explained",
    "baseline": "shaped like inputs, the value of what is absent",
    "feature_mask": "shaped like inputs, int64: which player an entry belongs to, -1 for none",
    "generator": "one torch.Generator for the call, on the device of the inputs",
    "seeds": "(batch,) int64, one seed per row: with these a row's noise does not depend on its batch",
    "reference": "(rows, *features), rows of the same kind drawn apart from the explained ones",
    "twin": "for graphs, a function that builds the equal torch-geometric module and a map from one row to its Data",
    "truth": "(batch, players), the exact Shapley values; for controls only",
}

SCARCE: Mapping[str, str] = {
    "reference": "it needs reference data, rows drawn apart from the explained ones, and the case has none",
    "twin": "it needs the network as a torch-geometric module, and the case has none; a graph environment with a `twin` makes it apply",
    "truth": "it is made from the exact truth, which is stated for named environments only",
}
"""Offers that not every case can make, with what is said to a method that requires one where it is missing."""

COST_CLASSES: Mapping[str, str] = {
    "free": "no pass through the model",
    "single": "a few forward and backward passes",
    "path": "tens to hundreds of forward and backward passes",
    "linear": "about one forward pass per player",
    "sampling": "hundreds to thousands of forward passes",
    "optimisation": "an optimisation for each input",
    "fitted": "an optimisation on reference data, then a pass for each input",
    "exponential": "a forward pass for each coalition",
}
"""What a row costs, by order of magnitude."""

Attribute = Callable[..., Tensor]


@dataclass(frozen=True, kw_only=True)
class Method:
    """A feature-attribution method and what it says of itself.

    Attributes:
        name: the field's name for it, in snake_case.
        attribute: `attribute(model, inputs, *, ...) -> scores shaped like inputs`, naming keywords of `OFFERED`.
        claims: what it says of the axioms.
        convention: the key of the exact truth it aims at ("shapley", "integrated_gradients", "removal"), or None.
        modalities: what it applies to; empty means everything.
        reference: the paper, with the equation.
        cost: passes per row, in words, such as "1 forward + 1 backward".
        cost_class: one of `COST_CLASSES`.
        budget: the keyword that buys accuracy ("n_steps"), for an approximate method; a suspected violation is repeated
            with more of it, and one that shrinks in step is approximation error.
        light: keywords under which the contract is asked of an expensive method, such as `{"samples": 32}`: how it behaves does not
            depend on how long it samples. Claims and scores are asked with the method's own.
        control: whether it is a control (random, constant, the truth) rather than a method.
        peer: whether it is another library's implementation, kept to be compared with; a run of the whole catalogue leaves it out.
        needs: what beyond a model and a row it requires, such as "reference data".
        source: how it was named, by which it is found again: `mine.py:my_method`, `smoothgrad(samples=8)`.
    """

    name: str
    attribute: Attribute
    claims: tuple[Claim, ...] = ()
    convention: str | None = None
    modalities: frozenset[str] = frozenset()
    reference: str = ""
    cost: str = ""
    cost_class: str = ""
    budget: str | None = None
    light: Mapping[str, Any] = field(default_factory=dict)
    control: bool = False
    peer: bool = False
    needs: frozenset[str] = frozenset()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    source: str = ""

    def __post_init__(self) -> None:
        if self.cost_class and self.cost_class not in COST_CLASSES:
            raise InvalidInput(f"the cost class of {self.name} is one of {', '.join(COST_CLASSES)} (got {self.cost_class!r})")

    def with_parameters(self, **parameters: Any) -> Method:
        """Return this method with keywords of its own set, such as `n_steps=500`.

        Raises:
            InvalidInput: if the method has no such keyword.
        """
        own = {name for name in _keywords(self.attribute) if name not in OFFERED}
        anything = any(p.kind is p.VAR_KEYWORD for p in inspect.signature(self.attribute).parameters.values())
        for name in parameters:
            if name in OFFERED or not (anything or name in own):
                raise InvalidInput(
                    f"{self.name} has no parameter {name!r}; its parameters are {', '.join(sorted(own)) or 'none'} (got {name!r})"
                )
        return replace(self, attribute=functools.partial(self.attribute, **parameters), parameters={**self.parameters, **parameters})

    def names(self, keyword: str) -> bool:
        """Whether the method names `keyword` and so receives it."""
        return keyword in _keywords(self.attribute)


def explain(method: Method, case: Case, *, model: nn.Module | None = None, seed: int = 0) -> Tensor:
    """Ask a method for the scores of a case, shaped like `case.inputs`; offer it the keywords of `OFFERED` that it names.

    Nothing is normalised, clipped or cast: what the method returned, detached, is what is judged. The method gets copies
    of the network and of the rows, so that one which changes them harms no later question. Every call starts its
    generator anew from `seed`, so equal calls have equal randomness. `model` replaces the case's own, for axioms that
    compare two networks.

    Raises:
        NotApplicable: if the method says that it does not apply here, or the case has no exact truth to offer.
        MethodError: if it requires a keyword that is not offered, raises, or does not return a tensor.
    """
    network = copy.deepcopy(case.model if model is None else model)
    try:
        return call(method, network, case.inputs.clone(), _offers(case, model, seed))
    except NotApplicable as reason:
        raise NotApplicable(f"{method.name} does not apply to {case.name}: {reason}") from reason
    except MethodError as error:
        raise MethodError(f"{error} (on {case.name})") from error


def call(method: Method, model: nn.Module, inputs: Tensor, offers: Mapping[str, Any]) -> Tensor:
    """Call a method on exactly these objects, with the offers that it names.

    Raises:
        NotApplicable, MethodError: as `explain`.
    """
    for name, refusal in SCARCE.items():
        if offers.get(name) is None and _requires(method, name):
            raise NotApplicable(refusal)
    try:
        scores = method.attribute(model, inputs, **_named(method, offers))
    except (NotApplicable, MethodError):
        raise
    except Exception as error:
        raise MethodError(f"{method.name} raised {type(error).__name__}: {error}") from error
    if not isinstance(scores, Tensor):
        raise MethodError(f"{method.name} must return a tensor shaped like its inputs, {tuple(inputs.shape)} (got {type(scores).__name__})")
    return scores.detach()


def player_scores(method: Method, case: Case, *, model: nn.Module | None = None, seed: int = 0) -> Tensor:
    """Scores per player, (batch, players): what every axiom and metric reads.

    Raises:
        NotApplicable, MethodError: as `explain`.
        MethodError: also if the scores are not shaped like the inputs, or not finite.
    """
    scores = explain(method, case, model=model, seed=seed)
    if scores.shape != case.inputs.shape:
        raise MethodError(
            f"{method.name} returned scores of shape {tuple(scores.shape)} on {case.name}; "
            f"they must be shaped like the inputs (got {tuple(scores.shape)}, expected {tuple(case.inputs.shape)})"
        )
    if not torch.isfinite(scores).all():
        bad = int((~torch.isfinite(scores)).sum())
        raise MethodError(f"{method.name} returned {bad} scores on {case.name} that are NaN or infinite (got {bad} of {scores.numel()})")
    return players_of(scores, case.feature_mask, case.players)


def _named(method: Method, offers: Mapping[str, Any]) -> dict[str, Any]:
    """The offers that the method names; all but the truth, if it takes **keywords."""
    parameters = inspect.signature(method.attribute).parameters
    for name in _keywords(method.attribute):
        if parameters[name].default is inspect.Parameter.empty and name not in offers:
            raise MethodError(
                f"{method.name} requires the keyword {name!r}, which the laboratory does not offer; give it a default, or name one of "
                f"{', '.join(offers)} (got {method.name}{inspect.signature(method.attribute)})"
            )
    anything = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    return {name: offer for name, offer in offers.items() if name in parameters or (anything and name != "truth")}


def _offers(case: Case, model: nn.Module | None, seed: int) -> dict[str, Any]:
    """The case's offers; another network than the case's own is not the one that the twin equals."""
    offers = case.offers(seed)
    return offers if model is None or model is case.model else {**offers, "twin": None}


def _requires(method: Method, name: str) -> bool:
    """Whether the method names the keyword and has no default for it."""
    return method.names(name) and inspect.signature(method.attribute).parameters[name].default is inspect.Parameter.empty


def _keywords(attribute: Attribute) -> tuple[str, ...]:
    """The parameters after model and inputs that can be given by name; neither *args nor **kwargs."""
    listed = list(inspect.signature(attribute).parameters.values())[2:]
    return tuple(p.name for p in listed if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY))


def players_of(
    scores: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64
    players: int,
) -> Tensor:  # (batch, players)
    """A player's score is the sum over its entries; entries of no player (-1) are left out."""
    flat, owner = scores.flatten(1), feature_mask.flatten(1)
    summed = flat.new_zeros(flat.shape[0], players + 1)
    return summed.scatter_add_(1, torch.where(owner < 0, players, owner), flat)[:, :players]


def spread(
    scores: Tensor,  # (batch, players)
    feature_mask: Tensor,  # (batch, *features) int64
) -> Tensor:  # (batch, *features)
    """Spread each player's score evenly over its entries, so that sums stay what they were; entries of no player get 0."""
    batch, players = scores.shape
    owner = feature_mask.flatten(1)
    column = torch.where(owner < 0, players, owner)
    entries = scores.new_zeros(batch, players + 1).scatter_add_(1, column, torch.ones_like(owner, dtype=scores.dtype))
    share = torch.cat([scores, scores.new_zeros(batch, 1)], 1) / entries.clamp(min=1)
    return share.gather(1, column).view(feature_mask.shape)
