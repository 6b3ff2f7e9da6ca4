"""AttnLRP agrees with relevances shared out one by one; what it conserves, and where the rest goes, is accounted for exactly."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.methods.attention_relevance import attn_lrp, attn_lrp_rules, relevance_patching_rules
from attrlab.methods.gradients import gradient, input_x_gradient
from attrlab.methods.interception import propagate
from tests.reference_sequences import Block, attn_lrp_of_block

CLOSE = {"rtol": 1e-9, "atol": 1e-9}  # float64 rounding, 1e-16 a term, over a few hundred terms and divisions by pre-activations above 1e-3


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def first(inputs):
    return torch.zeros(len(inputs), dtype=torch.int64)


def coefficients(model, inputs, **settings):
    return propagate(model, inputs, target=first(inputs), rules=relevance_patching_rules(**settings)).signal


@pytest.mark.parametrize("epsilon", [0.0, 1e-6, 0.1])
def test_relevance_through_a_transformer_block_is_that_of_the_propositions(epsilon, generator):
    model, inputs = Block(generator), drawn(generator, 5, 4, 3)
    target = torch.tensor([0, 1, 0, 1, 1])
    found = attn_lrp(model, inputs, target=target, epsilon=epsilon)
    for row in range(5):
        expected = attn_lrp_of_block(model.arrays(), inputs[row].numpy(), int(target[row]), epsilon)
        np.testing.assert_allclose(found[row].numpy(), expected, **CLOSE)


def test_softmax_relevance_is_that_of_proposition_3_1(generator):
    inputs, weight = drawn(generator, 6, 4), drawn(generator, 4)
    found = attn_lrp(lambda x: (torch.softmax(x, 1) * weight).sum(1, keepdim=True), inputs, target=first(inputs), epsilon=0)
    s = torch.softmax(inputs, 1)
    relevance = s * weight  # what each weight contributes to the output
    torch.testing.assert_close(found, inputs * (relevance - s * relevance.sum(1, keepdim=True)), **CLOSE)


def test_a_softmax_keeps_back_what_its_expansion_has_as_a_constant(generator):
    """Σ R = Σ z_i ∂_i f, and f(0) and all higher terms are lost: nothing arrives where all scores are 0, whatever the output."""
    weight = drawn(generator, 4)
    inputs = torch.zeros(1, 4, dtype=torch.float64)
    assert not attn_lrp(lambda x: (torch.softmax(x, 1) * weight).sum(1, keepdim=True), inputs, target=first(inputs)).any()


def test_adding_a_constant_to_all_scores_moves_no_relevance_in_or_out_of_a_softmax(generator):
    weight, inputs = drawn(generator, 4), drawn(generator, 6, 4)

    def total(x):
        return attn_lrp(lambda z: (torch.softmax(z, 1) * weight).sum(1, keepdim=True), x, target=first(x)).sum(1)

    torch.testing.assert_close(total(inputs + 7), total(inputs), **CLOSE)


def mixture(x):
    """Softmax attention over linear values, from the last token, without a bias."""
    pattern = torch.softmax((x[:, -1:] * x).sum(2), 1)
    return (pattern.unsqueeze(1) @ x).squeeze(1)


def test_with_frozen_attention_a_head_without_bias_conserves_its_output(generator):
    inputs = drawn(generator, 5, 4, 3)
    signal = coefficients(mixture, inputs, frozen_attention=True)
    torch.testing.assert_close((inputs * signal).flatten(1).sum(1), mixture(inputs)[:, 0], **CLOSE)


def test_through_the_softmax_a_head_conserves_half_of_its_output_and_the_scores_share(generator):
    """The product gives each side half; of the pattern's half the scores z get Σ z ∂f/∂z / 2, the slope's part, and no more."""
    inputs = drawn(generator, 5, 4, 3)
    found = attn_lrp(mixture, inputs, target=first(inputs), epsilon=0).flatten(1).sum(1)
    z = (inputs[:, -1:] * inputs).sum(2)
    s, v = torch.softmax(z, 1), inputs[:, :, 0]
    slope = s * (v - (s * v).sum(1, keepdim=True))
    torch.testing.assert_close(found, 0.5 * (s * v).sum(1) + 0.5 * (z * slope).sum(1), **CLOSE)


def test_a_block_without_biases_or_attention_conserves_the_output(generator):
    """Norm, residuals and gelu share everything out, and nothing is kept back; a LayerNorm has no constant without its offset."""
    model, inputs = Block(generator, biased=False), drawn(generator, 5, 4, 3)
    signal = coefficients(model, inputs, frozen_attention=True)
    torch.testing.assert_close((inputs * signal).flatten(1).sum(1), model(inputs)[:, 0], **CLOSE)


def test_a_bias_keeps_its_share(generator):
    layer, inputs = nn.Linear(3, 1).double().requires_grad_(False), drawn(generator, 5, 3)
    layer.bias.fill_(0.7)
    found = attn_lrp(layer, inputs, target=first(inputs), epsilon=0).sum(1)
    torch.testing.assert_close(found, layer(inputs)[:, 0] - 0.7, **CLOSE)


def test_factors_of_a_product_get_half_each_also_of_a_square_a_power_and_a_matrix_product(generator):
    inputs = drawn(generator, 5, 2)
    expected = (inputs[:, 0] * inputs[:, 1]).unsqueeze(1) / 2
    for model in (
        lambda x: x[:, :1] * x[:, 1:],
        lambda x: (x[:, :1].unsqueeze(1) @ x[:, 1:].unsqueeze(2)).squeeze(2),
        lambda x: torch.einsum("bi,bi->b", x[:, :1], x[:, 1:]).unsqueeze(1),
    ):
        torch.testing.assert_close(attn_lrp(model, inputs, target=first(inputs), epsilon=0), expected.expand(-1, 2), **CLOSE)
    for power in (lambda x: x[:, :1] ** 3, lambda x: x[:, :1].pow(3)):
        found = attn_lrp(power, inputs, target=first(inputs))
        torch.testing.assert_close(found[:, 0], inputs[:, 0] ** 3, **CLOSE)


@pytest.mark.parametrize("activation", [functional.gelu, functional.silu, torch.tanh, functional.elu, functional.mish, functional.softsign])
def test_a_smooth_activation_passes_relevance_on_unchanged_down_to_zero(activation):
    inputs = torch.tensor([[-2.0], [-1e-9], [0.0], [1e-9], [0.5], [3.0]], dtype=torch.float64)
    found = attn_lrp(lambda x: activation(x), inputs, target=first(inputs))
    torch.testing.assert_close(found, activation(inputs), rtol=1e-5, atol=1e-14)  # below 1e-6 the slope stands for the ratio


def test_relu_networks_without_products_get_input_times_gradient(generator):
    model = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 2)).double().requires_grad_(False)
    inputs = drawn(generator, 7, 4)
    torch.testing.assert_close(
        attn_lrp(model, inputs, target=first(inputs), epsilon=0), input_x_gradient(model, inputs, target=first(inputs)), **CLOSE
    )
    torch.testing.assert_close(coefficients(model, inputs), gradient(model, inputs, target=first(inputs)), **CLOSE)


def by_hand(x):
    return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6)


def by_division(x):
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + 1e-6)


@pytest.mark.parametrize(
    "norm", [lambda x: functional.rms_norm(x, (4,), eps=1e-6), by_hand, by_division], ids=["call", "rsqrt", "division"]
)
def test_a_norm_holds_its_scale_constant_however_it_is_written(norm, generator):
    inputs, weight = drawn(generator, 5, 4), drawn(generator, 4, 1)
    scale = 1 / (inputs.square().mean(1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(coefficients(lambda x: norm(x) @ weight, inputs), scale * weight.T, **CLOSE)


def test_group_norms_centre_and_scale_each_group_alone(generator):
    inputs, weight = drawn(generator, 3, 4, 2), drawn(generator, 4)
    found = coefficients(lambda x: functional.group_norm(x, 2, weight).flatten(1).sum(1, keepdim=True), inputs)
    for row in range(3):
        for group in range(2):
            part, w = inputs[row, 2 * group : 2 * group + 2], weight[2 * group : 2 * group + 2, None].expand(2, 2)
            sigma = (part.var(unbiased=False) + 1e-5).sqrt()
            torch.testing.assert_close(found[row, 2 * group : 2 * group + 2], (w - w.mean()) / sigma, **CLOSE)


def test_attention_in_one_call_is_attention_in_three(generator):
    inputs = drawn(generator, 5, 4, 3)

    def one(x):
        return functional.scaled_dot_product_attention(x, 2 * x, x, is_causal=True)[:, -1]

    def three(x):
        scores = (x @ (2 * x).transpose(1, 2) / 3**0.5).masked_fill(~torch.ones(4, 4, dtype=torch.bool).tril(), -torch.inf)
        return (torch.softmax(scores, -1) @ x)[:, -1]

    torch.testing.assert_close(attn_lrp(one, inputs, target=first(inputs)), attn_lrp(three, inputs, target=first(inputs)), **CLOSE)


def test_a_row_is_explained_alone(generator):
    model, inputs = Block(generator), drawn(generator, 6, 4, 3)
    target = torch.tensor([0, 1, 0, 1, 1, 0])
    whole = attn_lrp(model, inputs, target=target)
    order = torch.tensor([4, 0, 5, 2])
    torch.testing.assert_close(attn_lrp(model, inputs[order], target=target[order]), whole[order], **CLOSE)
    assert attn_lrp(model, inputs[:0], target=target[:0]).shape == (0, 4, 3)


def test_activations_without_a_zero_at_zero_are_refused_by_name(generator):
    inputs = drawn(generator, 2, 3)
    with pytest.raises(NotApplicable, match="exp is not 0 at 0"):
        attn_lrp(torch.exp, inputs, target=first(inputs))
    with pytest.raises(NotApplicable, match="instance_norm"):
        attn_lrp(lambda x: functional.instance_norm(x[:, None])[:, 0], inputs, target=first(inputs))


def test_a_negative_stabiliser_is_refused():
    with pytest.raises(InvalidInput, match=r"not negative \(got -1\)"):
        attn_lrp_rules(epsilon=-1)
