"""What the header of a TIFF file says, checked against the file before anything is read.

tifffile parses; here it is made sure that the images are grey, alike, whole, and not beyond all measure.
"""

from __future__ import annotations

import logging
import re
import struct
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import tifffile

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.tiff_labels import image_labels

MOST_PACKED = 5000
"""No compression in use packs measured images better than this; a header that claims more is damaged."""

Segments = tuple[tuple[int, int], ...]
"""Offset and number of bytes of every strip or tile of a page."""


@dataclass(frozen=True, eq=False)
class Layout:
    """How the pages of a file are laid out: what `tifffile` knows of the first of them."""

    keyframe: Any
    shape: tuple[int, int]
    stored: np.dtype[Any]
    plain: bool
    """Whether a page is one run of bytes, uncompressed."""


@dataclass(frozen=True, eq=False)
class Header:
    """Shape (N, Y, X) or (N, Z, Y, X), layout and place of the pages, pixel size in micrometres."""

    shape: tuple[int, ...]
    layout: Layout
    pages: list[Segments]
    pixel_size_um: float | None
    labels: list[tuple[str, list[str]]]
    """What is said of each image, and where."""


def read_header(path: Path) -> Header:
    """Return what the header says.

    Raises
    ------
    DataFileError
        If the file is no TIFF, is cut off, or holds anything but grey images of one shape.
    """
    try:
        with _complaints() as complaints, _opened(path) as file:
            series = _only_series(path, file)
            shape = _frame_shape(path, series)
            layout = _layout(path, series.keyframe)
            pages = _pages(path, series, layout, prod(shape[:-2]))
            labels = image_labels(file, shape[0])
            header = Header(shape, layout, pages, _pixel_size(file), labels)
            _check_chain(path, complaints)
    except DataFileError:
        raise
    except Exception as error:  # tifffile raises anything on damaged headers
        raise DataFileError(
            f"{path} cannot be read as TIFF ({error}); it is damaged or not a TIFF file."
        ) from error
    return header


def _opened(path: Path) -> tifffile.TiffFile:
    """Open a file; images written one by one, each with a shape of its own in its notes, count as one stack."""
    file = tiff_file(path)
    try:
        if len(file.series) < 2:
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return tifffile.TiffFile(path, is_shaped=False)


def tiff_file(path: Path) -> tifffile.TiffFile:
    """Open a file, unless its list of pages is endless, which tifffile would follow for ever."""
    file = tifffile.TiffFile(path)
    if not _leads_back(file):
        return file
    file.close()
    raise DataFileError(f"{path} is damaged: its list of pages leads back to an earlier one; copy it again.")


def _leads_back(file: tifffile.TiffFile) -> bool:
    """Whether the list of pages leads back to an earlier one."""
    tiff, handle, seen = file.tiff, file.filehandle, set[int]()

    def number(at: int, form: str) -> int:
        handle.seek(at)
        raw = handle.read(struct.calcsize(form))
        return struct.unpack(form, raw)[0] if len(raw) == struct.calcsize(form) else 0

    page = number(tiff.offsetsize, tiff.offsetformat)  # behind 4 bytes, or 8 of a BigTIFF
    while page and page not in seen:
        seen.add(page)
        tags = number(page, tiff.tagnoformat)
        page = number(page + tiff.tagnosize + tags * tiff.tagsize, tiff.offsetformat)
    return page > 0


