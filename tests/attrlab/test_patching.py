"""Patching is what the circuits say it is; the two predictions of it are right where theory says so, and blind behind saturated units."""

from __future__ import annotations

import re
from itertools import product

import pytest
import torch
from torch import nn

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.patching import attribution_patched_effects, patched_effects, relevance_patched_effects
from attrlab.methods.token_patching import activation_patching, attribution_patching, relp
from tests.attrlab.patched_rows import DIRECTIONS, batch_of, drawn, effects_of
from tests.reference_sequences import Block, handed_on, patched

EXACT = {"rtol": 1e-9, "atol": 1e-9}  # float64 rounding over a few hundred terms

CIRCUITS = [
    *(
        (id, {"attention": kind})
        for id, kind in product(("copy-induction-v1", "lookup-v1", "two-hop-recall-v1"), ("hard", "softmax", "gates"))
    ),
    ("token-majority-v1", {}),
    ("decoy-head-v1", {}),
    ("bag-of-instances-v1", {}),
    ("bag-of-instances-sum-v1", {}),
    ("bag-of-patches-v1", {}),
]
circuits = pytest.mark.parametrize(("id", "knobs"), CIRCUITS, ids=[f"{id} {knobs}" for id, knobs in CIRCUITS])
PREDICTIONS = {"attribution": attribution_patched_effects, "relevance": relevance_patched_effects}
predictions = pytest.mark.parametrize("predict", PREDICTIONS.values(), ids=PREDICTIONS)


def pearson(found, wanted):
    found, wanted = found.flatten() - found.mean(), wanted.flatten() - wanted.mean()
    return float((found @ wanted) / (found.norm() * wanted.norm()))


def agreement(found, wanted):
    return float((found.sign() == wanted.sign()).double().mean())


# The reference.


@circuits
def test_patching_a_component_has_the_effect_that_the_circuit_states(id, knobs):
    environment, batch = batch_of(id, **knobs)
    truth = environment.components(batch)
    found = effects_of(patched_effects, environment, batch, layers=tuple(truth))
    for name, effect in truth.items():
        torch.testing.assert_close(found[name], effect, **EXACT, msg=lambda text, name=name: f"{name}: {text}")


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_patching_is_what_hooks_on_one_row_find(direction, generator):
    model, inputs, baseline = Block(generator), drawn(generator, 4, 5, 3), drawn(generator, 4, 5, 3)
    target = torch.tensor([0, 1, 1, 0])
    found = patched_effects(model, inputs, target=target, baseline=baseline, direction=direction)
    assert list(found) == [name for name, _ in model.named_modules() if name]
    into, source = (inputs, baseline) if direction == "noising" else (baseline, inputs)
    for name, row in product(found, range(4)):
        expected = patched(model, name, into[row : row + 1], source[row : row + 1], int(target[row]))
        assert found[name][row].item() == pytest.approx(expected, abs=1e-9)  # float64 rounding


@pytest.mark.parametrize("direction", DIRECTIONS)
def test_a_position_is_patched_alone(direction, generator, monkeypatch):
    monkeypatch.setattr("attrlab.methods.patching.ACTIVATION_BYTES", 7 * 15 * 8)  # chunks of seven, so that rows are split
    model, inputs, baseline = Block(generator), drawn(generator, 4, 5, 3), drawn(generator, 4, 5, 3)
    target = torch.tensor([0, 1, 1, 0])
    found = patched_effects(model, inputs, target=target, baseline=baseline, direction=direction, positions=True)
    assert "read" not in found  # it hands on one vector per row, which has no positions
    into, source = (inputs, baseline) if direction == "noising" else (baseline, inputs)
    for name, row, place in product(("norm", "value", "softmax", "gelu"), range(4), range(5)):
        expected = patched(model, name, into[row : row + 1], source[row : row + 1], int(target[row]), place)
        assert found[name][row, place].item() == pytest.approx(expected, abs=1e-9)  # float64 rounding


class Twice(nn.Module):
    """f = relu(2 relu(x)) summed, through one and the same activation."""

    def __init__(self):
        super().__init__()
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        return self.relu(self.relu(x.clone()) * 2).flatten(1).sum(1, keepdim=True)


