"""Rows of a world of components, and how a patching method is asked about them: shared by tests of patching at every depth."""

from __future__ import annotations

import torch

from synthetic import make_environment

DIRECTIONS = ("noising", "denoising")


def batch_of(id, n=30, **knobs):
    environment = make_environment(id, **knobs)
    return environment, environment.sample(n, torch.Generator().manual_seed(0))


def effects_of(method, environment, batch, **settings):
    return method(environment.model, batch.inputs, target=batch.target, baseline=batch.baseline, **settings)


def drawn(generator, *shape):
    return torch.randn(*shape, generator=generator, dtype=torch.float64)
