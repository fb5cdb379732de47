"""Arrays that come unread: of dask, zarr and h5py, memory maps, and the labelled arrays of xarray.

Stacks stay so, as `Unread`, and are read a block at a time by whoever works on them; maps are read into memory, a block
at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from threading import current_thread, local, main_thread
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.errors import InputError

BLOCK_BYTES = 16 * 2**20
"""Of a map so much is read at once."""

SAME = 0.005
"""eV by which energies may differ that are the same: they are shown and typed with two decimals."""

_here = local()
_UNITS = {"ev": 1.0, "kev": 1e3, "electron_volt": 1.0, "kiloelectron_volt": 1e3}


def is_lazy(value: Any) -> bool:
    """Whether a value is an array that is read where it is indexed."""
    if isinstance(value, (np.ndarray, np.generic)):
        return isinstance(value, np.memmap) and value.ndim > 0
    return all(hasattr(value, name) for name in ("shape", "dtype", "ndim", "__getitem__")) and not hasattr(
        value, "iloc"
    )


def read(source: Any, key: Any) -> NDArray[Any]:
    """Return a part of an array as NumPy has it; what is masked is NaN."""
    together = getattr(source, "read_block", None)  # of energies that are packed together
    if together is not None and isinstance(key, tuple) and all(isinstance(k, slice) for k in key[:2]):
        ranges = [k.indices(n) for k, n in zip(key[:2], source.shape, strict=False)]
        if len(ranges) == 2 and all(step == 1 for *_, step in ranges):
            block = together(*(slice(start, stop) for start, stop, _ in ranges))
            return np.asarray(block[(slice(None), slice(None), *key[2:])])
    part = source[key]
    return unmasked(_computed(part) if hasattr(part, "compute") else part)


@contextmanager
def only_thread() -> Iterator[None]:
    """Have dask start no threads: the calling one is all that may work."""
    before, _here.only = getattr(_here, "only", False), True
    try:
        yield
    finally:
        _here.only = before


def _computed(part: Any) -> Any:
    """Return what a dask array holds.

    Unless it is the main thread, whoever asks is one of many, for each of which dask would start as many threads of its
    own; nor does it start any within `only_thread`. What is chosen instead of threads, such as a cluster, stays so.
    """
    from dask import threaded
    from dask.base import get_scheduler

    alone = current_thread() is main_thread() and not getattr(_here, "only", False)
    alone |= get_scheduler() not in (None, threaded.get)
    return part.compute() if alone else part.compute(scheduler="synchronous")


def at_once(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Return what was made of maps, by name: of those that are not read yet all together, so that each is read once."""
    if not any(hasattr(one, "compute") for one in numbers.values()):
        return dict(numbers)
    from dask.base import compute

    (made,) = compute(dict(numbers))
    return dict(made)


def at_pixels(image: Any, shape: Sequence[int], numbers: NDArray[np.intp]) -> NDArray[Any]:
    """Return values of an image, or of several (K, ...), in pixels given as indices into the flattened image (..., n).

    Of what is on the disk the blocks around them are read, each once.
    """
    lead = image.shape[: image.ndim - len(shape)]
    if isinstance(image, np.ndarray):
        return image.reshape(*lead, -1).take(numbers, axis=-1)
    index, where = np.unique(numbers, return_inverse=True)
    found = image.vindex[(*map(slice, lead), *np.unravel_index(index, shape))]  # where the pixels come first
    return np.moveaxis(np.asarray(found), 0, -1)[..., where.reshape(numbers.shape)]


