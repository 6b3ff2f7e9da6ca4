"""Input times gradient and bias times gradient sum to the output, for every network and however it is written; the maps show them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.methods.full_grad import full_grad, full_grad_signed
from attrlab.methods.full_gradient import full_gradient_decomposition
from synthetic import environment_ids, make_environment
from tests import reference_class_activation as reference


def drawn(module, seed=1):
    """The module in float64 and eval mode, its parameters and running statistics drawn."""
    module, stream = module.double().eval(), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in module.state_dict().items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=stream, dtype=torch.float64)
                value.copy_(noise.abs() + 0.5 if "running_var" in name else noise / 2)
    return module


def images(batch=4, seed=2):
    stream = torch.Generator().manual_seed(seed)
    return torch.randn(batch, 2, 4, 4, generator=stream, dtype=torch.float64), torch.arange(batch) % 2


class Chain(nn.Module):
    """conv - batch norm - relu - conv - relu - linear, with something done to the map between."""

    def __init__(self, style):
        super().__init__()
        self.style = style
        self.first, self.norm = nn.Conv2d(2, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.second, self.head = nn.Conv2d(3, 3, 3, padding=1), nn.Linear(48, 2)
        self.relu, self.inplace = nn.ReLU(), nn.ReLU(inplace=True)

    def forward(self, x):
        z = self.relu(self.norm(self.first(x)))
        z = {
            "modules": lambda: self.relu(self.second(z)),
            "functional": lambda: functional.conv2d(z, self.second.weight, self.second.bias, padding=1).clamp(min=0),
            "in place": lambda: self.inplace(self.second(z)),
            "augmented": lambda: self.relu(self.second(z).add_(0.25)),
            "residual": lambda: z + self.relu(self.second(z)),
            "reused": lambda: self.relu(self.second(self.relu(self.second(z)))),
            "constant": lambda: 1 - self.relu(1.5 - self.second(z)),
            "padded": lambda: functional.pad(self.second(z)[..., 1:, :], (0, 0, 1, 0), value=0.75),
            "pooled": lambda: functional.interpolate(functional.max_pool2d(self.second(z), 2), scale_factor=2),
            "joined": lambda: torch.cat([self.second(z)[:, :2], torch.ones_like(z[:, :1])], 1),
            "written": lambda: self._written(z),
            "smooth": lambda: functional.gelu(self.second(z)) * torch.sigmoid(z),
            "normed": lambda: functional.layer_norm(self.second(z), (4, 4)).softmax(1),
            "chosen": lambda: torch.where(z > 0.5, z, self.second(z) + 2).max(1, keepdim=True).values.expand(-1, 3, -1, -1),
            "leaky": lambda: functional.hardtanh(functional.leaky_relu(self.second(z)), -0.5, 0.5),
        }[self.style]()
        return self.head(z.flatten(1))

    def _written(self, z):
        held = torch.full_like(z, 0.5)
        held[:, 1:] = self.second(z)[:, 1:]
        return held


STYLES = (
    *"modules functional augmented residual reused constant padded pooled joined written smooth normed chosen leaky".split(),
    "in place",
)


@pytest.mark.parametrize("style", STYLES)
def test_the_terms_sum_to_the_output(style):
    inputs, target = images()
    model = drawn(Chain(style))
    terms = full_gradient_decomposition(model, inputs, target=target)
    expected = model(inputs).gather(1, target[:, None])[:, 0].detach()
    torch.testing.assert_close(terms.total(), expected, atol=1e-12, rtol=0)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_term_of_a_layer_is_its_bias_times_the_gradient_at_its_parameter():
    inputs, target = images(batch=1)
    model = drawn(Chain("modules"))
    terms = {}
    for term in full_gradient_decomposition(model, inputs, target=target).bias_terms:
        terms.setdefault(term.call, []).append(term.product)
    assert {name: len(products) for name, products in terms.items()} == {"conv2d": 2, "batch_norm": 1, "linear": 1}
    model(inputs)[0, target[0]].backward()
    for layer, product in ((model.first, terms["conv2d"][0]), (model.second, terms["conv2d"][1])):
        torch.testing.assert_close(product.sum((0, 2, 3)), (layer.bias * layer.bias.grad).detach())
    norm, implicit = model.norm, model.norm.bias - model.norm.running_mean * model.norm.weight / (model.norm.running_var + 1e-5).sqrt()
    torch.testing.assert_close(terms["batch_norm"][0].sum((0, 2, 3)), (implicit * norm.bias.grad).detach())
    assert float(terms["linear"][0].sum()) == pytest.approx(float(model.head.bias.detach()[target[0]]), abs=1e-12)


@pytest.mark.parametrize("style", ["functional", "in place"])
def test_modules_and_functional_calls_have_the_same_maps(style):
    inputs, target = images()
    for method in (full_grad, full_grad_signed):
        expected = method(drawn(Chain("modules")), inputs, target=target)
        torch.testing.assert_close(method(drawn(Chain(style)), inputs, target=target), expected)


def test_a_network_without_biases_has_no_bias_terms():
    inputs, target = images()
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 3, bias=False), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(3, 2, bias=False)))
    assert full_gradient_decomposition(model, inputs, target=target).bias_terms == ()


def test_the_terms_of_every_image_world_sum_to_its_output():
    for id in environment_ids():
        if id.startswith(("planted", "colour-deep", "unseen", "pertinent", "two-class", "positions")):
            world = make_environment(id)
            batch = world.sample(3, torch.Generator().manual_seed(0))
            expected = world.model(batch.inputs).gather(1, batch.target[:, None])[:, 0]
            found = full_gradient_decomposition(world.model, batch.inputs, target=batch.target).total()
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


class Hidden(torch.autograd.Function):
    """z + 1, out of sight of torch functions."""

    @staticmethod
    def forward(ctx, z):
        del ctx
        return z + 1

    @staticmethod
    def backward(ctx, slope):
        del ctx
        return slope


def test_a_call_out_of_sight_is_refused_by_the_sum():
    inputs, target = images()
    head = drawn(nn.Linear(32, 2))
    with pytest.raises(NotApplicable, match="the terms do not sum to the output"):
        full_gradient_decomposition(lambda x: head(Hidden.apply(x).flatten(1)), inputs, target=target)


def test_a_bias_that_belongs_to_no_row_is_refused():
    inputs, target = images()
    with pytest.raises(NotApplicable, match=r"belongs to no row.*got \(2,\)"):
        full_gradient_decomposition(lambda x: x.sum((2, 3)) + (x.mean((0, 2, 3)) + 1), inputs, target=target)


def test_an_output_that_reads_nothing_has_zero_terms():
    inputs, target = images()
    with pytest.raises(NotApplicable, match="do not sum"):  # the constant itself is a bias that no call on the input has
        full_gradient_decomposition(lambda x: torch.ones(len(x), 2, dtype=x.dtype), inputs, target=target)
    terms = full_gradient_decomposition(lambda x: 0 * x.sum((2, 3)), inputs, target=target)
    assert torch.count_nonzero(terms.input_term) == 0


def test_the_published_map_is_what_the_paper_defines():
    inputs, target = images()
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 2, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2)))
    terms = full_gradient_decomposition(model, inputs, target=target)
    assert [term.call for term in terms.bias_terms] == ["conv2d", "linear"]
    scores = full_grad(model, inputs, target=target)
    for row in range(len(inputs)):
        expected = reference.full_grad([terms.input_term[row].numpy(), terms.bias_terms[0].product[row].numpy()], 4, 4)
        np.testing.assert_allclose(scores[row].sum(0).numpy(), expected, atol=1e-12)


def test_the_published_map_forgets_scale_and_sign_and_the_signed_map_does_not():
    inputs, target = images()
    model = drawn(Chain("modules"))
    forgetful, exact = full_grad(model, inputs, target=target), full_grad_signed(model, inputs, target=target)
    torch.testing.assert_close(full_grad(lambda x: -4 * model(x), inputs, target=target), forgetful)
    torch.testing.assert_close(full_grad_signed(lambda x: -4 * model(x), inputs, target=target), -4 * exact)
    assert float(forgetful.min()) >= 0 > float(exact.min())


def test_the_signed_map_of_a_row_sums_to_its_output():
    inputs, target = images()
    model = drawn(nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 2, 2), nn.Flatten(), nn.Linear(8, 2)))
    expected = model(inputs).gather(1, target[:, None])[:, 0].detach()
    torch.testing.assert_close(full_grad_signed(model, inputs, target=target).sum((1, 2, 3)), expected, atol=1e-12, rtol=0)


@pytest.mark.parametrize("method", [full_grad, full_grad_signed])
def test_a_row_has_the_scores_that_it_has_alone_and_in_any_order(method):
    inputs, target = images(batch=6)
    model, order = drawn(Chain("residual")), torch.randperm(6, generator=torch.Generator().manual_seed(3))
    whole = method(model, inputs, target=target)
    torch.testing.assert_close(method(model, inputs[order], target=target[order]), whole[order], atol=1e-9, rtol=0)
    alone = torch.cat([method(model, inputs[i : i + 1], target=target[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(alone, whole, atol=1e-9, rtol=0)


@pytest.mark.parametrize("method", [full_grad, full_grad_signed])
def test_it_keeps_single_precision_where_gradients_are_off_and_takes_no_rows(method):
    inputs, target = images()
    exact = method(drawn(Chain("modules")), inputs, target=target)
    with torch.no_grad():
        single = method(drawn(Chain("modules")).float(), inputs.float(), target=target)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), exact, atol=1e-4, rtol=1e-4)  # float32 rounds to 6e-8 a term
    assert method(drawn(Chain("modules")), inputs[:0], target=target[:0]).shape == (0, 2, 4, 4)


def test_maps_are_refused_where_rows_are_no_images():
    with pytest.raises(NotApplicable, match="rows must be"):
        full_grad(nn.Linear(2, 1), torch.ones(1, 2), target=torch.zeros(1, dtype=torch.int64))
