r"""A count is a sum of unanimity games, one per copy of what is counted: so its truth needs no coalitions, at any size.

A term w Π_p m_p^k is worth w to every coalition that holds all its players, whatever the exponents, since players are there or
not. Collected by players, terms are the Harsanyi dividends d(S) of the game (Harsanyi 1963): φ_i = Σ_{S∋i} d(S) / |S|, removing i costs
Σ_{S∋i} d(S), and i is null exactly if no dividend holds it. Where the network *is* the sum of its terms on the whole box, and the
baseline is 0, the straight path gives each player the share k_i / Σ k of its term, which is 1 / |S| if no player is met twice (Owen 1972).

In the edge game the players of a term are its edges, in the feature game the nodes whose features it reads, in the node
game both those nodes and the ends of its edges.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import product
from typing import Literal

import numpy as np

from synthetic.oracles import count_game_shapley

Players = Literal["edges", "features", "nodes"]
Head = Callable[[float, int], float]
"""(Σ of the terms, target) -> the output that is explained."""


@dataclass(frozen=True, kw_only=True)
class Term:
    """One copy: the edges it runs along, with repetitions, the nodes whose colours it reads, and those whose marks it reads."""

    edges: tuple[tuple[int, int], ...] = ()
    nodes: tuple[int, ...] = ()
    marks: tuple[int, ...] = ()
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class RowTruth:
    """What is true of one row, per player."""

    shapley: np.ndarray  # (players,)
    removal: np.ndarray  # (players,)
    support: np.ndarray  # (players,) bool
    path: np.ndarray | None = None  # (players,), where it follows from the terms


Monomials = list[tuple[Counter[int], float]]


def monomials(
    terms: Iterable[Term],
    game: Players,
    numbers: np.ndarray,  # (size, size) int, the player of each edge
) -> Monomials:
    """The terms as exponents of players; a term of no player is a constant."""
    return [(_exponents(term, game, numbers), term.weight) for term in terms if term.weight]


def dividends(terms: Monomials) -> dict[frozenset[int], float]:
    """d(S), collected by players; sets whose terms cancel are left out."""
    collected: dict[frozenset[int], float] = defaultdict(float)
    for exponents, weight in terms:
        collected[frozenset(exponents)] += weight
    return {members: weight for members, weight in collected.items() if members and weight}


def polynomial_truth(terms: Monomials, players: int) -> RowTruth:
    """The truth of v(S) = Σ of the terms whose players are all in S."""
    shapley, removal, path = np.zeros((3, players))
    for members, weight in dividends(terms).items():
        for player in members:
            shapley[player] += weight / len(members)
            removal[player] += weight
    support = np.zeros(players, dtype=bool)
    support[[player for members in dividends(terms) for player in members]] = True
    for exponents, weight in terms:
        for player, exponent in exponents.items():
            path[player] += weight * exponent / exponents.total()
    return RowTruth(shapley=shapley, removal=removal, support=support, path=path)


def counting_truth(terms: Monomials, players: int, value: Callable[[float], float]) -> RowTruth | None:
    """The truth of v(S) = value(Σ_{i in S} w_i), by how many players of each weight there are; None if a term has two players."""
    weights = dividends(terms)
    if any(len(members) > 1 for members in weights):
        return None
    groups = sorted(set(weights.values()))
    members = [[next(iter(player)) for player, weight in weights.items() if weight == group] for group in groups]
    sizes, constant = [len(group) for group in members], sum(weight for exponents, weight in terms if not exponents)

    def game(counts: tuple[int, ...]) -> float:
        return value(constant + sum(n * weight for n, weight in zip(counts, groups, strict=True)))

    shapley, removal, support = np.zeros(players), np.zeros(players), np.zeros(players, dtype=bool)
    for k, share in enumerate(count_game_shapley(game, sizes)):
        shapley[members[k]] = share
        removal[members[k]] = game(tuple(sizes)) - game(_without(tuple(sizes), k))
        support[members[k]] = any(game(n) != game(_without(n, k)) for n in product(*(range(size + 1) for size in sizes)) if n[k])
    alike = len(groups) <= 1 and all(exponents.total() <= 1 for exponents, _ in terms)
    return RowTruth(shapley=shapley, removal=removal, support=support, path=shapley if alike else None)


def named(terms: Monomials) -> set[int]:
    """Players that stand in some term."""
    return {player for exponents, _ in terms for player in exponents}


def exchangeable(terms: Monomials) -> list[list[int]]:
    """Players that stand alone in their terms, by what those terms are: a sum of like functions of each."""
    alone: dict[int, list[tuple[int, float]]] = defaultdict(list)
    shared = {player for exponents, _ in terms if len(exponents) > 1 for player in exponents}
    for exponents, weight in terms:
        for player, exponent in exponents.items():
            alone[player].append((exponent, weight))
    groups: dict[tuple[tuple[int, float], ...], list[int]] = defaultdict(list)
    for player, own in alone.items():
        if player not in shared:
            groups[tuple(sorted(own))].append(player)
    return list(groups.values())


def _exponents(term: Term, game: Players, numbers: np.ndarray) -> Counter[int]:
    if game == "edges":
        return Counter(int(numbers[u, v]) for u, v in term.edges)
    if game == "features":
        return Counter(term.nodes)
    return Counter([*term.nodes, *term.marks, *(end for edge in term.edges for end in edge)])


def _without(counts: tuple[int, ...], group: int) -> tuple[int, ...]:
    return (*counts[:group], counts[group] - 1, *counts[group + 1 :])
