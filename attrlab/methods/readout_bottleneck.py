"""Readout bottleneck: λ is not optimised for each row but read out of several layers by a small network, trained once on reference rows."""

from __future__ import annotations

import itertools
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from attrlab.games.game import Model
from attrlab.methods.bottleneck import Bottleneck, Narrowing, bottleneck_at
from attrlab.methods.bottlenecks import bits, cross_entropy, outputs_of, spaced, squared_error
from attrlab.methods.descent import adam
from attrlab.methods.masked_rows import step_seeds
from attrlab.methods.operations import require_rows_alone
from attrlab.methods.row_noise import unit_normal
from attrlab.methods.sampled_gradients import require_count
from attrlab.methods.seams import Seam, seams_of

LARGEST = 5.0
"""Logits of λ are held in [-5, 5]; 5 is also what the readout starts from."""

SMALL = 1e-3
"""Weights start this much smaller than usual, so that λ starts nearly the same everywhere."""


def readout_iba(
    model: Model,
    inputs: Tensor,  # (batch, channels, height, width) or (batch, nodes, columns)
    *,
    target: Tensor,  # (batch,) int64
    feature_mask: Tensor,  # (batch, *features) int64, -1 for none
    reference: Tensor,  # (rows, *features)
    depths: int = 3,
    beta: float = 10.0,
    epochs: int = 20,
    batch_size: int = 16,
    lr: float = 1e-3,
    smoothing: float = 1.0,
    least_deviation: float = 0.01,
    seed: int = 0,
) -> Tensor:  # (batch, *features), in the dtype of inputs
    """Readout bottleneck: bits that pass λ = sigmoid(r(R_1, ..., R_n)), r three layers of 1 x 1 convolutions on values of n layers.

    r is trained on the reference rows to lower the loss of the noisy network, for the output that is the network's own answer, plus
    beta · mean information. An explained row then takes no optimisation. Training does not see the explained rows.

    Args:
        model: maps (rows, *features) to (rows, outputs).
        inputs: the explained rows.
        target: which output of each row the explanation is asked for; the readout is the same for all of them.
        feature_mask: for graphs, the player of each entry.
        reference: rows to train on, and for the statistics of units.
        depths: how many layers are read, evenly from the first with positions to the last, where the bottleneck is; as `multilayer_iba`.
        beta: weight of the mean information per unit.
        epochs: passes over the reference rows.
        batch_size: reference rows in a step of Adam.
        lr: its step size; the paper has 1e-5, for 10 epochs of a million images.
        smoothing: standard deviation, in cells, by which an image's λ is smoothed.
        least_deviation: of a unit.
        seed: of the readout's weights, the order of the reference rows and the noise in training.

    Returns:
        Bits, as `iba`.

    Raises:
        InvalidInput, NotApplicable: as `iba`.

    Reference:
        Schulz et al. (2020), "Restricting the flow: information bottlenecks for attribution", section 3.3.

    Differs from the paper in: labels are the network's own; with one output the loss is that of `regression_iba`.

    Example:
        >>> conv = torch.nn.Conv2d(1, 1, 1).requires_grad_(False)
        >>> _ = conv.weight.fill_(1.0), conv.bias.fill_(0.0)
        >>> known = torch.randn(50, 1, 1, 2, generator=torch.Generator().manual_seed(0))
        >>> scores = readout_iba(lambda x: conv(x).flatten(1)[:, :1], torch.ones(1, 1, 1, 2), target=torch.tensor([0]),
        ...     feature_mask=torch.arange(2).view(1, 1, 1, 2), reference=known, smoothing=0)
        >>> scores.shape
        torch.Size([1, 1, 1, 2])
    """
    require_rows_alone(model)
    require_count("depths", depths, what="how many layers are read")
    require_count("epochs", epochs, what="passes over the reference rows")
    require_count("batch_size", batch_size, what="reference rows in a step")
    how = Narrowing(beta=beta, lr=lr, copies=1)
    known = reference.to(inputs)
    seams = seams_of(model, inputs, target=target)
    seams = [seams[index] for index in spaced(len(seams), depths)]
    trained = bottleneck_at(seams[-1], known, known, smoothing=smoothing, least_deviation=least_deviation)
    weights = _weights([seam.read(known[:1]).shape[1] for seam in seams], inputs, seed)
    weights = _trained(model, trained, seams, weights, how, epochs=epochs, size=batch_size, seed=seed)
    asked = bottleneck_at(seams[-1], inputs, known, feature_mask=feature_mask, smoothing=smoothing, least_deviation=least_deviation)
    with torch.no_grad():
        logits = _readout(weights, _features(seams, known, inputs))
    return bits(asked, logits, inputs, feature_mask)


