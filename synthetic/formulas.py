"""A dense ReLU network with small numbers is printed as one line that can be read, checked by hand and evaluated.

Zero terms are left out, unit coefficients are not written, and a coefficient stands before what it multiplies:
`f(x) = relu(x1 - 2 x2 + 1) - 0.5 relu(x2)`.
"""

from __future__ import annotations

from collections.abc import Sequence

Layers = Sequence[tuple[Sequence[Sequence[float]], Sequence[float]]]
"""A dense ReLU network as numbers: (weight rows, biases) per layer, ReLU between the layers and none after the last."""


def formula_of(layers: Layers) -> str:
    """Return f(x) = ... for the first output of a dense ReLU network, nested where it is deep."""
    terms = [f"x{i + 1}" for i in range(len(layers[0][0][0]))]
    for weight, bias in layers[:-1]:
        terms = [f"relu({affine(row, terms, shift)})" for row, shift in zip(weight, bias, strict=True)]
    weight, bias = layers[-1]
    return f"f(x) = {affine(weight[0], terms, bias[0])}"


def affine(coefficients: Sequence[float], terms: Sequence[str], shift: float) -> str:
    """Return Σ coefficient term + shift, without what is zero; "0" if all is."""
    parts = [(float(c), term) for c, term in zip(coefficients, terms, strict=True) if c]
    signed = [(c < 0, term if abs(c) == 1 else f"{number(abs(c))} {term}") for c, term in parts]
    if shift or not signed:
        signed.append((shift < 0, number(abs(shift))))
    first = f"-{signed[0][1]}" if signed[0][0] else signed[0][1]
    return first + "".join(f" {'-' if negative else '+'} {text}" for negative, text in signed[1:])


def number(value: float) -> str:
    """Return the shortest text that reads back as `value`: 2, 0.5."""
    return str(int(value)) if float(value).is_integer() else repr(float(value))
