"""Hypothesis draws networks as well as inputs: small integers that become a hand-set network, so that it shrinks to one a person can read.

Every drawn case keeps a margin: no unit's pre-activation at the input is closer than 1/8 to its kink, in any of the networks, so that the
convention for ReLU'(0) never decides a verdict. (Inputs on which the whole path lies in a kink are excluded by the same rule.) Only
continuity is about kinks: there two rows stand close to one, on both sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from hypothesis import assume
from hypothesis import strategies as st
from torch import Tensor, nn

from attrlab.axioms import Axiom
from attrlab.case import Case
from attrlab.games import Policy, coalition_values, make_game
from attrlab.method import Method
from evaluations import drawn_images as images
from evaluations import drawn_networks as drawn
from evaluations.drawn_graphs import graphs
from synthetic.families import DrawnNetwork, dense, two_outputs
from synthetic.formulas import formula_of
from synthetic.gadgets import least_preactivation
from synthetic.readings import layers_of

DRAWN = "drawn-networks"
"""The name that drawn networks have where an environment's id stands."""

MARGIN = 1 / 8

STEP = 2.0**-13
"""How far from a kink the two rows of a case of continuity stand: a Lipschitz bound of 100 still leaves jumps of 1/5 to be seen."""

REFERENCE = 4
"""How often the baseline stands in the reference data of a drawn case: what averages over references measures from the baseline."""

RESTRICTIONS = frozenset({"positively_homogeneous", "additive", "nonnegative_inputs", "monotone", "piecewise_linear", "bias_free"})
"""The traits that drawn networks can be made to have."""

FREE = frozenset({"parameters", "null"})
"""What any drawn network knows."""


def can_draw(axiom: Axiom, given: frozenset[str], *, modality: str = "table") -> bool:
    """Whether cases can be drawn on which the axiom can be asked and that have these traits."""
    if modality == "image":
        return set(axiom.needs) <= images.KNOWN and given <= images.TRAITS
    built = given - {"nonnegative_inputs", "piecewise_linear"}
    return given <= RESTRICTIONS and (not built or set(axiom.needs) <= FREE | ({"additive"} & built))


def modality_of(axiom: Axiom, method: Method) -> str:
    """What is drawn in order to ask an axiom of a method: graphs, tables, or images where it takes images and no tables."""
    if "graph" in axiom.needs:
        return "graph"
    return "image" if method.modalities and "table" not in method.modalities and "image" in method.modalities else "table"


def drawable(axiom: Axiom, given: frozenset[str], method: Method) -> bool:
    """Whether the axiom can be asked of the method on drawn networks with these traits."""
    modality = modality_of(axiom, method)
    takes = not method.modalities or modality in method.modalities
    return takes and not method.names("truth") and can_draw(axiom, given, modality=modality)


@st.composite
def cases(draw: st.DrawFn, *, axiom: Axiom, given: frozenset[str], policy: Policy, modality: str = "table") -> Case:
    """A small network with what `axiom` needs known of it, one or two inputs and a baseline; axioms about graphs are asked of graphs."""
    needs = frozenset(axiom.needs)
    if "graph" in needs:
        return draw(graphs(local="unreachable" in needs, twin="twin" in needs, policy=policy))
    if "neighbours" in needs:
        return draw(_across_a_kink(policy))
    if "supports" in needs:
        return draw(_of_two_outputs(policy))
    if modality == "image":
        network = draw(images.convolutions(needs=needs, given=given), label="network")
        found = images.as_images(draw(_rows(network, needs, given, policy)))
        assume(axiom.applies_to(found) or "null" in needs)
    else:
        network = draw(_networks(needs | ({axiom.name} & {"linearity"}), given), label="network")
        found = draw(_rows(network, needs, given, policy))
    assume(all(_clear_of_kinks(model, found) for model in (found.model, *found.others.values())))
    return _with_null_players(found) if "null" in needs else found


