"""A drift that is put right frame by frame; no Qt here."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.apply import known_drift
from napari_xanes._core.align.blend import blend_frames
from napari_xanes._core.align.move import moved_rows
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.data.stack import EnergyStack

Float64 = NDArray[np.float64]
Marks = NDArray[np.bool_]


class EditedDrift:
    """The drift that an alignment found, and what the user made of it.

    Parameters
    ----------
    found : Drift
        Displacements only, no affine maps.
    doubtful : collection of int
        Frames that the alignment calls doubtful.

    Attributes
    ----------
    drift : Drift
        As it is now.
    doubtful : array of bool (E,)
    excluded : array of bool (E,)
        Frames that are left out; those that were lost are from the beginning.
    """

    def __init__(self, found: Drift, doubtful: Collection[int] = ()) -> None:
        self.found = self.drift = found
        self.lost: Marks = ~np.all(np.isfinite(found.shifts), axis=1)
        self.excluded: Marks = self.lost.copy()
        self.doubtful = _marked(doubtful, self.lost)

    @property
    def to_check(self) -> Marks:
        """The doubtful frames, and those whose drift is unlike that of their neighbours (E,)."""
        return self.doubtful | _marked(self.found.outliers().tolist(), self.lost)

    @property
    def changed(self) -> Marks:
        """Frames that were moved by hand (E,)."""
        moved = self.drift.matrices != self.found.matrices
        differs: Marks = np.any(moved & np.isfinite(self.drift.matrices), axis=(1, 2))
        return differs

    @property
    def is_edited(self) -> bool:
        """Whether anything is not as it was found."""
        return bool(self.changed.any() or (self.excluded != self.lost).any())

    def is_known(self, index: int) -> bool:
        """Whether a frame has a drift."""
        return bool(np.isfinite(self.drift.shifts[index]).all())

    def in_plane(self, index: int) -> Float64:
        """Return the displacement (y, x) of a frame in px; NaN if it was lost."""
        shift: Float64 = self.drift.shifts[index][-2:]
        return shift

    def set_in_plane(self, index: int, shift: Float64) -> None:
        """Give a frame the displacement (y, x); one that was lost is in the stack again."""
        whole = np.nan_to_num(self.drift.shifts[index])
        whole[-2:] = shift
        self.drift = self.drift.edited(index, whole)
        self.excluded[index] = False

    def nudge(self, index: int, dy: float, dx: float) -> bool:
        """Move a frame down and to the right on the picture by some px; returns whether it has a drift to change."""
        if not self.is_known(index):
            return False
        whole = self.drift.shifts[index].copy()
        whole[-2:] -= dy, dx  # what is displaced less comes to lie farther down
        self.drift = self.drift.edited(index, whole)
        return True

    def reset(self, index: int) -> None:
        """Make a frame as it was found."""
        matrices, confidence = self.drift.matrices.copy(), self.drift.confidence.copy()
        matrices[index], confidence[index] = self.found.matrices[index], self.found.confidence[index]
        sigma = None
        if self.drift.sigma is not None and self.found.sigma is not None:
            sigma = self.drift.sigma.copy()
            sigma[index] = self.found.sigma[index]
        self.drift = replace(self.drift, matrices=matrices, confidence=confidence, sigma=sigma)
        self.excluded[index] = self.lost[index]

    def next_to_check(self, index: int) -> int | None:
        """Return the frame to check after one, the first again after the last; None if there is none."""
        marked = np.flatnonzero(self.to_check)
        if not marked.size:
            return None
        later = marked[marked > index]
        return int(later[0] if later.size else marked[0])

    def first_to_look_at(self, index: int) -> int:
        """Return the first doubtful frame, else the first to check, else the one that was looked at before."""
        marked = np.flatnonzero(self.doubtful if self.doubtful.any() else self.to_check)
        return int(marked[0]) if marked.size else min(index, len(self.excluded) - 1)

    @property
    def reference(self) -> int:
        """The frame that the others are compared with: the clearest, where it is the mean of all."""
        if isinstance(self.drift.reference, int):
            return self.drift.reference
        known = np.isfinite(self.drift.shifts).all(axis=1)
        return int(np.nanargmax(np.where(known, self.drift.confidence, np.nan)))

    def params(self, before: Mapping[str, Any]) -> AlignParams:
        """Return the parameters that align the stack so, with the interpolation that it was aligned with before."""
        known = np.isfinite(self.drift.shifts).all(axis=1)
        return AlignParams(
            interpolation=before.get("interpolation", "lanczos"),
            matrices=known_drift(self.drift),
            exclude=tuple(np.flatnonzero(self.excluded & known).tolist()),
        )

    # -- in words and as a picture --------------------------------------------------------------------

    def says(self) -> str:
        """Return how many frames are doubtful, and how many are unlike their neighbours, in a sentence."""
        doubtful, n = int(self.doubtful.sum()), len(self.excluded)
        text = f"{doubtful} of {n} frames {_are(doubtful)} doubtful" if doubtful else "No frame is doubtful"
        alone: Marks = ~self.lost & (self.found.confidence == 0) & ~self.doubtful
        if empty := int(alone.sum()):
            text += f"; {empty} show{'' if empty > 1 else 's'} nothing to align by"
        if others := int((self.to_check & ~alone).sum()) - doubtful:
            text += f"; {others} more stand{'' if others > 1 else 's'} out from the frames beside"
        return f"{text}."

    def says_of(self, index: int, energy: Float64) -> str:
        """Return what is known of a frame, in a line."""
        known = self.is_known(index)
        sure = f"confidence {self.drift.confidence[index]:.2f}" if known else "lost: no drift is known"
        moved = ", changed by hand" if self.changed[index] else ""
        return f"Frame {index + 1} of {len(energy)}, {energy[index]:.2f} eV: {sure}{moved}"

    def picture(self, stack: EnergyStack, index: int, plane: int | None, *, aligned: bool) -> NDArray[Any]:
        """Return a frame (green) over its reference (magenta), as it is moved or as it was measured."""
        shifts = self.drift.shifts
        shift = shifts[index] if aligned and self.is_known(index) else np.zeros(shifts.shape[1])
        still = _moved(stack, self.reference, shifts[self.reference], plane)
        return blend_frames(still, _moved(stack, index, shift, plane))


def _marked(frames: Collection[int], lost: Marks) -> Marks:
    """Return which frames are named and not lost (E,)."""
    marked = np.zeros(len(lost), np.bool_)
    marked[list(frames)] = True
    return marked & ~lost


def _are(count: int) -> str:
    return "are" if count > 1 else "is"


def _moved(stack: EnergyStack, index: int, shift: Float64, plane: int | None) -> NDArray[np.float32]:
    """Return a frame, or a plane of a volume, with its displacement taken back."""
    rows = slice(None) if plane is None else slice(plane, plane + 1)
    moved = moved_rows(lambda r: stack.read(index, r), stack.image_shape, shift.tolist(), rows, "linear")
    return moved if plane is None else moved[0]
