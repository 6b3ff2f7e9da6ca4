"""Networks that are trained in a stack are the networks that a loop trains, one after another, on copies of masked data."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from attrlab.errors import InvalidInput
from attrlab.games.imputers import keep_baseline
from attrlab.retraining.networks import Network, cnn, fresh, gin, mapped, mlp, stack, unstack
from attrlab.retraining.removal import remove
from attrlab.retraining.stacked import ORDER_STREAM, Training, accuracies, train

ROWS, SEEDS = 24, (0, 1, 1, 7)


def graph_rows(generator: torch.Generator) -> Tensor:
    """Graphs of 4 or 5 nodes among 5, the missing one marked by 0 in the last column."""
    upper = torch.triu((torch.rand(ROWS, 5, 5, generator=generator) < 0.5).double(), 1)
    there = torch.ones(ROWS, 5, 1, dtype=torch.float64)
    there[::2, 4] = 0
    adjacency = (upper + upper.mT) * there * there.mT
    return torch.cat([adjacency, torch.rand(ROWS, 5, 2, generator=generator, dtype=torch.float64) * there, there], 2)


def drawn(*shape: int) -> Callable[[torch.Generator], Tensor]:
    return lambda generator: torch.randn(ROWS, *shape, generator=generator, dtype=torch.float64)


def normalised() -> nn.Module:
    return nn.Sequential(nn.Linear(5, 6), nn.LayerNorm(6), nn.Tanh(), nn.Linear(6, 3))


CASES: dict[str, tuple[Network, Callable[[torch.Generator], Tensor]]] = {
    "mlp": (mlp(5, 3, hidden=7), drawn(5)),
    "mlp of sequences": (mlp(12, 3, hidden=4), drawn(4, 3)),
    "cnn": (cnn(2, 5, 6, 3, first=3, second=4), drawn(2, 5, 6)),
    "cnn of one pixel": (cnn(1, 1, 2, 3, first=2, second=2), drawn(1, 1, 2)),
    "gin": (gin(5, 3, 3, hidden=6, layers=2), graph_rows),
    "module of one's own": (mapped("normalised", normalised), drawn(5)),
}


def loop(
    network: Network, seed: int, rows: Tensor, labels: Tensor, *, optimiser: str, batch: int, rate: float, epochs: int
) -> dict[str, Tensor]:
    """What a user would write: one module, one optimiser, one batch after another."""
    module = fresh(network, seed).double()
    chosen = torch.optim.Adam if optimiser == "adam" else torch.optim.SGD
    stepping = chosen(module.parameters(), lr=rate, **({} if optimiser == "adam" else {"momentum": 0.9}))
    generator = torch.Generator().manual_seed(ORDER_STREAM + seed)
    for _ in range(epochs):
        order = torch.randperm(len(rows), generator=generator)
        for start in range(0, len(rows) - batch + 1, batch):
            chosen_rows = order[start : start + batch]
            stepping.zero_grad()
            functional.cross_entropy(module(rows[chosen_rows]), labels[chosen_rows]).backward()
            stepping.step()
    return {name: value.detach() for name, value in module.named_parameters()}


@pytest.mark.parametrize("optimiser", ["adam", "sgd"])
@pytest.mark.parametrize("name", CASES)
def test_a_stack_trains_to_the_parameters_of_the_loop(name: str, optimiser: str, generator: torch.Generator):
    network, draw = CASES[name]
    rows, labels = draw(generator), torch.randint(3, (ROWS,), generator=generator)
    order = torch.rand(2, *rows.shape, generator=generator).argsort(1).to(torch.int16)
    counts = torch.tensor([[0], [5], [12], [12]], dtype=torch.int16).expand(-1, ROWS)
    baseline = torch.zeros_like(rows)
    if name == "gin":  # nodes stay; nothing but edges and features leaves
        baseline[..., -1] = rows[..., -1]
    removal = remove(rows, baseline, keep_baseline, tables=order, table=torch.tensor([0, 1, 0, 1]), counts=counts)
    training = Training(epochs=3, batch=8, rate=0.01, optimiser=optimiser)
    found = train(network, removal.rows, labels, seeds=SEEDS, training=training, dtype=torch.float64)
    for model, seed in enumerate(SEEDS):
        copy = torch.where(order[[0, 1, 0, 1][model]] >= counts[model, 0], rows, baseline)
        expected = loop(network, seed, copy, labels, optimiser=optimiser, batch=8, rate=0.01, epochs=3)
        for key, value in expected.items():
            # nine steps of float64 sums of the same terms in another order; Adam divides by gradients as small as 1e-8
            torch.testing.assert_close(found[key][model], value, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", CASES)
def test_the_kernel_gives_the_logits_of_the_module(name: str, generator: torch.Generator):
    network, draw = CASES[name]
    modules = [fresh(network, seed).double() for seed in range(3)]
    rows = torch.stack([draw(generator) for _ in modules])
    found = network.kernel(stack(modules), rows)
    for place, module in enumerate(modules):
        torch.testing.assert_close(found[place], module(rows[place]), rtol=0, atol=1e-12)  # sums of some 100 terms of order 1


def test_what_a_model_becomes_does_not_depend_on_its_stack(generator: torch.Generator):
    network, rows, labels = mlp(5, 2), torch.randn(ROWS, 5, generator=generator).double(), torch.arange(ROWS) % 2

    def view(models: int) -> Callable[[Tensor], Tensor]:
        return lambda index: rows[index] if index.dim() == 2 else rows[index].expand(models, -1, -1)

    training = Training(epochs=2, batch=5)
    alone = train(network, view(1), labels, seeds=[3], training=training, dtype=torch.float64)
    among = train(network, view(3), labels, seeds=[1, 3, 2], training=training, dtype=torch.float64)
    for name, value in alone.items():
        torch.testing.assert_close(among[name][1], value[0], rtol=0, atol=1e-12)


def test_networks_of_one_stack_may_each_learn_labels_of_their_own(generator: torch.Generator):
    network, rows = mlp(5, 2), torch.randn(ROWS, 5, generator=generator).double()
    labels, training = torch.randint(2, (3, ROWS), generator=generator), Training(epochs=2, batch=5)
    found = train(network, lambda index: rows[index], labels, seeds=[4, 5, 6], training=training, dtype=torch.float64)
    reached = accuracies(network, found, lambda index: rows[index].expand(3, -1, -1), labels)
    for place, seed in enumerate((4, 5, 6)):
        alone = train(network, lambda index: rows[index].unsqueeze(0), labels[place], seeds=[seed], training=training, dtype=torch.float64)
        for name, value in alone.items():
            torch.testing.assert_close(found[name][place], value[0], rtol=0, atol=1e-12)
        right = unstack(network, alone, 0)(rows).argmax(1) == labels[place]
        assert reached[place] == right.double().mean()


def test_fresh_networks_leave_the_global_generator_as_it_was_and_differ_by_seed():
    before = torch.random.get_rng_state()
    one, other, again = (fresh(mlp(3, 2), seed) for seed in (0, 1, 0))
    assert torch.equal(before, torch.random.get_rng_state())
    assert torch.equal(one[1].weight, again[1].weight)
    assert not torch.equal(one[1].weight, other[1].weight)


def test_an_unstacked_network_answers_as_its_place_in_the_stack(generator: torch.Generator):
    network, rows = mlp(5, 2), torch.randn(4, 5, generator=generator)
    parameters = stack(fresh(network, seed) for seed in range(3))
    together = network.kernel(parameters, rows.expand(3, -1, -1))
    torch.testing.assert_close(unstack(network, parameters, 2)(rows), together[2])


@pytest.mark.parametrize("layer", [nn.BatchNorm1d(4), nn.Dropout(0.5)])
def test_modules_that_do_not_stack_are_refused(layer: nn.Module):
    with pytest.raises(InvalidInput, match="do not stack"):
        mapped("unstackable", lambda: nn.Sequential(nn.Linear(3, 4), layer, nn.Linear(4, 2)))


def test_a_network_that_went_to_infinity_has_no_accuracy(generator: torch.Generator):
    network, rows = mlp(5, 2), torch.randn(6, 5, generator=generator)
    parameters = stack(fresh(network, seed) for seed in range(2))
    parameters["1.bias"][1] = torch.inf
    found = accuracies(network, parameters, lambda index: rows[index].expand(2, -1, -1), torch.zeros(6, dtype=torch.int64))
    assert found.isnan().tolist() == [False, True]


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"batch": 0}, {"rate": 0.0}, {"optimiser": "lamb"}])
def test_training_that_cannot_be_is_refused_with_what_was_got(wrong: dict[str, object]):
    with pytest.raises(InvalidInput, match=str(next(iter(wrong.values())))):
        Training(**wrong)  # type: ignore[arg-type]


@pytest.mark.cuda
@pytest.mark.parametrize("name", CASES)
def test_a_stack_on_a_device_trains_to_the_parameters_of_the_cpu(name: str, generator: torch.Generator):
    network, draw = CASES[name]
    rows, labels = draw(generator), torch.randint(3, (ROWS,), generator=generator)
    training = Training(epochs=2, batch=8, optimiser="sgd")

    def trained(device: str) -> dict[str, Tensor]:
        held = rows.to(device)

        def view(index: Tensor) -> Tensor:
            return held[index]

        return train(network, view, labels.to(device), seeds=SEEDS, training=training, dtype=torch.float64)

    for key, value in trained("cuda").items():
        # six steps of float64 sums of the same terms in another order
        torch.testing.assert_close(value.cpu(), trained("cpu")[key], rtol=0, atol=1e-9)


def test_stacks_in_float32_end_as_accurate_as_loops(generator: torch.Generator):
    network, seeds = mlp(5, 2, hidden=16), range(8)
    inputs = torch.randn(240, 5, generator=generator)
    labels = (inputs[:, 0] * inputs[:, 1] > 0).long()
    found = train(network, lambda index: inputs[index], labels, seeds=list(seeds), training=Training(epochs=6, batch=24))
    stacked = accuracies(network, found, lambda index: inputs[index].expand(8, -1, -1), labels)
    alone = []
    for seed in seeds:
        expected = loop(network, seed, inputs.double(), labels, optimiser="adam", batch=24, rate=0.01, epochs=6)
        module = fresh(network, seed).double()
        module.load_state_dict(expected)
        alone.append(float((module(inputs.double()).argmax(1) == labels).double().mean()))
    # float32 moves some parameters by 1e-3 in 60 steps of Adam, and with them a few of 240 rows
    torch.testing.assert_close(stacked, torch.tensor(alone, dtype=torch.float64), rtol=0, atol=0.05)
