"""What was not measured is NaN: masked values and the gaps of detectors made of modules."""

from __future__ import annotations

import numpy as np

import napari_xanes as nx

RNG = np.random.default_rng(0)


def test_gaps_between_modules_are_invalid():
    counts, flats = (RNG.poisson(level, (5, 8, 9)).astype(np.uint32) for level in (1000, 2000))
    counts[:, 3:5], flats[:, 3:5] = 2**32 - 1, 2**32 - 1
    found = nx.flat_field(counts, flats)
    assert np.isnan(found[:, 3:5]).all() and np.isfinite(np.delete(found, [3, 4], axis=1)).all()


def test_masked_values_are_invalid():
    images = np.ma.array(np.ones((5, 8, 9)), mask=False)
    images.data[:, 2, 3] = 999
    images[:, 2, 3] = np.ma.masked
    images.data[:, 2, 3] = 999
    assert np.isnan(nx.optical_density(images)[:, 2, 3]).all()
    assert np.nanmax(nx.bin_pixels(images, 2)) == 1
    assert nx.mean_spectra(images, np.ones((8, 9), int)).spectra.max() == 1
