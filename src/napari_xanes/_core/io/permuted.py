"""Arrays whose energy axis is not the first: turned while they are read, a block of many energies at a time."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.lazy import AnyArray, LazyArray
from napari_xanes._core.data.stack import ArrayLike, rows_are_cheap

BLOCK_BYTES = 128 * 2**20
"""Most that is read at once and kept: neighbouring energies lie beside each other in the file."""


class Permuted(LazyArray):
    """Axis k of the array is axis ``order[k]`` of the source; axes of the source that are left out have length 1."""

    def __init__(self, source: ArrayLike, order: Sequence[int]) -> None:
        shape = [source.shape[axis] for axis in order]
        self._order = tuple(order)
        leading = all(source.shape[axis] == 1 for axis in range(order[0]))
        cheap = rows_are_cheap(source) if leading and order[1] == order[0] + 1 else True
        super().__init__(shape, source.dtype, cheap_rows=cheap)
        self.source = source
        chunks = getattr(source, "chunks", None) or (1,) * source.ndim
        self.pieces = (
            1 if leading else shape[0],
            chunks[order[1]] if isinstance(chunks[order[1]], int) else 1,
        )
        self._leading = leading
        self._kept: tuple[int, int, slice, AnyArray] | None = None
        self._lock = threading.Lock()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lock": None, "_kept": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._lock = threading.Lock()

    def read_rows(self, index: int, rows: slice) -> AnyArray:
        """Return rows of one frame."""
        if self._leading:
            return np.array(self._block(index, index + 1, rows)[0])
        with self._lock:
            if self._kept is None or not self._holds(self._kept, index, rows):
                count = max(1, BLOCK_BYTES // max(1, self._row_bytes * (rows.stop - rows.start)))
                self._kept = None  # freed before the next block is read
                first = index // count * count
                last = min(first + count, self.shape[0])
                self._kept = (first, last, rows, self._block(first, last, rows))
            first, _, kept, block = self._kept
        return np.array(block[index - first, rows.start - kept.start : rows.stop - kept.start])

    def read_block(self, frames: slice, rows: slice) -> AnyArray:
        """Return rows of some frames, in one go."""
        return self._block(frames.start, frames.stop, rows)

    @property
    def _row_bytes(self) -> int:
        return self.nbytes // max(1, self.shape[0] * self.shape[1])

    @staticmethod
    def _holds(kept: tuple[int, int, slice, AnyArray], index: int, rows: slice) -> bool:
        first, last, held, _ = kept
        return bool(first <= index < last and held.start <= rows.start and rows.stop <= held.stop)

    def _block(self, first: int, last: int, rows: slice) -> AnyArray:
        """Return frames first:last, their rows, with energy first."""
        key: list[Any] = [0] * self.source.ndim
        for axis in self._order:
            key[axis] = slice(0, self.source.shape[axis])
        key[self._order[0]], key[self._order[1]] = slice(first, last), rows
        block = np.asarray(self.source[tuple(key)])
        kept = sorted(self._order)
        return block.transpose([kept.index(axis) for axis in self._order])


def permuted(source: ArrayLike, order: Sequence[int]) -> ArrayLike:
    """Return the array in another order of its axes, itself where there is nothing to change."""
    return source if tuple(order) == tuple(range(source.ndim)) else Permuted(source, order)


class AxisQuestion(DataFileError):
    """Several axes of images could be energy: which, and the shape of the images in the file."""

    def __init__(self, axes: Sequence[int], shape: tuple[int, ...], message: str) -> None:
        super().__init__(message)
        self.axes, self.shape = tuple(axes), shape


def settle_axis(
    data: ArrayLike, stored: Sequence[int], count: int, label: str
) -> tuple[ArrayLike, list[str]]:
    """Return images with their energy axis first, where nothing declares it, and what is to be said.

    Parameters
    ----------
    data : array-like
        The images, the axis that is likely energy first.
    stored : sequence of int
        Their shape in the file.
    count : int
        How many energies there are.
    label : str
        What has the axes, for the error.

    Raises
    ------
    AxisQuestion
        If several axes are as long as the energies.
    """
    fitting = [i for i, n in enumerate(stored) if n == count > 1]
    if len(fitting) > 1:
        which, says = (word.join(map(str, fitting)) for word in (" and ", " or axis="))
        raise AxisQuestion(
            fitting,
            tuple(stored),
            f"axes {which} of {label} {tuple(stored)} are as long as the {count} energies, and nothing declares which of "
            f"them is energy; say axis={says}.",
        )
    found = [i for i, n in enumerate(data.shape) if n == count > 1]
    if len(found) != 1 or found[0] == 0:
        return data, []
    order = (found[0], *(i for i in range(data.ndim) if i != found[0]))
    return permuted(data, order), [only_fitting(fitting[0], stored, label)]


def only_fitting(axis: int, stored: Sequence[int], label: str) -> str:
    """Return the sentence on an axis that was taken for energy by its length."""
    return (
        f"axis {axis} of {label} {tuple(stored)} was taken for energy because only its length is that of the "
        "energies; if not, say which is energy with axis="
    )


def order_of(axis: int | str, shape: Sequence[int], label: str) -> tuple[int, ...]:
    """Return which stored axes are energy, (z,) y and x, as the user says.

    Parameters
    ----------
    axis : int or str
        Number of the energy axis, counted from 0, or from the end if negative; or one letter for each stored axis
        out of e, z, y and x, such as "yxe".
    shape : sequence of int
        As stored; axes of length 1 may be left out of the letters.
    label : str
        What has the axes, for the error.

    Raises
    ------
    InputError
        If the words do not fit the shape.
    """
    full, text = [i for i, n in enumerate(shape) if n > 1], str(axis).strip().lower()
    if text.lstrip("-").isdecimal():
        number = int(text)
        if not -len(shape) <= number < len(shape):
            raise InputError(
                f"axis is {number}, but {label} {tuple(shape)} has {len(shape)} axes, 0 to {len(shape) - 1}."
            )
        number %= len(shape)
        rest = [i for i in range(len(shape)) if i != number]
        rest = rest if len(rest) in (2, 3) and len(rest) < 3 else [i for i in rest if i in full]
        if len(rest) not in (2, 3):
            raise InputError(
                f"{label} has shape {tuple(shape)}, expected one axis of energies and two or three of the image."
            )
        return (number, *rest)
    letters = [letter for letter in text if letter not in ", "]
    axes = list(range(len(shape))) if len(letters) == len(shape) else full
    if (
        len(letters) != len(axes)
        or len(set(letters)) < len(letters)
        or not {"e", "y", "x"} <= set(letters) <= set("ezyx")
    ):
        raise InputError(
            f"axis is '{axis}', expected the number of the energy axis, or one letter out of e, z, y, x for each axis of "
            f"{label} {tuple(shape)}, such as 'yxe'."
        )
    places = dict(zip(letters, axes, strict=True))
    return tuple(places[letter] for letter in "ezyx" if letter in places)
