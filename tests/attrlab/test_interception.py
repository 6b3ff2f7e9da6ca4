"""Whatever writes a call, module, functional, method or in-place operator, it is the same call and gets the same rule."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch_geometric.nn import GATConv, GCNConv, GINConv, GraphConv, SAGEConv

from attrlab.errors import NotApplicable
from attrlab.methods.calls import rectifies
from attrlab.methods.gradients import gradient
from attrlab.methods.interception import Interception, Rules, propagate
from attrlab.methods.surrogates import change_signal

RELUS = {
    "module": nn.ReLU(),
    "module in place": nn.ReLU(inplace=True),
    "F.relu": functional.relu,
    "F.relu in place": lambda z: functional.relu(z, True),
    "torch.relu": torch.relu,
    "method": lambda z: z.relu(),
    "method in place": lambda z: z.relu_(),
    "clamp_min": lambda z: z.clamp_min(0),
    "clamp": lambda z: z.clamp(min=0),
    "clamp in place": lambda z: z.clamp_(min=0),
    "maximum": lambda z: torch.maximum(z, torch.zeros_like(z)),
    "threshold": lambda z: functional.threshold(z, 0.0, 0.0),
    "leaky, slope 0, in place": lambda z: functional.leaky_relu(z, 0.0, True),
}


class Residual(nn.Module):
    """c(h + r(b h)) with h = r(a x): the activation `relu` is used twice."""

    def __init__(self, relu, *, bias=True) -> None:
        super().__init__()
        self.relu = relu
        self.a, self.b, self.c = (nn.Linear(n, m, bias=bias) for n, m in ((4, 5), (5, 5), (5, 2)))
        fill(self)

    def forward(self, x):
        hidden = self.relu(self.a(x))
        return self.c(hidden + self.relu(self.b(hidden)))


def fill(module, seed=0):
    """Draw the parameters from a generator of their own; they keep requiring a gradient."""
    generator = torch.Generator().manual_seed(seed)
    module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def rows(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(7), dtype=torch.float64)


def targets(n):
    return torch.zeros(n, dtype=torch.int64)


def positive_signal(call):
    assert rectifies(call)
    return change_signal(call.output, torch.relu)


def surrogate(call):
    """The call's own derivative, by way of another tensor, so that every step of the substitution is taken."""
    return call.output * 1


SUBSTITUTED = Rules(**dict.fromkeys(("activation", "linear", "product", "quotient", "maximum", "norm", "softmax", "shift"), surrogate))


def signal_at(model, inputs, rules):
    return propagate(model, inputs, target=targets(len(inputs)), rules=rules).signal


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_a_relu_is_a_relu_however_it_is_written(relu):
    x = rows(6, 4)
    expected = signal_at(Residual(nn.ReLU()), x, Rules(activation=positive_signal))
    assert (expected - gradient(Residual(nn.ReLU()), x, target=targets(6))).abs().max() > 0.1  # the rule does something
    torch.testing.assert_close(signal_at(Residual(relu), x, Rules(activation=positive_signal)), expected, rtol=0, atol=0)


def convolutional():
    layers = [nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.ConvTranspose2d(4, 3, 2)]
    return fill(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(2), nn.Dropout(), nn.Flatten(), nn.Linear(12, 3)))


def attending(x):
    """Every kind of call at once, and calls that only move entries about."""
    hidden = functional.layer_norm(x, (4,))
    hidden = functional.scaled_dot_product_attention(hidden, hidden, hidden, is_causal=True)
    hidden = functional.gelu(hidden) * torch.sigmoid(x) / (1 + hidden.abs())
    hidden = torch.einsum("btd,bsd->bts", hidden, hidden)
    hidden = torch.cat([hidden.max(1).values, hidden.amax(2), torch.topk(hidden, 2, dim=1).values.sum(1)], 1)
    return torch.addmm(hidden, hidden, torch.ones(9, 9, dtype=x.dtype)).flip(1)[:, :2]


