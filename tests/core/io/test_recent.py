"""However many files a series has, only a few of the frames that were unpacked last are kept."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import tifffile

import napari_xanes as nx
from napari_xanes._core.io.recent import MOST, RECENT, Recent

RNG = np.random.default_rng(3)
E = np.linspace(7100, 7200, 12)
IMAGES = RNG.integers(100, 900, (12, 7, 9)).astype("u2")


class Owner:
    pass


def test_the_oldest_goes_first_and_what_belongs_to_an_array_goes_with_it():
    recent, one, two = Recent(2), Owner(), Owner()
    for index in range(3):
        recent.put(one, index, np.full(2, index))
    assert recent.get(one, 0) is None and recent.get(one, 1)[0] == 1 and recent.get(two, 1) is None
    recent.put(two, 0, np.zeros(2))
    assert recent.get(one, 2) is None and recent.get(one, 1) is not None, "the one looked at last stays"
    del one
    gc.collect()
    assert len(recent) == 1


@pytest.mark.parametrize("suffix", [".tif", ".edf"])
def test_a_series_of_packed_files_keeps_a_few_frames(tmp_path, suffix):
    for energy, image in zip(E, IMAGES, strict=True):
        if suffix == ".tif":
            tifffile.imwrite(tmp_path / f"a_{energy:.2f}eV.tif", image, compression="zlib")
        else:
            edf = pytest.importorskip("fabio").edfimage.EdfImage(data=image, header={"energy": f"{energy}"})
            edf.write(str(tmp_path / f"a_{energy:.2f}.edf"))
    stack = nx.read_stack(tmp_path, signal="counts")
    for i in range(12):
        np.testing.assert_array_equal(stack.data[i, 2:4], IMAGES[i, 2:4])
    assert len(RECENT) <= MOST
