"""Everything a method could change and must not: the network's state and hooks, and the global generators."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn


def hooks_of(model: nn.Module) -> list[str]:
    """Every hook on every module, by any of torch's hook dictionaries, as module.dictionary."""
    left = []
    for name, module in model.named_modules():
        for attribute, value in vars(module).items():
            if attribute.endswith("_hooks") and isinstance(value, dict) and value:
                left += [f"{name or type(module).__name__}.{attribute}"] * len(value)
    return left


def state_of(model: nn.Module, inputs: Tensor) -> dict[str, Any]:
    """Everything of a network that a method could change, by name."""
    state: dict[str, Any] = {}
    for name, parameter in model.named_parameters():
        state |= {f"parameter {name}": parameter.detach().clone(), f"requires_grad of {name}": parameter.requires_grad}
        state[f"gradient of {name}"] = None if parameter.grad is None else parameter.grad.clone()
    state |= {f"buffer {name}": buffer.clone() for name, buffer in model.named_buffers()}
    state |= {f"training flag of {name or 'the model'}": module.training for name, module in model.named_modules()}
    with torch.no_grad():
        state["outputs"] = model(inputs)
    return state


def same_state(one: Any, two: Any) -> bool:
    """Whether two values of a state are the same, bit for bit."""
    if isinstance(one, Tensor) and isinstance(two, Tensor):
        return torch.equal(one, two)
    return type(one) is type(two) and bool(one == two)


def shown(value: Any) -> str:
    """A value of a state, short enough for a message."""
    if isinstance(value, Tensor):
        flat = value.flatten()[:4].tolist()
        return f"{tuple(value.shape)} [{', '.join(f'{entry:.6g}' for entry in flat)}{', ...' if value.numel() > 4 else ''}]"
    return "absent" if value is None else str(value)


def generator_states() -> dict[str, Any]:
    """The states of the global generators of Python, numpy and torch, by name, comparable with ==."""
    numpy: Any = np.random.get_state()
    states = {"python": random.getstate(), "torch": torch.get_rng_state().tolist(), "numpy": (numpy[1].tobytes(), *numpy[2:])}
    if torch.cuda.is_available():
        states["torch.cuda"] = [state.tolist() for state in torch.cuda.get_rng_state_all()]
    return states


@contextmanager
def restored_generators() -> Iterator[None]:
    """Leave the global generators as they were found, so that checking a method does not do what it forbids."""
    python, numpy, torch_ = random.getstate(), np.random.get_state(), torch.get_rng_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(torch_)
        if cuda:
            torch.cuda.set_rng_state_all(cuda)
