"""What attention shows of the sequence worlds, where it is right and where it is fooled; and that it is read off correctly."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from attrlab.errors import InvalidInput, NotApplicable
from attrlab.method import players_of
from attrlab.methods.attention import attention_rollout, raw_attention
from attrlab.methods.attention_calls import attention_patterns
from synthetic import make_environment
from tests.reference_sequences import rollout

ROUNDING = {"rtol": 1e-12, "atol": 1e-12}  # float64, sums of a few dozen weights
SOFT = {"rtol": 0, "atol": 2e-3}  # a softmax at inverse temperature 16 gives its sink e^-8 = 3e-4 for each of up to four layers


def batch_of(id, n=20, **knobs):
    environment = make_environment(id, **knobs)
    return environment, environment.sample(n, torch.Generator().manual_seed(0))


def players(method, environment, batch, **settings):
    scores = method(environment.model, batch.inputs, feature_mask=batch.feature_mask, **settings)
    return players_of(scores, batch.feature_mask, batch.players)


def entries_of(inputs):
    return torch.arange(inputs.shape[1]).view(1, -1, 1).expand(inputs.shape)


def encoder(generator, *, layers=2, width=4, heads=2):
    layer = nn.TransformerEncoderLayer(width, heads, 6, batch_first=True, dropout=0.0)
    model = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False).double().eval().requires_grad_(False)
    for parameter in model.parameters():
        parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return model


def read_last(model):
    return lambda x: model(x)[:, -1]


def weights_by_hand(model, x):
    """The weights that each encoder layer's own attention module returns when asked, (layers, batch, heads, tokens, tokens)."""
    found = []
    for layer in model.layers:
        found.append(layer.self_attn(x, x, x, average_attn_weights=False)[1])
        x = layer(x)
    return torch.stack(found)


# What it shows of the worlds.


def test_the_decoy_takes_the_attention_and_no_share_of_the_answer():
    environment, batch = batch_of("decoy-head-v1")
    decoy = batch.inputs[..., 5].argmax(1)  # the token 1 + LETTERS
    raw, rolled = players(raw_attention, environment, batch), players(attention_rollout, environment, batch)
    rows = torch.arange(len(batch))
    torch.testing.assert_close(
        raw[rows, decoy], torch.full((20,), 32 / 38, dtype=torch.float64), **ROUNDING
    )  # strength 32 against 6 others
    torch.testing.assert_close(rolled, raw / 2, **ROUNDING)
    assert torch.equal(raw.argmax(1), decoy)
    assert not batch.truth.support[rows, decoy].any()
    assert not batch.truth.attributions["shapley"][rows, decoy].any()


def test_a_weaker_decoy_fools_less_and_never_stops_to():
    for strength in (2.0, 8.0, 256.0):
        environment, batch = batch_of("decoy-head-v1", strength=strength)
        found = players(raw_attention, environment, batch).amax(1)
        torch.testing.assert_close(found, torch.full((20,), strength / (6 + strength), dtype=torch.float64), **ROUNDING)


def test_the_lookup_head_shows_the_pair_and_leaves_out_the_question():
    environment, batch = batch_of("lookup-v1")
    shapley = batch.truth.attributions["shapley"]
    pair = shapley[:, :-1].argmax(1)
    raw = players(raw_attention, environment, batch)
    assert torch.equal(raw.argmax(1), pair)
    torch.testing.assert_close(raw.amax(1), torch.ones(20, dtype=torch.float64), **SOFT)
    assert not raw[:, -1].any()
    assert (shapley[:, -1] == 0.5).all()  # an exact half, by enumeration of an AND of two


def test_given_that_the_last_token_asks_rollout_is_the_shapley_value_of_one_lookup():
    """The residual half is the question's and the head's half the pair's: the same halves, for another reason."""
    environment, batch = batch_of("lookup-v1")
    torch.testing.assert_close(players(attention_rollout, environment, batch, reader="last"), batch.truth.attributions["shapley"], **SOFT)


def test_with_two_copies_of_the_pair_rollout_gives_the_question_a_half_where_it_has_two_thirds():
    environment, batch = batch_of("lookup-v1", copies=2)
    found, truth = players(attention_rollout, environment, batch, reader="last"), batch.truth.attributions["shapley"]
    torch.testing.assert_close(found[:, -1], torch.full((20,), 1 / 2, dtype=torch.float64), **SOFT)
    torch.testing.assert_close(truth[:, -1], torch.full((20,), 2 / 3, dtype=torch.float64), **ROUNDING)
    torch.testing.assert_close(found[:, :-1].amax(1), torch.full((20,), 1 / 4, dtype=torch.float64), **SOFT)
    torch.testing.assert_close(truth[:, :-1].amax(1), torch.full((20,), 1 / 6, dtype=torch.float64), **ROUNDING)


