"""Relevance and modified gradients of dense ReLU networks, unit by unit in plain loops, from the papers' equations."""

from __future__ import annotations

import numpy as np


def shares(rule, x, w, b):
    """What one unit with inputs x, weights w and bias b hands to each input per unit of relevance; the bias is the last contribution."""
    c = [xi * wi for xi, wi in zip(x, w, strict=True)] + [b]
    z = sum(c)
    positive, negative = sum(max(v, 0.0) for v in c), sum(min(v, 0.0) for v in c)
    if rule[0] == "epsilon":
        return [v / (z + rule[1] * (1.0 if z >= 0 else -1.0)) for v in c[:-1]]
    if rule[0] == "gamma":
        if z > 0:
            return [(v + rule[1] * max(v, 0.0)) / (z + rule[1] * positive) for v in c[:-1]]
        return [(v + rule[1] * min(v, 0.0)) / (z + rule[1] * negative) for v in c[:-1]]
    if rule[0] == "alpha_beta":
        up = [max(v, 0.0) / positive if positive else 0.0 for v in c[:-1]]
        down = [min(v, 0.0) / negative if negative else 0.0 for v in c[:-1]]
        return [rule[1] * u - rule[2] * d for u, d in zip(up, down, strict=True)]
    if rule[0] == "w_squared":
        whole = sum(v * v for v in w) + b * b
        return [v * v / whole for v in w]
    if rule[0] == "flat":
        return [1.0 / len(w) for _ in w]
    low, high = rule[1:]
    parts = [v - low * max(wi, 0.0) - high * min(wi, 0.0) for v, wi in zip(c[:-1], w, strict=True)]
    return [part / sum(parts) for part in parts]


def relevance(layers, x, target, rules):
    """Relevance at the input of Linear, ReLU, ..., Linear with (weight, bias) per layer and one rule per layer."""
    values = [list(x)]
    for number, (weight, bias) in enumerate(layers):
        z = [sum(wi * xi for wi, xi in zip(w, values[-1], strict=True)) + b for w, b in zip(weight, bias, strict=True)]
        values.append(z if number == len(layers) - 1 else [max(v, 0.0) for v in z])
    received = [value if unit == target else 0.0 for unit, value in enumerate(values[-1])]
    for (weight, bias), inputs, rule in zip(reversed(layers), reversed(values[:-1]), reversed(rules), strict=True):
        handed = [0.0] * len(inputs)
        for w, b, r in zip(weight, bias, received, strict=True):
            if r:
                handed = [h + r * share for h, share in zip(handed, shares(rule, inputs, w, b), strict=True)]
        received = handed
    return np.array(received)


def modified_gradient(layers, x, target, at_relu):
    """The signal at the input where at_relu(pre-activations, signals) says what passes each layer of ReLUs."""
    values, before = np.array(x), []
    for number, (weight, bias) in enumerate(layers):
        z = np.array(weight) @ values + np.array(bias)
        before.append(z)
        values = z if number == len(layers) - 1 else np.maximum(z, 0)
    signal = np.eye(len(values))[target]
    for number in reversed(range(len(layers))):
        if number < len(layers) - 1:
            signal = at_relu(before[number], signal)
        signal = np.array(layers[number][0]).T @ signal
    return signal
