"""Slow twins of the methods for sequences, from their definitions: one row, one position, one relevance at a time."""

from __future__ import annotations

import math

import numpy as np
import torch


def handed_on(model, name, row):
    """What each call of a module hands on for one row, (1, ...)."""
    seen = []
    handle = model.get_submodule(name).register_forward_hook(lambda module, arguments, output: seen.append(output))
    model(row)
    handle.remove()
    return seen


def patched(model, name, into, source, target, position=None):
    """The change of one row's output when a module hands on what it hands on for another row, everywhere or at one position."""
    given, calls = handed_on(model, name, source), iter(range(10**6))

    def exchange(module, arguments, output):
        there = given[next(calls)]
        if position is None:
            return there
        changed = output.clone()
        changed[0, position] = there[0, position]
        return changed

    clean = float(model(into)[0, target])
    handle = model.get_submodule(name).register_forward_hook(exchange)
    found = float(model(into)[0, target])
    handle.remove()
    return found - clean


def rollout(layers, reading, residual):
    """The share of each token in what is read at `reading`, (tokens,): matrices of weights, multiplied out, first layer first."""
    tokens = len(reading)
    flow = [[float(i == j) for j in range(tokens)] for i in range(tokens)]
    for weights in layers:
        step = [[(1 - residual) * weights[i][j] + residual * (i == j) for j in range(tokens)] for i in range(tokens)]
        flow = [[sum(step[i][k] * flow[k][j] for k in range(tokens)) for j in range(tokens)] for i in range(tokens)]
    return [sum(reading[i] * flow[i][j] for i in range(tokens)) for j in range(tokens)]


def attn_lrp_of_block(weights, row, target, epsilon):
    """Relevance of every entry of one row in `Block` of the tests, by propositions 3.1 to 3.4 of Achtibat et al. (2024).

    `weights` are numpy arrays by name; every step is run forward, then its relevance is shared out by its rule.
    """
    w, x = weights, row
    normed, sigma = _normed(x, w["norm.weight"], w["norm.bias"])
    q, k, v = (normed @ w[f"{name}.weight"].T + w[f"{name}.bias"] for name in ("query", "key", "value"))
    scores = q @ k.T / math.sqrt(q.shape[1])
    pattern = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    mixed = pattern @ v
    stream = x + mixed
    hidden = stream @ w["up.weight"].T + w["up.bias"]
    gelu = np.vectorize(lambda z: z * 0.5 * (1 + math.erf(z / math.sqrt(2))))(hidden)
    down = gelu @ w["down.weight"].T + w["down.bias"]
    last = stream + down
    logit = last[-1] @ w["read.weight"].T + w["read.bias"]

    r_logit = np.where(np.arange(len(logit)) == target, logit, 0)
    r_last = np.zeros_like(last)
    r_last[-1] = _through_linear(last[-1:], w["read.weight"], w["read.bias"], r_logit[None], epsilon)[0]
    r_down, r_stream = r_last * down / last, r_last * stream / last
    r_gelu = _through_linear(gelu, w["down.weight"], w["down.bias"], r_down, epsilon)
    r_stream = r_stream + _through_linear(stream, w["up.weight"], w["up.bias"], r_gelu, epsilon)  # gelu: R in = R out
    r_mixed, r_x = r_stream * mixed / stream, r_stream * x / stream
    r_pattern, r_v = _through_product(pattern, v, r_mixed)
    r_scores = np.zeros_like(scores)
    for i in range(len(scores)):
        for j in range(len(scores)):
            r_scores[i, j] = scores[i, j] * (r_pattern[i, j] - pattern[i, j] * r_pattern[i].sum())
    r_q, r_k_transposed = _through_product(q / math.sqrt(q.shape[1]), k.T, r_scores)
    r_normed = sum(
        _through_linear(normed, w[f"{name}.weight"], w[f"{name}.bias"], relevance, epsilon)
        for name, relevance in (("query", r_q), ("key", r_k_transposed.T), ("value", r_v))
    )
    return r_x + _through_norm(x, w["norm.weight"], normed, sigma, r_normed)


def _normed(x, weight, bias):
    sigma = np.sqrt(x.var(1, keepdims=True) + 1e-5)
    return (x - x.mean(1, keepdims=True)) / sigma * weight + bias, sigma


def _through_linear(x, weight, bias, relevance, epsilon):
    """R_i = Σ_j w_ji x_i / (z_j + ε sign z_j) R_j, at each token."""
    found = np.zeros_like(x)
    for t in range(len(x)):
        for j in range(len(weight)):
            z = float(weight[j] @ x[t] + bias[j])
            for i in range(x.shape[1]):
                found[t, i] += weight[j, i] * x[t, i] / (z + epsilon * math.copysign(1, z)) * relevance[t, j]
    return found


def _through_product(a, b, relevance):
    """O = A B: R_A(j, i) = Σ_p A_ji B_ip R_jp / (2 O_jp), and R_B(i, p) = Σ_j of the same."""
    product, left, right = a @ b, np.zeros_like(a), np.zeros_like(b)
    for j in range(a.shape[0]):
        for i in range(a.shape[1]):
            for p in range(b.shape[1]):
                share = a[j, i] * b[i, p] * relevance[j, p] / (2 * product[j, p])
                left[j, i] += share
                right[i, p] += share
    return left, right


def _through_norm(x, weight, normed, sigma, relevance):
    """The Jacobian of (x - mean) w / σ with σ held constant, times x_i R_j / y_j."""
    found, width = np.zeros_like(x), x.shape[1]
    for t in range(len(x)):
        for i in range(width):
            for j in range(width):
                slope = ((i == j) - 1 / width) * weight[j] / sigma[t, 0]
                found[t, i] += slope * x[t, i] / normed[t, j] * relevance[t, j]
    return found


class Block(torch.nn.Module):
    """One transformer block in plain calls: x + attention(norm(x)), then gelu MLP with a residual, read at the last token."""

    def __init__(self, generator, *, width=3, hidden=4, outputs=2, biased=True):
        super().__init__()
        sizes = {"query": (width, width), "key": (width, width), "value": (width, width), "up": (width, hidden), "down": (hidden, width)}
        self.norm = torch.nn.LayerNorm(width)
        for name, (inside, outside) in {**sizes, "read": (width, outputs)}.items():
            setattr(self, name, torch.nn.Linear(inside, outside))
        self.softmax, self.gelu = torch.nn.Softmax(dim=-1), torch.nn.GELU()
        self.double().eval().requires_grad_(False)
        for name, parameter in self.named_parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
            if name.endswith("bias") and not biased:
                parameter.zero_()

    def forward(self, x):
        y = self.norm(x)
        pattern = self.softmax(self.query(y) @ self.key(y).transpose(1, 2) / y.shape[2] ** 0.5)
        x = x + pattern @ self.value(y)
        x = x + self.down(self.gelu(self.up(x)))
        return self.read(x[:, -1])

    def arrays(self):
        return {name: parameter.numpy() for name, parameter in self.named_parameters()}
