"""Arithmetic over arrays that were not read: the pieces, and what is found without holding all numbers."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_xanes._core.base.unread import Unread
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.streamed import bands_of, chunks_of, median_of


@pytest.mark.parametrize("shape", [(9000,), (70, 30), (3, 5000), (40, 9, 70), (5, 2, 5000)])
def test_bands_have_the_pieces_of_the_image_and_no_more_are_made(shape, monkeypatch):
    monkeypatch.setattr(blocks, "BAND_MEGABYTES", 0.001)
    whole, made = blocks.pixel_chunks(shape, 20), []
    split = blocks.pixel_chunks
    monkeypatch.setattr(
        blocks, "pixel_chunks", lambda there, n: made.append(np.prod(there)) or split(there, n)
    )
    bands = bands_of(Unread(np.zeros((20, *shape), np.float32)))
    assert [chunk for band in bands for chunk in chunks_of((20, *shape), band)] == whole
    assert sum(n for n in made if n) <= 2 * np.prod(shape)  # a volume also asks for its planes


@pytest.mark.parametrize("ties", [0.0, 0.45, 0.7, 1.0])
def test_the_median_is_exact_and_ties_take_no_memory(ties, monkeypatch):
    monkeypatch.setattr(blocks, "BAND_MEGABYTES", 0.1)
    rng = np.random.default_rng(3)
    values = np.where(rng.random((8, 500, 400)) < ties, 0, rng.lognormal(0, 3, (8, 500, 400)))
    tracemalloc.start()
    found = median_of(Unread(values), lambda spectra: spectra.reshape(-1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found == np.median(values)
    assert peak < 0.5 * values.nbytes  # the counts, and a band
