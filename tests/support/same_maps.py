"""Maps of two ways to the same result."""

from __future__ import annotations

import numpy as np


def assert_same(one, other, name, said=""):
    """The same to the last bit; sigma to the sixth digit, as its noise is learned from a stack that was kept or not."""
    if name.startswith("sigma_"):
        np.testing.assert_allclose(one, other, rtol=1e-5, err_msg=f"{name} {said}")
    else:
        np.testing.assert_array_equal(one, other, err_msg=f"{name} {said}")
