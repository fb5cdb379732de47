"""What is made of the maps of a fit."""

import numpy as np
import pytest

from napari_xanes._core.fit.collect import amount_sigma


@pytest.mark.parametrize(("shared", "sigma"), [(0.0, 0.05), (0.0024, 0.07), (-0.1, 0.01), (np.nan, np.nan)])
def test_errors_of_amounts_cancel_no_more_than_two_errors_can(shared, sigma):
    """A fraction of 0.5 +- 0.03 of a thickness of 1 +- 0.08."""
    raw = {
        name: np.array([[value]])
        for name, value in (("fractions", 0.5), ("sigma", 0.03), ("with_thickness", shared))
    }
    found = amount_sigma(raw, (np.ones(1), np.full(1, 0.08)))
    np.testing.assert_allclose(found, [[sigma]])
