"""Every formula of propositional logic is a ReLU network that is exact on bits: one hidden layer for each level of the formula.

A formula is read by a parser of its own, `not` before `and` before `xor` before `or`, parentheses first. A conjunction, disjunction or
exclusive or of values v_1 ... v_k is a staircase in their sum (`synthetic.gadgets`), with its margin; a negation is 1 - v, folded into the
next layer; a value that is not used at once is passed through as relu(v + 1/2) - 1/2. So the network is symmetric in variables wherever the
written formula is, on all of R^d.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from synthetic.formulas import Layers
from synthetic.gadgets import MARGIN, SLOPE

__all__ = ["Proposition", "columns_that_exchange", "evaluate", "layers_of", "operators_of", "parse", "variables_of"]

OPERATORS = ("or", "xor", "and")
"""From the loosest to the tightest; `not` binds tighter than all of them."""

DEEPEST = 32
"""How deep a formula may be nested: each level is a hidden layer, and one more is a call of the parser."""

EXAMPLE = "write for example '(a and b) or not c'"
_TOKEN = re.compile(r"\s*(?:(?P<word>[A-Za-z_][A-Za-z_0-9]*)|(?P<mark>[()]))")


@dataclass(frozen=True, kw_only=True)
class Proposition:
    """A formula: a variable, or an operator of its parts.

    Attributes:
        operator: "variable", "not", "and", "or" or "xor".
        name: of a variable; empty otherwise.
        parts: one for "not", two or more for the others, none for a variable.
    """

    operator: str
    name: str = ""
    parts: tuple[Proposition, ...] = ()


def parse(text: str) -> Proposition:
    """Read a formula of variables (letters, digits and _), `and`, `or`, `xor`, `not` and parentheses.

    Raises:
        ValueError: if it is not one; the message says at which position, what was got and what to write.
    """
    tokens = _tokens(text)
    found, position = _chain(text, tokens, 0, 0, 0)
    if position < len(tokens) - 1:
        raise _error(text, tokens[position], "'and', 'or', 'xor' or the end of the formula was expected here")
    return found


def variables_of(proposition: Proposition) -> tuple[str, ...]:
    """The names of the variables, in the order in which they first appear."""
    if proposition.operator == "variable":
        return (proposition.name,)
    return tuple(dict.fromkeys(name for part in proposition.parts for name in variables_of(part)))


def operators_of(proposition: Proposition) -> frozenset[str]:
    """The operators that occur; a formula without "not" and "xor" never falls where a variable rises."""
    own = frozenset() if proposition.operator == "variable" else frozenset({proposition.operator})
    return own.union(*(operators_of(part) for part in proposition.parts))


def evaluate(
    proposition: Proposition,
    bits: Mapping[str, np.ndarray],  # name -> (rows,) of 0 and 1
) -> np.ndarray:  # (rows,) bool
    """The truth value of each row, by numpy's logic."""
    if proposition.operator == "variable":
        return np.asarray(bits[proposition.name] != 0)
    parts = [evaluate(part, bits) for part in proposition.parts]
    if proposition.operator == "not":
        return np.asarray(np.logical_not(parts[0]))
    combine = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}[proposition.operator]
    return np.asarray(combine.reduce(parts))


def columns_that_exchange(proposition: Proposition, names: Sequence[str]) -> list[int]:
    """For each name, the first one with which it can be exchanged and the formula is the same but for the order of parts."""

    def exchanged(a: str, b: str) -> bool:
        return _canonical(proposition, {a: b, b: a}) == _canonical(proposition, {})

    return [next(j for j, other in enumerate(names) if exchanged(name, other)) for name in names]


def layers_of(proposition: Proposition, names: Sequence[str]) -> Layers:
    """The dense ReLU network of the formula, (bits of these names) -> 0 or 1; a column whose name the formula lacks is not read."""
    compiler = _Compiler(proposition, names)
    layers = [compiler.layer() for _ in range(max(1, _height(proposition)))]
    weights, shift = compiler.value(proposition)
    return [*layers, ([weights], [shift])]


