"""Slow twins of the optimised masks, written from their definitions: one row at a time, one forward pass at a time, torch's optimisers."""

from __future__ import annotations

import math

import torch
from torch import nn
from torch.nn import functional


def relative(model, row, absent, target, shown):
    """(f(shown) - f(absent)) / (f(row) - f(absent)) of one row."""
    with torch.no_grad():
        above, below = model(row[None])[0, target], model(absent[None])[0, target]
    return (model(shown[None])[0, target] - below) / (above - below)


def enlarged(mask, row):
    """An image's mask at the size of the image."""
    return functional.interpolate(mask[None, None], size=row.shape[-2:], mode="bilinear", align_corners=False)[0]


def grid_variation(mask, power):
    """The mean of |m_p - m_q|^power over pairs of cells beside one another, pair by pair."""
    height, width = mask.shape
    found = []
    for i in range(height):
        for j in range(width):
            if i + 1 < height:
                found.append((mask[i, j] - mask[i + 1, j]).abs() ** power)
            if j + 1 < width:
                found.append((mask[i, j] - mask[i, j + 1]).abs() ** power)
    return torch.stack(found).mean()


def bilateral_variation(mask, row, scale, width):
    """The mean over pairs of pixels of exp(-(image step / scale)^2 / width^2) (mask step)^2, the image's step over channels rooted."""
    large, found = enlarged(mask, row)[0], []
    for i in range(row.shape[1]):
        for j in range(row.shape[2]):
            for k, n in ((i + 1, j), (i, j + 1)):
                if k < row.shape[1] and n < row.shape[2]:
                    edge = ((row[:, i, j] - row[:, k, n]) / scale).square().mean().sqrt()
                    found.append(torch.exp(-((edge / width) ** 2)) * (large[i, j] - large[k, n]) ** 2)
    return torch.stack(found).mean()


def mask_of_an_image(model, row, absent, target, *, size, steps, l1, tv, power, lr=0.1):
    """Meaningful perturbation of one image without noise, by torch's Adam; returns the mask."""
    mask = nn.Parameter(torch.ones(size, size, dtype=row.dtype))
    adam = torch.optim.Adam([mask], lr=lr)
    for _ in range(steps):
        kept = enlarged(mask, row)
        loss = relative(model, row, absent, target, kept * row + (1 - kept) * absent)
        loss = loss + l1 * (1 - mask).abs().mean() + tv * grid_variation(mask, power)
        adam.zero_grad()
        loss.backward()
        adam.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    return mask.detach()


def igos_objective(model, row, absent, target, deleting, inserting, *, terms, n_steps, penalty):
    """The objective at two masks at the size of the row: the mean over strengths of each term, one forward pass at a time."""
    total = penalty(deleting * inserting if deleting is not inserting else deleting)
    product = deleting * inserting if deleting is not inserting else deleting
    for step in range(1, n_steps + 1):
        s = step / n_steps
        shown = {
            "deletion": [absent + s * at * (row - absent) for at in (deleting, product)],
            "insertion": [row + s * at * (absent - row) for at in (inserting, product)],
        }
        for kind, which in terms:
            value = relative(model, row, absent, target, shown[kind][which])
            total = total + (value if kind == "deletion" else -value) / n_steps
    return total


def igos_of_a_table(model, row, absent, target, *, terms, two, steps, n_steps, l1, start, factor=0.2, decrease=1e-4, floor=1e-5):
    """I-GOS and its kin on one row of a table without noise: columns are cells; returns both masks and the objective."""
    masks = [torch.ones_like(row) for _ in range(2 if two else 1)]

    def objective(points):
        first, second = points[0], points[-1] if two else points[0]
        return igos_objective(
            model, row, absent, target, first, second, terms=terms, n_steps=n_steps, penalty=lambda m: l1 * (1 - m).abs().mean()
        )

    for _ in range(steps):
        leaves = [m.clone().requires_grad_() for m in masks]
        value = objective(leaves)
        slopes = torch.autograd.grad(value, leaves, allow_unused=True)
        slopes = [torch.zeros_like(m) if g is None else g for m, g in zip(masks, slopes, strict=True)]
        step = start
        while step >= floor:
            tried = [(m - step * g).clamp(0, 1) for m, g in zip(masks, slopes, strict=True)]
            gain = sum(((m - t) * g).sum() for m, t, g in zip(masks, tried, slopes, strict=True))
            with torch.no_grad():
                found = objective(tried)
            if gain > 0 and found <= value - decrease * gain:
                masks = tried
                break
            step *= factor
        else:
            break
    with torch.no_grad():
        return masks[0], masks[-1], float(objective(masks))


