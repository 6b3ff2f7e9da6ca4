"""Slow, obvious twins of class activation maps, from the papers' definitions: one image, one channel, one position at a time, in numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Cells = np.ndarray  # (channels, height, width)


def grad_cam(values: Cells, slopes: Cells) -> np.ndarray:
    """Selvaraju et al. 2017, equations 1 and 2, without the ReLU."""
    channels, height, width = values.shape
    cells = np.zeros((height, width))
    for k in range(channels):
        weight = sum(slopes[k, i, j] for i in range(height) for j in range(width)) / (height * width)
        for i in range(height):
            for j in range(width):
                cells[i, j] += weight * values[k, i, j]
    return cells


def grad_cam_plus_plus(values: Cells, slopes: Cells) -> np.ndarray:
    """Chattopadhay et al. 2018, equations 5, 9 and 19, with exp(f) divided out."""
    channels, height, width = values.shape
    cells = np.zeros((height, width))
    for k in range(channels):
        total, weight = values[k].sum(), 0.0
        for i in range(height):
            for j in range(width):
                g = slopes[k, i, j]
                below = 2 * g**2 + total * g**3
                weight += (g**2 / below if below else 0.0) * max(g, 0.0)
        cells += weight * values[k]
    return cells


def hires_cam(values: Cells, slopes: Cells) -> np.ndarray:
    """Draelos, Carin 2020, section 3."""
    return sum((values[k] * slopes[k] for k in range(len(values))), np.zeros(values.shape[1:]))


def layer_cam(values: Cells, slopes: Cells) -> np.ndarray:
    """Jiang et al. 2021, equations 5 to 7, without the ReLU."""
    return sum((values[k] * np.maximum(slopes[k], 0) for k in range(len(values))), np.zeros(values.shape[1:]))


def x_grad_cam(values: Cells, slopes: Cells) -> np.ndarray:
    """Fu et al. 2020, equation 8."""
    cells = np.zeros(values.shape[1:])
    for k in range(len(values)):
        total = values[k].sum()
        cells += sum(a / total * g for a, g in zip(values[k].flat, slopes[k].flat, strict=True)) * values[k] if total else 0.0
    return cells


def score_cam(
    values: Cells, score: Callable[[np.ndarray], float], image: np.ndarray, resize: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    """Wang et al. 2020, algorithm 1, without the ReLU: `score` is f of an image (channels, height, width)."""
    increases = {}
    for k in range(len(values)):
        mask = resize(values[k])
        if mask.max() > mask.min():
            mask = (mask - mask.min()) / (mask.max() - mask.min())
            increases[k] = score(image * mask) - score(np.zeros_like(image))
    total = sum(np.exp(increase) for increase in increases.values())
    return sum((np.exp(increase) / total * values[k] for k, increase in increases.items()), np.zeros(values.shape[1:]))


def bilinear(cells: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear interpolation with cell centres at half-integers, clamped at the border."""
    pixels = np.zeros((height, width))
    for i in range(height):
        for j in range(width):
            y = min(max((i + 0.5) * cells.shape[0] / height - 0.5, 0), cells.shape[0] - 1)
            x = min(max((j + 0.5) * cells.shape[1] / width - 0.5, 0), cells.shape[1] - 1)
            top, left = int(y), int(x)
            below, right = min(top + 1, cells.shape[0] - 1), min(left + 1, cells.shape[1] - 1)
            across_top = cells[top, left] * (1 - x + left) + cells[top, right] * (x - left)
            across_below = cells[below, left] * (1 - x + left) + cells[below, right] * (x - left)
            pixels[i, j] = across_top * (1 - y + top) + across_below * (y - top)
    return pixels


def full_grad(terms: list[Cells], height: int, width: int) -> np.ndarray:
    """Srinivas, Fleuret 2019, equation 4: every term's size stretched to [0, 1], each channel brought to the size of the image, summed."""
    saliency = np.zeros((height, width))
    for term in terms:
        size = np.abs(term)
        if size.max() > size.min():
            size = (size - size.min()) / (size.max() - size.min())
            for channel in size:
                saliency += bilinear(channel, height, width)
    return saliency
