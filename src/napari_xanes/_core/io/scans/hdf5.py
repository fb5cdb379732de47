"""HDF5 and NeXus: stacks in datasets, and series of files with an image or volume each."""

from __future__ import annotations

from pathlib import Path

from napari_xanes._core.io.formats import Held, ScanFormat
from napari_xanes._core.io.opened import Opened, Wanted

SIGNATURE = b"\x89HDF\r\n\x1a\n"


def recognise(path: Path, start: bytes) -> bool:
    """Tell files that begin with a block of their owner's, as those of MATLAB do: of 512 bytes, or twice, 4 times ... that."""
    size, at = path.stat().st_size, 512
    with open(path, "rb") as file:
        while at + len(SIGNATURE) <= size:
            file.seek(at)
            if file.read(len(SIGNATURE)) == SIGNATURE:
                return True
            at *= 2
    return False


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open a stack, or one image or volume of a series."""
    from napari_xanes._core.io.hdf5_scan import open_scan  # with h5py, which other formats do without

    return open_scan(path, wanted)


def contents(path: Path) -> list[Held]:
    """Return all datasets of a file."""
    from napari_xanes._core.io.hdf5_tree import Tree

    with Tree(path) as tree:
        return [
            Held(entry.name, entry.shape or (), str(entry.dtype), entry.size * entry.dtype.itemsize)
            for entry in tree.entries.values()
        ]


FORMAT = ScanFormat(
    "HDF5/NeXus",
    (".h5", ".hdf5", ".hdf", ".nxs", ".nx5", ".he5", ".nx", ".stxm", ".cxi", ".ptyr"),
    magic=(SIGNATURE,),
    recognise=recognise,
    open=open_scan,
    datasets=True,
    axes=True,
    contents=contents,
    general=True,
)
