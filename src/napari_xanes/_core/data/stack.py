"""The measurement as the steps see it: images over energy, energy first, and where they came from.

`EnergyStack` holds whatever can be indexed (numpy, memory map, h5py, dask, or a lazy reader of
`_core.io`); reading a few rows of one frame is the one access that every step is built on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.arrays import marks_of, not_measured, unmasked
from napari_xanes._core.base.checks import check_energy
from napari_xanes._core.base.door import check_fields
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.unread import agreed, check_energies_named, labelled, per_energy, read
from napari_xanes._core.data.history import History, history_from_json

Signal = Literal["counts", "transmission", "optical_density", "normalized"]
SIGNALS: tuple[Signal, ...] = ("counts", "transmission", "optical_density", "normalized")
SIGNAL_WORDS: dict[Signal, str] = {
    "counts": "counts",
    "transmission": "transmission",
    "optical_density": "optical density",
    "normalized": "normalised",
}
"""What values are, in the user's words."""

Float32 = NDArray[np.float32]
FloatArray = NDArray[np.floating[Any]]

FrameReader = Callable[[int, slice], Float32]
"""``read(i, rows)``: rows of frame i (all of it with slice(None)) as a fresh float32 array, the caller's to write."""


@runtime_checkable
class ArrayLike(Protocol):
    """Anything with a shape that gives numpy arrays (or what numpy can convert) when indexed."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> Any: ...
    @property
    def ndim(self) -> int: ...
    def __getitem__(self, key: Any) -> Any: ...


@dataclass(frozen=True, eq=False)
class EnergyStack:
    """Images over photon energy.

    Parameters
    ----------
    data : array-like
        Shape (E, Y, X), or (E, Z, Y, X) for a series of volumes; lazy arrays stay lazy.
    energy : array
        Photon energy in eV, shape (E,), strictly ascending; None where `data` is an xarray with a coordinate "energy".
    signal : {"counts", "transmission", "optical_density", "normalized"}
        What the values are.
    flat : array-like, optional
        Images without sample, counts: one per energy (E, Y, X), one image (Y, X), several to be averaged
        (N, Y, X), or a beam spectrum (E,).
    dark : array-like, optional
        Images without beam, counts: (Y, X) or (N, Y, X), averaged.
    thickness : array, optional
        Of a normalised stack: the thickness (edge step) that was divided out, image shape; amounts need it.
    pixel_size_um : float, optional
        Size of a pixel in micrometres.
    name : str
        For people.
    source : dict
        Where the data came from, as json can write it: path, datasets, energies, size and modification time.
    history : tuple of Entry
        The steps that made the data.
    warnings : tuple of str
        What the reader noticed, a sentence each.

    Raises
    ------
    InputError
        If shapes, energies or the signal do not fit together.
    """

    data: ArrayLike
    energy: NDArray[np.float64]
    signal: Signal
    flat: ArrayLike | None = None
    dark: ArrayLike | None = None
    thickness: FloatArray | None = None
    pixel_size_um: float | None = None
    name: str = ""
    source: dict[str, Any] = field(default_factory=dict)
    history: History = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("data", "flat", "dark"):
            given = getattr(self, name)
            array, energy = labelled(given)
            object.__setattr__(self, name, array)
            if name == "data":
                if self.energy is None and energy is None:
                    check_energies_named(given, name)
                object.__setattr__(self, "energy", agreed(self.energy, energy, name))
            elif energy is not None and per_energy(name, energy):
                agreed(self.energy, energy, name)
        if getattr(getattr(self.data, "dtype", None), "kind", "") == "c":
            raise InputError(
                f"{self.name or 'the stack'} holds complex numbers, expected real ones; give -2 ln of the amplitude, or "
                "the phase."
            )
        check_fields(self, "data", "energy", "signal", "flat", "dark", "thickness", "pixel_size_um", "name")
        label = self.name or "the stack"
        if self.data.ndim not in (3, 4):
            raise InputError(
                f"{label} has shape {tuple(self.data.shape)}, expected (energy, y, x) or (energy, z, y, x)."
            )
        for name in ("data", "flat", "dark", "thickness"):
            if isinstance(getattr(self, name), np.ma.MaskedArray):
                object.__setattr__(self, name, unmasked(getattr(self, name)))
        object.__setattr__(self, "energy", check_energy(self.energy, self.data.shape[0], label))
        object.__setattr__(self, "history", history_from_json(self.history))

    def __repr__(self) -> str:
        """Return a line that says what there is: values in all would be pages."""
        size, beside = " x ".join(map(str, self.shape)), {"flats": self.flat, "darks": self.dark}
        has = " and ".join(name for name, one in beside.items() if one is not None)
        said = f"{size}, {SIGNAL_WORDS[self.signal]}, {self.energy[0]:g} to {self.energy[-1]:g} eV"
        return f"<EnergyStack {self.name!r}: {said}{has and f', with {has}'}>"

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the data, energy first."""
        return tuple(self.data.shape)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one frame: (Y, X) or (Z, Y, X)."""
        return self.shape[1:]

    @property
    def cheap_rows(self) -> bool:
        """Whether rows of a frame and of its flat can be read without unpacking whole frames."""
        return all(rows_are_cheap(a) for a in (self.data, self.flat) if a is not None and a.ndim > 1)

    def replace(self, **changes: Any) -> EnergyStack:
        """Return a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def read(self, index: int, rows: slice = slice(None)) -> Float32:
        """Return rows of frame `index` as a fresh float32 array of shape (rows, ...); counts not measured are NaN."""
        return as_frame(read(self.data, (index, rows)), counts=self.signal == "counts")

    def peek(self, index: int, rows: slice = slice(None)) -> Float32:
        """Return what `read` returns, where possible as a view that must not be written to."""
        if self.signal == "counts" and marks_of(self.data.dtype):
            return self.read(index, rows)
        return np.asarray(read(self.data, (index, rows)), dtype=np.float32)


