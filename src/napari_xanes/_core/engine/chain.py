"""A stack on its way through the steps, before anything is computed.

Steps add to a `Chain`: frame-wise steps wrap its reader, per-pixel steps append a kernel.  `run` then
makes one pass over bands of rows: either of the stack in memory, or of what the reader gives, in which
case only maps are kept.  The arithmetic and its pieces are the same, so are the results.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.stack import EnergyStack, Float32, FrameReader, Signal
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.sampling import sampled_columns, sampled_pixels, sampled_rows

MOSTLY = 0.5
"""A frame with less than this share of the valid pixels of the others is said to spoil them."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Spectra (E, n) of rows spread over the frame, their mean (E,), and which frames have any valid pixel (E,)."""

    spectra: Float32
    mean: NDArray[np.float64]
    usable: NDArray[np.bool_]


Found = dict[str, Any]
Collect = Callable[[Mapping[str, NDArray[Any]]], tuple[dict[str, NamedMap], Found]]
"""Turns a kernel's raw maps into named maps and facts for the history."""


class Repeated:
    """A kernel whose maps were taken in an earlier pass: it changes the spectra again, its maps go nowhere."""

    maps: Mapping[str, tuple[int, ...]] = {}
    writes = True

    def __init__(self, kernel: blocks.PixelKernel) -> None:
        self.kernel = kernel
        self.reads = blocks.images_read(kernel)

    def __call__(self, y: blocks.FloatArray, out: Mapping[str, blocks.FloatArray]) -> None:
        spare = {name: np.empty((*lead, y.shape[1]), y.dtype) for name, lead in self.kernel.maps.items()}
        self.kernel(y, {**out, **spare})