def test_a_module_that_is_called_twice_is_exchanged_at_both_calls(generator):
    inputs, baseline, target = drawn(generator, 4, 3).abs(), drawn(generator, 4, 3), torch.zeros(4, dtype=torch.int64)
    (found,) = patched_effects(Twice(), inputs, target=target, baseline=baseline).values()
    assert len(handed_on(Twice(), "relu", inputs)) == 2
    torch.testing.assert_close(found, 2 * (baseline.relu() - inputs.relu()).sum(1), **EXACT)
    (predicted,) = attribution_patched_effects(Twice(), inputs, target=target, baseline=baseline).values()
    torch.testing.assert_close(predicted, 2 * found, **EXACT)  # where all units are on, each call's slope sees the whole effect


# The predictions.


def test_attribution_patching_is_the_derivative_of_a_little_patching(generator):
    model, inputs, baseline = Block(generator), drawn(generator, 3, 4, 3), drawn(generator, 3, 4, 3)
    target, step = torch.zeros(3, dtype=torch.int64), 1e-6
    found = attribution_patched_effects(model, inputs, target=target, baseline=baseline)
    for name, row in product(found, range(3)):
        (there,) = handed_on(model, name, baseline[row : row + 1])

        def towards(module, arguments, output, there=there, sign=1):
            return output + sign * step * (there - output)

        ends = []
        for sign in (1, -1):
            handle = model.get_submodule(name).register_forward_hook(lambda *a, sign=sign, towards=towards: towards(*a, sign=sign))
            ends.append(float(model(inputs[row : row + 1])[0, 0]))
            handle.remove()
        # A central difference: error step² times a third derivative of up to 1e3, and rounding 1e-15 / step.
        assert found[name][row].item() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-6, abs=1e-7)


@circuits
@pytest.mark.parametrize("direction", DIRECTIONS)
@predictions
def test_predictions_are_exact_behind_the_last_saturated_unit_and_nothing_before_it(id, knobs, direction, predict):
    """On flat worlds the slope of a unit is 0 on both inputs, so what lies before the last one has the prediction 0, whatever it does."""
    environment, batch = batch_of(id, **knobs)
    names = tuple(environment.components(batch))
    truth = effects_of(patched_effects, environment, batch, layers=names, direction=direction)
    found = effects_of(predict, environment, batch, layers=names, direction=direction)
    for name in names:
        if id == "bag-of-instances-sum-v1" or re.fullmatch(r"mlp|label|unembed|layers\.[23](\.mlp|\.residual)?", name):
            torch.testing.assert_close(found[name], truth[name], **EXACT)
        else:
            assert not found[name].any(), name


AGREEMENT = [
    # components, those with an effect (1 each), and those of them behind the last saturated unit, the same in every row
    ("copy-induction-v1", "noising", 13, 12, 1),
    ("copy-induction-v1", "denoising", 13, 5, 1),
    ("lookup-v1", "denoising", 7, 3, 1),
    ("two-hop-recall-v1", "noising", 38, 24, 6),
    ("decoy-head-v1", "noising", 5, 3, 1),
]


@pytest.mark.parametrize(
    ("id", "direction", "components", "working", "behind"), AGREEMENT, ids=[f"{id} {way}" for id, way, *_ in AGREEMENT]
)
def test_agreement_with_the_reference_on_flat_worlds_is_that_of_seeing_only_what_lies_behind(id, direction, components, working, behind):
    """Of n components k work and m of these are seen: Pearson's correlation is √(m (n - k) / k (n - m)), and 1 - (k - m)/n signs agree.

    Relevance patching is attribution patching here: no norm, no smooth unit, and what products would share is 0 already.
    """
    environment, batch = batch_of(id)
    names = tuple(environment.components(batch))
    assert len(names) == components
    truth, *found = (
        torch.stack(list(effects_of(method, environment, batch, layers=names, direction=direction).values()))
        for method in (patched_effects, *PREDICTIONS.values())
    )
    for predicted in found:
        expected = (behind * (components - working) / (working * (components - behind))) ** 0.5
        assert pearson(predicted, truth) == pytest.approx(expected, abs=1e-9)  # float64 rounding
        assert agreement(predicted, truth) == pytest.approx(1 - (working - behind) / components, abs=1e-12)


def test_predictions_agree_fully_where_everything_behind_the_component_is_affine():
    environment, batch = batch_of("bag-of-instances-sum-v1")
    names = tuple(environment.components(batch))
    truth, *found = (effects_of(method, environment, batch, layers=names) for method in (patched_effects, *PREDICTIONS.values()))
    for name, predicted in product(names, found):
        torch.testing.assert_close(predicted[name], truth[name], **EXACT)


def one(values):
    return torch.tensor(values, dtype=torch.float64).view(-1, 1)