def test_an_induction_head_shows_the_successors_and_neither_the_current_token_nor_where_it_stood():
    environment, batch = batch_of("copy-induction-v1", attention="softmax")
    raw, truth = players(raw_attention, environment, batch), batch.truth.attributions["shapley"]
    token = batch.inputs[..., 1:6].argmax(2)
    successor = torch.zeros_like(truth, dtype=torch.bool)
    successor[:, 1:] = token[:, :-1] == token[:, -1:]
    torch.testing.assert_close(raw, successor / 2.0 + torch.zeros_like(raw), **SOFT)
    stood = torch.zeros_like(successor)
    stood[:, :-1] = successor[:, 1:]
    torch.testing.assert_close(truth[successor], torch.full((40,), 2 / 15, dtype=torch.float64), **ROUNDING)
    torch.testing.assert_close(truth[stood], torch.full((40,), 2 / 15, dtype=torch.float64), **ROUNDING)
    torch.testing.assert_close(truth[:, -1], torch.full((20,), 7 / 15, dtype=torch.float64), **ROUNDING)
    assert raw[stood].abs().max() < 1e-3


def test_two_hops_are_seen_by_rollout_with_weights_of_idle_layers_and_the_last_layer_sees_one():
    """Layers 0 to 3 weigh 1/16, 1/8, 1/4, 1/2; of the four, 1 and 2 work, yet 0 and 3 attend to the same facts for nothing."""
    environment, batch = batch_of("two-hop-recall-v1", attention="softmax")
    raw, rolled = players(raw_attention, environment, batch), players(attention_rollout, environment, batch)
    truth = batch.truth.attributions["shapley"]
    facts = truth[:, :-1] > 0
    hops = [(1 / 16 + 1 / 8 + 1 / 2) / 2, (1 / 4) / 2]  # entity facts in layers 0, 1 and 3, relation facts in layer 2; two routes share
    for row in range(20):
        found = rolled[row, :-1][facts[row]].sort(descending=True).values
        torch.testing.assert_close(found, torch.tensor([hops[0]] * 2 + [hops[1]] * 2, dtype=torch.float64), **SOFT)
    assert ((raw[:, :-1] > 0.4) == (rolled[:, :-1] > 0.3)).all()  # the last layer attends to one hop's facts, and is idle
    assert not rolled[:, -1].any()
    torch.testing.assert_close(truth[:, -1], torch.full((20,), 7 / 15, dtype=torch.float64), **ROUNDING)


def test_attention_over_a_bag_finds_the_instances_of_a_positive_one_and_takes_half_of_them_for_evidence_in_a_negative_one():
    environment, batch = batch_of("bag-of-instances-v1")
    found, support = players(raw_attention, environment, batch), batch.truth.support
    positive = support.any(1)  # in a negative bag one kind is missing, so the other kind decides nothing
    assert found[positive][support[positive]].min() > 0.4 > found[positive][~support[positive]].max()
    assert found[~positive].amax(1).max() > 0.4


@pytest.mark.parametrize(
    ("id", "knobs"),
    [
        ("token-majority-v1", {}),
        ("copy-induction-v1", {"attention": "hard"}),
        ("two-hop-recall-v1", {"attention": "gates"}),
        ("bag-of-instances-sum-v1", {}),
    ],
)
def test_a_world_whose_attention_is_no_softmax_is_refused(id, knobs):
    environment, batch = batch_of(id, 2, **knobs)
    for method in (raw_attention, attention_rollout):
        with pytest.raises(NotApplicable, match="no attention over the tokens"):
            players(method, environment, batch)


# That it is read off correctly.


def test_patterns_of_an_encoder_are_those_its_modules_return_when_asked(generator):
    model, inputs = encoder(generator), torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    found = torch.stack([pattern.weights for pattern in attention_patterns(read_last(model), inputs)])
    torch.testing.assert_close(found, weights_by_hand(model, inputs), **ROUNDING)


