"""A stack on its way through the steps, before anything is computed.

Steps add to a `Chain`: frame-wise steps wrap its reader, per-pixel steps append a kernel.  `run` then
makes one pass over bands of rows: either of the stack in memory, or of what the reader gives, in which
case only maps are kept.  The arithmetic and its pieces are the same, so are the results.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_xanes._core import blocks
from napari_xanes._core.errors import InputError, ResourceError
from napari_xanes._core.progress import Progress, no_progress
from napari_xanes._core.stack import EnergyStack, Float32, FrameReader, Signal

logger = logging.getLogger("napari_xanes")

SAMPLE_ROWS = 48
"""Rows, spread over the frame, from which the mean spectrum and lost frames are told."""


@dataclass(frozen=True, eq=False)
class NamedMap:
    """A result image: what it is, of which reference, in which unit."""

    data: NDArray[Any]
    kind: str
    unit: str = ""
    reference: str | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """Spectra (E, n) of rows spread over the frame, their mean (E,), and which frames have any valid pixel (E,)."""

    spectra: Float32
    mean: NDArray[np.float64]
    usable: NDArray[np.bool_]


Found = dict[str, Any]
Collect = Callable[[Mapping[str, NDArray[Any]]], tuple[dict[str, NamedMap], Found]]
"""Turns a kernel's raw maps into named maps and facts for the history."""


