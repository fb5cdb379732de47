"""Which frames of a stack can be used, judged by spectra of pixels spread over the frame."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kept_rows import KeptRows
from napari_xanes._core.data.stack import Float32, FrameReader
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.sampling import (
    TOGETHER,
    mean_of_complete,
    runs_of,
    sampled_columns,
    sampled_rows,
)

MOSTLY = 0.5
"""A frame with less than this share of the valid pixels of the others is said to spoil them."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Spectra (E, n) of rows spread over the frame, their mean (E,), and which frames can be used (E,).

    Those without a valid pixel cannot, nor can `never_taken`, the frames of zeros at the end of a scan that was stopped.
    `share` of the pixels are valid in a frame (E,).
    """

    spectra: Float32
    mean: NDArray[np.float64]
    usable: NDArray[np.bool_]
    never_taken: NDArray[np.bool_]
    share: NDArray[np.float64]

    @cached_property
    def mean_of_complete(self) -> NDArray[np.float64]:
        """Mean (E,) of the pixels that are valid in all usable frames."""
        return mean_of_complete(self.spectra, self.usable)


def read_sample(
    read: FrameReader,
    n: int,
    image_shape: tuple[int, ...],
    *,
    by_rows: bool,
    workers: int | None,
    kept: KeptRows | None = None,
) -> Float32:
    """Return the spectra (E, n) of the sampled pixels; `by_rows` says that a few rows are read quickly.

    What must not be read twice for neighbouring rows stays in `kept` meanwhile, of one frame or of one row.
    """
    rows, columns = sampled_rows(image_shape), sampled_columns(image_shape)
    spectra = np.empty((n, rows.size * columns.size), np.float32)

    if kept is not None and kept.group > 1:
        by_row = spectra.reshape(n, rows.size, columns.size)
        with kept.keeping() as keeping:
            done = 0
            for run in runs_of(rows, TOGETHER):
                there = slice(done, done + run.stop - run.start)
                for i in range(n):
                    by_row[i, there] = read(i, run).reshape(run.stop - run.start, -1)[:, columns]
                    keeping.leave(0)
                keeping.end_band(0)
                done = there.stop
        return spectra

    def measure(i: int) -> None:
        with nullcontext() if kept is None else kept.keeping():
            if by_rows and rows.size < image_shape[0]:
                values = np.concatenate([read(i, run) for run in runs_of(rows)])
            else:
                values = read(i, slice(None))[rows]
        spectra[i] = values.reshape(rows.size, -1)[:, columns].reshape(-1)

    # by rows of images, so little is read at a time that threads would only wait
    blocks.run(measure, range(n), workers=1 if by_rows and len(image_shape) < 3 else workers)
    return spectra


def summarize(spectra: Float32, name: str) -> Sample:
    """Return sampled spectra with their mean; raises InputError if no frame holds a valid number."""
    valid = np.isfinite(spectra)
    never_taken = _zeros_at_the_end(spectra)
    usable: NDArray[np.bool_] = np.any(valid, axis=1) & ~never_taken
    if not usable.any():
        raise InputError(
            f"{name or 'the stack'} holds no valid number in any of its {usable.size} frames; "
            "check the file, the flats and the darks."
        )
    total = np.where(valid, spectra, 0).sum(axis=1, dtype=np.float64)
    count = valid.sum(axis=1)
    mean = np.where(usable, total / np.maximum(count, 1), np.nan)
    return Sample(spectra, mean, usable, never_taken, count / valid.shape[1])


def _zeros_at_the_end(spectra: Float32) -> NDArray[np.bool_]:
    """Return which frames are the last ones and hold nothing but zeros (E,), if any frame holds more.

    Frames of zeros at the beginning may be those below the edge of a simulated scan.
    """
    empty: NDArray[np.bool_] = np.all(spectra == 0, axis=1)
    zeros: NDArray[np.bool_] = np.logical_and.accumulate(empty[::-1])[::-1]
    return np.zeros_like(zeros) if zeros.all() else zeros


class NotWarnedOf:
    """Returns which of some energies come for the first time."""

    def __init__(self) -> None:
        self._named: set[float] = set()

    def __call__(self, energies: NDArray[np.float64]) -> NDArray[np.float64]:
        new = np.array([e for e in energies.tolist() if e not in self._named])
        self._named.update(new.tolist())
        return new


def note_unusable(
    sample: Sample,
    energy: NDArray[np.float64],
    found: Found,
    new: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> None:
    """Note the frames that hold nothing, and warn of them and of those that spoil many pixels.

    `new` returns which of some energies were not warned of before.
    """
    usable, lost = sample.usable, energy[~sample.usable]
    if lost.size:
        found["unusable_frames"] = lost.tolist()
    if (fresh := new(energy[sample.never_taken])).size:
        found.warn(
            f"the last {fresh.size} of {usable.size} frames hold nothing but zeros, as where a scan was stopped, and are "
            f"left out: {named_energies(fresh)}"
        )
    if (fresh := new(lost)).size:
        found.warn(
            f"{fresh.size} of {usable.size} frames hold no valid pixel and are left out: {named_energies(fresh)}"
        )
    spoiling = usable & (sample.share < MOSTLY * np.median(sample.share[usable]))
    if (fresh := new(energy[spoiling])).size:
        found.warn(
            f"{fresh.size} of {usable.size} frames are invalid in most pixels, which makes these pixels invalid in all "
            f"maps: {named_energies(fresh)}; leave the frames out"
        )


def find_blank(sample: Sample, energy: NDArray[np.float64], found: Found) -> NDArray[np.bool_]:
    """Return which frames hold one and the same count everywhere (E,), and note them."""
    with np.errstate(invalid="ignore"):
        lowest, highest = np.fmin.reduce(sample.spectra, axis=1), np.fmax.reduce(sample.spectra, axis=1)
    blank: NDArray[np.bool_] = sample.usable & (lowest == highest)
    if blank.any() and not blank[sample.usable].all():
        found["blank_frames"] = energy[blank].tolist()
        text = f"{int(blank.sum())} of {blank.size} frames hold the same count in every pixel and are invalid"
        found.warn(f"{text}: {named_energies(energy[blank])}")
        return blank
    return np.zeros_like(blank)


def named_energies(energy: NDArray[np.float64]) -> str:
    """Return some energies in words, the first five of many."""
    return ", ".join(f"{e:.2f} eV" for e in energy[:5]) + (", ..." if energy.size > 5 else "")