def as_frame(stored: NDArray[Any], *, counts: bool) -> Float32:
    """Return what is stored of a frame as a fresh float32 array; counts not measured are NaN.

    An array that is no view of another was read for this, and is taken itself.
    """
    gaps = not_measured(stored) if counts else None
    own = stored.dtype == np.float32 and stored.flags.owndata and stored.flags.writeable
    frame = stored if own else np.array(stored, dtype=np.float32)
    if gaps is not None:
        frame[gaps] = np.nan
    return frame


def pieces(data: ArrayLike) -> tuple[int, int]:
    """Return how many energies and rows are packed together in the source, which are then best read together."""
    own = getattr(data, "pieces", None)
    if own is not None:
        return int(own[0]), int(own[1])
    chunks = getattr(
        data, "chunks", None
    )  # h5py and zarr: None or shape of a chunk; dask: lengths of all chunks
    if chunks is None:
        return 1, 1
    energies, rows = (n if isinstance(n, int) else max(n) for n in chunks[:2])
    return min(energies, data.shape[0]), min(rows, data.shape[1])


def read_block(data: ArrayLike, frames: slice, rows: slice) -> NDArray[Any]:
    """Return rows of some frames (n, rows, ...) as they are stored."""
    own = getattr(data, "read_block", None)
    if own is not None:
        return np.asarray(own(frames, rows))
    if frames.stop - frames.start == 1:
        return read(data, (frames.start, rows))[None]
    return read(data, (frames, rows))


def rows_are_cheap(data: ArrayLike) -> bool:
    """Whether a few rows of a frame can be read without reading (and unpacking) all of it."""
    cheap = getattr(data, "cheap_rows", None)
    if cheap is not None:
        return bool(cheap)
    chunks = getattr(data, "chunks", None)  # h5py and zarr: None or shape of a chunk
    if chunks is None:
        return True
    first = chunks[1]
    rows = first if isinstance(first, int) else max(first)  # dask: lengths of all chunks
    return bool(rows * 8 <= data.shape[1])
