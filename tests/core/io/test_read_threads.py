"""Reading from several threads at once, as the pipeline does, gives what reading in turn gives."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
import tifffile

from napari_xanes import read_stack

DATA = np.random.default_rng(4).integers(0, 60000, (12, 40, 33)).astype(np.uint16)
ORDER = np.random.default_rng(5).permutation(12)


@pytest.mark.parametrize("kind", ["tif", "zlib", "folder", "h5", "gzip"])
def test_threads(tmp_path, kind):
    path = tmp_path / "scan.x"
    if kind in ("tif", "zlib"):
        tifffile.imwrite(path, DATA, compression="zlib" if kind == "zlib" else None)
    elif kind == "folder":
        path = tmp_path
        for i, frame in enumerate(DATA):
            tifffile.imwrite(tmp_path / f"{i}.tif", frame)
    else:
        with h5py.File(path, "w") as file:
            file.create_dataset("img", data=DATA, compression="gzip" if kind == "gzip" else None)
    stack = read_stack(path, energy=8300.0 + ORDER)
    expected = DATA[np.argsort(ORDER)]
    jobs = [(i, slice(r, r + 10)) for r in range(0, 40, 10) for i in range(12)] * 3
    with ThreadPoolExecutor(6) as pool:
        for (i, rows), got in zip(jobs, pool.map(lambda job: stack.read(*job), jobs), strict=True):
            np.testing.assert_array_equal(got, expected[i, rows])
