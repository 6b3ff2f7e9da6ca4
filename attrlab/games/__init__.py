"""A game answers with the network's logits on (row, kept players); every evaluation plans questions, asks them, and reduces the answers."""

from attrlab.games.curves import Curve, area, curve
from attrlab.games.evaluate import Evaluation, evaluate
from attrlab.games.exact import CoalitionValues, coalition_values, moebius, removal, shapley, shapley_from_moebius, shapley_of_table
from attrlab.games.game import Game, make_game
from attrlab.games.imputers import Imputer, constant, keep_baseline
from attrlab.games.plan import Jobs, Joined, Levels, Masks, Without, concatenate
from attrlab.games.policy import Policy, applied
from attrlab.games.ranking import Ranking, average_ranks, rank
from attrlab.games.subsets import AllSubsets, Subsets
from attrlab.games.value import worth

__all__ = [
    "AllSubsets",
    "CoalitionValues",
    "Curve",
    "Evaluation",
    "Game",
    "Imputer",
    "Jobs",
    "Joined",
    "Levels",
    "Masks",
    "Policy",
    "Ranking",
    "Subsets",
    "Without",
    "applied",
    "area",
    "average_ranks",
    "coalition_values",
    "concatenate",
    "constant",
    "curve",
    "evaluate",
    "keep_baseline",
    "make_game",
    "moebius",
    "rank",
    "removal",
    "shapley",
    "shapley_from_moebius",
    "shapley_of_table",
    "worth",
]
