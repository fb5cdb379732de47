"""Masks and labels that were painted elsewhere: an image, or a volume, of whole numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_xanes._core.base.errors import DataFileError


def read_mask(path: str | Path) -> NDArray[Any]:
    """Return the image in a TIFF file, (Y, X) or (Z, Y, X); what is not zero is inside.

    Raises
    ------
    DataFileError
        If the file is missing or holds no image.
    """
    try:
        return tifffile.imread(path)
    except FileNotFoundError:
        raise DataFileError(f"{path}: there is no such mask file.") from None
    except (OSError, ValueError, KeyError) as error:
        raise DataFileError(f"{path} is not a readable TIFF image: {error}.") from None


def write_mask(path: str | Path, mask: NDArray[np.bool_]) -> None:
    """Write a mask to a TIFF file as `read_mask` reads it: 255 inside, 0 outside."""
    tifffile.imwrite(path, np.where(mask, np.uint8(255), np.uint8(0)), photometric="minisblack")
