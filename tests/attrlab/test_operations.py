"""A forward pass is seen call by call, whatever it is written with, and nothing is left behind on the network."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.methods.operations import KINKS, Watch, active_modules, differs, outputs_at, reads, require_rows_alone
from attrlab.side_effects import hooks_of


class Raises(nn.Module):
    """It raises."""

    def forward(self, inputs):
        del inputs
        raise ZeroDivisionError


def calls(function, *arguments):
    """The calls of a function, each with its first argument as it was before the call."""
    seen = []

    def see(name, args, kwargs, result):
        del kwargs, result
        seen.append((name, args[0].clone() if args and isinstance(args[0], torch.Tensor) else None))

    with Watch(see):
        function(*arguments)
    return seen


Z = torch.tensor([[-1.0, 2.0]])


RELUS = {
    "module": nn.ReLU(),
    "in-place module": nn.ReLU(inplace=True),
    "functional": functional.relu,
    "functional in place": lambda z: functional.relu(z, inplace=True),
    "functional in place by position": lambda z: functional.relu(z, True),
    "functional.relu_": functional.relu_,
    "torch": torch.relu,
    "torch.relu_": torch.relu_,
    "method": lambda z: z.relu(),
    "method in place": lambda z: z.relu_(),
}


@pytest.mark.parametrize("relu", RELUS.values(), ids=RELUS)
def test_every_way_to_write_a_relu_is_seen_once_with_its_pre_activation(relu):
    seen = [(name, argument) for name, argument in calls(relu, Z.clone()) if name in KINKS]
    assert len(seen) == 1
    assert torch.equal(seen[0][1], Z)


WRITES = {"+=": lambda z: z.__iadd__(1), "add_": lambda z: z.add_(1), "out": lambda z: torch.sub(z, 1, out=z)}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_what_a_call_writes_is_really_written(write):
    """The report shows the argument as it was; the network still computes what it computes."""
    z = Z.clone()
    with Watch(lambda *_: None):
        write(z)
    assert not torch.equal(z, Z)


def test_nothing_is_seen_after_the_watch_also_after_an_error():
    seen = []
    with pytest.raises(ZeroDivisionError), Watch(lambda name, *_: seen.append(name)):
        nn.Sequential(nn.ReLU(), Raises())(Z)
    torch.relu(Z)
    assert seen == ["relu"]


def test_the_stack_names_the_modules_whose_forward_is_running():
    inner, stacks = nn.ReLU(), []
    model = nn.Sequential(nn.Linear(2, 2), nn.Sequential(inner))
    with active_modules(model) as stack, Watch(lambda name, *_: stacks.append((name, list(stack)))):
        model(Z)
    assert ("linear", [model, model[0]]) in stacks
    assert ("relu", [model, model[1], inner]) in stacks
    assert stack == []


def test_no_hook_is_left_on_the_network_also_after_an_error():
    model = nn.Sequential(nn.Linear(2, 2), Raises())
    with active_modules(model):
        assert len(hooks_of(model)) == 6  # two on each of the three modules
    assert hooks_of(model) == []
    with pytest.raises(ZeroDivisionError), active_modules(model):
        model(Z)
    assert hooks_of(model) == []


def test_each_row_is_explained_by_its_own_target():
    outputs = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert outputs_at(lambda _: outputs, Z.expand(2, 2), torch.tensor([1, 0])).tolist() == [2.0, 3.0]


@pytest.mark.parametrize("shape", [(2,), (2, 1, 1), (3, 4)], ids=str)
def test_outputs_that_are_not_rows_by_classes_are_refused(shape):
    with pytest.raises(NotApplicable, match=rf"\(got \({', '.join(map(str, shape))},?\) for 2 rows\)"):
        outputs_at(lambda _: torch.zeros(shape), torch.zeros(2, 5), torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("target", [[0, 3], [-1, 0]], ids=["too large", "negative"])
def test_a_target_out_of_range_is_named(target):
    with pytest.raises(IndexError, match=rf"target must lie in \[0, 3\).*\(got {min(target)} to {max(target)}\)"):
        outputs_at(lambda _: torch.zeros(2, 3), torch.zeros(2, 5), torch.tensor(target))


def test_only_a_stack_of_inputs_and_baselines_can_differ():
    same, other = torch.ones(4, 3), torch.cat([torch.ones(2, 3), torch.zeros(2, 3)])
    assert differs(other, rows=2)
    assert not differs(same, rows=2)
    assert not differs(other, rows=3)  # its first dimension is not the stack
    assert not differs(torch.tensor(1.0), rows=2)
    assert not differs(2.0, rows=2)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (lambda x: x.sum(1, keepdim=True), True),
        (lambda x: 0 * x, True),
        (lambda x: torch.ones(len(x), 1), False),
        (lambda x: torch.ones(len(x), 1, requires_grad=True) * 2, False),
        (lambda x: x.detach(), False),
    ],
    ids=["reads it", "multiplies it by 0", "constant", "constant of a parameter", "detached"],
)
def test_whether_autograd_connects_the_output_to_the_input(model, expected):
    with torch.no_grad():
        assert reads(model, torch.ones(2, 3)) is expected


def test_networks_whose_rows_are_alone_pass():
    model = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(), nn.LayerNorm(2))
    require_rows_alone(model.eval())
    require_rows_alone(lambda x: x)
    with pytest.raises(NotApplicable, match="0 is in training mode"):
        require_rows_alone(model.train())
