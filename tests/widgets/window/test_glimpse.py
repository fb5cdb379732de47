"""A look at a scan before it is opened, held against the scan."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.base.errors import Cancelled
from napari_xanes._core.base.progress import no_progress
from napari_xanes._widgets.window import glimpse as module
from napari_xanes._widgets.window.glimpse import glimpse


def test_of_counts_with_flats_the_mean_is_optical_density(scan, density):
    seen = glimpse(scan, no_progress)
    np.testing.assert_array_equal(seen.shown, scan.energy[[0, 20, 40]])
    np.testing.assert_array_equal(seen.frames[1], scan.data[20])
    np.testing.assert_allclose(seen.mean, density.data.mean(axis=(1, 2)), rtol=1e-4)
    assert seen.quantity == "optical density"


def test_large_frames_are_thinned_and_few_rows_read(density, monkeypatch):
    monkeypatch.setattr(module, "MOST_BYTES", 41 * 72 * 4 * 10)
    monkeypatch.setattr(module, "SIDE", 20)
    seen = glimpse(density, no_progress)
    np.testing.assert_array_equal(seen.frames[0], density.data[0, ::4, ::4])
    np.testing.assert_allclose(seen.mean, density.data[:, 27:37].mean(axis=(1, 2)), rtol=1e-5)


def test_invalid_pixels_do_not_count(density):
    data = density.data.copy()
    data[:, :30] = np.nan
    seen = glimpse(density.replace(data=data), no_progress)
    np.testing.assert_allclose(seen.mean, density.data[:, 30:].mean(axis=(1, 2)), rtol=1e-5)


def test_of_volumes_the_middle_plane(density):
    data = np.stack([density.data * k for k in (1, 2, 3)], axis=1)
    seen = glimpse(nx.EnergyStack(data, density.energy, "optical_density"), no_progress)
    np.testing.assert_array_equal(seen.frames[2], 2 * density.data[-1])
    np.testing.assert_allclose(seen.mean, 2 * density.data.mean(axis=(1, 2)), rtol=1e-5)


def test_it_can_be_stopped(scan):
    def stop(done, total, text):
        raise Cancelled

    with pytest.raises(Cancelled):
        glimpse(scan, stop)
