"""A stack on its way through the steps, before anything is computed.

Steps add to a `Chain`: frame-wise steps wrap its reader, per-pixel steps append a kernel.  `run` then
makes one pass over bands of rows (`passes`): either of the stack in memory, or of what the reader gives, in which
case only maps are kept.  Which frames can be used is decided in `judge`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from math import prod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.history import Entry, Found
from napari_xanes._core.data.kept_rows import kept_rows
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.stack import EnergyStack, Float32, FrameReader, Signal, pieces
from napari_xanes._core.engine import blocks, judge, passes, slabs
from napari_xanes._core.engine.computed import ComputedStack, spectra_of_rows
from napari_xanes._core.engine.judge import Sample
from napari_xanes._core.engine.once import array_once
from napari_xanes._core.engine.passes import Collect, MaskKernel, Pending, Repeated
from napari_xanes._core.engine.sampling import sampled_pixels

T = TypeVar("T")


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
    sink : MapSink, optional
        Where the maps of volumes are put, rather than kept in memory, and what takes long to find.
    on_demand : bool
        Whether a `view` is wanted in the end, for which steps keep what they have found in every pixel.
    signal, energy, image_shape, pixel_size_um, thickness
        What the values mean by now, the photon energies in eV (E,), the shape of one frame, its pixels' size, and
        what an edge normalisation before this run divided out.
    maps : dict
        Named maps so far; those of per-pixel steps come with `compute` or `run`.
    labels, tables : dict
        Integer images (masks, clusters, particles; 0 is outside), and tables (each a dict of columns), by name.
    extra : dict
        What else a step wants in the result, by name (the drift, the references used).
    entries : list of Entry
        The steps of this run; what is found in a pass is added to them when it is made.
    judged : Sample, optional
        The sample of the stack, if another chain has looked at it before.
    """

    stack: EnergyStack
    in_memory: bool = True
    workers: int | None = None
    kinds: Collection[str] = ()
    sink: slabs.MapSink | None = None
    on_demand: bool = False
    maps: dict[str, NamedMap] = field(default_factory=dict)
    labels: dict[str, NDArray[Any]] = field(default_factory=dict)
    tables: dict[str, dict[str, NDArray[Any]]] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    judged: Sample | None = None

    def __post_init__(self) -> None:
        data = self.stack.data
        self.signal: Signal = self.stack.signal
        self.energy: NDArray[np.float64] = self.stack.energy
        self.image_shape: tuple[int, ...] = self.stack.image_shape
        self.pixel_size_um: float | None = self.stack.pixel_size_um
        self.thickness: blocks.FloatArray | None = self.stack.thickness
        view = data if isinstance(data, ComputedStack) else None
        self._kept = view.kept if view else kept_rows(self.stack)
        self.read: FrameReader = view.read if view else self._kept or self.stack.read
        self._cheap = self.stack.cheap_rows
        ready = isinstance(data, np.ndarray) and data.dtype == np.float32 and data.flags.c_contiguous
        self._array: Float32 | None = data if isinstance(data, np.ndarray) and ready else None
        self._owned = False  # whether _array may be written into
        self._pending = [Pending(kernel) for kernel in view.kernels] if view else []
        self._sample: Sample | None = view.sample if view else self.judged
        self._unsampled: list[Repeated] = []  # kernels that the sample has not seen yet
        self._new = judge.NotWarnedOf()
        self._handed: dict[type, Any] = {}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the stack by now, (E, ...)."""
        return (self.energy.size, *self.image_shape)

    @property
    def packed_rows(self) -> int:
        """How many rows of a frame are best read together; all, where a few cost as much."""
        return pieces(self.stack.data)[1] if self._cheap else self.image_shape[0]

    def wants(self, kind: str) -> bool:
        """Whether maps of a kind are wanted in the end."""
        return not self.kinds or kind in self.kinds

    # -- what steps add ---------------------------------------------------------------------------

    def hand_over(self, fact: object) -> None:
        """Leave what later steps need to know, one of each type."""
        self._handed[type(fact)] = fact

    def handed(self, kind: type[T]) -> T | None:
        """Return what an earlier step of this run left of a type; None if none did."""
        return self._handed.get(kind)

    def frames(self, progress: Progress = no_progress) -> FrameReader:
        """Return the reader of frames as they are by now, computing pending per-pixel steps first."""
        if not self.in_memory and (self.on_demand or all(passes.is_by_frame(k) for k in self.kernels)):
            view = self.view(progress) if self._pending else None
            if view is not None and view.by_frame:
                self.read, self._pending = partial(view.frame, workers=1), []
        if self._pending:
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
        assert not self._pending, "take the reader from frames(), which computes what is pending"
        self.read = read
        self.signal = signal or self.signal
        self.energy = self.energy if energy is None else energy
        if image_shape is not None and tuple(image_shape) != self.image_shape:
            self.image_shape, self.thickness = tuple(image_shape), None
        self.pixel_size_um = pixel_size_um or self.pixel_size_um
        self._cheap = self._cheap and cheap_rows
        self._kept = self._kept if cheap_rows else None
        self._array, self._owned, self._sample, self._unsampled = None, False, None, []

    def add_kernel(
        self, kernel: blocks.PixelKernel, collect: Collect | None, signal: Signal | None = None
    ) -> None:
        """Append a per-pixel step; after the pass `collect` names its maps and says what is found in them."""
        if self.on_demand and (remember := getattr(kernel, "remember", None)):
            remember()
        self._pending.append(Pending(kernel, collect, len(self.entries) - 1 if self.entries else None))
        self.signal = signal or self.signal
        if kernel.writes:
            self._unsampled.append(Repeated(kernel))

    @property
    def kernels(self) -> tuple[blocks.PixelKernel, ...]:
        """The per-pixel steps that are pending, in order."""
        return tuple(one.kernel for one in self._pending)

    def found_map(self, name: str, step: str) -> NDArray[Any]:
        """Return a map of earlier steps, or the thickness that the stack was divided by, for a step that needs it."""
        if name in self.maps:
            return np.asarray(self.maps[name].data)
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
        self.add_kernel(MaskKernel(mask), None)

    # -- looking at it ----------------------------------------------------------------------------

    def sample(self) -> Sample:
        """Return spectra of pixels spread over the frame, after all steps so far.

        Raises InputError if no frame holds a valid number.
        """
        if self._sample is None:
            in_memory = self._array is not None
            read = partial(
                judge.read_sample,
                self.read,
                self.energy.size,
                self.image_shape,
                by_rows=self._cheap or in_memory,
                workers=self.workers,
                kept=None if in_memory else self._kept,
            )
            spectra = array_once(self.sink, "sample", read)
            self._resample(spectra, [Repeated(one.kernel) for one in self._pending if one.kernel.writes])
        elif self._unsampled:
            self._resample(self._sample.spectra.copy(), self._unsampled)
        assert self._sample is not None
        return self._sample

    def _resample(self, spectra: Float32, kernels: Sequence[Repeated]) -> None:
        if kernels:
            passes.apply_repeated(kernels, spectra, sampled_pixels(self.image_shape))
        self._sample, self._unsampled = judge.summarize(spectra, self.stack.name), []

    def usable_energies(self, found: Found) -> NDArray[np.bool_]:
        """Return which frames can be used (E,); those that cannot are named in `found`, once with a warning.

        So are those that spoil many pixels, being invalid where the others are not.
        """
        sample = self.sample()
        judge.note_unusable(sample, self.energy, found, self._new)
        return sample.usable

    def blank_frames(self, found: Found) -> NDArray[np.bool_]:
        """Return which frames hold one and the same count everywhere (E,), saturated or never read out.

        They are named in `found`.  A stack that is so in all frames is not judged here.
        """
        return judge.find_blank(self.sample(), self.energy, found)

    # -- running ----------------------------------------------------------------------------------

    def run(self, *, keep_stack: bool = False, progress: Progress = no_progress) -> Float32 | None:
        """Complete the maps in one pass over all pixels, and return the stack (E, ...) as it is then if it is kept."""
        if not keep_stack:
            self.compute(progress)
            return None
        data = self._materialize(progress)
        changes = any(one.kernel.writes for one in self._pending)
        out = (data if self._owned else self._allocate()) if changes else None
        self._run_in_memory(out, progress)
        return self._array

    def view(self, progress: Progress = no_progress) -> ComputedStack:
        """Complete the maps, and return the stack as it is after the last step, to be computed where it is looked at."""
        self.compute(progress)
        with suppress(InputError):  # of a stack that holds no valid number
            self.sample()
        kernels = [one.kernel for one in self._pending if isinstance(one.kernel, Repeated)]
        return ComputedStack(
            self.read, self.shape, kernels, kept=self._kept, cheap_rows=self._cheap, sample=self._sample
        )

    def compute(self, progress: Progress = no_progress) -> None:
        """Complete the maps of the per-pixel steps so far."""
        if all(isinstance(one.kernel, Repeated) for one in self._pending):
            return
        if self.in_memory or self._array is not None:
            data = self._materialize(progress)
            self._run_in_memory(data if self._owned else None, progress)
            return
        maps = slabs.run_slabs(
            self.kernels,
            self.read,
            self.shape,
            kept=self._kept,
            sink=self.sink,
            cheap=self._cheap,
            wanted=self.wants,
            progress=progress,
            workers=self.workers,
        )
        self._collect(maps, kept=False)

    def bands(self) -> list[slice]:
        """Return the bands of rows that `band` takes; they depend on the stack's shape only."""
        return blocks.row_blocks(self.image_shape, self.energy.size)

    def band(self, rows: slice) -> Float32:
        """Return the spectra (E, n) of a band of rows after all steps so far, not to be written to."""
        if self._array is not None and not self._pending:
            return self._array[:, rows].reshape(self.energy.size, -1)
        kernels = [Repeated(one.kernel) for one in self._pending if one.kernel.writes]
        return spectra_of_rows(self.read, kernels, self.shape, rows)

    def _run_in_memory(self, out: Float32 | None, progress: Progress) -> None:
        """Apply the kernels to the stack in memory; the changed spectra go to `out`, or nowhere."""
        assert self._array is not None
        if not self._pending:
            return
        maps = blocks.run_kernels(
            [one.kernel for one in self._pending],
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
            passes.load(self.read, target, progress, self.workers)
            self._hold(target)
        assert self._array is not None
        return self._array

    def _allocate(self) -> Float32:
        check_memory(prod(self.shape) * 4, f"{self.stack.name or 'the stack'} {self.shape} as float32")
        return np.empty(self.shape, np.float32)

    def _hold(self, data: Float32) -> None:
        self._array, self._owned = data, True
        self.read = partial(passes.read_array, data)

    def _collect(self, maps: passes.RawMaps, *, kept: bool) -> None:
        """Name the maps; kernels whose changes were not kept are repeated in passes that follow."""
        for one, raw in zip(self._pending, maps, strict=True):
            if one.collect is None:
                continue
            named, found = one.collect(raw)
            twice = named.keys() & self.maps.keys()
            if twice:
                raise InputError(
                    f"two steps make a map '{min(twice)}', and one would be lost; run them as two recipes."
                )
            self.maps.update(named)
            if one.entry is not None:
                self.entries[one.entry] = self.entries[one.entry].having(found)
        self._pending = [
            Pending(passes.repeated(one.kernel, raw, known=self.on_demand))
            for one, raw in zip(self._pending, maps, strict=True)
            if one.kernel.writes and not kept
        ]
