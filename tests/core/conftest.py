"""Fixtures of the tests of the core."""

from __future__ import annotations

import numpy as np
import pytest
from made_spectra import make_references


@pytest.fixture
def files(tmp_path):
    for r in make_references(2):
        np.savetxt(tmp_path / f"{r.name}.txt", np.stack([r.energy, r.mu], axis=1))
    return tuple(str(tmp_path / f"ref{i}.txt") for i in range(2))
