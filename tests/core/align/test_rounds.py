"""Rounds of the search for drift: what starts on copies of half the length."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter

from napari_xanes._core.align import rounds
from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.frames import Search
from napari_xanes._core.base.progress import no_progress


def test_a_volume_lost_at_half_length_is_matched_without_the_detectors_pattern(monkeypatch):
    rng = np.random.default_rng(0)
    noise, still = rng.standard_normal((72, 72, 72)), rng.standard_normal((48, 48, 48))
    parts = gaussian_filter(noise, 2), noise - gaussian_filter(noise, 0.8), gaussian_filter(still, 1.5)
    coarse, fine, pattern = (part / part.std() for part in parts)
    shifts = 2 * rng.integers(-4, 5, (9, 3))
    shifts[0], shifts[5] = 0, (6, -4, 8)
    cuts = [tuple(slice(12 - s, 60 - s) for s in shift) for shift in shifts]
    gains = np.where(np.arange(9) == 5, 0.4, 1.0)  # it is faint
    frames = [
        (gain * (coarse + fine)[cut] + 0.8 * pattern).astype(np.float32)
        for gain, cut in zip(gains, cuts, strict=True)
    ]
    frames = [frame - frame.mean() for frame in frames]
    monkeypatch.setattr(rounds, "by_chance", lambda half: np.arange(9) == 5)
    unknown = np.full((9, 3), np.nan)
    search = Search(Matcher((48, 48, 48)), frames, np.ones(9, bool), unknown, np.zeros(9), no_progress, 1)
    rounds.start(search, 0)
    np.testing.assert_allclose(search.shifts, shifts, atol=0.3)
