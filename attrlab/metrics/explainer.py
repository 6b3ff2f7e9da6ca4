"""What a method was once asked it is not asked again: metrics that call it share its explanations of neighbours, targets and networks."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Protocol, TypeVar, cast

from torch import Tensor, nn

from attrlab.case import Case

Made = TypeVar("Made")


class Ask(Protocol):
    """A method as a function of a case, and of a model in place of the case's own, to player scores (batch, players)."""

    def __call__(self, case: Case, *, model: nn.Module | None = None) -> Tensor:
        """Explain."""


class Explainer:
    """A method that can be asked again, and remembers.

    Args:
        ask: the method as it is asked many times, an expensive one in its light setting.
        whole: the method in its own setting; by default, the same.
    """

    def __init__(self, ask: Ask, *, whole: Ask | None = None) -> None:
        self._ask = ask
        self.whole = whole or ask
        self._made: dict[tuple[Hashable, ...], tuple[object, object]] = {}

    def __call__(self, case: Case, *, model: nn.Module | None = None) -> Tensor:
        """Player scores of a case, (batch, players).

        Raises:
            NotApplicable, MethodError: as the method.
        """
        return self._ask(case, model=model)

    def recalled(self, case: Case, name: tuple[Hashable, ...], build: Callable[[], Made]) -> Made:
        """What `build` makes for exactly this case, made once."""
        key = (id(case), *name)
        if key not in self._made:
            self._made[key] = (case, build())  # holding the case keeps its id from being given to others
        return cast("Made", self._made[key][1])


Asks = Ask | Explainer
"""What a metric of the kind "method" is given."""


def explainer(ask: Asks) -> Explainer:
    """A method that remembers, made where it does not yet."""
    return ask if isinstance(ask, Explainer) else Explainer(ask)