def igos_plus_plus_of_an_image(model, row, absent, target, grains, *, size, steps, n_steps, l1, tv, start, width=0.01):
    """The algorithm of iGOS++, one image and one forward pass at a time: softmax score, coarse masks, noise (steps, strengths, *row).

    Returns both masks and, of every step, the objective before it and after it under the step's own noise.
    """
    scale = torch.cat([row.flatten(), absent.flatten()])
    scale = scale.max() - scale.min()
    masks, course = [torch.ones(size, size, dtype=row.dtype) for _ in range(2)], []

    def objective(points, grain):
        deleting, inserting = points
        product = deleting * inserting
        total = l1 * (1 - product).abs().mean()
        total = total + tv * (grid_variation(product, 2) + bilateral_variation(product, row, scale, width)) / 2
        for step in range(n_steps):
            s = (step + 1) / n_steps
            for sign, mask, here, there in (
                (+1, deleting, row, absent),  # f(Phi(I, B, s Mx))
                (-1, inserting, absent, row),  # f(Phi(B, I, s My))
                (+1, product, row, absent),
                (-1, product, absent, row),
            ):
                weight = s * enlarged(mask, row)
                shown = here * weight + there * (1 - weight) + grain[step]
                total = total + sign * model(shown[None]).softmax(1)[0, target] / n_steps
        return total

    for number in range(steps):
        leaves = [m.clone().requires_grad_() for m in masks]
        value = objective(leaves, grains[number])
        slopes = torch.autograd.grad(value, leaves)
        step, before = start, float(value.detach())
        while step >= 1e-5:
            tried = [(m - step * g).clamp(0, 1) for m, g in zip(masks, slopes, strict=True)]
            gain = sum(((m - t) * g).sum() for m, t, g in zip(masks, tried, slopes, strict=True))
            with torch.no_grad():
                value = objective(tried, grains[number])
            if gain > 0 and value <= before - 1e-4 * gain:
                masks = tried
                course.append((before, float(value)))
                break
            step *= 0.2
    return *masks, course


def extremal_of_a_table(model, row, absent, target, *, area, steps, gain, weight):
    """Extremal perturbation of one row of a table by torch's SGD, for masks without ties: r_a is laid along the sorted mask."""
    mask = nn.Parameter(torch.linspace(0.9, 1.0, len(row), dtype=row.dtype))
    sgd = torch.optim.SGD([mask], lr=0.01, momentum=0.9, dampening=0.9)
    stay = max(1, int(-(-area * len(row) // 1)))
    wanted = torch.tensor([0.0] * (len(row) - stay) + [1.0] * stay, dtype=row.dtype)
    for number in range(steps):
        shown = mask * row + (1 - mask) * absent
        reward = gain * relative(model, row, absent, target, shown)
        loss = weight * 1.0035**number * (mask.sort().values - wanted).square().mean() - reward
        sgd.zero_grad()
        loss.backward()
        sgd.step()
        with torch.no_grad():
            mask.clamp_(0, 1)
    return mask.detach()


def smooth_maximum(parameters, sigma):
    """Over the cells q of a grid, the smooth maximum of p(q) k(q - u), place by place, first down and then across."""

    def along(line):
        found = []
        for place in range(len(line)):
            reached = torch.stack([line[cell] * math.exp(-((place - cell) ** 2) / (2 * sigma**2)) for cell in range(len(line))])
            weights = (20 * reached).exp()
            found.append((reached * weights).sum() / weights.sum())
        return torch.stack(found)

    down = torch.stack([along(parameters[:, j]) for j in range(parameters.shape[1])], 1)
    return torch.stack([along(down[i]) for i in range(len(down))])


def ranked_steps(mask, area):
    """What stands at the rank of each cell in a vector of zeros and then area * cells ones; cells of one rank share it."""
    values = [float(value) for value in mask.detach().flatten()]
    stay = max(1, math.ceil(area * len(values) - 1e-9))
    order = sorted(range(len(values)), key=values.__getitem__)
    found = [0.0] * len(values)
    for cell, value in enumerate(values):
        ranks = [rank for rank, other in enumerate(order) if abs(values[other] - value) < 1e-9]
        found[cell] = sum(rank >= len(values) - stay for rank in ranks) / len(ranks)
    return torch.tensor(found, dtype=mask.dtype).view_as(mask)


def extremal_of_an_image(model, row, absent, target, *, size, areas, steps, gain, weight, smoothness):
    """Extremal perturbation of one image, one area after the other, by torch's SGD from masks of ones; returns the mean mask."""
    found = []
    for area in areas:
        parameters = nn.Parameter(torch.ones(size, size, dtype=row.dtype))
        sgd = torch.optim.SGD([parameters], lr=0.01, momentum=0.9, dampening=0.9)
        for number in range(steps):
            mask = smooth_maximum(parameters, smoothness * size)
            kept = enlarged(mask, row)
            reward = gain * relative(model, row, absent, target, kept * row + (1 - kept) * absent)
            loss = weight * 1.0035**number * (mask - ranked_steps(mask, area)).square().mean() - reward
            sgd.zero_grad()
            loss.backward()
            sgd.step()
            with torch.no_grad():
                parameters.clamp_(0, 1)
        found.append(enlarged(smooth_maximum(parameters, smoothness * size), row)[0].detach())
    return torch.stack(found).mean(0)
