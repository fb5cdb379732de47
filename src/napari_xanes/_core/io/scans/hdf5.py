"""HDF5 and NeXus: stacks in datasets, and series of files with an image or volume each."""

from __future__ import annotations

from pathlib import Path

import h5py

from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.hdf5_scan import open_scan

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def recognise(path: Path, start: bytes) -> bool:
    """Tell files that begin with a block of their owner's, as those of MATLAB do."""
    return bool(h5py.is_hdf5(path))


FORMAT = ScanFormat(
    "HDF5/NeXus",
    (".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".he5", ".nx", ".stxm"),
    magic=(SIGNATURE,),
    recognise=recognise,
    open=open_scan,
    datasets=True,
    axes=True,
    general=True,
)