@pytest.mark.parametrize("reader", [None, "last", "mean", 1, -2])
@pytest.mark.parametrize("residual", [0.5, 0.0, 0.2])
def test_rollout_is_the_product_written_out(reader, residual, generator):
    model, inputs = encoder(generator), torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    reading = [0.2] * 5 if reader == "mean" else [float(i == {None: 4, "last": 4, 1: 1, -2: 3}[reader]) for i in range(5)]
    owner = entries_of(inputs)
    found = players_of(attention_rollout(read_last(model), inputs, feature_mask=owner, reader=reader, residual=residual), owner, 5)
    layers = weights_by_hand(model, inputs).mean(2)
    for row in range(3):
        expected = torch.tensor(rollout(layers[:, row].tolist(), reading, residual), dtype=torch.float64)
        torch.testing.assert_close(found[row], expected, **ROUNDING)
    torch.testing.assert_close(found.sum(1), torch.ones(3, dtype=torch.float64), **ROUNDING)  # no sink, so all is shared out


@pytest.mark.parametrize("fusion", ["mean", "max", "min"])
def test_heads_are_fused_as_asked(fusion, generator):
    model, inputs = encoder(generator), torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    owner = entries_of(inputs)
    found = players_of(raw_attention(read_last(model), inputs, feature_mask=owner, layer=0, fusion=fusion), owner, 5)
    heads = weights_by_hand(model, inputs)[0]
    expected = {"mean": heads.mean(1), "max": heads.amax(1), "min": heads.amin(1)}[fusion][:, -1]
    torch.testing.assert_close(found, expected, **ROUNDING)


def test_attention_in_one_call_is_seen(generator):
    inputs = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    (pattern,) = attention_patterns(lambda x: functional.scaled_dot_product_attention(x, x, x, is_causal=True)[:, -1], inputs)
    scores = (inputs @ inputs.transpose(1, 2) / 2).masked_fill(~torch.ones(5, 5).tril().bool(), -torch.inf)
    torch.testing.assert_close(pattern.weights[:, 0], scores.exp() / scores.exp().sum(2, keepdim=True), **ROUNDING)


def test_a_pool_over_instances_is_one_query_whichever_way_its_softmax_stands(generator):
    inputs = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    expected = (inputs[..., 0].exp() / inputs[..., 0].exp().sum(1, keepdim=True)).view(3, 1, 1, 5)

    def column(x):
        return (torch.softmax(x[..., :1], dim=1) * x).sum(1)

    def flat(x):
        return (torch.softmax(x[..., 0], 1).unsqueeze(2) * x).sum(1)

    for model in (column, flat):
        (pattern,) = attention_patterns(model, inputs)
        assert pattern.pooled
        torch.testing.assert_close(pattern.weights, expected, **ROUNDING)


def test_a_softmax_over_outputs_is_no_attention(generator):
    inputs = torch.randn(3, 5, 4, generator=generator, dtype=torch.float64)
    for model in (lambda x: torch.softmax(x.sum(2), 1), lambda x: torch.softmax(x[..., :2], 2).sum(1)):
        with pytest.raises(NotApplicable, match="got"):
            attention_patterns(model, inputs)


def test_scores_stand_on_the_entries_of_players_and_follow_the_dtype():
    environment, batch = batch_of("lookup-v1", 3)
    batch = batch.to(dtype=torch.float32)
    environment.model.float()
    scores = attention_rollout(environment.model, batch.inputs, feature_mask=batch.feature_mask)
    assert scores.dtype == torch.float32
    assert not scores[batch.feature_mask < 0].any()


def test_a_row_is_read_alone(generator):
    model, inputs = encoder(generator), torch.randn(6, 5, 4, generator=generator, dtype=torch.float64)
    owner, order = entries_of(inputs), torch.tensor([4, 0, 5])
    whole = attention_rollout(read_last(model), inputs, feature_mask=owner)
    torch.testing.assert_close(attention_rollout(read_last(model), inputs[order], feature_mask=owner[order]), whole[order], **ROUNDING)


@pytest.mark.parametrize(
    ("method", "settings", "message"),
    [
        (attention_rollout, {"residual": 1.0}, r"0 <= residual < 1 \(got 1.0\)"),
        (attention_rollout, {"reader": 6}, r"one of the 6 tokens \(got 6\)"),
        (attention_rollout, {"reader": "first"}, r"\(got 'first'\)"),
        (attention_rollout, {"fusion": "sum"}, r"over heads \(got 'sum'\)"),
        (raw_attention, {"layer": 1}, r"numbers the 1 attention calls from 0, or from -1 backwards \(got 1\)"),
    ],
)
def test_what_cannot_be_read_is_refused(method, settings, message):
    environment, batch = batch_of("lookup-v1", 2)
    with pytest.raises(InvalidInput, match=message):
        players(method, environment, batch, **settings)
