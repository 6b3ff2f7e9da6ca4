"""Slow, obvious twins of smoothing, expectation and adaptive path methods: one row, one sample, one entry at a time, in numpy."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

Slope = Callable[[np.ndarray], np.ndarray]  # (*features,) -> (*features,)


def noisy_slopes(slope: Slope, x: np.ndarray, movable: np.ndarray, sigma: float, *, samples: int, seed: int) -> np.ndarray:
    """Gradients at noisy copies of x, (samples, *features); noise on movable entries alone (Smilkov et al. 2017, section 3)."""
    generator = np.random.default_rng(seed)
    return np.stack([slope(x + sigma * movable * generator.standard_normal(x.shape)) for _ in range(samples)])


def expected(slope: Slope, x: np.ndarray, baselines: np.ndarray, *, steps: int) -> np.ndarray:
    """Integrated gradients by the middles of `steps` parts, averaged over baselines (Erion et al. 2021, equation 3)."""
    total = np.zeros_like(x)
    for baseline in baselines:
        for k in range(steps):
            total += (x - baseline) * slope(baseline + (k + 0.5) / steps * (x - baseline)) / steps
    return total / len(baselines)


def guided(slope: Slope, x: np.ndarray, baseline: np.ndarray, *, steps: int, fraction: float, max_dist: float) -> np.ndarray:
    """Guided integrated gradients of one row (Kapishnikov et al. 2021, algorithm 1), entry by entry, points held as they are."""
    movable = [i for i in range(x.size) if x[i] != baseline[i]]
    whole = sum(abs(x[i] - baseline[i]) for i in movable)
    point, scores = baseline.copy(), np.zeros_like(x)
    for step in range(1, steps + 1):
        gradient, before, alpha = slope(point), point.copy(), step / steps
        low = baseline + max(alpha - max_dist, 0) * (x - baseline)
        high = baseline + min(alpha + max_dist, 1) * (x - baseline)
        for i in movable:
            if abs(point[i] - baseline[i]) < abs(low[i] - baseline[i]):
                point[i] = low[i]
        while True:
            excess = sum(abs(x[i] - point[i]) for i in movable) - whole * (1 - alpha)
            if excess <= 1e-12 * whole:
                break
            size = {i: math.inf if abs(point[i] - baseline[i]) >= abs(high[i] - baseline[i]) - 1e-15 else abs(gradient[i]) for i in movable}
            threshold = sorted(size.values())[math.floor(fraction * (len(movable) - 1))]
            chosen = [i for i in movable if size[i] <= threshold and size[i] < math.inf]
            room = sum(abs(high[i] - point[i]) for i in chosen)
            if room <= 0:
                break
            share = min(1.0, excess / room)
            for i in chosen:
                point[i] = high[i] if share == 1 else point[i] + share * (high[i] - point[i])
        scores += gradient * (point - before)
    return scores


def blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A channel (height, width) blurred by a Gaussian of width sigma, pixel by pixel, with zeros beyond the border."""
    if sigma == 0:
        return image.copy()
    reach = range(-int(10 * sigma) - 1, int(10 * sigma) + 2)
    line = {d: math.exp(-d * d / (2 * sigma * sigma)) for d in reach}
    norm = sum(line.values())
    height, width = image.shape
    result = np.zeros_like(image)
    for row in range(height):
        for column in range(width):
            for i in range(height):
                for j in range(width):
                    weight = line.get(row - i, 0.0) * line.get(column - j, 0.0) / norm**2
                    result[row, column] += weight * image[i, j]
    return result


def blur_path(slope: Slope, image: np.ndarray, *, max_sigma: float, steps: int) -> np.ndarray:
    """Blur integrated gradients of (channels, height, width) in `steps` steps (Xu et al. 2020, equation 6)."""

    def at(sigma: float) -> np.ndarray:
        return np.stack([blurred(channel, sigma) for channel in image])

    h = max_sigma / steps
    return sum(slope(at((k + 0.5) * h)) * (at(k * h) - at((k + 1) * h)) for k in range(steps))
