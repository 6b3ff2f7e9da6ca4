"""Much is known of a dense ReLU network from its weights alone: what it cannot see, what it sees as a sum, and where it cannot fall.

What is read off is true of the function on all of R^d, and is less than all that is true of it: a column that two paths cancel on is not
found to be without effect, nor a column found monotone whose paths differ in sign.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from synthetic.environment import Batch, Environment
from synthetic.formulas import Layers


def known_of(environment: Environment, batch: Batch) -> dict[str, Tensor | float]:
    """What is certain of a batch of an environment beside its truth, by the names that cases have for it.

    Returns:
        `null` (players outside of the support), and `monotone` where the environment says so, (batch, players) bool. Of a dense table
        also `unreachable`, `monotone`, `summed` and `redundant` players, (batch, players) bool, the `supports` of its outputs,
        (outputs, players) bool, and a `lipschitz` constant of all outputs.
    """
    known: dict[str, Tensor | float] = {"null": ~batch.truth.support}
    everyone = torch.ones_like(batch.truth.support)
    layers = layers_of(environment.model) if environment.modality == "table" else None
    if layers is not None:
        outputs = range(environment.outputs)
        reach = torch.tensor([unreachable(layers, output=output) for output in outputs], device=everyone.device)
        rises = torch.tensor([monotone(layers, output=output) for output in outputs], device=everyone.device)
        known |= {"unreachable": reach[batch.target], "monotone": rises[batch.target], "supports": ~reach}
        known |= {"lipschitz": max(lipschitz(layers, output=output) for output in outputs)}
        known |= _one_sum(environment, batch, summed(layers))
    if "monotone" in environment.traits:
        known["monotone"] = everyone
    elif environment.monotone is not None:
        known["monotone"] = everyone & torch.tensor(environment.monotone, device=everyone.device)
    return known


def _one_sum(environment: Environment, batch: Batch, groups: Sequence[int]) -> dict[str, Tensor | float]:
    """The largest group of columns that the network sees as a sum; where a row has nothing else, and one is enough, they are redundant."""
    numbers = torch.tensor(groups, device=batch.inputs.device)
    if not bool((numbers >= 0).any()):
        return {}
    member = numbers == numbers[numbers >= 0].mode().values
    live = batch.inputs != batch.baseline
    orbit = batch.truth.orbit
    first = torch.where(live & member, orbit, -1).amax(1, keepdim=True)
    alike = live & member & (orbit == first) & (first >= 0)
    alone = torch.where(
        torch.arange(len(numbers), device=numbers.device) == alike.long().argmax(1, keepdim=True), batch.inputs, batch.baseline
    )
    one, all_, none = (_values(environment, batch, rows) for rows in (alone, batch.inputs, batch.baseline))
    enough = (one == all_) & (all_ != none) & (alike == live).all(1) & (alike.sum(1) > 1)
    return {"summed": member.expand(live.shape), "redundant": alike & enough.unsqueeze(1)}


def _values(environment: Environment, batch: Batch, rows: Tensor) -> Tensor:
    outputs = torch.from_numpy(environment.specification(rows.cpu().double().numpy())).to(rows.device)
    return outputs.gather(1, batch.target.unsqueeze(1)).squeeze(1)


def layers_of(model: nn.Module) -> Layers | None:
    """The numbers of a plain Linear, ReLU, ..., Linear network; None of any other."""
    modules = list(model) if isinstance(model, nn.Sequential) else []
    dense, between = modules[::2], modules[1::2]
    if len(modules) % 2 == 0 or not all(isinstance(m, nn.Linear) for m in dense) or not all(isinstance(m, nn.ReLU) for m in between):
        return None
    return [(m.weight.tolist(), [0.0] * m.out_features if m.bias is None else m.bias.tolist()) for m in dense if isinstance(m, nn.Linear)]


def unreachable(layers: Layers, *, output: int = 0) -> tuple[bool, ...]:
    """Whether no path of non-zero weights leads from each input to this output."""
    reached = [row == output for row in range(len(layers[-1][0]))]
    for weight, _ in reversed(layers):
        reached = [any(row[i] and on for row, on in zip(weight, reached, strict=True)) for i in range(len(weight[0]))]
    return tuple(not on for on in reached)


def summed(layers: Layers) -> tuple[int, ...]:
    """Number the inputs whose first-layer weights are equal by the first of them: the network sees their sum; -1 where alone."""
    columns = list(zip(*layers[0][0], strict=True))
    return tuple(columns.index(column) if columns.count(column) > 1 else -1 for column in columns)


def monotone(layers: Layers, *, output: int = 0) -> tuple[bool, ...]:
    """Whether the product of weights is at least 0 along every path from each input to this output, so that the function cannot fall."""
    last = layers[-1][0][output]
    rises, falls = [weight > 0 for weight in last], [weight < 0 for weight in last]
    for weight, _ in reversed(layers[:-1]):
        columns = list(zip(*weight, strict=True))
        rises, falls = ([_any_path(column, same, other) for column in columns] for same, other in ((rises, falls), (falls, rises)))
    return tuple(not fall for fall in falls)


def lipschitz(layers: Layers, *, output: int = 0) -> float:
    """Σ over paths of |product of weights|: |f(x) - f(y)| is at most this times the largest |x_i - y_i|."""
    paths = [abs(weight) for weight in layers[-1][0][output]]
    for weight, _ in reversed(layers[:-1]):
        paths = [sum(abs(row[i]) * p for row, p in zip(weight, paths, strict=True)) for i in range(len(weight[0]))]
    return float(sum(paths))


def _any_path(column: Sequence[float], same: Sequence[bool], other: Sequence[bool]) -> bool:
    """Whether a positive weight leads to a unit that does so itself, or a negative one to a unit that does the opposite."""
    return any((w > 0 and s) or (w < 0 and o) for w, s, o in zip(column, same, other, strict=True))
