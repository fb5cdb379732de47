"""TIFF: stacks of pages, and series of files with an image or volume each."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from napari_xanes._core.io.formats import ScanFormat
from napari_xanes._core.io.names import energies_in
from napari_xanes._core.io.opened import Opened, Wanted


def open_scan(path: Path, wanted: Wanted) -> Opened:
    """Open the pages of a file as images of a scan, or as one image or volume of a series."""
    from napari_xanes._core.io.tiff import as_one_frame, open_tiff

    array = open_tiff(path)
    data = as_one_frame(array) if wanted.one_of_many else array
    opened = Opened(data, path.stem, [path], str(path), pixel_size_um=array.pixel_size_um)
    for where, labels in array.labels:
        found = energies_in(labels, where) if len(labels) == data.shape[0] else None
        if found is None:
            continue
        found = replace(found, label=f"{path.name}, {where}")
        if found.unit:
            opened.energy = opened.energy or found
        else:
            opened.proposed = opened.proposed or found
    return opened


def looks_like_scan(path: Path) -> bool:
    """Whether a file is more than a single picture."""
    from napari_xanes._core.io.tiff_header import tiff_file

    try:
        with tiff_file(path) as tif:
            return tif.is_imagej or tif.is_ome or len(tif.pages) != 1
    except Exception:  # noqa: BLE001 - tifffile raises anything on damaged headers
        return True  # damaged: reading it says how


FORMAT = ScanFormat(
    "TIFF",
    (".tif", ".tiff", ".btf"),
    magic=(b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"),
    open=open_scan,
    looks_like_scan=looks_like_scan,
)