class MaskKernel:
    """Makes spectra outside a mask NaN."""

    maps: Mapping[str, tuple[int, ...]] = {}
    writes = True

    def __init__(self, mask: NDArray[np.bool_]) -> None:
        self.reads = {"inside": mask}

    def __call__(self, y: blocks.FloatArray, out: Mapping[str, blocks.FloatArray]) -> None:
        y[:, ~out["inside"].astype(bool)] = np.nan


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
    kinds : collection of str
        Kinds of maps that are wanted in the end; empty for all.
    signal, energy, image_shape, pixel_size_um, thickness
        What the values mean by now, the photon energies in eV (E,), the shape of one frame, its pixels' size, and
        what an edge normalisation before this run divided out.
    maps : dict
        Named maps so far; those of per-pixel steps come with `compute` or `run`.
    labels : dict
        Integer images by name: masks, clusters, particles; 0 is outside.
    tables : dict
        Tables by name, each a dict of columns.
    extra : dict
        What else a step wants in the result, by name (the drift, the references used).
    normalization : Params, optional
        The resolved parameters of the edge normalisation, if there was one in this run.
    fitted : array of int, optional
        Indices of the energies that the last fit used.
    fitted_references : array (K, n), optional
        Its references at these energies.
    step_noise : float
        Of normalised spectra: the standard error of the edge step divided out, for noise of one in optical density.
    """

    stack: EnergyStack
    in_memory: bool = True
    workers: int | None = None
    kinds: Collection[str] = ()
    maps: dict[str, NamedMap] = field(default_factory=dict)
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    normalization: Params | None = None
    fitted: NDArray[np.intp] | None = None
    fitted_references: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        data = self.stack.data
        self.signal: Signal = self.stack.signal
        self.energy: NDArray[np.float64] = self.stack.energy
        self.image_shape: tuple[int, ...] = self.stack.image_shape
        self.pixel_size_um: float | None = self.stack.pixel_size_um
        self.thickness: blocks.FloatArray | None = self.stack.thickness
        self.read: FrameReader = self.stack.read
        self._cheap = self.stack.cheap_rows
        found = [entry["found"].get("step_noise", 0.0) for entry in self.stack.history]
        self.step_noise = max(found, default=0.0)
        ready = isinstance(data, np.ndarray) and data.dtype == np.float32 and data.flags.c_contiguous
        self._array: Float32 | None = data if isinstance(data, np.ndarray) and ready else None
        self._owned = False  # whether _array may be written into
        self._kernels: list[tuple[blocks.PixelKernel, Collect, Found]] = []
        self._sample: Sample | None = None
        self._unsampled: list[Repeated] = []  # kernels that the sample has not seen yet
        self._named: set[float] = set()  # energies of frames that were warned of

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stack by now, (E, ...)."""
        return (self.energy.size, *self.image_shape)

    def wants(self, kind: str) -> bool:
        """Whether maps of a kind are wanted in the end."""
        return not self.kinds or kind in self.kinds

    # -- what steps add ---------------------------------------------------------------------------

    def frames(self, progress: Progress = no_progress) -> FrameReader:
        """Return the reader of frames as they are by now, computing pending per-pixel steps first."""
        if self._kernels:
            self.run(keep_stack=True, progress=progress)
        return self.read

    def wrap(
        self,
        read: FrameReader,
        signal: Signal | None = None,
        *,
        energy: NDArray[np.float64] | None = None,
        image_shape: Sequence[int] | None = None,
        pixel_size_um: float | None = None,
        cheap_rows: bool = True,
    ) -> None:
        """Put a frame-wise step on top: `read` gives frames after it, made from what `frames` gave.

        What the step changes besides the values is given by name: the energies, the shape, the pixels' size, and
        whether a few rows now cost as much as the frame.
        A step that moves pixels also puts the `thickness` in place, if there is one.
        """
        assert not self._kernels, "take the reader from frames(), which computes what is pending"
        self.read = read
        self.signal = signal or self.signal
        self.energy = self.energy if energy is None else energy
        if image_shape is not None and tuple(image_shape) != self.image_shape:
            self.image_shape, self.thickness = tuple(image_shape), None
        self.pixel_size_um = pixel_size_um or self.pixel_size_um
        self._cheap = self._cheap and cheap_rows
        self._array, self._owned, self._sample, self._unsampled = None, False, None, []

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
        if kernel.writes:
            self._unsampled.append(Repeated(kernel))

    @property
    def kernels(self) -> tuple[blocks.PixelKernel, ...]:
        """The per-pixel steps that are pending, in order."""
        return tuple(kernel for kernel, _, _ in self._kernels)

    def found_map(self, name: str, step: str) -> NDArray[Any]:
        """Return a map of earlier steps, or the thickness that the stack was divided by, for a step that needs it."""
        if name in self.maps:
            return self.maps[name].data
        if name == "thickness" and self.thickness is not None:
            return self.thickness
        have = ", ".join(self.maps) or "none; put a step that makes maps before it"
        raise InputError(f"{step} needs the map '{name}', which no earlier step made; there are: {have}.")

    def mask_pixels(self, mask: NDArray[np.bool_], progress: Progress = no_progress) -> None:
        """Make what lies outside `mask` (image shape) NaN, in the maps so far and in all that follows."""
        self.compute(progress)
        for name, one in self.maps.items():
            masked = np.where(mask, one.data, np.nan).astype(one.data.dtype)
            self.maps[name] = NamedMap(masked, one.kind, one.unit, one.reference)
        self.add_kernel(MaskKernel(mask), _nothing, {})

    def sample(self) -> Sample:
        """Return spectra of pixels spread over the frame, after all steps so far.

        Raises InputError if no frame holds a valid number.
        """
        if self._sample is None:
            self._sample, self._unsampled = self._take_sample(), []
        elif self._unsampled:
            spectra = self._sample.spectra.copy()
            blocks.apply_kernels(
                self._unsampled, spectra, [{}] * len(self._unsampled), sampled_pixels(self.image_shape)
            )
            self._sample, self._unsampled = self._summary(spectra), []
        return self._sample

    def usable_energies(self, found: Found) -> NDArray[np.bool_]:
        """Return which frames can be used (E,); those that cannot are named in `found`, once with a warning.

        So are those that spoil many pixels, being invalid where the others are not.
        """
        sample = self.sample()
        usable, lost = sample.usable, self.energy[~sample.usable]
        if lost.size:
            found["unusable_frames"] = lost.tolist()
        if (new := self._new(lost)).size:
            found.setdefault("warnings", []).append(
                f"{new.size} of {usable.size} frames hold no valid pixel and are left out: {named_energies(new)}"
            )
        share = np.isfinite(sample.spectra).mean(axis=1)
        spoiling = usable & (share < MOSTLY * np.median(share[usable]))
        if (new := self._new(self.energy[spoiling])).size:
            found.setdefault("warnings", []).append(
                f"{new.size} of {usable.size} frames are invalid in most pixels, which makes these pixels invalid in all "
                f"maps: {named_energies(new)}; leave the frames out"
            )
        return usable

    def _new(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the energies that were not warned of before, and remember them."""
        new = np.array([e for e in energies.tolist() if e not in self._named])
        self._named.update(new.tolist())
        return new

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
        rows, columns = sampled_rows(self.image_shape), sampled_columns(self.image_shape)
        spectra = np.empty((self.energy.size, rows.size * columns.size), np.float32)

        def measure(i: int) -> None:
            if (self._cheap or self._array is not None) and rows.size < self.image_shape[0]:
                values = np.concatenate([self.read(i, slice(r, r + 1)) for r in rows])
            else:
                values = self.read(i, slice(None))[rows]
            spectra[i] = values.reshape(rows.size, -1)[:, columns].reshape(-1)

        few = self._cheap or self._array is not None  # so little at a time that threads would only wait
        blocks.run(measure, range(self.energy.size), workers=1 if few else self.workers)
        if self._kernels:
            kernels = [Repeated(kernel) for kernel, _, _ in self._kernels if kernel.writes]
            blocks.apply_kernels(kernels, spectra, [{}] * len(kernels), sampled_pixels(self.image_shape))
        return self._summary(spectra)

    def _summary(self, spectra: Float32) -> Sample:
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
        """Complete the maps in one pass over all pixels, and return the stack if it is kept.

        Parameters
        ----------
        keep_stack : bool
            Whether the stack as it is after the last step is wanted, float32 (E, ...).
        """
        if not keep_stack:
            self.compute(progress)
            return None
        data = self._materialize(progress)
        if any(kernel.writes for kernel, _, _ in self._kernels):
            self._run_in_memory(data if self._owned else self._allocate(), progress)
        else:
            self._run_in_memory(None, progress)
        return self._array

    def compute(self, progress: Progress = no_progress) -> None:
        """Complete the maps of the per-pixel steps so far."""
        if all(isinstance(kernel, Repeated) for kernel, _, _ in self._kernels):
            return
        if self.in_memory or self._array is not None:
            data = self._materialize(progress)
            self._run_in_memory(data if self._owned else None, progress)
        else:
            self._run_streamed(progress)

    def bands(self) -> list[slice]:
        """Return the bands of rows that `band` takes; they depend on the stack's shape only."""
        return blocks.row_blocks(self.image_shape, self.energy.size)

    def band(self, rows: slice) -> Float32:
        """Return the spectra (E, n) of a band of rows after all steps so far, not to be written to."""
        width = prod(self.image_shape[1:])
        if self._array is not None and not self._kernels:
            return self._array[:, rows].reshape(self.energy.size, -1)
        spectra = self._read_band(rows)
        kernels = [Repeated(kernel) for kernel, _, _ in self._kernels if kernel.writes]
        for chunk in blocks.pixel_chunks(self.image_shape):
            if rows.start * width <= chunk.start < rows.stop * width:
                part = spectra[:, chunk.start - rows.start * width : chunk.stop - rows.start * width]
                blocks.apply_kernels(kernels, part, [{}] * len(kernels), chunk)
        return spectra

    def _read_band(self, rows: slice) -> Float32:
        n = self.energy.size
        spectra = np.empty((n, (rows.stop - rows.start) * prod(self.image_shape[1:])), np.float32)
        for i in range(n):
            spectra[i] = self.read(i, rows).reshape(-1)
        return spectra

    def _run_in_memory(self, out: Float32 | None, progress: Progress) -> None:
        """Apply the kernels to the stack in memory; the changed spectra go to `out`, or nowhere."""
        assert self._array is not None
        if not self._kernels:
            return
        maps = blocks.run_kernels(
            [k for k, _, _ in self._kernels],
            self._array,
            out=out,
            progress=progress,
            text="Computing maps",
            workers=self.workers,
            wanted=self.wants,
        )
        self._collect(maps, kept=out is not None)
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
        check_memory(prod(self.shape) * 4, f"{self.stack.name or 'the stack'} {self.shape} as float32")
        return np.empty(self.shape, np.float32)

    def _hold(self, data: Float32) -> None:
        self._array, self._owned = data, True
        self.read = partial(_read_array, data)

    def _run_streamed(self, progress: Progress) -> None:
        kernels = [kernel for kernel, _, _ in self._kernels]
        maps = blocks.allocate_maps(kernels, self.image_shape, wanted=self.wants)
        width = prod(self.image_shape[1:])
        chunks = blocks.pixel_chunks(self.image_shape)
        starts = [chunk.start for chunk in chunks]

        def work(band: slice) -> None:
            first, last = band.start * width, band.stop * width
            y = self._read_band(band)
            for chunk in chunks[bisect_left(starts, first) : bisect_left(starts, last)]:
                blocks.apply_kernels(kernels, y[:, chunk.start - first : chunk.stop - first], maps, chunk)

        blocks.run(
            work, self._reading_bands(), progress=progress, text="Computing maps", workers=self.workers
        )
        self._collect(maps, kept=False)

    def _reading_bands(self) -> list[slice]:
        """Return the bands that are read: as large as memory allows where each has every frame unpacked anew."""
        if self._cheap:
            return self.bands()
        share = 0.25 * psutil.virtual_memory().available / 2**20 / (self.workers or blocks.default_workers())
        return blocks.row_blocks(self.image_shape, self.energy.size, megabytes=max(12.0, share))

    def _collect(self, maps: list[dict[str, blocks.FloatArray]], *, kept: bool) -> None:
        """Name the maps; kernels whose changes were not kept are repeated in passes that follow."""
        for (_, collect, found), raw in zip(self._kernels, maps, strict=True):
            named, facts = collect(raw)
            twice = named.keys() & self.maps.keys()
            if twice:
                raise InputError(
                    f"two steps make a map '{min(twice)}', and one would be lost; run them as two recipes."
                )
            self.maps.update(named)
            found.update(facts)
        repeated = [kernel for kernel, _, _ in self._kernels if kernel.writes and not kept]
        self._kernels = [
            (kernel if isinstance(kernel, Repeated) else Repeated(kernel), _nothing, {})
            for kernel in repeated
        ]


def _nothing(raw: Mapping[str, NDArray[Any]]) -> tuple[dict[str, NamedMap], Found]:
    return {}, {}


def named_energies(energy: NDArray[np.float64]) -> str:
    """Return some energies in words, the first five of many."""
    return ", ".join(f"{e:.2f} eV" for e in energy[:5]) + (", ..." if energy.size > 5 else "")


def _read_array(data: Float32, index: int, rows: slice = slice(None)) -> Float32:
    return data[index, rows].copy()


def count_invalid(data: NDArray[Any]) -> int:
    """Return the number of NaN in a map."""
    return int(np.isnan(data).sum())