class _Compiler:
    """Values of subformulas as affine functions of the units of the newest layer, which is at first the input."""

    def __init__(self, proposition: Proposition, names: Sequence[str]) -> None:
        self.proposition, self.level, self.width = proposition, 0, len(names)
        self.known = {Proposition(operator="variable", name=name): ({i: 1.0}, 0.0) for i, name in enumerate(names)}

    def value(self, proposition: Proposition) -> tuple[list[float], float]:
        """The row and the bias that give the value of a known subformula."""
        if proposition.operator == "not":
            row, shift = self.value(proposition.parts[0])
            return [-w for w in row], 1.0 - shift
        coefficients, shift = self.known[proposition]
        return [coefficients.get(i, 0.0) for i in range(self.width)], shift

    def layer(self) -> tuple[list[list[float]], list[float]]:
        """Add the hidden layer of the next level: new staircases, and what is needed later passed through."""
        self.level += 1
        rows: list[list[float]] = []
        biases: list[float] = []
        after: dict[Proposition, tuple[dict[int, float], float]] = {}
        for wanted in sorted(_needed(self.proposition, self.level), key=repr):
            units, coefficients, shift = self._units(wanted)
            after[wanted] = ({len(rows) + i: c for i, c in enumerate(coefficients)}, shift)
            rows += [row for row, _ in units]
            biases += [bias for _, bias in units]
        self.known, self.width = after, len(rows)
        return rows, biases

    def _units(self, wanted: Proposition) -> tuple[list[tuple[list[float], float]], list[float], float]:
        """The units (row, bias) of one value, their coefficients and the shift."""
        if wanted in self.known:
            row, shift = self.value(wanted)
            return [(row, shift + 0.5)], [1.0], -0.5
        parts = [self.value(part) for part in wanted.parts]
        row = [sum(column) for column in zip(*(part for part, _ in parts), strict=True)]
        total = sum(shift for _, shift in parts)
        units, coefficients = [], []
        for start, height in _steps(wanted.operator, len(parts)):
            units += [(row, total - (start - 1 + MARGIN)), (row, total - (start - MARGIN))]
            coefficients += [SLOPE * height, -SLOPE * height]
        return units, coefficients, 0.0


def _steps(operator: str, parts: int) -> list[tuple[int, float]]:
    """Where the staircase of an operator rises or falls, and by how much, as a function of how many parts hold."""
    if operator == "xor":
        return [(j, 1.0 if j % 2 else -1.0) for j in range(1, parts + 1)]
    return [(parts if operator == "and" else 1, 1.0)]


def _needed(proposition: Proposition, level: int) -> set[Proposition]:
    """The subformulas whose value at `level` some higher one reads, negations opened; the formula itself at its own level."""
    if proposition.operator == "not":
        return _needed(proposition.parts[0], level)
    if _height(proposition) <= level:
        return {proposition}
    return {wanted for part in proposition.parts for wanted in _needed(part, level)}


def _height(proposition: Proposition) -> int:
    """How many staircases stand on one another."""
    return int(proposition.operator not in ("variable", "not")) + max((_height(part) for part in proposition.parts), default=0)


def _canonical(proposition: Proposition, names: Mapping[str, str]) -> tuple[object, ...]:
    """The formula with variables renamed and parts in an order of their own."""
    parts = sorted((_canonical(part, names) for part in proposition.parts), key=repr)
    return (proposition.operator, names.get(proposition.name, proposition.name), *parts)


@dataclass(frozen=True, kw_only=True)
class _Token:
    """A word, a parenthesis or the end (an empty text) at a position, 1 first."""

    text: str
    position: int


def _tokens(text: str) -> list[_Token]:
    found, start = [], 0
    while text[start:].strip():
        match = _TOKEN.match(text, start)
        if match is None:
            at = start + len(text[start:]) - len(text[start:].lstrip())
            raise _error(text, _Token(text=text[at], position=at + 1), "a name, an operator or a parenthesis was expected here")
        found.append(_Token(text=match.group("word") or match.group("mark"), position=match.end() - len(match.group().strip()) + 1))
        start = match.end()
    return [*found, _Token(text="", position=len(text) + 1)]


def _chain(text: str, tokens: list[_Token], position: int, level: int, depth: int) -> tuple[Proposition, int]:
    """Read `part operator part operator ...` for the operator of this level, from the loosest inwards."""
    if level == len(OPERATORS):
        return _part(text, tokens, position, depth)
    first, position = _chain(text, tokens, position, level + 1, depth)
    parts = [first]
    while tokens[position].text == OPERATORS[level]:
        part, position = _chain(text, tokens, position + 1, level + 1, depth)
        parts.append(part)
    return (first if len(parts) == 1 else Proposition(operator=OPERATORS[level], parts=tuple(parts))), position


def _part(text: str, tokens: list[_Token], position: int, depth: int) -> tuple[Proposition, int]:
    """Read a variable, a negation or a formula in parentheses."""
    token = tokens[position]
    if depth > DEEPEST:
        raise _error(text, token, f"a formula is nested at most {DEEPEST} deep")
    if token.text == "not":
        part, position = _part(text, tokens, position + 1, depth + 1)
        return Proposition(operator="not", parts=(part,)), position
    if token.text == "(":
        inner, position = _chain(text, tokens, position + 1, 0, depth + 1)
        if tokens[position].text != ")":
            raise _error(text, tokens[position], f"')' was expected here, for the '(' at position {token.position}")
        return inner, position + 1
    if token.text in ("", ")", *OPERATORS):
        raise _error(text, token, "a variable, 'not' or '(' was expected here")
    return Proposition(operator="variable", name=token.text), position + 1


def _error(text: str, token: _Token, expected: str) -> ValueError:
    got = repr(token.text) if token.text else "the end"
    return ValueError(f"{text!r} is no formula: at position {token.position}, {expected}; {EXAMPLE} (got {got})")
