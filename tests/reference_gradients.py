"""Slow, obvious twins of gradient and path methods, from the papers' definitions: one row, one step, one unit at a time, in numpy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

Function = Callable[[np.ndarray], float]  # (d,) -> f
Slope = Callable[[np.ndarray], np.ndarray]  # (d,) -> (d,)
Layers = Sequence[tuple[np.ndarray, np.ndarray]]  # [(W (outputs, inputs), b (outputs,)), ...]


def finite_difference(f: Function, x: np.ndarray, *, h: float = 1e-5) -> np.ndarray:
    """∂_i f(x) as (f(x + h e_i) - f(x - h e_i)) / 2h: exact on a linear piece, off by h² f'''/6 elsewhere."""
    slope = np.zeros_like(x)
    for i in range(x.size):
        step = np.zeros_like(x)
        step.flat[i] = h
        slope.flat[i] = (f(x + step) - f(x - step)) / (2 * h)
    return slope


def riemann(slope: Slope, x: np.ndarray, baseline: np.ndarray, *, steps: int) -> np.ndarray:
    """(x - x') times the mean gradient at the middles of `steps` equal parts of the path (Sundararajan et al. 2017, equation 3)."""
    total = np.zeros_like(x)
    for k in range(steps):
        total += slope(baseline + (k + 0.5) / steps * (x - baseline))
    return (x - baseline) * total / steps


def preactivations(layers: Layers, x: np.ndarray) -> list[np.ndarray]:
    """Pre-activations z of every layer of a dense ReLU network, the output last."""
    seen = []
    for weight, bias in layers:
        seen.append(weight @ x + bias)
        x = np.maximum(seen[-1], 0)
    return seen


def rescale(layers: Layers, x: np.ndarray, baseline: np.ndarray, *, output: int = 0) -> np.ndarray:
    """DeepLIFT of a dense ReLU network by the Rescale rule (Shrikumar et al. 2017).

    Multipliers chain like derivatives (equation 3). Of z = W h + b, m_{Δh Δz} = W (the linear rule, section 3.5.1). Of h = relu(z),
    m_{Δz Δh} = Δh / Δz (equation 10), and the derivative where Δz = 0.
    """
    at_input, at_baseline = preactivations(layers, x), preactivations(layers, baseline)
    multiplier = layers[-1][0][output]
    for k in reversed(range(len(layers) - 1)):
        chained = np.zeros(len(at_input[k]))
        for unit, (z, z0) in enumerate(zip(at_input[k], at_baseline[k], strict=True)):
            slope = float(z > 0) if z == z0 else (max(z, 0) - max(z0, 0)) / (z - z0)
            chained[unit] = multiplier[unit] * slope
        multiplier = chained @ layers[k][0]
    contributions: np.ndarray = multiplier * (x - baseline)
    return contributions


def splitmix64(seed: int, n: int) -> list[int]:
    """The first n outputs of SplitMix64 from the state `seed`, in Python's own integers (Steele, Lea, Flood 2014, figure 16)."""
    outputs = []
    for k in range(1, n + 1):
        outputs.append(mix64((seed + k * 0x9E3779B97F4A7C15) % 2**64))
    return outputs


def mix64(z: int) -> int:
    """The mixing function of SplitMix64 (the variant of constants known as mix13)."""
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
    return z ^ (z >> 31)


def unmix64(z: int) -> int:
    """The inverse of `mix64`, step by step backwards."""
    z = _unshift(z, 31)
    z = _unshift(z * pow(0x94D049BB133111EB, -1, 2**64) % 2**64, 27)
    return _unshift(z * pow(0xBF58476D1CE4E5B9, -1, 2**64) % 2**64, 30)


def _unshift(z: int, by: int) -> int:
    """Undo z ^ (z >> by): each pass fixes `by` further bits."""
    result = z
    for _ in range(64 // by + 1):
        result = z ^ (result >> by)
    return result
