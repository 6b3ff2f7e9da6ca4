"""Small dense networks, drawn so that an axiom can be asked of them: each strategy gives networks of which something is known.

Numbers are small integers, simple forms come first, and shrinking therefore ends at a network that a person can read. Some functions come
in disguise: with a unit split into copies of opposite signs, or beside the difference of two networks that are equal. What is known of the
function is then still true, and no longer plain from the weights.
"""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

from synthetic.families import (
    Affine,
    DrawnNetwork,
    dense,
    difference_of_equals,
    disguised,
    maximum,
    minimum,
    parallel,
    saturated,
    split_unevenly,
    symmetric,
    symmetric_threshold,
    threshold_pair,
    tied,
    with_null_column,
)

Layer = tuple[list[list[int]], list[int]]
Terms = list[tuple[int, tuple[list[int], int]]]


@st.composite
def layers(
    draw: st.DrawFn, *, least: int = 1, most: int = 3, hidden: tuple[int, ...] = (1, 2), bias: bool = True, rising: bool = False
) -> list[Layer]:
    """One or two hidden layers of up to three units on up to three inputs, weights in {-2, ..., 2}; `rising` ones are at least 0.

    Most have as many inputs as there may be: of two players a fault that needs three is not seen.
    """
    widths = [draw(st.sampled_from((*range(least, most + 1), most, most)), label="inputs"), draw(st.integers(1, 3), label="units")]
    if draw(st.sampled_from(hidden), label="hidden layers") == 2:
        widths.append(draw(st.integers(1, 2), label="units"))
    return [draw(_layer(before, after, bias, rising)) for before, after in zip(widths, [*widths[1:], 1], strict=True)]


@st.composite
def _layer(draw: st.DrawFn, before: int, after: int, bias: bool, rising: bool = False) -> Layer:
    weights = st.lists(st.integers(0 if rising else -2, 2), min_size=before, max_size=before)
    shift = st.integers(-2, 2) if bias else st.just(0)
    return draw(st.lists(weights, min_size=after, max_size=after)), draw(st.lists(shift, min_size=after, max_size=after))


@st.composite
def additive(draw: st.DrawFn, *, bias: bool = True, hidden: int = 1) -> list[Layer]:
    """Σ g_i(x_i): every unit reads one column; with two hidden layers, each of the second reads units of one column."""
    (first, shift), *rest = draw(layers(hidden=(hidden,), bias=bias))
    columns = len(first[0])
    reads = [unit % columns for unit in range(len(first))]
    found = [([[w if column == reads[unit] else 0 for column, w in enumerate(row)] for unit, row in enumerate(first)], shift), *rest]
    if hidden == 2:
        second, later = rest[0]
        found[1] = ([[w if reads[unit] == at % columns else 0 for unit, w in enumerate(row)] for at, row in enumerate(second)], later)
    return found


def affine(columns: int) -> st.SearchStrategy[tuple[list[int], int]]:
    """The numbers (w, b) of z = w·x + b."""
    return st.tuples(st.lists(st.integers(-2, 2), min_size=columns, max_size=columns), st.integers(-1, 1))


def terms(columns: int, *, most: int = 2) -> st.SearchStrategy[Terms]:
    """The units a_k relu(u_k) that a threshold pair subtracts."""
    return st.lists(st.tuples(st.integers(1, 2), affine(columns)), min_size=1, max_size=most)


@st.composite
def thresholds(draw: st.DrawFn, build: Callable[..., DrawnNetwork], *, least: int = 1, longest: int = 3, most: int = 2) -> DrawnNetwork:
    """relu(relu(z) - c - Σ a_k relu(u_k)) and its equal, on up to three inputs with up to two units u_k."""
    columns = draw(st.integers(least, longest), label="inputs")
    return build(draw(affine(columns), label="z"), draw(st.integers(1, 3), label="c"), draw(terms(columns, most=most), label="units"))


@st.composite
def in_disguise(draw: st.DrawFn, of: st.SearchStrategy[list[Layer]]) -> DrawnNetwork:
    """A dense network as it is, split unevenly, or, if it has two hidden layers, beside a difference of equals."""
    found = draw(of)
    deep = len(found) == 3
    disguise = draw(st.sampled_from(("none", "split", "difference") if deep else ("none", "split")), label="disguise")
    if disguise == "difference":
        columns = len(found[0][0][0])
        return disguised(found, draw(affine(columns), label="z"), draw(st.integers(0, 3), label="c"), draw(terms(columns), label="units"))
    return split_unevenly(found) if disguise == "split" else dense(found)


@st.composite
def of_two(draw: st.DrawFn, build: Callable[[Affine, Affine], DrawnNetwork], *, rising: bool = False) -> DrawnNetwork:
    """A minimum or a maximum of relu(u) and relu(v), on one to three columns; `rising` in all of them."""
    columns = draw(st.integers(2 if rising else 1, 3), label="inputs")
    form = st.tuples(st.lists(st.integers(0 if rising else -2, 2), min_size=columns, max_size=columns), st.integers(-1, 1))
    return build(draw(form, label="u"), draw(form, label="v"))