@dataclass(eq=False)
class Chain:
    """What the steps so far have made of a stack; see the module's docstring.

    Attributes
    ----------
    stack : EnergyStack
        The stack that the chain started from.
    in_memory : bool
        Whether the stack is kept in memory as float32 once, rather than streamed.
    workers : int, optional
        Number of threads.
    signal : str
        What the values mean by now.
    maps : dict
        Named maps so far; those of per-pixel steps come with `run`.
    extra : dict
        What else a step wants in the result, by name (the drift, the references used).
    step_noise : float
        Of normalised spectra: the standard error of the edge step divided out, for noise of one in optical density.
    """

    stack: EnergyStack
    in_memory: bool = True
    workers: int | None = None
    signal: Signal = field(init=False)
    maps: dict[str, NamedMap] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        data = self.stack.data
        self.signal = self.stack.signal
        self.read: FrameReader = self.stack.read
        found = [entry["found"].get("step_noise", 0.0) for entry in self.stack.history]
        self.step_noise = max(found, default=0.0)
        ready = isinstance(data, np.ndarray) and data.dtype == np.float32 and data.flags.c_contiguous
        self._array: Float32 | None = data if isinstance(data, np.ndarray) and ready else None
        self._owned = False  # whether _array may be written into
        self._kernels: list[tuple[blocks.PixelKernel, Collect, Found]] = []
        self._sample: Sample | None = None
        self._note_lost = False

    @property
    def energy(self) -> NDArray[np.float64]:
        """Photon energies in eV, (E,)."""
        return self.stack.energy

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of one frame."""
        return self.stack.image_shape

    # -- what steps add ---------------------------------------------------------------------------

    def frames(self, progress: Progress = no_progress) -> FrameReader:
        """Return the reader of frames as they are by now, computing pending per-pixel steps first."""
        if self._kernels:
            self.run(keep_stack=True, progress=progress)
        return self.read

    def wrap(self, read: FrameReader, signal: Signal | None = None) -> None:
        """Put a frame-wise step on top: `read` gives frames after it, made from what `frames` gave."""
        assert not self._kernels, "take the reader from frames(), which computes what is pending"
        self.read = read
        self.signal = signal or self.signal
        self._array, self._owned, self._sample = None, False, None

    def add_kernel(
        self,
        kernel: blocks.PixelKernel,
        collect: Collect,
        found: Found,
        signal: Signal | None = None,
    ) -> None:
        """Append a per-pixel step; after the run `collect` names its maps and adds facts to `found`."""
        self._kernels.append((kernel, collect, found))
        self.signal = signal or self.signal

    def sample(self) -> Sample:
        """Return spectra of rows spread over the frame; only frame-wise steps are seen, not pending per-pixel ones.

        Raises InputError if no frame holds a valid number.
        """
        if self._sample is None:
            self._sample = self._take_sample()
            self._note_lost = not self._sample.usable.all()
        return self._sample

    def usable_energies(self, found: Found) -> NDArray[np.bool_]:
        """Return which frames can be used (E,); those that cannot are named in `found`, once with a warning."""
        usable = self.sample().usable
        lost = self.energy[~usable]
        if lost.size:
            found["unusable_frames"] = lost.tolist()
        if lost.size and self._note_lost:
            self._note_lost = False
            found.setdefault("warnings", []).append(
                f"{lost.size} of {usable.size} frames hold no valid pixel and are left out: {named_energies(lost)}"
            )
        return usable

    def blank_frames(self, found: Found) -> NDArray[np.bool_]:
        """Return which frames hold one and the same count everywhere (E,), saturated or never read out.

        They are named in `found`.  A stack that is so in all frames is not judged here.
        """
        sample = self.sample()
        with np.errstate(invalid="ignore"):
            lowest, highest = np.fmin.reduce(sample.spectra, axis=1), np.fmax.reduce(sample.spectra, axis=1)
        blank: NDArray[np.bool_] = sample.usable & (lowest == highest)
        if blank.any() and not blank[sample.usable].all():
            found["blank_frames"] = self.energy[blank].tolist()
            text = f"{int(blank.sum())} of {blank.size} frames hold the same count in every pixel and are invalid"
            found.setdefault("warnings", []).append(f"{text}: {named_energies(self.energy[blank])}")
            return blank
        return np.zeros_like(blank)

    def _take_sample(self) -> Sample:
        n_rows = self.image_shape[0]
        picked = np.unique(np.linspace(0, n_rows - 1, min(SAMPLE_ROWS, n_rows)).round().astype(int))
        spectra = np.empty((self.energy.size, picked.size * prod(self.image_shape[1:])), np.float32)

        def measure(i: int) -> None:
            if self.stack.cheap_rows or self._array is not None:
                values = np.concatenate([self.read(i, slice(r, r + 1)) for r in picked])
            else:
                values = self.read(i, slice(None))[picked]
            spectra[i] = values.reshape(-1)

        blocks.run(measure, range(self.energy.size), workers=self.workers)
        valid = np.isfinite(spectra)
        usable: NDArray[np.bool_] = np.any(valid, axis=1)
        if not usable.any():
            raise InputError(
                f"{self.stack.name or 'the stack'} holds no valid number in any of its {usable.size} frames; "
                "check the file, the flats and the darks."
            )
        total = np.where(valid, spectra, 0).sum(axis=1, dtype=np.float64)
        mean = np.where(usable, total / np.maximum(valid.sum(axis=1), 1), np.nan)
        return Sample(spectra, mean, usable)

    # -- running ----------------------------------------------------------------------------------

    def run(self, *, keep_stack: bool = False, progress: Progress = no_progress) -> Float32 | None:
        """Make the pass over all pixels, complete the maps, and return the stack if it is kept.

        Parameters
        ----------
        keep_stack : bool
            Whether the stack as it is after the last step is wanted, float32 (E, ...).
        """
        if keep_stack or self._array is not None or (self.in_memory and self._kernels):
            self._run_in_memory(keep_stack, progress)
        elif self._kernels:
            self._run_streamed(progress)
        return self._array if keep_stack else None

    def _run_in_memory(self, keep_stack: bool, progress: Progress) -> None:
        data = self._materialize(progress)
        if not self._kernels:
            return
        writes = any(kernel.writes for kernel, _, _ in self._kernels)
        out = data if self._owned else None
        if keep_stack and writes and not self._owned:
            out = self._allocate()
        maps = blocks.run_kernels(
            [k for k, _, _ in self._kernels],
            data,
            out=out,
            progress=progress,
            text="Computing maps",
            workers=self.workers,
        )
        self._collect(maps)
        if out is not None:
            self._hold(out)

    def _materialize(self, progress: Progress) -> Float32:
        if self._array is None:
            target = self._allocate()
            read = self.read

            def load(i: int) -> None:
                target[i] = read(i, slice(None))

            blocks.run(
                load,
                range(len(target)),
                progress=progress,
                text="Preparing frames",
                workers=self.workers,
            )
            self._hold(target)
        assert self._array is not None
        return self._array

    def _allocate(self) -> Float32:
        shape = self.stack.shape
        check_memory(prod(shape) * 4, f"{self.stack.name or 'the stack'} {shape} as float32")
        return np.empty(shape, np.float32)

    def _hold(self, data: Float32) -> None:
        self._array, self._owned = data, True
        self.read = partial(_read_array, data)

    def _run_streamed(self, progress: Progress) -> None:
        kernels = [kernel for kernel, _, _ in self._kernels]
        maps = blocks.allocate_maps(kernels, self.image_shape)
        width = prod(self.image_shape[1:])
        n = self.energy.size
        chunks = blocks.pixel_chunks(self.image_shape)
        starts = [chunk.start for chunk in chunks]

        def work(band: slice) -> None:
            first, last = band.start * width, band.stop * width
            y = np.empty((n, last - first), np.float32)
            for i in range(n):
                y[i] = self.read(i, band).reshape(-1)
            for chunk in chunks[bisect_left(starts, first) : bisect_left(starts, last)]:
                blocks.apply_kernels(kernels, y[:, chunk.start - first : chunk.stop - first], maps, chunk)

        bands = blocks.row_blocks(self.image_shape, n)
        blocks.run(work, bands, progress=progress, text="Computing maps", workers=self.workers)
        self._collect(maps)

    def _collect(self, maps: list[dict[str, blocks.FloatArray]]) -> None:
        for (_, collect, found), raw in zip(self._kernels, maps, strict=True):
            named, facts = collect(raw)
            self.maps.update(named)
            found.update(facts)
        self._kernels.clear()


def named_energies(energy: NDArray[np.float64]) -> str:
    """Return some energies in words, the first five of many."""
    return ", ".join(f"{e:.2f} eV" for e in energy[:5]) + (", ..." if energy.size > 5 else "")


def _read_array(data: Float32, index: int, rows: slice = slice(None)) -> Float32:
    return data[index, rows].copy()


def check_memory(n_bytes: int, what: str) -> None:
    """Refuse with a ResourceError what does not fit into the memory that is free now."""
    free = psutil.virtual_memory().available
    if n_bytes > 0.9 * free:
        raise ResourceError(
            f"{what} needs {n_bytes / 2**30:.1f} GiB of memory, {free / 2**30:.1f} GiB are free; "
            "run it streamed from the file (in_memory=False), crop, or use a machine with more memory."
        )


def count_invalid(data: NDArray[Any]) -> int:
    """Return the number of NaN in a map."""
    return int(np.isnan(data).sum())
