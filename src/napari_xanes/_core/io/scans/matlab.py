"""MATLAB files of version 5 (up to -v7): arrays with names, usually (y, x, energy); -v7.3 is HDF5."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.formats import Held, ScanFormat
from napari_xanes._core.io.named_arrays import choose_images, find_energies, put_together
from napari_xanes._core.io.opened import Opened, Wanted

_NUMERIC = {"double", "single", *(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))}
_MOST_NUMBERS = 100_000


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the only stack of a file, or the one that is named; it is read whole, as the format packs it.

    Raises
    ------
    DataFileError
        If the file is damaged, or it cannot be told which of its arrays are the images.
    """
    import scipy.io

    try:
        shapes = {name: shape for name, shape, kind in scipy.io.whosmat(str(path)) if kind in _NUMERIC}
        name = choose_images(path, shapes, wanted)
        listed = [
            n for n, shape in shapes.items() if n != name and max(shape) == np.prod(shape) <= _MOST_NUMBERS
        ]
        if wanted.energy is not None:
            listed = [n for n in listed if n == wanted.energy]
        arrays = scipy.io.loadmat(str(path), variable_names=[name, *listed])
    except DataFileError:
        raise
    except Exception as error:  # scipy raises anything on damaged files
        raise DataFileError(
            f"{path} cannot be read as a MATLAB file ({error}); save it again with save -v7."
        ) from error
    data = np.asarray(arrays[name])
    if wanted.one_of_many:
        return put_together(path, data[None], name, None, wanted)
    lists = {n: np.asarray(arrays[n], np.float64).ravel() for n in listed if np.isrealobj(arrays[n])}
    return put_together(path, data, name, find_energies(path, lists, data.shape), wanted)


def contents(path: Path) -> list[Held]:
    """Return the arrays of a file."""
    import scipy.io

    sizes = {"double": 8, "single": 4}
    return [
        Held(name, shape, kind, int(np.prod(shape)) * (sizes.get(kind) or int(kind.strip("uint")) // 8))
        for name, shape, kind in scipy.io.whosmat(str(path))
        if kind in _NUMERIC
    ]


def recognise(path: Path, start: bytes) -> bool:
    """Whether a file begins as MATLAB 5 files do; those of -v7.3 say so and are HDF5."""
    return start.startswith(b"MATLAB 5.0 MAT-file")


FORMAT = ScanFormat("MATLAB", (".mat",), recognise=recognise, open=open_scan, parts=True, contents=contents)
