"""What the fit makes of patterns over the energies, against patterns whose coefficients are known."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes._core.fit.patterns import Patterns

X = np.linspace(-1, 1, 21)
LINE = np.stack([np.ones_like(X), X], axis=1)
EDGE = np.arctan(5 * X)


@pytest.mark.parametrize("other", [EDGE, 2 - 3 * X], ids=["the same", "a line"])
def test_references_that_are_not_told_from_each_other_or_the_background_take_what_is_theirs(other):
    references = np.stack([EDGE, other], axis=1)
    patterns = Patterns(X, references, (), np.empty(0), np.empty((0, X.size, 2)), LINE)
    found = patterns.absorbed((3 * EDGE + 4)[:, None])
    rest = 3 * EDGE - (references @ found)[:, 0]
    np.testing.assert_allclose(rest, LINE @ np.linalg.lstsq(LINE, rest, rcond=None)[0], atol=1e-9)
    assert np.abs(found).max() < 4
