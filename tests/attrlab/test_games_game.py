"""What is no game is refused with what to write; what a policy sets it puts back."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from attrlab.errors import InvalidInput
from attrlab.games import Policy, applied, make_game

INPUTS = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], dtype=torch.float64)
MASK = torch.tensor([[0, 1, 1], [0, -1, 2]])
BASELINE = torch.where(MASK < 0, INPUTS, 0.0)
TARGET = torch.tensor([0, 0])


def game(model=nn.Identity(), **changes):  # noqa: B008
    return make_game(model, **{"inputs": INPUTS, "target": TARGET, "baseline": BASELINE, "feature_mask": MASK, **changes})


def test_players_are_present_where_they_own_an_entry_and_live_where_it_moves():
    found = game(baseline=torch.tensor([[1.0, 2.0, 0.0], [0.0, 5.0, 6.0]], dtype=torch.float64), players=4)
    assert found.players == 4
    assert found.present.tolist() == [[True, True, False, False], [True, False, True, False]]
    assert found.live.tolist() == [[False, True, False, False], [True, False, False, False]]


def test_a_game_without_players_is_a_game():
    found = game(feature_mask=torch.full_like(MASK, -1), baseline=INPUTS)
    assert found.players == 0
    assert found.present.shape == (2, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"baseline": BASELINE[:, :2]}, r"shaped like inputs, \(2, 3\): write baseline.expand_as\(inputs\) \(got \(2, 2\)\)"),
        ({"feature_mask": MASK[:1]}, r"feature_mask must be shaped like inputs, \(2, 3\)"),
        ({"feature_mask": MASK.int()}, r"feature_mask must be int64.*got torch.int32"),
        ({"feature_mask": MASK - 1}, "a player or -1 for none .*least -2"),
        ({"target": torch.tensor([0])}, r"target must be int64 of shape \(2,\) \(got torch.int64 of shape \(1,\)\)"),
        ({"target": torch.tensor([0.0, 1.0])}, "target must be int64"),
        ({"target": torch.tensor([0, -1])}, "target -1 of row 1 is negative"),
        ({"inputs": INPUTS.long(), "baseline": BASELINE.long()}, r"floating-point rows \(batch, \*features\) \(got torch.int64"),
        ({"baseline": torch.zeros_like(INPUTS)}, r"row 1, entry \(1,\) belongs to no player .* torch.where.*got 5.0 and 0.0"),
        ({"inputs": INPUTS / torch.tensor([1.0, 1.0, 0.0])}, r"inputs must be finite \(got inf in row 0, entry \(2,\)\)"),
        ({"players": 2}, r"feature_mask names player 2: write players=3 or leave it out \(got players=2\)"),
        ({"target": [0, 0]}, r"target must be a tensor: write torch.as_tensor\(target\) \(got list\)"),
        ({"model": nn.Linear(3, 1)}, r"'weight' is torch.float32 on cpu; write copy.deepcopy\(model\).to\('cpu', torch.float64\)"),
    ],
)
def test_what_is_no_game_is_told_what_to_write(changes, message):
    with pytest.raises(InvalidInput, match=message):
        game(**changes)


def test_a_policy_moves_the_rows_and_not_the_callers_tensors():
    found = game(policy=Policy(dtype=torch.float32))
    assert found.inputs.dtype == found.baseline.dtype == torch.float32
    assert INPUTS.dtype == torch.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "gpu"}, "there is no device 'gpu': write 'cpu', 'cuda' or 'cuda:0'"),
        ({"device": "meta"}, "a game runs on 'cpu' or 'cuda' .*got 'meta'"),
        ({"dtype": torch.int64}, "write dtype=torch.float64 .*got torch.int64"),
        ({"memory_format": "nhwc"}, "memory_format is one of 'auto', 'contiguous', 'channels_last' .*got 'nhwc'"),
        ({"chunk_bytes": 0}, "chunk_bytes is a positive number"),
    ],
)
def test_a_policy_out_of_range_is_told_what_to_write(options, message):
    with pytest.raises(InvalidInput, match=message):
        Policy(**options)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_cuda_device_that_is_not_there_is_refused():
    with pytest.raises(InvalidInput, match=r"no CUDA device .* write 'cpu'"):
        Policy(device="cuda")


def test_a_policy_describes_itself_in_plain_values():
    described = Policy(dtype=torch.float32, chunk_bytes=1000).describe()
    assert json.loads(json.dumps(described)) == described
    assert described["dtype"] == "float32"
    assert described["chunk_bytes"] == 1000


def switches():
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    return cudnn.allow_tf32, matmul.allow_tf32, cudnn.deterministic, cudnn.benchmark


@pytest.fixture
def user_switches():
    before = switches()
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, True
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = False, True
    yield switches()
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = before[:2]
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[2:]


@pytest.mark.parametrize("raises", [False, True])
def test_tf32_is_off_inside_and_as_before_outside_also_after_an_error(user_switches, raises):
    try:
        with applied(Policy()):
            assert switches() == (False, False, True, False)
            if raises:
                raise KeyError
    except KeyError:
        pass
    assert switches() == user_switches == (True, True, False, True)


def test_tf32_can_be_asked_for(user_switches):
    with applied(Policy(tf32=True, deterministic=False)):
        assert switches() == (True, True, False, True)


@pytest.mark.skipif(not hasattr(torch.backends.cudnn, "conv"), reason="torch before 2.9 has allow_tf32 alone")
def test_precision_set_per_operator_is_put_back(user_switches):
    conv, rnn = torch.backends.cudnn.conv, torch.backends.cudnn.rnn
    conv.fp32_precision, rnn.fp32_precision = "tf32", "ieee"
    with applied(Policy()):
        assert conv.fp32_precision != "tf32"
    assert (conv.fp32_precision, rnn.fp32_precision) == ("tf32", "ieee")
    rnn.fp32_precision = "tf32"
