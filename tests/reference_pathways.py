"""Slow twins of the pathways: one row of a network of linear layers and relus, its neurons in lists, forward passes written out."""

from __future__ import annotations

import torch


def forward(layers, row, *, gates=None, scaled=None):
    """The output of [(weight, bias), ...] with relus between, and its neurons; `scaled` = (layer, factor)."""
    value, neurons = row, []
    for number, (weight, bias) in enumerate(layers):
        value = weight @ value + bias
        if number + 1 < len(layers):
            value = torch.relu(value)
            if scaled is not None and scaled[0] == number:
                value = value * scaled[1]
            if gates is not None:
                value = value * gates[number]
            neurons.append(value)
    return value, neurons


def slopes(layers, row, target, **how):
    """∂f/∂a of every neuron of one row."""
    point = row.clone().requires_grad_()
    out, neurons = forward(layers, point, **how)
    return torch.autograd.grad(out[target], neurons), neurons


def marginal(layers, row, target, gates=None):
    """|a ∂f/∂a| of every neuron."""
    slope, neurons = slopes(layers, row, target, gates=gates)
    return [(a * g).abs().detach() for a, g in zip(neurons, slope, strict=True)]


def integrated(layers, row, target, n_steps):
    """|a mean ∂f/∂a| of every neuron, its layer growing from 0 to 1 by midpoints."""
    clean, found = forward(layers, row)[1], []
    for number, values in enumerate(clean):
        total = torch.zeros_like(values)
        for step in range(n_steps):
            total += slopes(layers, row, target, scaled=(number, (step + 0.5) / n_steps))[0][number] / n_steps
        found.append((values * total).abs().detach())
    return found


def keep(contributions, count):
    """Gates of the `count` neurons that contribute most, ties kept."""
    least = sorted((float(v) for layer in contributions for v in layer), reverse=True)[count - 1]
    return [torch.tensor([1.0 if float(v) >= least * (1 - 1e-9) else 0.0 for v in layer], dtype=layer.dtype) for layer in contributions]


def gradient(layers, row, target, gates):
    """The gradient of the gated network."""
    point = row.clone().requires_grad_()
    return torch.autograd.grad(forward(layers, point, gates=gates)[0][target], point)[0]


def routed(layers, row, *, steps, lr, l1):
    """Gates of one row by torch's SGD: KL of the gated answer from the network's own, plus l1 times each gate, gates in [0, 100]."""
    wanted, neurons = forward(layers, row)
    gates = [torch.nn.Parameter(torch.ones_like(value)) for value in neurons]
    sgd = torch.optim.SGD(gates, lr=lr, momentum=0.9)
    for _ in range(steps):
        out = forward(layers, row, gates=gates)[0]
        loss = sum(p * (p.log() - q) for p, q in zip(wanted.softmax(0), out.log_softmax(0), strict=True))
        sgd.zero_grad()
        (loss + l1 * sum(gate.sum() for gate in gates)).backward()
        sgd.step()
        with torch.no_grad():
            for gate in gates:
                gate.clamp_(0, 100)
    return [gate.detach() for gate in gates]


def pruned(layers, row, target, count, portion):
    """Greedy pruning: a portion at a time until `count` neurons are left, scored anew after each."""
    total = sum(len(weight) for weight, _ in layers[:-1])
    gates, left, time = None, total, 0
    while left > count:
        scores = marginal(layers, row, target, gates)
        if gates is not None:
            scores = [torch.where(g > 0, s, -1.0) for g, s in zip(gates, scores, strict=True)]
        time += 1
        left = max(count, round((1 - time * portion) * total))
        gates = keep(scores, max(1, left))
    return gates