def of_one_each(build: Callable[[Affine, Affine], DrawnNetwork]) -> st.SearchStrategy[DrawnNetwork]:
    """A minimum or a maximum of relu(a x1) and relu(b x2)."""
    return st.builds(lambda a, b: build(([a, 0], 0), ([0, b], 0)), st.integers(1, 2), st.integers(1, 2))


def turned_twice() -> st.SearchStrategy[DrawnNetwork]:
    """The rising -v relu(b - a x1), its unit in two copies of opposite signs."""
    return st.builds(
        lambda a, b, v: split_unevenly([([[-a]], [b]), ([[-v]], [0])]), st.integers(1, 2), st.integers(-2, 3), st.integers(1, 2)
    )


@st.composite
def rising_in_the_first(draw: st.DrawFn, *, hidden: tuple[int, ...] = (1, 2)) -> list[Layer]:
    """Networks that cannot fall in column 1: each unit is passed on with the sign of its weight of that column, or all weights are >= 0."""
    (first, shift), *rest = draw(layers(hidden=hidden))
    if len(rest) == 1:
        signs = [-1 if row[0] < 0 else 1 for row in first]
        return [(first, shift), ([[sign * abs(w) for sign, w in zip(signs, row, strict=True)] for row in rest[0][0]], rest[0][1])]
    return [([[abs(row[0]), *row[1:]] for row in first], shift), *[([[abs(w) for w in row] for row in weight], b) for weight, b in rest]]


@st.composite
def of_the_sum(draw: st.DrawFn) -> list[Layer]:
    """Networks that see columns 1 and 2 as a sum."""
    (first, shift), *rest = draw(layers(least=2))
    return [([[row[0], row[0], *row[2:]] for row in first], shift), *rest]


@st.composite
def all_tied(draw: st.DrawFn) -> list[Layer]:
    """Networks that see three columns as a sum."""
    (first, shift), *rest = draw(layers(most=1))
    return [([row * 3 for row in first], shift), *rest]


@st.composite
def branches(draw: st.DrawFn) -> DrawnNetwork:
    """α f + β g of one depth on the same columns."""
    columns, depth = draw(st.integers(1, 3), label="inputs"), draw(st.integers(1, 2), label="hidden layers")
    one, two = (draw(layers(least=columns, most=columns, hidden=(depth,)), label=name) for name in ("f", "g"))
    factors = st.sampled_from((1, 2, -1, -2))
    return parallel(one, two, weights=(draw(factors, label="α"), draw(factors, label="β")))


@st.composite
def saturating(draw: st.DrawFn) -> DrawnNetwork:
    """The function k min(1, Σ a_i x_i) + g(y)."""
    weights = draw(st.lists(st.integers(1, 2), min_size=2, max_size=3), label="a")
    return saturated(weights, draw(st.sampled_from((1, 2, -1)), label="k"), draw(layers(most=1, hidden=(1,)), label="g"))


@st.composite
def null_columns(draw: st.DrawFn) -> DrawnNetwork:
    """A network with a column without weights."""
    return with_null_column(draw(layers(most=2)), at=draw(st.integers(0, 1), label="at"))


INDEPENDENT: st.SearchStrategy[DrawnNetwork] = st.one_of(
    null_columns(), st.builds(difference_of_equals, layers(most=2), affine(2), st.integers(0, 2), terms(2))
)
"""Networks with columns on which the function does not depend, read by the network or not."""

ORBITS: st.SearchStrategy[DrawnNetwork] = st.one_of(
    layers(least=2).map(tied),
    layers(least=2).map(symmetric),
    all_tied().map(dense),
    thresholds(symmetric_threshold, least=2, longest=2, most=1),
)
"""Networks that are symmetric in two columns, as networks or as functions only."""

EQUALS: st.SearchStrategy[DrawnNetwork] = st.one_of(
    layers().map(dense), of_two(maximum), *[thresholds(threshold_pair, least=least) for least in (1, 2, 2, 2)]
)
"""Networks of which others that compute the same are known; mostly those that differ by more than a unit."""

RISING: st.SearchStrategy[DrawnNetwork] = st.one_of(
    in_disguise(rising_in_the_first()),
    rising_in_the_first(hidden=(1,)).map(split_unevenly),
    turned_twice(),
    of_two(minimum, rising=True),
    of_one_each(minimum),
    of_two(maximum, rising=True),
    st.builds(difference_of_equals, layers(most=1, hidden=(2,), rising=True), affine(2), st.integers(1, 2), terms(2)),
)
"""Networks that are non-decreasing in some column."""