def _networks(needs: frozenset[str], given: frozenset[str]) -> st.SearchStrategy[DrawnNetwork]:
    """The networks that know what is needed, or have the traits that are given."""
    homogeneous = bool(given & {"positively_homogeneous", "bias_free"})
    if "additive" in given:
        return drawn.additive(bias=not homogeneous).map(dense)
    if "monotone" in given:
        return drawn.layers(rising=True, bias=not homogeneous).map(dense)
    if homogeneous:
        return drawn.layers(bias=False).map(dense)
    known: dict[str, st.SearchStrategy[DrawnNetwork]] = {
        "others": drawn.EQUALS,
        "independent": drawn.INDEPENDENT,
        "unreachable": drawn.null_columns(),
        "null": st.one_of(drawn.null_columns(), drawn.layers().map(dense)),
        "orbit": drawn.ORBITS,
        "monotone": drawn.RISING,
        "summed": drawn.in_disguise(drawn.of_the_sum()),
        "redundant": drawn.saturating(),
        "additive": drawn.in_disguise(st.one_of(drawn.additive(), drawn.additive(hidden=2))),
        "parameters": drawn.layers(least=3).map(dense),
        "linearity": drawn.branches(),
    }
    return next((strategy for need, strategy in known.items() if need in needs), drawn.layers().map(dense))


@st.composite
def _rows(draw: st.DrawFn, network: DrawnNetwork, needs: frozenset[str], given: frozenset[str], policy: Policy) -> Case:
    """One row, or two that differ in one column in which the function cannot fall, with the baseline that the axiom needs."""
    columns = len(network.independent)
    low = 0 if "nonnegative_inputs" in given else -3
    inputs = draw(st.lists(st.integers(low, 3), min_size=columns, max_size=columns), label="x")
    zero = bool(given & {"positively_homogeneous", "nonnegative_inputs"}) or draw(st.booleans(), label="x' = 0")
    baseline = [0] * columns if zero else draw(st.lists(st.integers(-3, 3), min_size=columns, max_size=columns), label="x'")
    if "orbit" in needs:
        inputs, baseline = _equal_in_orbits(inputs, network.orbit), _equal_in_orbits(baseline, network.orbit)
    if "summed" in needs:
        baseline = [0 if number >= 0 else value for value, number in zip(baseline, network.summed, strict=True)]
    if "redundant" in needs:
        pairs = list(zip(inputs, baseline, network.redundant, strict=True))
        inputs, baseline = [max(1, abs(x)) if on else x for x, _, on in pairs], [0 if on else y for _, y, on in pairs]
    rows = [inputs]
    if "monotone" in needs:
        assume(any(network.monotone))
        raised = draw(st.sampled_from([i for i, on in enumerate(network.monotone) if on]), label="column raised")
        rows.append([value + (i == raised) * draw(st.integers(1, 3), label="by") for i, value in enumerate(inputs)])
    return stated(network, rows, baseline, policy, traits=given | ({"additive"} & needs), rewritten="others" in needs)


@st.composite
def _across_a_kink(draw: st.DrawFn, policy: Policy) -> Case:
    """Two rows `STEP` to either side of the kink of the first unit; all other units keep their margin.

    Where the baseline is 0 and the unit has no bias, the whole straight path goes over from one side to the other.
    """
    layers = draw(drawn.layers(), label="network")
    columns = len(layers[0][0][0])
    point = draw(st.lists(st.integers(-3, 3), min_size=columns, max_size=columns), label="x")
    (first, shift), *rest = layers
    zero = draw(st.booleans(), label="the kink goes through the baseline, 0")
    if zero and columns > 1:
        first = [[point[1], -point[0], *[0] * (columns - 2)], *first[1:]]
    height = sum(w * x for w, x in zip(first[0], point, strict=True))
    network = dense([(first, [-height, *shift[1:]]), *rest])
    across = next((i for i, w in enumerate(first[0]) if w), None)
    assume(across is not None)
    baseline = [0] * columns if zero else draw(st.lists(st.integers(-3, 3), min_size=columns, max_size=columns), label="x'")
    rows = [[value + sign * STEP * (i == across) for i, value in enumerate(point)] for sign in (-1, 1)]
    found = stated(network, rows, baseline, policy)
    assume(_least_but_one(network.model, found.inputs) >= MARGIN)
    return found


@st.composite
def _of_two_outputs(draw: st.DrawFn, policy: Policy) -> Case:
    """Two outputs that depend on columns of their own, and a network in which the first reads the columns of the second."""
    f, g = (draw(drawn.layers(most=2, hidden=(1,)), label=name) for name in ("f", "g"))
    widths = len(f[0][0][0]), len(g[0][0][0])
    model = two_outputs(f, g, draw(drawn.affine(widths[1]), label="z"), draw(st.integers(0, 2), label="c"))
    columns = sum(widths)
    values = st.lists(st.integers(-3, 3), min_size=columns, max_size=columns)
    found = _placed(model, [draw(values, label="x")], draw(values, label="x'"), policy, formula=_formula_of_both(model))
    owner = torch.tensor([[True] * widths[0] + [False] * widths[1]], device=policy.device)
    assume(_clear_of_kinks(found.model, found))
    return replace(found, supports=torch.cat([owner, ~owner]))