def whole(source: Any) -> NDArray[Any]:
    """Return all of an array, read a block at a time."""
    shape, first = tuple(source.shape), (0,) * source.ndim
    if 0 in shape or prod(shape) * np.dtype(source.dtype).itemsize <= BLOCK_BYTES:
        return read(source, ...)
    out: NDArray[Any] = np.empty(shape, read(source, tuple(slice(i, i + 1) for i in first)).dtype)

    def fill(before: tuple[int, ...]) -> None:
        nonlocal out
        n, row = shape[len(before)], prod(shape[len(before) + 1 :]) * out.dtype.itemsize
        if row > BLOCK_BYTES and len(before) + 1 < len(shape):
            for i in range(n):
                fill((*before, i))
            return
        step = max(1, BLOCK_BYTES // row)
        for start in range(0, n, step):
            key: Any = (*before, slice(start, min(start + step, n)))
            block = read(source, key)
            if not np.can_cast(block.dtype, out.dtype):  # masked here, but not before
                out = out.astype(np.result_type(out, block))
            out[key] = block

    fill(())
    return out


class Unread:
    """Values (E, ...) that are read where they are indexed, as NumPy arrays of one type.

    Parameters
    ----------
    source : array-like
        (E, ...).
    dtype : numpy type, optional
        Of what is read; that of `source` by default.
    frames : array of int, optional
        Which energies of the source are meant; all by default.
    """

    def __init__(self, source: Any, dtype: Any = None, frames: NDArray[np.intp] | None = None) -> None:
        self.source, self._frames = source, frames
        self.dtype: np.dtype[Any] = np.dtype(source.dtype if dtype is None else dtype).newbyteorder("=")
        self.shape: tuple[int, ...] = (
            len(frames) if frames is not None else int(source.shape[0]),
            *map(int, source.shape[1:]),
        )
        self.ndim = len(self.shape)
        for name in ("chunks", "pieces", "cheap_rows"):  # how it is packed
            setattr(self, name, getattr(source, name, None))

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def size(self) -> int:
        """Number of values."""
        return prod(self.shape)

    def astype(self, dtype: Any) -> Unread:
        """Return the same, read as another type."""
        return Unread(self.source, dtype, self._frames)

    def take(self, frames: NDArray[np.intp] | slice) -> Unread:
        """Return some of the energies, unread as well."""
        mine = np.arange(len(self)) if self._frames is None else self._frames
        return Unread(self.source, self.dtype, mine[frames])

    def __getitem__(self, key: Any) -> NDArray[Any]:
        first, *rest = key if isinstance(key, tuple) else (key,)
        if self._frames is None or first is Ellipsis:
            block = read(self.source, key)
            block = block if self._frames is None else block[self._frames]
        else:
            wanted = self._frames[first]
            if wanted.ndim == 0:
                block = read(self.source, (int(wanted), *rest))
            else:
                low, high = (int(wanted.min()), int(wanted.max()) + 1) if wanted.size else (0, 0)
                block = read(self.source, (slice(low, high), *rest))[wanted - low]
        with np.errstate(over="ignore"):  # too large for float32 is infinite, which is invalid
            return np.asarray(block, self.dtype)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.asarray(self[:], dtype=dtype)


def is_labelled(value: Any) -> bool:
    """Whether a value is a DataArray of xarray."""
    return type(value).__module__.split(".")[0] == "xarray" and all(
        hasattr(value, name) for name in ("dims", "coords", "dtype")
    )


def labelled(value: Any) -> tuple[Any, NDArray[np.float64] | None]:
    """Return what a DataArray holds, the energy first, and its energies in eV if it has a coordinate of them.

    Any other value is returned as it is.
    """
    if not is_labelled(value):
        return value, None
    named = [one for name, one in value.coords.items() if str(name).lower() == "energy" and one.ndim == 1]
    energy = None
    dims = named[0].dims if named else [dim for dim in value.dims if str(dim).lower() == "energy"]
    if dims:
        value = value.transpose(dims[0], ...)
    if named:
        energy = np.asarray(named[0].values, np.float64) * _ev_per(named[0].attrs)
    if value.chunks is None and not getattr(value.variable, "_in_memory", True):
        return _File(value), energy  # its data would be all that the file holds
    return value.data, energy


def check_energies_named(value: Any, name: str) -> None:
    """Refuse a DataArray where its energies are needed, as no coordinate has the name that they go by."""
    if is_labelled(value):
        raise InputError(
            f"{name} has the dimensions {', '.join(map(str, value.dims))} and no coordinate 'energy'; give energy, or name "
            "the coordinate so."
        )


def _ev_per(attributes: Any) -> float:
    """Return how many eV the unit of a coordinate has; eV where none is said."""
    unit = str(attributes.get("units", attributes.get("unit", "eV"))).strip()
    exact = {"MeV": 1e6, "meV": 1e-3}
    if unit not in exact and unit.lower() not in _UNITS:
        raise InputError(
            f"the coordinate of the energies has the unit {unit[:40]!r}, expected eV, keV, MeV or meV; convert it."
        )
    return exact.get(unit) or _UNITS[unit.lower()]


class _File:
    """A DataArray over a file, of which only what is indexed is read."""

    def __init__(self, array: Any) -> None:
        self.array, self.shape, self.dtype, self.ndim = array, array.shape, array.dtype, array.ndim
        packed = array.encoding.get("preferred_chunks")  # by name, whatever the order of the axes is now
        self.chunks = packed and tuple(min(packed.get(d, n), n) for d, n in array.sizes.items())

    def __getitem__(self, key: Any) -> NDArray[Any]:
        return np.asarray(self.array[key].values)


def per_energy(name: str, energies: NDArray[np.float64]) -> bool:
    """Whether each image of an argument belongs to its own energy: darks, and flats of one energy, are averaged."""
    return name != "dark" and not (name == "flat" and np.unique(energies).size == 1)


def agreed(given: Any, declared: NDArray[np.float64] | None, name: str) -> Any:
    """Return the energies that are given, those of an argument's coordinate where none are; refuse two that differ."""
    if is_labelled(given):  # the coordinate itself
        given = np.asarray(given.values) * _ev_per(given.attrs)
    if given is None or declared is None:
        return declared if given is None else given
    explicit = unmasked(given)
    if explicit.dtype.kind in "fiu" and not (
        explicit.shape == declared.shape and np.allclose(explicit, declared, rtol=0, atol=SAME)
    ):
        raise InputError(
            f"the energies are not those of the coordinate 'energy' of {name} ({declared.size}, from {declared[0]:g} to "
            f"{declared[-1]:g} eV); leave one of them out, or mend the coordinate."
        )
    return given
