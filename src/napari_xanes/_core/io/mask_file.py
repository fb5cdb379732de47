"""Masks and labels that were painted elsewhere: an image, or a volume, of whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError, XanesError
from napari_xanes._core.base.files import check_regular, shown, whole_file
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.io.tiff_header import tiff_file

MOST_PACKED = 2000
"""No mask packs better than this; a header that claims more is damaged."""
ALWAYS = 16 * 2**20
"""Bytes that any file may claim."""


def read_mask(path: str | Path) -> NDArray[Any]:
    """Return the image in a TIFF file, (Y, X) or (Z, Y, X); what is not zero is inside.

    Raises
    ------
    DataFileError
        If the file is missing, damaged or holds no image.
    ResourceError
        If the image does not fit into memory.
    """
    path = check_regular(path, "mask file")
    try:
        with tiff_file(path) as file:
            about = file.series[0]
            declared = about.size * about.dtype.itemsize
            if declared > max(ALWAYS, MOST_PACKED * path.stat().st_size):
                raise DataFileError(
                    f"{shown(path)} declares {declared / 2**20:.3g} MB {about.shape} in a file of "
                    f"{path.stat().st_size} bytes; it is damaged, copy it again."
                )
            check_memory(2 * declared, f"the mask {shown(path.name)} {about.shape}")
            return file.asarray()
    except XanesError:
        raise
    except Exception as error:  # decoders raise anything
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise DataFileError(
            f"{shown(path)} is not a readable TIFF image: {reason[:200]}; copy it again or save it anew."
        ) from error


def write_mask(path: str | Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask to a TIFF file as `read_mask` reads it: 255 inside, 0 outside."""
    with whole_file(path) as part:
        tifffile.imwrite(part, np.where(mask, np.uint8(255), np.uint8(0)), photometric="minisblack")
