"""Attribution by information bottlenecks: how many bits of each place a network needs, or may be denied, to answer as it does."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.errors import NotApplicable
from attrlab.games.game import Model
from attrlab.methods.bottleneck import Bottleneck, Loss, Narrowing, bottleneck_at, narrowed
from attrlab.methods.descent import Progress
from attrlab.methods.masked_rows import require_number
from attrlab.methods.operations import outputs_at, require_rows_alone
from attrlab.methods.positions import share_out
from attrlab.methods.sampled_gradients import require_count
from attrlab.methods.seams import Seam, seam_at, seams_of

SURE = 1e-6
"""A network is taken to be at most 1 - SURE certain where the logarithm of its doubt is asked for."""


def iba(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    layer: str | None = None,
    beta: float = 10.0,
    steps: int = 10,
    lr: float = 1.0,
    copies: int = 10,
    smoothing: float = 1.0,
    least_deviation: float = 0.01,
    rare: float = 0.0,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Per-sample information bottleneck: the bits of each place that pass where cross-entropy + beta · mean information is least.

    Args:
        model: maps (rows, *features) to (rows, outputs), of which there are at least two.
        inputs: the explained rows.
        target: which output of each row.
        feature_mask: for graphs, the player of each entry.
        seeds: the noise stream of each row; every step draws from a stream of its own.
        reference: rows from which the mean and deviation of each unit are read; the paper recommends 10 000, at least 1 000.
        layer: the dotted path of a module, or None for the last layer with positions.
        beta: weight of the mean information per unit, against a cross-entropy of some nats; where outputs are about 1 little is left at the
            paper's 10, and one from 0.01 to 1 is to be chosen on rows that are not scored.
        steps: of Adam, from λ = sigmoid(5).
        lr: its step size.
        copies: noisy copies of a row in each step.
        smoothing: standard deviation, in cells, by which an image's λ is smoothed.
        least_deviation: of a unit; a unit that is constant over the reference rows has this one.
        rare: units that are not 0 in less than this share of the reference rows are left alone; 0 leaves none.
        progress: called as progress(steps done, steps in all).

    Returns:
        Bits, summed over channels and shared out to the entries so that their sum is that of the layer. A place of 0 bits was not needed.

    Raises:
        InvalidInput: if a hyperparameter is out of range, there is no such layer, or the reference data do not fit.
        NotApplicable: if the network has one output, or no layer with positions.

    Reference:
        Schulz, Sixt, Tombari and Landgraf (2020), "Restricting the flow: information bottlenecks for attribution", equations 3 to 6.

    Differs from the paper in: noise is not clipped to what follows a rectifier; rarely active units are kept, unless `rare` is given.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> rows = dict(target=torch.tensor([0]), feature_mask=torch.arange(2).view(1, 1, 1, 2), seeds=torch.tensor([0]))
        >>> known = torch.randn(50, 1, 1, 2, generator=torch.Generator().manual_seed(0))
        >>> first = lambda x: torch.cat([conv(x)[:, 0, 0, :1], -conv(x)[:, 0, 0, :1]], 1)
        >>> scores = iba(first, torch.full((1, 1, 1, 2), 2.0), **rows, reference=known, smoothing=0, beta=0.1)
        >>> bool(scores[..., 0] > 4 * scores[..., 1])
        True
    """
    how = Narrowing(beta=beta, steps=steps, lr=lr, copies=copies)
    seam, place = _seam(model, inputs, target, layer), {"smoothing": smoothing, "least_deviation": least_deviation, "rare": rare}
    _require_several(model, inputs, "iba")
    bottleneck = bottleneck_at(seam, inputs, reference, feature_mask=feature_mask, **place)
    logits = narrowed(bottleneck, partial(cross_entropy, target), seeds, how=how, progress=progress)
    return bits(bottleneck, logits, inputs, feature_mask)