class _Collector(logging.Handler):
    """Keeps the errors that are logged in the thread it was made in."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.thread, self.collected = threading.get_ident(), list[str]()

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self.thread:
            self.collected.append(record.getMessage())


@contextmanager
def _complaints() -> Iterator[list[str]]:
    """Collect what tifffile logs as errors: that pages are missing it says nowhere else."""
    collector, log = _Collector(), logging.getLogger("tifffile")
    log.addHandler(collector)
    try:
        yield collector.collected
    finally:
        log.removeHandler(collector)


def _check_chain(path: Path, complaints: Sequence[str]) -> None:
    """Refuse a file whose list of pages leads nowhere: pages would be missing without a word."""
    for text in complaints:
        if match := re.search(r"invalid page offset (\d+)", text):
            raise DataFileError(
                f"{path} is cut off or damaged: a page should be at byte {match[1]}, the file has "
                f"{path.stat().st_size} bytes; copy it again."
            )
    if complaints:
        raise DataFileError(f"{path} is damaged: {complaints[0].split('> ')[-1]}; copy it again.")


def _only_series(path: Path, file: tifffile.TiffFile) -> Any:
    if len(file.pages) == 0:
        raise DataFileError(f"{path} holds no images.")
    if len(file.series) > 1:
        shapes = [tuple(series.shape) for series in file.series]
        raise DataFileError(
            f"{path} holds images of different shapes or kinds, {shapes[0]} and {shapes[1]}; "
            "expected one stack of images of the same shape."
        )
    return file.series[0]


def _frame_shape(path: Path, series: Any) -> tuple[int, ...]:
    """Return (N, Y, X) or (N, Z, Y, X)."""
    key = series.keyframe
    if key.samplesperpixel > 4 and not _is_planar_stack(series):
        raise DataFileError(
            f"{path} holds one image with {key.samplesperpixel} values a pixel, expected one image per energy; save it "
            "with one page per energy."
        )
    if key.samplesperpixel > 1 and not _is_planar_stack(series):
        raise DataFileError(
            f"{path} holds colour images ({key.samplesperpixel} values a pixel), expected grey ones; "
            "export the measured intensities."
        )
    if key.dtype is None or key.dtype.kind not in "iufc":
        raise DataFileError(f"{path} holds values of type {key.dtype}, expected real numbers.")
    shape = tuple(int(n) for n in series.shape)
    planes = tuple(n for n in shape[:-2] if n != 1)
    if len(shape) < 2 or shape[-2:] != (key.imagelength, key.imagewidth) or len(planes) > 2:
        raise DataFileError(f"{path} has shape {shape}, expected (energy, y, x) or (energy, z, y, x).")
    return (*(planes or (1,)), *shape[-2:])


def _is_planar_stack(series: Any) -> bool:
    """Whether planes of colours are images of a stack: so are 3 or 4 grey images written by common libraries.

    A picture of 8 bits is one unless the file says that it was written as an array of images.
    """
    key = series.keyframe
    if int(key.planarconfig) != 2 or len(series.pages) != 1 or len(series.shape) != 3:
        return False
    written_so = re.match(r'\{"shape": \[\d+, \d+, \d+\]', str(key.description or "")) is not None
    return written_so or key.dtype.itemsize > 1


def _layout(path: Path, key: Any) -> Layout:
    try:
        tifffile.TIFF.DECOMPRESSORS[key.compression]
        tifffile.TIFF.UNPREDICTORS[key.predictor]
    except KeyError as error:
        raise DataFileError(
            f"{path} is packed in a way that cannot be read here ({error.args[0]}); "
            "install it (pip install imagecodecs) or save the file uncompressed."
        ) from None
    stored = np.dtype(key.dtype).newbyteorder(key.parent.byteorder)
    plain = (
        key.compression == 1
        and not key.is_tiled
        and key.fillorder == 1
        and key.predictor == 1
        and key.bitspersample == stored.itemsize * 8
    )
    return Layout(key, (int(key.imagelength), int(key.imagewidth)), stored, bool(plain))


def _pages(path: Path, series: Any, layout: Layout, n_pages: int) -> list[Segments]:
    """Return where every page lies, after a look whether the file is long enough for all of them."""
    size = path.stat().st_size
    page_bytes = prod(layout.shape) * layout.stored.itemsize
    if layout.plain and series.dataoffset is not None:
        pages: list[Segments] = [((series.dataoffset + i * page_bytes, page_bytes),) for i in range(n_pages)]
        _check_ends(path, pages[-1:], size, n_pages * page_bytes, n_pages)
        return pages
    if series.keyframe.samplesperpixel > 1:
        whole = _segments(series.pages[0])
        each = len(whole) // n_pages
        pages = [whole[i * each : (i + 1) * each] for i in range(n_pages)]
    elif len(series.pages) != n_pages:
        raise DataFileError(
            f"{path} has {len(series.pages)} pages but declares {n_pages} images; the file is damaged."
        )
    else:
        pages = [_segments(page) for page in series.pages]
    _check_ends(path, pages, size, n_pages * page_bytes, n_pages)
    if layout.plain:
        if not all(_joined(page) for page in pages):
            object.__setattr__(layout, "plain", False)
        elif any(sum(count for _, count in page) < page_bytes for page in pages):
            raise DataFileError(f"{path} declares images of {layout.shape} pixels but stores fewer bytes.")
    return pages


def _segments(page: Any) -> Segments:
    if page is None:
        raise DataFileError("a page is missing")
    return tuple(zip(map(int, page.dataoffsets), map(int, page.databytecounts), strict=True))


def _joined(page: Segments) -> bool:
    return all(a + n == b for (a, n), (b, _) in pairwise(page))


def _check_ends(path: Path, pages: Sequence[Segments], size: int, declared: int, n_pages: int) -> None:
    for number, page in enumerate(pages):
        end = max((offset + count for offset, count in page), default=0)
        if end > size:
            frame = f"frame {number + 1} of {n_pages} ends" if len(pages) == n_pages else "the images end"
            raise DataFileError(
                f"{path} is cut off: {frame} at byte {end}, the file has {size} bytes; copy it again."
            )
    if declared > MOST_PACKED * size:
        raise DataFileError(
            f"{path} declares {declared / 2**30:.1f} GiB of images but has {size} bytes; the file is damaged."
        )


_UM = {
    "um": 1.0,
    "µm": 1.0,
    "μm": 1.0,
    "\\u00b5m": 1.0,
    "micron": 1.0,
    "nm": 1e-3,
    "mm": 1e3,
    "cm": 1e4,
    "m": 1e6,
}


def _pixel_size(file: tifffile.TiffFile) -> float | None:
    """Return the pixel size in micrometres from OME or ImageJ metadata; plain dots per inch mean nothing."""
    if file.is_ome and file.ome_metadata:
        described = tifffile.xml2dict(file.ome_metadata).get("OME", {}).get("Image", {})
        image = described[0] if isinstance(described, list) else described
        pixels = image.get("Pixels", {})
        return _micrometres(pixels.get("PhysicalSizeX"), pixels.get("PhysicalSizeXUnit", "µm"))
    if file.is_imagej and file.imagej_metadata:
        tag = file.pages.first.tags.get("XResolution")
        if tag is not None and tag.value[0]:
            return _micrometres(tag.value[1] / tag.value[0], str(file.imagej_metadata.get("unit", "")))
    return None


def _micrometres(size: Any, unit: str) -> float | None:
    factor = _UM.get(unit.strip())
    if size is None or factor is None or not float(size) > 0:
        return None
    return float(size) * factor