@pytest.mark.parametrize(
    ("model", "attribution", "relevance"),
    [
        # f(x) = gelu(3), to 0: the slope of a saturating unit overshoots, the ratio is exact.
        (nn.Sequential(nn.Identity(), nn.GELU()), -3.0358, -2.99595),
        # f(x) = h², to 0: the slope counts both factors in full, half each is exact.
        (nn.Sequential(nn.Identity(), type("Square", (nn.Module,), {"forward": lambda self, h: h * h})()), -18.0, -9.0),
    ],
    ids=["gelu", "square"],
)
def test_relevance_patching_is_exact_to_zero_through_one_unit_where_the_slope_is_not(model, attribution, relevance):
    settings = {"target": torch.zeros(1, dtype=torch.int64), "baseline": one([0.0]), "layers": ("0",)}
    truth = patched_effects(model, one([3.0]), **settings)["0"]
    torch.testing.assert_close(relevance_patched_effects(model, one([3.0]), **settings)["0"], truth, **EXACT)
    assert relevance_patched_effects(model, one([3.0]), **settings)["0"].item() == pytest.approx(relevance, abs=1e-4)
    assert attribution_patched_effects(model, one([3.0]), **settings)["0"].item() == pytest.approx(attribution, abs=1e-4)


class Gate(nn.Module):
    """f = a b of two components that read one column each."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.first(x[:, :1]) * self.second(x[:, 1:])


def test_relevance_patching_halves_a_factor_that_is_patched_alone():
    """Taking out one factor takes out all: the slope is exact, and half is what both factors together should share."""
    settings = {"target": torch.zeros(1, dtype=torch.int64), "baseline": torch.zeros(1, 2, dtype=torch.float64)}
    inputs = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    assert patched_effects(Gate(), inputs, **settings)["first"].item() == -6
    assert attribution_patched_effects(Gate(), inputs, **settings)["first"].item() == -6
    assert relevance_patched_effects(Gate(), inputs, **settings)["first"].item() == -3


def test_a_norm_hides_its_input_from_the_slope_and_not_from_relevance(generator):
    """A root-mean-square norm is homogeneous of degree 0, so Euler's Σ h ∂f/∂h is 0; with its scale constant it is f."""
    model = nn.Sequential(nn.Identity(), nn.RMSNorm(4, eps=0.0), nn.Linear(4, 1, bias=False)).double().requires_grad_(False)
    inputs = drawn(generator, 5, 4)
    settings = {"target": torch.zeros(5, dtype=torch.int64), "baseline": torch.zeros_like(inputs), "layers": ("0",)}
    clean = model(inputs)[:, 0]
    torch.testing.assert_close(attribution_patched_effects(model, inputs, **settings)["0"], torch.zeros_like(clean), **EXACT)
    torch.testing.assert_close(relevance_patched_effects(model, inputs, **settings)["0"], -clean, **EXACT)


@pytest.mark.parametrize("seed", range(6))
def test_on_a_transformer_block_drawn_at_random_relevance_is_nearer_to_patching_than_the_slope(seed):
    """A norm and smooth units bend between two unrelated inputs: on average 0.77 against 0.60, at depth 3 0.69 against 0.42."""
    generator = torch.Generator().manual_seed(seed)
    model, inputs, baseline = Block(generator, width=8, hidden=32), drawn(generator, 30, 6, 8), drawn(generator, 30, 6, 8)
    given = {"target": torch.zeros(30, dtype=torch.int64), "baseline": baseline}
    truth, slope, relevance = (
        torch.stack(list(method(model, inputs, **given).values())) for method in (patched_effects, *PREDICTIONS.values())
    )
    assert pearson(slope, truth) < pearson(relevance, truth)


def test_frozen_attention_sends_all_of_a_heads_relevance_to_its_values(generator):
    model, inputs, baseline = Block(generator), drawn(generator, 4, 5, 3), drawn(generator, 4, 5, 3)
    settings = {"target": torch.zeros(4, dtype=torch.int64), "baseline": baseline}
    free = relevance_patched_effects(model, inputs, **settings)
    frozen = relevance_patched_effects(model, inputs, frozen_attention=True, **settings)
    torch.testing.assert_close(frozen["value"], 2 * free["value"], **EXACT)
    assert not any(frozen[name].any() for name in ("query", "key", "softmax"))
    assert all(free[name].any() for name in ("query", "key", "softmax"))


# Read as an attribution of tokens.


