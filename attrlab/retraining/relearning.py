"""The same small network is trained three times: on labels, on the same labels from another start, and on labels that were permuted.

Permuted labels say nothing of the rows, so a network can only learn them by heart; that needs rows that differ, few of them, and a budget
that is large for their number. A network that has not learnt its own training rows is no instrument, and is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from attrlab.errors import NotApplicable
from attrlab.retraining.data import labels_of
from attrlab.retraining.networks import Network, cnn, mlp, unstack
from attrlab.retraining.stacked import Training, accuracies, train

if TYPE_CHECKING:
    from synthetic import Environment

ROWS, LEAST = 128, 8
"""Distinct rows that are learnt, and below how many there is nothing to permute."""

SEED = 0x1ABE
"""Of the rows and of the permutation; initial weights are those of seeds 0, 1 and 2."""

LEARNT = 0.95
"""Accuracy on its own training rows that a network must reach, as the paper asks of permuted labels."""

TRAINING = Training(epochs=60)


def learn(
    environment: Environment,
    *,
    rows: int = ROWS,
    training: Training = TRAINING,
    device: str = "cpu",
    dtype: torch.dtype = torch.float64,
) -> Mapping[str, nn.Module]:
    """Networks that learnt "true" labels, the "same" ones from another start, and "permuted" ones, in this number type.

    A CNN on images, an MLP on all entries of any other row: one that can learn by heart. They are trained on the CPU and then moved, so
    that every device explains the same networks.

    Raises:
        NotApplicable: if the world's network gives rows no two clear classes, too few distinct rows, or a label set was not learnt.
    """
    inputs, labels, classes = _rows(environment, rows)
    inputs = inputs.float()
    permuted = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(SEED))]
    told = {"true": labels, "same": labels, "permuted": permuted}
    network, wanted = _network(environment.modality, inputs[0], classes), torch.stack(list(told.values()))

    def view(index: Tensor) -> Tensor:
        return inputs[index.expand(len(told), -1)]

    parameters = train(network, view, wanted, seeds=range(len(told)), training=training)
    for reached in accuracies(network, parameters, view, wanted).tolist():
        if not reached >= LEARNT:
            raise NotApplicable(
                f"a network did not learn its own training rows of {environment.id} (got accuracy {reached:.2f}, needs {LEARNT})"
            )
    return {name: unstack(network, parameters, place).to(device, dtype) for place, name in enumerate(told)}


def _network(modality: str, row: Tensor, classes: int) -> Network:
    if modality == "image":
        return cnn(row.shape[0], row.shape[1], row.shape[2], classes)
    return mlp(row.numel(), classes)


def _rows(environment: Environment, rows: int) -> tuple[Tensor, Tensor, int]:
    """Distinct rows whose class is clear, their classes, and how many there are."""
    drawn = environment.sample(2 * rows, torch.Generator().manual_seed(SEED)).inputs
    _, group = torch.unique(drawn.flatten(1), dim=0, return_inverse=True)
    first = torch.full((int(group.max()) + 1,), len(drawn)).scatter_reduce_(0, group, torch.arange(len(drawn)), "amin")
    inputs = drawn[first.sort().values]
    with torch.no_grad():
        labels, classes, _ = labels_of(environment.id, environment.model(inputs))
    clear = (labels >= 0).nonzero()[:rows, 0]
    if len(clear) < LEAST or bool((labels[clear] == labels[clear[0]]).all()):
        raise NotApplicable(
            f"{environment.id} has too few rows of two clear classes to permute their labels (got {len(clear)} of {len(drawn)} drawn)"
        )
    return inputs[clear], labels[clear], classes
