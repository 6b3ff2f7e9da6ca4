"""Tests run on one thread, two on networks of this size being 10 to 40 times slower, and draw the same cases in every run.

A change is judged by the same cases as the one before it, so that a red test speaks of the change. New cases are drawn where they are
asked for: `pytest tests/ --hypothesis-profile=search`, with `--hypothesis-seed` for a run that can be repeated.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when numpy is first imported, which the next lines do

import pytest
import torch
from hypothesis import settings

settings.register_profile("fixed", derandomize=True, deadline=None)
settings.register_profile("search", deadline=None)
settings.load_profile("fixed")
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
