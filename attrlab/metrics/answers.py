"""What a game was once asked it is not asked again: methods, controls and metrics on one stage share their answers.

Every metric that questions a game plans coalitions, has them answered here and reduces the answers. Many of the plans are the same for
every method (the random subsets of sensitivity-n, all single removals, the two ends of a curve), and the curves of two methods
that agree on a prefix ask for the same kept sets. An answer is kept under the key by which the engine recognises equal effective kept sets,
so a repeated question costs a look-up. Up to `LIMIT` numbers are kept; beyond, questions are answered and forgotten.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TypeVar, cast

import torch
from torch import Tensor

from attrlab.games.evaluate import evaluate, zobrist
from attrlab.games.game import Game, make_game
from attrlab.games.imputers import Imputer
from attrlab.games.plan import Jobs, Selected
from attrlab.games.value import Value, worth

Reduced = TypeVar("Reduced")

LIMIT = 2**24
"""How many logits are kept: 128 MiB of float64."""

REDUCED = 32
"""How many curves and tables are kept, the oldest being forgotten first."""


class Answers:
    """A game that remembers. `forwards` counts the rows that really went through the model.

    Args:
        game: what is asked.
        same: for every row the first row that is equal to it, (batch,) int64; equal rows share their answers. None where no two are known
            to be equal.
    """

    def __init__(self, game: Game, *, same: Tensor | None = None) -> None:
        self.game = game
        self.forwards = 0
        self._same = same
        self._numbers = zobrist(game) if same is None else zobrist(game)[same]
        generator = torch.Generator().manual_seed(0x5A17)
        salt = torch.randint(-(2**63), 2**63 - 1, (len(game),), generator=generator, dtype=torch.int64)
        self._salt = (salt if same is None else salt[same.cpu()]).to(game.inputs.device)
        self._known: list[tuple[Tensor, Tensor]] = []  # keys, ascending, and their logits
        self._others: dict[str, Answers] = {}
        self._reduced: OrderedDict[tuple[Hashable, ...], tuple[Tensor, object]] = OrderedDict()

    def ask(
        self,
        jobs: Jobs,
    ) -> Tensor:  # (jobs, outputs)
        """The logits of every job; only kept sets that were never asked for go through the model.

        Raises:
            InvalidInput, NotApplicable: as `evaluate`.
        """
        if len(jobs) == 0:
            return self._nothing()
        sample = jobs.sample
        found, group = torch.unique(jobs.keys(self._numbers) + self._salt[sample], return_inverse=True)
        logits, known = self._look_up(found)
        if logits is not None and bool(known.all()):
            return logits[group]
        first = torch.full_like(found, len(jobs)).scatter_reduce_(0, group, torch.arange(len(jobs), device=group.device), "amin")
        index, order = first[~known].sort()  # in the order of the plan, in which jobs of one row stand together
        answered = evaluate(self.game, Selected(plan=jobs, index=index))
        self.forwards += answered.forwards
        logits = answered.logits.new_empty(len(found), answered.logits.shape[1]) if logits is None else logits
        new = (~known).nonzero().squeeze(1)
        logits[new[order]] = answered.logits
        self._remember(found[new], logits[new])
        return logits[group]

    def worth(
        self,
        jobs: Jobs,
        *,
        value: Value = "logit",
    ) -> Tensor:  # (jobs,) float64
        """The worth of every job, as `games.worth` takes it."""
        if len(jobs) == 0:
            return torch.zeros(0, dtype=torch.float64, device=self.game.inputs.device)
        return worth(self.ask(jobs), self.game.target[jobs.sample], value=value).double()

    def under(
        self,
        imputer: Imputer,
    ) -> Answers:
        """The same rows and players under another imputer; the same object every time for one name."""
        return self.other(f"imputer {imputer.name}", lambda: _rebuilt(self.game, self.game.feature_mask, self.game.players, imputer))

    def other(
        self,
        name: str,
        build: Callable[[], Game],
    ) -> Answers:
        """A game derived from this one, made once per name."""
        if name not in self._others:
            self._others[name] = Answers(build(), same=self._same)
        return self._others[name]

    def reduced(
        self,
        scores: Tensor,  # (batch, players)
        name: tuple[Hashable, ...],
        build: Callable[[], Reduced],
    ) -> Reduced:
        """What `build` makes of the answers for exactly these scores, made once for all metrics that read it."""
        key = (id(scores), scores._version, *name)
        if key not in self._reduced:
            self._reduced[key] = (scores, build())  # holding the scores keeps their id from being given to others
            if len(self._reduced) > REDUCED:
                self._reduced.popitem(last=False)
        return cast("Reduced", self._reduced[key][1])

    def _nothing(self) -> Tensor:
        width = self._known[0][1].shape[1] if self._known else 0
        return torch.zeros(0, width, dtype=self.game.inputs.dtype, device=self.game.inputs.device)

    def _look_up(self, keys: Tensor) -> tuple[Tensor | None, Tensor]:
        """The logits of each key, where it is remembered, and whether it is."""
        logits, known = None, torch.zeros_like(keys, dtype=torch.bool)
        for own, answers in self._known:
            place = torch.searchsorted(own, keys).clamp(max=len(own) - 1)
            here = own[place] == keys
            logits = answers.new_zeros(len(keys), answers.shape[1]) if logits is None else logits
            logits[here] = answers[place[here]]
            known |= here
        return logits, known

    def _remember(self, keys: Tensor, logits: Tensor) -> None:
        """Put answers beside the older ones, and merge what has become as large: a key is moved as often as the number doubles."""
        if (sum(len(own) for own, _ in self._known) + len(keys)) * logits.shape[1] > LIMIT:
            return
        self._known.append((keys, logits))
        while len(self._known) > 1 and len(self._known[-2][0]) < 2 * len(self._known[-1][0]):
            (older, before), (newer, after) = self._known[-2:]
            merged, order = torch.cat([older, newer]).sort()
            self._known[-2:] = [(merged, torch.cat([before, after])[order])]


Asked = Game | Answers
"""What a metric of the kind "game" is put to: a game, or one that remembers."""


def asked(game: Asked) -> Answers:
    """A game that remembers, made where it does not yet."""
    return game if isinstance(game, Answers) else Answers(game)


def recut(
    game: Game,
    feature_mask: Tensor,  # (batch, *features) int64
    players: int,
) -> Game:
    """The same rows under the same imputer, cut into other players."""
    return _rebuilt(game, feature_mask, players, game.imputer)


def _rebuilt(game: Game, feature_mask: Tensor, players: int, imputer: Imputer) -> Game:
    return make_game(
        game.model,
        game.inputs,
        target=game.target,
        baseline=game.baseline,
        feature_mask=feature_mask,
        players=players,
        imputer=imputer,
        policy=game.policy,
    )
