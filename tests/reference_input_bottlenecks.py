"""Slow twins of InputIBA and the readout bottleneck: one image, one critic and one noisy copy at a time, torch's modules and optimisers."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional

from attrlab.methods.masked_rows import step_seeds
from attrlab.methods.row_noise import counted_normal, unit_normal
from attrlab.randomness import row_uniform
from tests.reference_bottlenecks import nats, share_of_an_image, smoothed


def places_first(values):
    """(..., channels, height, width) laid out place by place."""
    return values.movedim(-3, -1).flatten(-3)


def critic_of(units, seed, dtype):
    """Three dense layers with leaky rectifiers, their weights from the row's stream and clipped."""
    sizes, layers = (units, 64, 32, 1), []
    streams = step_seeds(torch.tensor([seed + 2]), 3)
    for number, (above, below) in enumerate(itertools.pairwise(sizes)):
        layer = nn.Linear(above, below).to(dtype)
        drawn = counted_normal(streams[number], samples=below, count=above, dtype=dtype)[0] / above**0.5
        layer.load_state_dict({"weight": drawn.clamp(-0.01, 0.01), "bias": torch.zeros(below, dtype=dtype)})
        layers += [layer, nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers[:-1])


def played(below, row, seed, start, feature, *, rounds, samples):
    """The Wasserstein game of one image by torch's RMSprop; returns the prior's mask, mean and deviation."""
    (mask, mean, deviation), (share, value, usual, spread) = start, feature
    logits, middle, width = (nn.Parameter(v.clone()) for v in (mask.logit(), mean.mean((1, 2), True), deviation.mean((1, 2), True)))
    critic = critic_of(value.numel(), seed, row.dtype)
    judge = torch.optim.RMSprop(critic.parameters(), lr=5e-5)
    maker = torch.optim.RMSprop([{"params": [p], "lr": lr} for p, lr in ((logits, 0.003), (middle, 0.1), (width, 0.05))])
    streams = iter(step_seeds(torch.tensor([seed + 3]), rounds * 16))

    def made():
        grain = counted_normal(next(streams), samples=samples, count=row.numel(), dtype=row.dtype)[0].view(samples, *row.shape)
        kept = logits.sigmoid()
        return places_first(below(kept * row + (1 - kept) * (middle + width.abs() * grain)))

    for _ in range(rounds):
        for _ in range(5):
            uniform = row_uniform(next(streams), (samples, 2))[0].to(row.dtype)
            grain = counted_normal(next(streams), samples=samples, count=value.numel(), dtype=row.dtype)[0]
            noise = places_first(usual) + places_first(spread) * (4 * uniform[:, :1] - 2 + 5 * uniform[:, 1:] * grain)
            truth = places_first(share) * places_first(value) + (1 - places_first(share)) * noise
            judge.zero_grad()
            (critic(made().detach()) - critic(truth)).mean().backward()
            judge.step()
            with torch.no_grad():
                for parameter in critic.parameters():
                    parameter.clamp_(-0.01, 0.01)
        maker.zero_grad()
        (-critic(made()).mean()).backward()
        maker.step()
    return logits.detach().sigmoid(), middle.detach(), width.detach().abs().clamp(min=0.01)


def input_bottleneck_of_an_image(model, cut, row, seed, known, loss, *, beta, steps, copies, sigma, feature_beta, **game):
    """The share of each pixel that passes, mean over channels; without a game, of the light variant."""
    below, above = model[:cut], model[cut:]
    feature = share_of_an_image(below, above, row, seed, known, loss, beta=feature_beta, steps=10, copies=10, sigma=sigma)
    mask = functional.interpolate(feature[0].mean(0)[None, None], size=row.shape[1:], mode="bilinear", align_corners=False)[0]
    prior = mask.clamp(0.01, 0.99).expand_as(row), known.mean(0), known.std(0).clamp(min=0.01)
    if game:
        prior = played(below, row, seed, prior, feature, **game)
    mask, mean, deviation = prior
    logits = nn.Parameter(torch.full_like(row, 5.0))
    adam = torch.optim.Adam([logits], lr=1.0)
    for number in range(steps):
        share = smoothed(logits.sigmoid(), sigma)
        given_x = Normal(share * row + (1 - share) * mean, (1 - share) * deviation)
        under_prior = Normal(share * (mask * row + (1 - mask) * mean) + (1 - share) * mean, (1 - share * mask) * deviation)
        total = beta * kl_divergence(given_x, under_prior).mean()
        stream = step_seeds(torch.tensor([seed + 1]), steps)[number]
        for grain in counted_normal(stream, samples=copies, count=row.numel(), dtype=row.dtype)[0]:
            noisy = share * row + (1 - share) * (mean + deviation * grain.view_as(row))
            total = total + loss(model(noisy[None])[0]) / copies
        adam.zero_grad()
        total.backward()
        adam.step()
    return smoothed(logits.sigmoid(), sigma).detach().mean(0)


def standardised(model, cuts, rows, known):
    """Values of some layers, each standardised over known rows, at the size of the last."""
    found = []
    for cut in cuts:
        units, values = model[:cut](known), model[:cut](rows)
        values = (values - units.mean(0)) / units.std(0).clamp(min=0.01)
        found.append(functional.interpolate(values, size=model[: cuts[-1]](rows).shape[2:], mode="bilinear", align_corners=False))
    return torch.cat(found, 1)


def readout_of_images(model, cuts, rows, known, weights, *, beta, epochs, size, seed, sigma, lr=1e-3):
    """Bits of the readout bottleneck: 1 x 1 convolutions trained by torch's Adam on known rows, a row and its noise at a time."""
    layers = []
    for weight, bias in zip(weights[::2], weights[1::2], strict=True):
        layer = nn.Conv2d(weight.shape[1], weight.shape[0], 1).to(rows.dtype)
        layer.load_state_dict({"weight": weight[:, :, None, None], "bias": bias})
        layers += [layer, nn.ReLU()]
    readout, generator = nn.Sequential(*layers[:-1]), torch.Generator().manual_seed(seed + 1)
    order = torch.cat([torch.randperm(len(known), generator=generator) for _ in range(epochs)]).split(size)
    below, above = model[: cuts[-1]], model[cuts[-1] :]
    units, own = below(known), model(known).argmax(1)
    mean, deviation = units.mean(0), units.std(0).clamp(min=0.01)
    streams = step_seeds(torch.arange(len(known)) + seed, len(order))
    adam = torch.optim.Adam(readout.parameters(), lr=lr)
    for number, part in enumerate(order):
        total = 0
        for index in part.tolist():
            logits = readout(standardised(model, cuts, known[index : index + 1], known)).clamp(-5, 5)[0]
            share = smoothed(logits.sigmoid(), sigma)
            grain = unit_normal(streams[number][index : index + 1], tuple(mean.shape), samples=1, dtype=rows.dtype)[0, 0]
            noisy = share * units[index] + (1 - share) * (mean + deviation * grain)
            answer = functional.cross_entropy(above(noisy[None]), own[index : index + 1])
            total = total + (answer + beta * nats(share, units[index], mean, deviation).mean()) / len(part)
        adam.zero_grad()
        total.backward()
        adam.step()
    with torch.no_grad():
        logits = readout(standardised(model, cuts, rows, known)).clamp(-5, 5)
        shares = torch.stack([smoothed(one.sigmoid(), sigma) for one in logits])
        return nats(shares, below(rows), mean, deviation).sum(1) / torch.log(torch.tensor(2.0, dtype=rows.dtype))