def message_passing(layer):
    edges = torch.tensor([[0, 1, 2, 3, 1, 0], [1, 2, 3, 0, 3, 2]])
    conv = fill(layer)
    return lambda x: functional.leaky_relu(conv(x, edges)).sum(0, keepdim=True).expand(len(x), -1)


NETWORKS = {
    "residual": (Residual(functional.relu), rows(5, 4)),
    "convolutional": (convolutional(), rows(3, 2, 4, 4)),
    "attention": (attending, rows(3, 3, 4)),
    "gated": (lambda x: functional.glu(x, 1), rows(3, 4)),
    "GCN": (message_passing(GCNConv(3, 2)), rows(4, 3)),
    "SAGE": (message_passing(SAGEConv(3, 2)), rows(4, 3)),
    "GraphConv": (message_passing(GraphConv(3, 2)), rows(4, 3)),
    "GAT": (message_passing(GATConv(3, 2)), rows(4, 3)),
    "GIN": (message_passing(GINConv(nn.Linear(3, 2))), rows(4, 3)),
}


@pytest.mark.parametrize(("model", "x"), NETWORKS.values(), ids=NETWORKS)
def test_with_each_call_s_own_derivative_the_signal_is_the_gradient(model, x):
    expected = gradient(model, x, target=targets(len(x)))
    assert expected.abs().max() > 1e-3
    # The same derivatives, chained in the same order.
    torch.testing.assert_close(signal_at(model, x, SUBSTITUTED), expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(signal_at(model, x, Rules()), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("model", "x"), NETWORKS.values(), ids=NETWORKS)
def test_the_forward_values_are_those_of_the_network(model, x):
    with torch.no_grad():
        expected = model(x.clone())
    point = x.clone().requires_grad_()
    start = point.clone()
    with Interception(SUBSTITUTED, point):
        outputs = model(start)
    # Attention runs step by step, and so rounds otherwise than the fused kernel; all others are the same calls.
    torch.testing.assert_close(outputs.detach(), expected, rtol=1e-12, atol=1e-12)


def test_gradients_may_be_switched_off_around_it():
    x = rows(5, 4)
    expected = signal_at(Residual(functional.relu), x, SUBSTITUTED)
    with torch.no_grad():
        assert torch.equal(signal_at(Residual(functional.relu), x, SUBSTITUTED), expected)


def test_nothing_is_left_on_the_network():
    model = Residual(nn.ReLU())
    before = [parameter.detach().clone() for parameter in model.parameters()]
    signal = signal_at(model, rows(5, 4), SUBSTITUTED)
    assert not signal.requires_grad
    for parameter, value in zip(model.parameters(), before, strict=True):
        assert parameter.grad is None
        assert parameter.requires_grad
        assert torch.equal(parameter, value)
    assert not any(m._forward_hooks or m._backward_hooks or m._forward_pre_hooks for m in model.modules())


def test_each_row_is_on_its_own():
    x, order = rows(6, 3, 4), torch.tensor([3, 1, 5, 0, 4, 2])
    whole = signal_at(attending, x, SUBSTITUTED)
    torch.testing.assert_close(signal_at(attending, x[order], SUBSTITUTED), whole[order], rtol=1e-12, atol=1e-12)
    parts = torch.cat([signal_at(attending, part, SUBSTITUTED) for part in (x[:1], x[1:4], x[4:])])
    torch.testing.assert_close(parts, whole, rtol=1e-12, atol=1e-12)


UNKNOWN = {
    "sign": torch.sign,
    "cumprod": lambda z: z.cumprod(1),
    "where": lambda z: torch.where(z > 0, z, torch.zeros_like(z)),
    "mul": lambda z: z * (z > 0),
    "dropout": lambda z: functional.dropout(z, 0.5, True),
    "einsum": lambda z: torch.einsum("bi,bi,bi->bi", z, z, z),
}


@pytest.mark.parametrize(("name", "call"), UNKNOWN.items())
def test_a_call_of_which_nothing_is_known_is_refused_by_name(name, call):
    with pytest.raises(NotApplicable, match=name):
        signal_at(Residual(call), rows(3, 4), Rules())


def test_an_activation_in_training_mode_is_refused():
    with pytest.raises(NotApplicable, match="training mode"):
        signal_at(nn.Sequential(nn.Linear(4, 2), nn.Dropout()).double().train(), rows(3, 4), Rules())


def test_a_comparison_that_only_guards_is_no_obstacle():
    def guarded(x):
        if bool((x.abs() > 100).any()) or int(x.argmax()) > 1000:
            raise ValueError("out of range")
        return 2 * x

    assert torch.equal(signal_at(guarded, rows(3, 4), Rules())[:, 0], torch.full((3,), 2.0, dtype=torch.float64))


def kinds(model, x):
    seen = []

    def record(call):
        seen.append((call.kind, call.name, call.index))
        return call.output

    signal_at(model, x, Rules(**dict.fromkeys(("activation", "linear", "product", "quotient", "maximum"), record)))
    return seen


def test_a_product_is_linear_in_what_depends_on_the_input():
    weight = nn.Parameter(torch.eye(4, dtype=torch.float64))
    assert kinds(lambda x: x @ weight, rows(2, 4)) == [("linear", "matmul", 0)]
    assert kinds(lambda x: x @ (weight * 2).T, rows(2, 4)) == [("linear", "matmul", 0)]
    assert kinds(lambda x: (x.unsqueeze(1) @ x.unsqueeze(2)).squeeze(1), rows(2, 4)) == [("product", "matmul", 0)]
    assert kinds(lambda x: x * 2 / weight.sum(), rows(2, 4)) == []
    assert kinds(lambda x: x * x, rows(2, 4)) == [("product", "mul", 0)]
    assert kinds(lambda x: weight[:1] / x, rows(2, 4)) == [("quotient", "div", 0)]
    assert kinds(lambda x: 1 / x, rows(2, 4)) == [("activation", "__rdiv__", 0)]


def test_writing_into_the_given_rows_is_the_network_s_own_affair():
    def writing(x):
        x[:, 0] = 0
        x += 1
        x.mul_(x)
        return x

    x = rows(3, 4)
    expected = torch.cat([torch.zeros(3, 1, dtype=torch.float64), 2 * (x[:, 1:] + 1)], 1)
    found = propagate(writing, x.clone(), target=torch.tensor([1, 1, 1]), rules=SUBSTITUTED).signal
    torch.testing.assert_close(found[:, 1], expected[:, 1])
    assert float(found[:, 0].abs().max()) == 0.0  # exactly: nothing reaches it


def test_a_signal_can_be_read_at_any_tensor_on_the_way():
    model, x = Residual(functional.relu), rows(5, 4)
    caught = []
    handle = model.b.register_forward_hook(lambda module, arguments, result: caught.append(result))
    point = x.clone().requires_grad_()
    try:
        with Interception(Rules(activation=positive_signal), point):
            outputs = model(point)
    finally:
        handle.remove()
    (signal,) = torch.autograd.grad(outputs[:, 0].sum(), caught[0])
    expected = (model.c.weight[0].detach() * (caught[0].detach() > 0)).clamp(min=0)
    torch.testing.assert_close(signal, expected)


def test_a_rule_must_return_the_shape_of_the_output():
    with pytest.raises(ValueError, match=r"shaped like the call's output"):
        signal_at(Residual(functional.relu), rows(3, 4), Rules(linear=lambda call: call.output[:1]))


def test_what_rides_along_is_moved_like_the_input():
    x = rows(2, 3, 4)
    seen = []

    def first(call):
        seen.append((call.x.detach(), call.carried))
        return call.output

    def moved(x):
        x = torch.cat([x.flip(1), torch.ones_like(x[:, :1])], 1).transpose(1, 2)[:, 1:].reshape(2, -1)
        return (x @ torch.ones(12, 2, dtype=x.dtype)).relu() @ torch.ones(2, 2, dtype=x.dtype)

    propagate(moved, x, target=targets(2), rules=Rules(first=first), carried=(x, 2 * x - 1))
    assert len(seen) == 1  # not the second linear call
    operand, (_, same, doubled) = seen[0]
    assert torch.equal(same, operand)
    assert torch.equal(doubled, 2 * operand - 1)
