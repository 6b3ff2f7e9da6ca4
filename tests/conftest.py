"""Tests run on one thread: two threads on networks of this size are 10 to 40 times slower than one."""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is first imported, which the next lines do

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def generator() -> torch.Generator:
    """A generator of the test's own, seeded the same in every run."""
    return torch.Generator().manual_seed(0)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What is marked `cuda` is skipped where there is no device; what is marked `slow` runs where an expression of marks is given."""
    for item in items:
        if item.get_closest_marker("cuda") and not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="compares the CPU with a CUDA device, and there is none here"))
    slow = [item for item in items if item.get_closest_marker("slow")] if not config.getoption("markexpr") else []
    if slow:
        config.hook.pytest_deselected(items=slow)
        items[:] = [item for item in items if not item.get_closest_marker("slow")]
