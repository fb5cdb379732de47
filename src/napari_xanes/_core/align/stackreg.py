"""Drift by StackReg: frames are matched by their intensities, and may turn, scale or shear besides moving.

The method of P. Thevenaz, U. E. Ruttimann and M. Unser, IEEE Trans. Image Process. 7, 27 (1998),
doi:10.1109/83.650848, by the library pystackreg.  It assumes that frames differ by their place only, but contrast
changes through an edge; so frames are filtered first to what changes least, their edges and grains.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from pystackreg import StackReg
from scipy import ndimage

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.drift import FloatMatrix, Reference, Transform
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

Frame = NDArray[np.float64]

GRAIN = 3.0
"""px; size of the detail that frames are filtered to."""

MEAN_PASSES = 2
"""How often frames are matched with their mean."""

KINDS: dict[str, int] = {
    "translation": StackReg.TRANSLATION,
    "rigid": StackReg.RIGID_BODY,
    "similarity": StackReg.SCALED_ROTATION,
    "affine": StackReg.AFFINE,
}


def register_frames(
    read: Callable[[int], Float32],
    n: int,
    transform: Transform,
    reference: Reference,
    *,
    progress: Progress,
    workers: int | None = None,
) -> tuple[FloatMatrix, FloatMatrix, Reference]:
    """Return matrices (E, 3, 3) as in `Drift`, confidence (E,), and the reference as resolved.

    Parameters
    ----------
    read : callable
        ``read(i)`` gives frame i, (Y, X); frames are read anew for every pass, so that none need be kept.
    n : int
        Number of frames.
    transform : {"translation", "rigid", "similarity", "affine"}
    reference : int, "previous" or "mean"
        See `estimate_drift`.
    """
    usable = np.zeros(n, bool)

    def look(i: int) -> None:
        usable[i] = filtered(read(i)) is not None

    blocks.run(look, range(n), progress=progress, text="Reading frames", workers=workers)
    if not usable.any():
        raise InputError(
            "no frame shows any structure (all are constant or hold no valid number), so there is no drift to measure; "
            "check the file, the flats and the region."
        )
    matrices, confidence = np.full((n, 3, 3), np.nan), np.zeros(n)
    known = np.flatnonzero(usable)

    def match(fixed: Callable[[int], Frame], text: str) -> None:
        def work(i: int) -> None:
            matrices[i], confidence[i] = matched(fixed(i), _filtered_frame(read, i), transform)

        blocks.run(work, known.tolist(), progress=progress, text=text, workers=workers)

    if reference == "previous":
        before = dict(zip(known[1:].tolist(), known[:-1].tolist(), strict=True))
        match(lambda i: _filtered_frame(read, before.get(i, i)), "Matching neighbours")
        for i in known[1:].tolist():
            matrices[i] = matrices[i] @ matrices[before[i]]
        return matrices, confidence, reference
    anchor = int(known[-1] if reference == "mean" else known[np.argmin(np.abs(known - int(reference)))])
    clear = _filtered_frame(read, anchor)
    match(lambda i: clear, "Matching frames")
    if reference != "mean":
        return matrices, confidence, anchor
    for _ in range(MEAN_PASSES):
        mean = _mean_aligned(read, matrices, known)
        match(lambda i, mean=mean: mean, "Matching with the mean")  # type: ignore[misc]
    middle = np.eye(3)
    middle[:2, 2] = -matrices[known, :2, 2].mean(axis=0)
    matrices[known] = matrices[known] @ middle
    return matrices, confidence, "mean"


def filtered(frame: Float32) -> Frame | None:
    """Return the detail of a frame about `GRAIN` in size, mean 0 and spread 1; None if it has no structure."""
    valid = np.isfinite(frame)
    if not valid.any():
        return None
    level = float(np.median(frame[valid]))
    whole = np.where(valid, frame, level).astype(np.float64)
    if not np.ptp(whole) > 1e-6 * abs(level):
        return None
    detail = -ndimage.gaussian_laplace(whole, GRAIN)
    detail -= detail.mean()
    return np.asarray(detail / detail.std(), dtype=np.float64)


def _filtered_frame(read: Callable[[int], Float32], index: int) -> Frame:
    frame = filtered(read(index))
    assert frame is not None, "only frames with structure are matched"
    return frame


def matched(fixed: Frame, moving: Frame, transform: Transform) -> tuple[FloatMatrix, float]:
    """Return the matrix (3, 3) in (y, x, 1) that takes places in `fixed` to those in `moving`, and how alike they are."""
    stackreg = StackReg(KINDS[transform])
    in_xy = stackreg.register(fixed, moving)
    swap = np.eye(3)[[1, 0, 2]]
    matrix = swap @ in_xy @ swap
    back = _moved_back(moving, matrix)
    inside = np.isfinite(back)
    if inside.sum() < 2:
        return np.full((3, 3), np.nan), 0.0
    alike = np.corrcoef(fixed[inside], back[inside])[0, 1]
    return matrix, float(np.clip(np.nan_to_num(alike), 0, 1))


def _moved_back(frame: Frame, matrix: FloatMatrix) -> Frame:
    moved = ndimage.affine_transform(frame, matrix[:2, :2], matrix[:2, 2], order=1, cval=np.nan)
    return np.asarray(moved, dtype=np.float64)


def _mean_aligned(read: Callable[[int], Float32], matrices: FloatMatrix, known: NDArray[np.intp]) -> Frame:
    """Return the mean of the filtered frames as they lie now; 0 where none is in view."""
    shape = _filtered_frame(read, int(known[0])).shape
    total, count = np.zeros(shape), np.zeros(shape)
    for i in known[np.isfinite(matrices[known]).all(axis=(1, 2))].tolist():
        back = _moved_back(_filtered_frame(read, i), matrices[i])
        total += np.nan_to_num(back)
        count += np.isfinite(back)
    return np.asarray(total / np.maximum(count, 1), dtype=np.float64)
