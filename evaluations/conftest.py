"""In a clone that was never installed the plugin is not an entry point; here it is registered all the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from attrlab.games import applied
from evaluations import plugin
from evaluations.laboratory import Laboratory


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the plugin unless it came as an entry point; both name the same module."""
    del parser
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "attrlab")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where nothing but retraining is asked for, the cells of the other evaluations, some ten thousand, are not even laid out."""
    alone = config.getoption("markexpr", "") == "retraining"
    other = collection_path.parent == Path(__file__).parent and collection_path.name.startswith("test_")
    return True if alone and other and collection_path.name != "test_retraining.py" else None


@pytest.fixture(scope="session")
def laboratory(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """The laboratory of this run, with its stages prepared once; its policy holds while anything is judged."""
    opened = plugin.laboratory_of(request.config)
    with applied(opened.policy):
        yield opened
