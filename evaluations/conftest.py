"""In a clone that was never installed the plugin is not an entry point; here it is registered all the same."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from attrlab.games import applied
from evaluations import plugin
from evaluations.laboratory import Laboratory


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Register the plugin unless it came as an entry point; both name the same module."""
    del parser
    if not pluginmanager.is_registered(plugin):
        pluginmanager.register(plugin, "attrlab")


@pytest.fixture(scope="session")
def laboratory(request: pytest.FixtureRequest) -> Iterator[Laboratory]:
    """The laboratory of this run, with its stages prepared once; its policy holds while anything is judged."""
    opened = plugin.laboratory_of(request.config)
    with applied(opened.policy):
        yield opened
