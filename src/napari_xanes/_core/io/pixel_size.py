"""The size of a pixel, where an HDF5 file states it with its unit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry, text_of

PIXEL_SIZE = re.compile(r".*pi?xe?l.?size.*", re.IGNORECASE)
_SIZE = re.compile(r"([\d.eE+-]+)\s*(nm|um|µm|μm|mm|m)?")
_UM = {"nm": 1e-3, "um": 1.0, "µm": 1.0, "μm": 1.0, "mm": 1e3, "m": 1e6}


def pixel_size(tree: Tree, images: TreeEntry) -> float | None:
    """Return the pixel size in micrometres if a dataset or attribute states it with its unit."""
    for attrs in (images.attrs, tree.attrs(images.parent), tree.attrs("")):
        for name, value in attrs.items():
            if PIXEL_SIZE.fullmatch(name) and (size := _size(value, name)) is not None:
                return size
    for entry in tree.entries.values():
        if PIXEL_SIZE.fullmatch(entry.leaf) and entry.size == 1:
            unit = entry.units or entry.leaf
            if (size := _size(entry.read(), unit)) is not None:
                return size
    return None


def _size(value: Any, where: str) -> float | None:
    """Read "20.0nm", or a number whose unit stands in `where` ("pixel_size_um", "nm")."""
    match = _SIZE.fullmatch(text_of(value).strip())
    unit = match[2] if match else None
    if unit is None and (named := re.search(r"(?:^|[_ (\[])(nm|um|µm|μm|mm|m)[)\]]?$", where)):
        unit = named[1]
    if match is None or unit is None:
        return None
    try:
        size = float(match[1]) * _UM[unit]
    except ValueError:
        return None
    return size if np.isfinite(size) and size > 0 else None
