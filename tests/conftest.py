"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

os.environ["NAPARI_CONFIG"] = ""  # no settings are read from the user's folders, nor written there
DATA = Path(os.environ.get("NAPARI_XANES_DATA", Path(__file__).parents[2] / "shared" / "data"))


def pytest_collection_modifyitems(items):
    """Keep real windows to one process where several run the tests: two would take the focus from each other."""
    for item in items:
        if item.get_closest_marker("viewer") or "window" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("window"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder of real measurements and phantoms; tests that need it are skipped where it is absent."""
    if not DATA.is_dir():
        pytest.skip(f"test data not found at {DATA}; set NAPARI_XANES_DATA to their folder")
    return DATA
