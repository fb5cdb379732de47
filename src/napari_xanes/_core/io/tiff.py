"""TIFF files as lazy arrays: only the strips or tiles that hold the wanted rows are read and unpacked.

Reading is plain read at an offset, because a memory map fetched row by row from a cold disk reads the whole file.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.data.lazy import AnyArray, LazyArray, Stacked
from napari_xanes._core.io.recent import RECENT
from napari_xanes._core.io.tiff_header import Layout, Segments, read_header


class TiffArray(LazyArray):
    """The images of a TIFF file, (N, Y, X), or (N, Z, Y, X) if the file says so.

    Files are opened for every read: nothing is shared between threads, and a thousand files can be one stack.
    """

    def __init__(self, path: Path, shape: tuple[int, ...], layout: Layout, pages: Sequence[Segments]) -> None:
        volume = len(shape) == 4
        rows_per_segment = layout.keyframe.chunks[0] if not layout.plain else 1
        cheap = volume or layout.plain or rows_per_segment * 8 <= layout.shape[0]
        super().__init__(shape, layout.stored, cheap_rows=bool(cheap))
        self.pieces = (1, 1 if volume else min(rows_per_segment, shape[1]))
        self.path = path
        self.pixel_size_um: float | None = None
        self.labels: list[tuple[str, list[str]]] = []
        self._layout = layout
        self._pages = list(pages)

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame; rows of a volume are its planes."""
        try:
            if self.ndim == 3:
                return self._page_rows(index, rows)
            first, full = index * self.shape[1], slice(0, self.shape[2])
            planes = [self._page_rows(first + z, full) for z in range(rows.start, rows.stop)]
            return np.stack(planes) if planes else np.empty((0, *self.shape[2:]), self.dtype)
        except FileNotFoundError:
            raise DataFileError(f"{self.path}: there is no such file any more.") from None
        except DataFileError:
            raise
        except Exception as error:  # decoders raise anything
            raise DataFileError(
                f"{self.path.name}: frame {index + 1} of {self.shape[0]} cannot be read ({error}); "
                "the file is damaged or its copying was not finished."
            ) from error

    def _page_rows(self, page: int, rows: slice) -> AnyArray:
        if self._layout.plain:
            return self._plain_rows(page, rows)
        if self.cheap_rows and self.ndim == 3:
            return self._unpack(page, rows)
        kept = RECENT.get(self, page)
        if kept is None:
            kept = self._unpack(page, slice(0, self._layout.shape[0]))
            RECENT.put(self, page, kept)
        return kept[rows].copy()

    def _plain_rows(self, page: int, rows: slice) -> AnyArray:
        layout = self._layout
        out = np.empty((rows.stop - rows.start, layout.shape[1]), layout.stored)
        offset = self._pages[page][0][0] + rows.start * layout.shape[1] * layout.stored.itemsize
        with open(self.path, "rb", buffering=0) as file:
            file.seek(offset)
            _fill(file, out.view(np.uint8).reshape(-1).data)
        return out if out.dtype == self.dtype else out.astype(self.dtype)

    def _unpack(self, page: int, rows: slice) -> AnyArray:
        """Read and unpack the strips or tiles that hold the rows."""
        key = self._layout.keyframe
        height, width = key.chunks[:2]
        across = -(-self._layout.shape[1] // width)
        out = np.empty((rows.stop - rows.start, self._layout.shape[1]), self.dtype)
        segments = self._pages[page]
        with open(self.path, "rb", buffering=0) as file:
            for number in range(rows.start // height * across, -(-rows.stop // height) * across):
                offset, count = segments[number]
                packed = bytearray(count)
                file.seek(offset)
                _fill(file, memoryview(packed))
                block, (_, _, y, x, _), size = key.decode(bytes(packed), number)
                _paste(out, block, y - rows.start, x, size)
        return out


def _paste(out: AnyArray, block: Any, y: int, x: int, size: tuple[int, ...]) -> None:
    """Put a strip or tile that starts at row y (maybe before the first) into `out`."""
    if block is None:  # a segment that was never written stands for zeros
        out[max(y, 0) : y + size[1], x : x + size[2]] = 0
        return
    image = block.reshape(block.shape[-3:-1])[: size[1], : min(size[2], out.shape[1] - x)]
    skip = max(-y, 0)
    part = image[skip : max(out.shape[0] - y, 0)]
    out[y + skip : y + skip + part.shape[0], x : x + part.shape[1]] = part


def _fill(file: Any, buffer: memoryview) -> None:
    done = 0
    while done < len(buffer):
        got = file.readinto(buffer[done:])
        if not got:
            raise EOFError(f"the file ends {len(buffer) - done} bytes too early")
        done += got


def open_tiff(path: Path) -> TiffArray:
    """Return the images of a TIFF file without reading them.

    Raises
    ------
    DataFileError
        If the file is no TIFF, is cut off, or holds anything but grey images of one shape.
    ResourceError
        If one frame would not fit into memory.
    """
    header = read_header(path)
    shape, layout = header.shape, header.layout
    check_memory(prod(shape[1:]) * layout.stored.itemsize, f"one frame of {path.name} {shape[1:]}")
    array = TiffArray(path, shape, layout, header.pages)
    array.pixel_size_um = header.pixel_size_um
    array.labels = header.labels
    return array


def as_one_frame(array: TiffArray) -> LazyArray:
    """Return the images of a file of a series as one frame, (1, Y, X) or (1, Z, Y, X)."""
    if array.shape[0] == 1:
        return array
    if array.ndim > 3:
        raise DataFileError(
            f"{array.path} has shape {array.shape}, expected one image or volume in each file."
        )
    return Stacked([array], array.shape)