def _features(seams: list[Seam], known: Tensor, rows: Tensor) -> Tensor:  # (rows, channels, *positions of the last)
    """Values of the layers, standardised over the reference rows, at the positions of the last."""
    found = []
    size = seams[-1].read(rows[:1]).shape[2:]
    for seam in seams:
        units = seam.read(known)
        values = (seam.read(rows) - units.mean(0)) / units.std(0).clamp(min=0.01)
        if values.dim() == 4 and values.shape[2:] != size:
            values = functional.interpolate(values, size=size, mode="bilinear", align_corners=False)
        found.append(values)
    return torch.cat(found, 1)


def _weights(channels: list[int], like: Tensor, seed: int) -> list[Tensor]:
    """Weights (out, in) and biases of three layers, the last bias 5."""
    generator = torch.Generator().manual_seed(seed)
    width, last = sum(channels), channels[-1]
    sizes = (width, max(1, width // 2), 2 * last, last)
    found = []
    for below, above in itertools.pairwise(sizes):
        drawn = torch.randn(above, below, generator=generator, dtype=torch.float64) * (SMALL / below**0.5 if above == last else below**-0.5)
        found += [drawn.to(like), like.new_full((above,), LARGEST if above == last else 0.0)]
    return found


def _readout(weights: list[Tensor], features: Tensor) -> Tensor:
    """The logits of λ: a linear map of the channels at each position, three times."""
    value = features.movedim(1, -1)
    for number in range(0, len(weights), 2):
        value = functional.linear(value, weights[number], weights[number + 1])
        value = value.relu() if number + 2 < len(weights) else value
    return value.clamp(-LARGEST, LARGEST).movedim(-1, 1)


def _trained(
    model: Model, bottleneck: Bottleneck, seams: list[Seam], weights: list[Tensor], how: Narrowing, *, epochs: int, size: int, seed: int
) -> list[Tensor]:
    """Adam on all weights, laid in one vector; the reference rows are dealt anew for each epoch."""
    known, generator = bottleneck.inputs, torch.Generator().manual_seed(seed + 1)
    with torch.no_grad():
        own = model(known).argmax(1)
    loss = partial(cross_entropy, own) if outputs_of(model, known) > 1 else squared_error(model, known, own, known)
    features = _features(seams, known, known)
    order = torch.cat([torch.randperm(len(known), generator=generator) for _ in range(epochs)]).to(known.device)
    batches = torch.split(order, size)
    streams = step_seeds(torch.arange(len(known), device=known.device) + seed, len(batches))
    shapes = [value.shape for value in weights]

    def slope(flat: Tensor, step: int) -> Tensor:
        rows = batches[step]
        grain = unit_normal(streams[step][rows], tuple(bottleneck.values.shape[1:]), samples=1, dtype=known.dtype)[:, 0]
        with torch.enable_grad():
            leaf = flat.detach().requires_grad_()
            logits = _readout(_split(leaf, shapes), features[rows])
            share, log_noise = bottleneck.shares(logits)
            value = bottleneck.values[rows]
            mixed = torch.where(
                bottleneck.open[rows], value, share * value + (1 - share) * (bottleneck.mean + bottleneck.deviation * grain)
            )
            outputs = bottleneck.seam.replaced(known[rows], mixed)
            passed = share * (value - bottleneck.mean) / bottleneck.deviation
            nats = ((passed.square() + (2 * log_noise).exp() - 1) / 2 - log_noise).masked_fill(bottleneck.open[rows], 0)
            total = loss(outputs, rows).mean() + how.beta * (nats.flatten(1).sum(1) / bottleneck.units[rows]).mean()
            return torch.autograd.grad(total, leaf)[0]

    flat = torch.cat([value.flatten() for value in weights])
    return _split(adam(slope, flat, steps=len(batches), lr=how.lr), shapes)


def _split(flat: Tensor, shapes: list[torch.Size]) -> list[Tensor]:
    return [part.view(shape) for part, shape in zip(torch.split(flat, [shape.numel() for shape in shapes]), shapes, strict=True)]
