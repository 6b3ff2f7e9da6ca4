"""DeepLIFT by interception is the Rescale rule, is Captum's where Captum is right, and is complete where Captum is silently wrong."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from captum.attr import DeepLift
from hypothesis import given
from torch import nn
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.methods.deeplift import deeplift
from attrlab.methods.deeplift_rescale import deeplift_rescale
from attrlab.side_effects import hooks_of
from synthetic.families import dense
from tests.attrlab.test_deeplift import ALLOWED, SEARCH, Gated, Network, Residual, Twice, image, networks, question
from tests.reference_gradients import rescale


def rise(model, inputs, target, baseline):
    rows = torch.arange(len(inputs))
    return model(inputs)[rows, target] - model(baseline)[rows, target]


@given(drawn=networks())
@SEARCH
def test_it_is_the_rescale_rule_layer_by_layer(drawn):
    layers, x, baseline = drawn
    numbers = [(np.array(weight, dtype=float), np.array(bias, dtype=float)) for weight, bias in layers]
    expected = rescale(numbers, np.array(x, dtype=float), np.array(baseline, dtype=float))
    inputs, start = torch.tensor([x], dtype=torch.float64), torch.tensor([baseline], dtype=torch.float64)
    found = deeplift_rescale(dense(layers).model, inputs, target=torch.tensor([0]), baseline=start)
    np.testing.assert_allclose(found[0].numpy(), expected, atol=1e-9)  # integers up to 10^4 and at most 3 quotients


@pytest.mark.parametrize("name", ALLOWED)
def test_where_the_library_is_right_both_agree(name, generator):
    model = Network(ALLOWED[name]())
    inputs, target, baseline = question(generator)
    baseline[0, 1] = inputs[0, 1]
    found = deeplift_rescale(model, inputs, target=target, baseline=baseline)
    library = deeplift(model, inputs, target=target, baseline=baseline)
    torch.testing.assert_close(found, library, atol=1e-12, rtol=0)  # rounding of a few hundred products of order 1
    assert hooks_of(model) == []


SILENT = {
    "functional relu": lambda: torch.relu,
    "functional tanh": lambda: functional.tanh,
    "written in place": lambda: lambda z: z.clone().relu_(),
    **{kind.__name__: kind for kind in (nn.GELU, nn.SiLU, nn.PReLU, nn.ReLU6, nn.Hardtanh, nn.CELU)},
    "product of two units": lambda: Gated(lambda h: h * h.flip(1)),
    "product by keyword": lambda: Gated(lambda h: torch.mul(h, other=h.flip(1))),
    "quotient of two units": lambda: Gated(lambda h: h / (h.flip(1) + 1)),
    "constant over a unit": lambda: Gated(lambda h: 2 / (h + 1)),
    "square": lambda: Gated(lambda h: h**2),
    "max pool 1d k2 s1": lambda: image(nn.MaxPool1d(2, stride=1), size=(2, 4)),
    "max pool 1d k3 s1 p1": lambda: image(nn.MaxPool1d(3, stride=1, padding=1), size=(2, 4)),
    "max pool with indices": lambda: lambda z: functional.max_pool1d(z.view(-1, 2, 4), 2, return_indices=True)[0],
    "adaptive max pool": lambda: image(nn.AdaptiveMaxPool2d(1)),
    "amax": lambda: lambda z: z.amax(1, keepdim=True),
    "amax over two dimensions": lambda: lambda z: z.view(-1, 2, 2, 2).amax((1, 3)),
    "min over a dimension": lambda: lambda z: z.min(1, keepdim=True).values,
    "softmax": lambda: nn.Softmax(dim=1),
}
"""Networks of which Captum returns something that does not add up, without a word."""

OTHERS = {
    "reused module": Twice,
    "max pool k2 p1": lambda: image(nn.MaxPool2d(2, padding=1)),
    "max pool dilated": lambda: image(nn.MaxPool1d(2, dilation=2), size=(2, 4)),
    "power of two units": lambda: lambda z: (z.abs() + 1) ** torch.tanh(z.flip(1)),
    "residual": Residual,
    "matrix product of two units": lambda: Gated(lambda h: torch.bmm(h.view(-1, 2, 4), h.view(-1, 4, 2))),
    "einsum of two units": lambda: Gated(lambda h: torch.einsum("bi,bj->bij", h, torch.tanh(h))),
    "maximum of two": lambda: Gated(lambda h: torch.maximum(h, 1 - h.flip(1))),
    "minimum of two": lambda: Gated(lambda h: torch.minimum(h, 1 - h.flip(1))),
    "log softmax": lambda: lambda z: torch.log_softmax(z, -1),
    "layer norm": lambda: nn.LayerNorm(8),
    "masked softmax": lambda: lambda z: torch.softmax(z.masked_fill(torch.arange(8) < 3, -math.inf), -1),
    "attention": lambda: lambda z: functional.scaled_dot_product_attention(*z.view(-1, 2, 4).split((1, 1), 1)[:1] * 3),
    "exponential over a sum": lambda: lambda z: z.exp() / z.exp().sum(1, keepdim=True),
    "sigmoid gate": lambda: lambda z: z * torch.sigmoid(z.flip(1)),
}


@pytest.mark.parametrize("name", [*SILENT, *OTHERS])
def test_contributions_add_up_on_every_computation(name, generator):
    model = Network((SILENT | OTHERS)[name]())
    inputs, target, baseline = question(generator)
    scores = deeplift_rescale(model, inputs, target=target, baseline=baseline)
    torch.testing.assert_close(scores.sum(1), rise(model, inputs, target, baseline), atol=1e-11, rtol=0)  # rounding, sums of order 100
    assert scores.abs().max() > 0


@pytest.mark.parametrize("name", SILENT)
def test_the_library_is_silently_wrong_where_the_preflight_refuses(name, generator):
    model = Network(SILENT[name]())
    inputs, target, baseline = question(generator)
    with pytest.warns(UserWarning, match="hooks"):
        library = DeepLift(model).attribute(inputs.clone().requires_grad_(), baselines=baseline, target=target).detach()
    assert (library.sum(1) - rise(model, inputs, target, baseline)).abs().max() > 1e-3
    with pytest.raises(NotApplicable):
        deeplift(model, inputs, target=target, baseline=baseline)


def test_module_functional_and_reused_activations_give_the_same_scores(generator):
    relu = nn.ReLU()
    forms = [nn.ReLU(), torch.relu, lambda z: relu(relu(z)), lambda z: z.clamp(min=0), lambda z: z.clone().relu_(), nn.ReLU(inplace=True)]
    inputs, target, baseline = question(generator)
    found = [deeplift_rescale(Network(form), inputs, target=target, baseline=baseline) for form in forms]
    for other in found[1:]:
        torch.testing.assert_close(other, found[0], atol=1e-12, rtol=0)  # rounding


def test_a_product_gives_each_factor_the_shapley_value_of_the_product(generator):
    """Of ab from (a', b'): Δa (b + b')/2 and Δb (a + a')/2; x1 x2 + x3 at (2, 3, 4) from 0 gives (3, 3, 4)."""

    def product(x):
        return x[:, :1] * x[:, 1:2] + x[:, 2:]

    golden = torch.tensor([[2.0, 3.0, 4.0]], dtype=torch.float64)
    found = deeplift_rescale(product, golden, target=torch.tensor([0]), baseline=0 * golden)
    assert found[0].tolist() == pytest.approx([3, 3, 4], abs=1e-13)
    x, r = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    wanted = torch.stack([(x - r)[:, 0] * (x + r)[:, 1] / 2, (x - r)[:, 1] * (x + r)[:, 0] / 2, (x - r)[:, 2]], 1)
    found = deeplift_rescale(product, x, target=torch.zeros(5, dtype=torch.int64), baseline=r)
    torch.testing.assert_close(found, wanted, atol=1e-13, rtol=0)  # rounding of two products


@pytest.mark.parametrize(
    ("x", "baseline", "expected"),
    [
        ((3.0, 1.0), (0.0, 2.0), (1.0, 0.0)),  # 2 -> 3: all of it at the winner of the input
        ((0.0, 2.0), (3.0, 1.0), (-1.0, 0.0)),  # 3 -> 2: all of it at the winner of the baseline
        ((3.0, 1.0), (2.0, 0.0), (1.0, 0.0)),
        ((1.0, 1.5), (1.0, 0.5), (0.0, 0.5)),
    ],
)
def test_a_maximum_is_credited_to_the_winner_that_made_the_difference(x, baseline, expected):
    inputs, start = torch.tensor([x], dtype=torch.float64), torch.tensor([baseline], dtype=torch.float64)
    for maximum in (lambda z: z.amax(1, keepdim=True), lambda z: torch.maximum(z[:, :1], z[:, 1:]), lambda z: functional.max_pool1d(z, 2)):
        if maximum(inputs).dim() != 2:
            continue
        found = deeplift_rescale(maximum, inputs, target=torch.tensor([0]), baseline=start)
        assert found[0].tolist() == pytest.approx(expected, abs=1e-13)


def test_a_unit_that_does_not_change_passes_its_derivative_on():
    """relu(x1 + x2 + 1) from (0, 0) to (1, -1): Δ = 0 at a slope of 1, so (1, -1); at a slope of 0, nothing."""
    inputs = torch.tensor([[1.0, -1.0]], dtype=torch.float64)
    for offset, expected in ((1.0, [1.0, -1.0]), (-1.0, [0.0, 0.0])):
        found = deeplift_rescale(
            lambda x, offset=offset: torch.relu(x.sum(1, keepdim=True) + offset), inputs, target=torch.tensor([0]), baseline=0 * inputs
        )
        assert found[0].tolist() == pytest.approx(expected, abs=1e-13)


REFUSED = {
    "detached": (lambda: Gated(lambda h: h.detach()), "do not add up.*detaches a value"),
    "unknown call": (lambda: functional.logsigmoid, "calls 'log_sigmoid', for which no backward rule is known"),
    "sorted": (lambda: lambda z: z.sort(1).values, "'sort' has no Rescale rule"),
    "group norm": (lambda: lambda z: functional.group_norm(z, 2), "'group_norm' has no Rescale rule"),
    "across the batch": (lambda: lambda z: torch.relu(z.t()[:3]).t(), "first dimension is not that of the rows|do not add up"),
    "maximum over the batch": (lambda: lambda z: z - z.amax(0, keepdim=True), "takes a maximum over the batch"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_rule_is_refused_by_name(name, generator):
    build, message = REFUSED[name]
    inputs, target, baseline = question(generator)
    with pytest.raises(NotApplicable, match=message):
        deeplift_rescale(Network(build()), inputs, target=target, baseline=baseline)


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(8), nn.Dropout(0.5)], ids=["batch norm", "dropout"])
def test_a_network_in_training_mode_is_refused(layer, generator):
    inputs, target, baseline = question(generator)
    with pytest.raises(NotApplicable, match=r"in training mode"):
        deeplift_rescale(Network(layer).train(), inputs, target=target, baseline=baseline)


@pytest.mark.parametrize("name", ["softmax", "max pool 1d k2 s1", "product of two units"])
def test_rows_do_not_depend_on_their_batch(name, generator):
    model = Network(SILENT[name]())
    inputs, target, baseline = question(generator, rows=6)
    together = deeplift_rescale(model, inputs, target=target, baseline=baseline)
    alone = [deeplift_rescale(model, inputs[[r]], target=target[[r]], baseline=baseline[[r]]) for r in range(6)]
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-12, rtol=0)  # products in another order


def test_no_rows_and_a_constant_get_zeros(generator):
    inputs, target, baseline = question(generator)
    assert deeplift_rescale(Network(torch.ones_like), inputs, target=target, baseline=baseline).abs().max() == 0
    assert deeplift_rescale(Network(torch.relu), inputs[:0], target=target[:0], baseline=baseline[:0]).shape == (0, 4)


def test_float32_keeps_float32_accuracy(generator):
    model = Network(nn.GELU())
    inputs, target, baseline = question(generator)
    exact = deeplift_rescale(model, inputs, target=target, baseline=baseline)
    single = deeplift_rescale(model.float(), inputs.float(), target=target, baseline=baseline.float())
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-4, rtol=0)  # rounding 6e-8, divided by differences of order 0.01