@pytest.mark.parametrize("method", [patched_effects, *PREDICTIONS.values()])
@pytest.mark.parametrize("positions", [False, True])
def test_a_row_is_patched_alone_and_without_gradients(method, positions, generator):
    model, inputs, baseline = Block(generator), drawn(generator, 5, 4, 3), drawn(generator, 5, 4, 3)
    target, order = torch.tensor([0, 1, 1, 0, 1]), torch.tensor([3, 0, 4])
    whole = method(model, inputs, target=target, baseline=baseline, positions=positions)
    with torch.no_grad():
        part = method(model, inputs[order], target=target[order], baseline=baseline[order], positions=positions)
    for name, effect in whole.items():
        torch.testing.assert_close(part[name], effect[order], **EXACT)
        assert not effect.requires_grad


@pytest.mark.parametrize("layer", [None, "residual"])
@pytest.mark.parametrize("method", [activation_patching, attribution_patching, relp])
def test_scores_follow_the_dtype_and_the_shape_of_the_inputs(method, layer):
    environment, batch = batch_of("copy-induction-v1", 4, attention="softmax")
    model, batch = environment.model.float(), batch.to(dtype=torch.float32)
    scores = method(
        model,
        batch.inputs,
        target=batch.target,
        baseline=batch.baseline,
        feature_mask=batch.feature_mask,
        layer=layer,
        direction="denoising",
    )
    assert scores.dtype == torch.float32
    assert scores.shape == batch.inputs.shape


class Awkward(nn.Module):
    """Modules that cannot be patched row by row: one hands on a pair, one a sum over rows, one is never called."""

    def __init__(self):
        super().__init__()
        self.pair = type("Pair", (nn.Module,), {"forward": lambda self, x: (x, x)})()
        self.total = type("Total", (nn.Module,), {"forward": lambda self, x: x.sum(0)})()
        self.idle, self.flat = nn.Identity(), nn.Identity()

    def forward(self, x):
        self.total(x)
        return self.flat(self.pair(x)[0])


@pytest.mark.parametrize(
    ("layer", "message"),
    [("pair", "hands on a tuple"), ("total", r"no floating-point tensor of 3 rows \(got \(2,\)"), ("idle", "is not called")],
)
def test_what_cannot_be_exchanged_row_by_row_is_refused_by_name_and_left_out_unasked(layer, message):
    inputs, target = torch.ones(3, 2), torch.zeros(3, dtype=torch.int64)
    with pytest.raises(NotApplicable, match=message):
        patched_effects(Awkward(), inputs, target=target, baseline=inputs, layers=(layer,))
    assert list(patched_effects(Awkward(), inputs, target=target, baseline=inputs)) == ["flat"]


def test_refusals_say_what_to_write():
    inputs, target = torch.ones(3, 2), torch.zeros(3, dtype=torch.int64)
    given = {"target": target, "baseline": inputs}
    with pytest.raises(InvalidInput, match=r"did you mean 'flat'\? \(got 'flatt'\)"):
        patched_effects(Awkward(), inputs, layers=("flatt",), **given)
    with pytest.raises(InvalidInput, match=r"\(got 'forwards'\)"):
        patched_effects(Awkward(), inputs, direction="forwards", **given)
    with pytest.raises(InvalidInput, match=r"shaped like inputs, \(3, 2\) \(got \(2, 2\)\)"):
        patched_effects(Awkward(), inputs, target=target, baseline=inputs[:2])
    with pytest.raises(NotApplicable, match="has no positions of its own"):
        patched_effects(Awkward(), inputs, layers=("flat",), positions=True, **given)
    with pytest.raises(NotApplicable, match="wrap it as an nn"):
        patched_effects(lambda x: x, inputs, **given)


def test_a_layer_without_one_position_per_token_is_refused():
    environment, batch = batch_of("lookup-v1", 2)
    with pytest.raises(NotApplicable, match=r"does not have one position per token.*\(got 5 positions\)"):
        activation_patching(
            environment.model,
            batch.inputs,
            target=batch.target,
            baseline=batch.baseline,
            feature_mask=batch.feature_mask,
            layer="head.value",
        )


def test_no_hook_is_left_when_the_model_raises(generator):
    model = Block(generator)
    inputs = drawn(generator, 2, 4, 5)  # two columns too many
    for method in (patched_effects, *PREDICTIONS.values()):
        with pytest.raises(RuntimeError):
            method(model, inputs, target=torch.zeros(2, dtype=torch.int64), baseline=inputs)
        assert not any(module._forward_hooks for module in model.modules())