def _equal_in_orbits(values: Sequence[int], orbit: Sequence[int]) -> list[int]:
    """Give all columns of an orbit the value of its first."""
    first: dict[int, int] = {}
    return [value if number < 0 else first.setdefault(number, value) for value, number in zip(values, orbit, strict=True)]


def _clear_of_kinks(model: nn.Module, case: Case) -> bool:
    """Whether no unit at the input is near its kink; a network without `nn.ReLU` modules has a twin with them among the others."""
    return least_preactivation(model, case.inputs) >= MARGIN


def _least_but_one(model: nn.Module, inputs: Tensor) -> float:
    """The smallest |pre-activation| of a dense network on `inputs`, the first unit of its first layer left out."""
    first, *rest = list(model.children())
    with torch.no_grad():
        hidden = first(inputs)
        return min(
            float(hidden[:, 1:].abs().min()) if hidden.shape[1] > 1 else torch.inf,
            least_preactivation(nn.Sequential(*rest[1:]), hidden.relu()),
        )


def _with_null_players(case: Case) -> Case:
    """The case with the null players of its game, which must have one that is not at its baseline: enumerated, on values of integers."""
    game = make_game(
        case.model, case.inputs, target=case.target, baseline=case.baseline, feature_mask=case.feature_mask, players=case.players
    )
    null = torch.ones(len(case), case.players, dtype=torch.bool, device=case.inputs.device)
    for table in coalition_values(game):
        for bit in range(table.members.shape[1]):
            pairs = table.values.view(len(table.rows), -1, 2, 1 << bit)
            null[table.rows, table.members[:, bit]] = (pairs[:, :, 0] == pairs[:, :, 1]).flatten(1).all(1)
    assume(bool((null & (case.inputs != case.baseline).flatten(1)).any()))
    return replace(case, null=null)


def stated(
    network: DrawnNetwork,
    rows: Sequence[Sequence[float]],
    baseline: Sequence[float],
    policy: Policy,
    *,
    traits: frozenset[str] = frozenset(),
    rewritten: bool = False,
) -> Case:
    """The case of a drawn network: everything that is known of it, for every row."""

    def each(values: Sequence[float | bool | int], dtype: torch.dtype = torch.bool) -> Tensor:
        return torch.tensor([values] * len(rows), dtype=dtype, device=policy.device)

    def placed(models: Mapping[str, nn.Module]) -> dict[str, nn.Module]:
        return {name: model.to(device=policy.device, dtype=policy.dtype) for name, model in models.items()}

    return replace(
        _placed(network.model, rows, baseline, policy, formula=network.formula),
        independent=each(network.independent),
        orbit=each(network.orbit, torch.int64),
        others=placed(network.equal) if rewritten else {},
        traits=traits,
        unreachable=each(network.unreachable),
        monotone=each(network.monotone),
        summed=each([number >= 0 and number == max(network.summed) for number in network.summed]),
        redundant=each(network.redundant),
        lipschitz=network.lipschitz,
        branches=tuple((factor, branch.to(device=policy.device, dtype=policy.dtype)) for factor, branch in network.branches),
    )


def _placed(model: nn.Module, rows: Sequence[Sequence[float]], baseline: Sequence[float], policy: Policy, *, formula: str) -> Case:
    inputs = torch.tensor(rows, dtype=policy.dtype, device=policy.device)
    absent = inputs.new_tensor(baseline)
    return Case(
        name=DRAWN,
        formula=formula,
        model=model.to(device=policy.device, dtype=policy.dtype),
        inputs=inputs,
        target=torch.zeros(len(rows), dtype=torch.int64, device=policy.device),
        baseline=absent.expand(inputs.shape).clone(),
        reference=absent.repeat(REFERENCE, 1),
        feature_mask=torch.arange(inputs.shape[1], device=policy.device).expand(inputs.shape).clone(),
        players=inputs.shape[1],
    )


def _formula_of_both(model: nn.Module) -> str:
    layers = layers_of(model)
    assert layers is not None
    *hidden, (weight, bias) = layers
    return "; ".join(
        formula_of([*hidden, ([row], [shift])]).replace("f(x)", f"f{k}(x)") for k, (row, shift) in enumerate(zip(weight, bias, strict=True))
    )