def regression_iba(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    layer: str | None = None,
    beta: float = 10.0,
    steps: int = 10,
    lr: float = 1.0,
    copies: int = 10,
    smoothing: float = 1.0,
    least_deviation: float = 0.01,
    rare: float = 0.0,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Regression bottleneck: as `iba` with (f(z) - f(x))² / Var f instead of the cross-entropy, so that one output suffices.

    The variance is that of the explained output over the reference rows, so that beta does not depend on the unit of the output.
    Arguments, result and errors are those of `iba`.

    Reference:
        Khakzar, Zhang, Mansour, Cai, Li, Zhang, Kim and Navab (2021), "Explaining COVID-19 and thoracic pathology model predictions by
        identifying informative input features", section 2.3.

    Differs from the paper in: the squared error is divided by the variance.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> rows = dict(target=torch.tensor([0]), feature_mask=torch.arange(2).view(1, 1, 1, 2), seeds=torch.tensor([0]))
        >>> known = torch.randn(50, 1, 1, 2, generator=torch.Generator().manual_seed(0))
        >>> x = torch.full((1, 1, 1, 2), 2.0)
        >>> scores = regression_iba(lambda x: conv(x)[:, 0, 0, :1], x, **rows, reference=known, smoothing=0, beta=1.0)
        >>> bool(scores[..., 0] > 4 * scores[..., 1])
        True
    """
    how = Narrowing(beta=beta, steps=steps, lr=lr, copies=copies)
    seam, place = _seam(model, inputs, target, layer), {"smoothing": smoothing, "least_deviation": least_deviation, "rare": rare}
    bottleneck = bottleneck_at(seam, inputs, reference, feature_mask=feature_mask, **place)
    loss = squared_error(model, inputs, target, reference)
    logits = narrowed(bottleneck, loss, seeds, how=how, progress=progress)
    return bits(bottleneck, logits, inputs, feature_mask)


def inverse_iba(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    layer: str | None = None,
    beta: float = 10.0,
    steps: int = 10,
    lr: float = 1.0,
    copies: int = 10,
    smoothing: float = 1.0,
    least_deviation: float = 0.01,
    rare: float = 0.0,
    progress: Progress | None = None,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Inverse bottleneck: noise replaces what λ selects, and the answer must go; so every place that could support it is selected.

    Minimised is -log(1 - p) + beta · mean information, p the probability of the explained output. Of one output, p = exp(-d²/2)
    with d = (f(z) - f(x)) / deviation of f over the reference rows. Arguments, result and errors are those of `iba`.

    Reference:
        Khakzar et al. (2021), as `regression_iba`, section 2.2.

    Differs from the paper in: -log(1 - p) stands for minus the cross-entropy, log p, which has no bound below; one output is enough.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> rows = dict(target=torch.tensor([0]), feature_mask=torch.arange(3).view(1, 1, 1, 3), seeds=torch.tensor([0]))
        >>> known = torch.randn(50, 1, 1, 3, generator=torch.Generator().manual_seed(0))
        >>> either = lambda x: conv(x)[:, 0, 0, :2].amax(1, keepdim=True)
        >>> scores = inverse_iba(either, torch.full((1, 1, 1, 3), 3.0), **rows, reference=known, smoothing=0, beta=1.0)[0, 0, 0]
        >>> bool(scores[:2].min() > 2 * scores[2])
        True
    """
    how = Narrowing(beta=beta, steps=steps, lr=lr, copies=copies)
    seam, place = _seam(model, inputs, target, layer), {"smoothing": smoothing, "least_deviation": least_deviation, "rare": rare}
    bottleneck = bottleneck_at(seam, inputs, reference, feature_mask=feature_mask, **place)
    loss = doubt(model, inputs, target, reference)
    logits = narrowed(bottleneck, loss, seeds, how=how, inverted=True, progress=progress)
    return bits(bottleneck, logits, inputs, feature_mask)


def multilayer_iba(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    seeds: Tensor,  # (batch,) int64
    reference: Tensor,  # (rows, *features)
    depths: int = 3,
    threshold: float = 1.344,
    beta: float = 10.0,
    steps: int = 10,
    lr: float = 1.0,
    copies: int = 10,
    smoothing: float = 1.0,
    least_deviation: float = 0.01,
    rare: float = 0.0,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """The fine map of a shallow bottleneck where the maps of deeper ones say that there is information at all.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row.
        feature_mask: for graphs, the player of each entry.
        seeds: the noise stream of each row, the same at every depth.
        reference: rows for the statistics of units.
        depths: how many layers, evenly from the first with positions to the last; of a graph that may be A, whose units are pairs of nodes
            and grow in number when the row is padded.
        threshold: a deeper map counts where it is this many times its root mean square; 0.006 of the norm at 224 x 224.
        beta: as in `iba`, whose further arguments follow; with one output the loss is that of `regression_iba`.
        steps: of Adam.
        lr: its step size.
        copies: noisy copies of a row in each step.
        smoothing: of an image's λ.
        least_deviation: of a unit.
        rare: share of reference rows below which a unit is left alone.

    Returns:
        Bits of the shallowest layer at the entries, 0 where a deeper map is below the threshold.

    Raises:
        InvalidInput, NotApplicable: as `iba`.

    Reference:
        Khakzar et al. (2021), as `regression_iba`, section 2.4.

    Differs from the paper in: the threshold is relative to the root mean square, so that it does not depend on the size of the image.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> rows = dict(target=torch.tensor([0]), feature_mask=torch.arange(4).view(1, 1, 1, 4), seeds=torch.tensor([0]))
        >>> known = torch.randn(50, 1, 1, 4, generator=torch.Generator().manual_seed(0))
        >>> first = lambda x: conv(conv(x).relu())[:, 0, 0, :1]
        >>> scores = multilayer_iba(first, torch.full((1, 1, 1, 4), 2.0), **rows, reference=known, smoothing=0)
        >>> scores[0, 0, 0, 1:].tolist()
        [0.0, 0.0, 0.0]
    """
    require_count("depths", depths, what="how many layers have a bottleneck")
    require_number("threshold", threshold, what="a multiple of the root mean square")
    how = Narrowing(beta=beta, steps=steps, lr=lr, copies=copies)
    require_rows_alone(model)
    seams = seams_of(model, inputs, target=target)
    several = outputs_of(model, inputs) > 1
    loss = partial(cross_entropy, target) if several else squared_error(model, inputs, target, reference)
    maps, place = [], {"smoothing": smoothing, "least_deviation": least_deviation, "rare": rare}
    for seam in [seams[index] for index in spaced(len(seams), depths)]:
        bottleneck = bottleneck_at(seam, inputs, reference, feature_mask=feature_mask, **place)
        maps.append(bits(bottleneck, narrowed(bottleneck, loss, seeds, how=how), inputs, feature_mask))
    found = maps[0]
    for deeper in maps[1:]:
        size = deeper.flatten(1).square().mean(1).sqrt().view(-1, *(1,) * (inputs.dim() - 1))
        found = torch.where(deeper >= threshold * size, found, 0)
    return found


def bits(
    bottleneck: Bottleneck,
    logits: Tensor,  # (batch, channels, *positions)
    inputs: Tensor,  # (batch, *features)
    feature_mask: Tensor,  # (batch, *features) int64
) -> Tensor:  # (batch, *features)
    """The capacity of a bottleneck in bits, summed over channels and shared out to the entries."""
    return share_out(bottleneck.information(logits).sum(1) / math.log(2), inputs, feature_mask)


def squared_error(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
    reference: Tensor,  # (rows, *features)
) -> Loss:
    """(f(z) - f(x))² / Var f of the explained output."""
    apart = _apart(model, inputs, target, reference)
    return lambda outputs, rows: apart(outputs, rows).square()


def doubt(
    model: Model,
    inputs: Tensor,  # (batch, *features)
    target: Tensor,  # (batch,)
    reference: Tensor,  # (rows, *features)
) -> Loss:
    """-log(1 - p), p the probability of the explained output, or of one output the closeness to its value."""
    if outputs_of(model, inputs) == 1:
        apart = _apart(model, inputs, target, reference)
        return lambda outputs, rows: -torch.log1p(-(1 - SURE) * torch.exp(-apart(outputs, rows).square() / 2))

    def loss(outputs: Tensor, rows: Tensor) -> Tensor:
        logs = outputs.log_softmax(1)
        others = logs.scatter(1, target[rows].unsqueeze(1), float("-inf")).logsumexp(1)
        return -others

    return loss


def outputs_of(
    model: Model,
    inputs: Tensor,  # (batch, *features)
) -> int:
    """How many outputs a network has."""
    with torch.no_grad():
        return model(inputs[:1]).shape[1]


def spaced(count: int, chosen: int) -> list[int]:
    """At most `chosen` different places among `count`, evenly from the first to the last."""
    if chosen == 1:
        return [count - 1]
    return sorted({round(k * (count - 1) / (chosen - 1)) for k in range(chosen)})


def _apart(model: Model, inputs: Tensor, target: Tensor, reference: Tensor) -> Callable[[Tensor, Tensor], Tensor]:
    """(f(z) - f(x)) / deviation of f over the reference rows; a constant output has deviation 1."""
    with torch.no_grad():
        wanted = outputs_at(model, inputs, target)
        spread = model(reference.to(inputs)).std(0)[target]
    scale = torch.where(spread > 0, spread, 1)
    return lambda outputs, rows: (outputs.gather(1, target[rows].unsqueeze(1)).squeeze(1) - wanted[rows]) / scale[rows]


def cross_entropy(
    target: Tensor,  # (batch,)
    outputs: Tensor,  # (answers, outputs)
    rows: Tensor,  # (answers,)
) -> Tensor:  # (answers,)
    """-log softmax of the explained output."""
    return functional.cross_entropy(outputs, target[rows], reduction="none")


def _seam(model: Model, inputs: Tensor, target: Tensor, layer: str | None) -> Seam:
    require_rows_alone(model)
    return seam_at(model, inputs, target=target, layer=layer)


def _require_several(model: Model, inputs: Tensor, name: str) -> None:
    if outputs_of(model, inputs) == 1:
        raise NotApplicable(
            f"{name} lowers a cross-entropy, which is 0 for a network of one output; use regression_iba or inverse_iba (got 1)"
        )
