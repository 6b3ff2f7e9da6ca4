"""Slow twins of the bottlenecks: one row, one noisy copy and one unit at a time, divergences by torch.distributions, torch's Adam."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from attrlab.methods.masked_rows import step_seeds
from attrlab.methods.row_noise import unit_normal


def smoothed(share, sigma):
    """Gaussian smoothing of (channels, height, width) by an explicit 5 x 5 kernel, borders reflected."""
    if sigma == 0:
        return share
    reach = max(1, round(2 * sigma))
    kernel = torch.tensor(
        [[math.exp(-(i * i + j * j) / (2 * sigma**2)) for j in range(-reach, reach + 1)] for i in range(-reach, reach + 1)],
        dtype=share.dtype,
    )
    wide = nn.functional.pad(share[None], (reach,) * 4, mode="reflect")
    return nn.functional.conv2d(wide.transpose(0, 1), (kernel / kernel.sum())[None, None])[:, 0]


def nats(share, value, mean, deviation):
    """The divergence of what passes from the noise, unit by unit."""
    mixed = Normal(share * value + (1 - share) * mean, (1 - share) * deviation)
    return kl_divergence(mixed, Normal(mean, deviation))


def bottleneck_of_an_image(below, above, row, seed, known, loss, **how):
    """The bits of each place of one image; `below` and `above` are the network up to the layer and from it on."""
    share, value, mean, deviation = share_of_an_image(below, above, row, seed, known, loss, **how)
    return nats(share, value, mean, deviation).sum(0) / math.log(2)


def share_of_an_image(below, above, row, seed, known, loss, *, beta, steps, copies, sigma, lr=1.0, inverted=False):
    """The share of each unit that the bottleneck of one image ends with, its value, and its mean and deviation over known rows."""
    with torch.no_grad():
        value, units = below(row[None])[0], below(known)
    mean, deviation = units.mean(0), units.std(0).clamp(min=0.01)
    logits = nn.Parameter(torch.full_like(value, 5.0))
    adam = torch.optim.Adam([logits], lr=lr)
    for number in range(steps):
        share = smoothed(logits.sigmoid(), sigma)
        grain = unit_normal(step_seeds(torch.tensor([seed]), steps)[number], tuple(value.shape), samples=copies, dtype=value.dtype)[0]
        passed = 1 - share if inverted else share
        total = beta * nats(share, value, mean, deviation).mean()
        for copy in range(copies):
            noisy = passed * value + (1 - passed) * (mean + deviation * grain[copy])
            total = total + loss(above(noisy[None])[0]) / copies
        adam.zero_grad()
        total.backward()
        adam.step()
    return smoothed(logits.sigmoid(), sigma).detach(), value, mean, deviation
