"""Drift by StackReg: frames are matched by their intensities, and may turn, scale or shear besides moving.

The method of P. Thevenaz, U. E. Ruttimann and M. Unser, IEEE Trans. Image Process. 7, 27 (1998),
doi:10.1109/83.650848, by the library pystackreg.  It assumes that frames differ by their place only, but contrast
changes through an edge; so frames are filtered first to what changes least, their edges and grains.  Of these it
finds displacements by a few times their size only, so it starts from where the correlation of whole frames says.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from napari_xanes._core.align.search import Measured, measure_drift
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.drift import FloatMatrix, ReferenceFrame, Transform
from napari_xanes._core.data.stack import Float32
from napari_xanes._core.engine import blocks

Frame = NDArray[np.float64]

GRAIN = 3.0
"""px; size of the detail that frames are filtered to."""

MEAN_PASSES = 2
"""How often frames are matched with their mean."""

FAR = 6
"""px; displacements below this are found from none."""

BY_CHANCE, NEVER = 6.0, 0.5
"""Standard deviations that the match of filtered noise reaches somewhere; confidence that is never put down to it."""

DOUBT = 0.6
"""Share of the best frame's confidence below which a frame is not what others are first matched with."""

KINDS = {
    "translation": "TRANSLATION",
    "rigid": "RIGID_BODY",
    "similarity": "SCALED_ROTATION",
    "affine": "AFFINE",
}
"""What the library calls the kinds of transforms."""


def register_frames(
    read: Callable[[int], Float32],
    n: int,
    transform: Transform,
    reference: ReferenceFrame,
    *,
    progress: Progress,
    workers: int | None = None,
) -> tuple[FloatMatrix, FloatMatrix, Measured]:
    """Return matrices (E, 3, 3) as in `Drift`, confidence (E,), and the drift that the correlation found.

    Frames that match no better than noise would are moved like the frames beside them; their confidence is 0.

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
    start = measure_drift(read, n, reference, progress=progress, workers=workers)
    about = np.round(np.nan_to_num(start.shifts)).astype(int)

    def match(fixed: Callable[[int], Frame], text: str) -> None:
        def work(i: int) -> None:
            matrices[i], confidence[i] = matched(
                fixed(i), _filtered_frame(read, i), transform, tuple(about[i])
            )

        blocks.run(work, known.tolist(), progress=progress, text=text, workers=workers)

    if reference == "previous":
        before = dict(zip(known[1:].tolist(), known[:-1].tolist(), strict=True))
        about[known[1:]] -= about[known[:-1]]
        match(lambda i: _filtered_frame(read, before.get(i, i)), "Matching neighbours")
        astray = _by_chance(read, known, confidence)
        matrices[astray], confidence[astray] = np.eye(3), 0.0  # stays with the frame before
        for i in known[1:].tolist():
            matrices[i] = matrices[i] @ matrices[before[i]]
        return matrices, confidence, start
    sure = known[start.confidence[known] >= DOUBT * start.confidence[known].max()]
    anchor = int(sure[-1] if reference == "mean" else known[np.argmin(np.abs(known - int(reference)))])
    about -= about[anchor].copy()
    clear = _filtered_frame(read, anchor)
    match(lambda i: clear, "Matching frames")
    _bridge(matrices, confidence, known, _by_chance(read, known, confidence))
    if reference != "mean":
        return matrices, confidence, replace(start, reference=anchor)
    for _ in range(MEAN_PASSES):
        mean = _mean_aligned(read, matrices, known[confidence[known] > 0])
        about = np.round(np.nan_to_num(matrices[:, :2, 2])).astype(int)
        match(partial(_same, mean), "Matching with the mean")
        _bridge(matrices, confidence, known, _by_chance(read, known, confidence))
    middle = np.eye(3)
    middle[:2, 2] = -matrices[known, :2, 2].mean(axis=0)
    matrices[known] = matrices[known] @ middle
    return matrices, confidence, start


def _by_chance(
    read: Callable[[int], Float32], known: NDArray[np.intp], confidence: FloatMatrix
) -> NDArray[np.intp]:
    """Return which of the known frames match no better than noise would somewhere."""
    power = np.abs(np.fft.rfft2(_filtered_frame(read, int(known[np.argmax(confidence[known])])))) ** 2
    independent = power.sum() ** 2 / (power**2).sum()  # values that the filtered frame holds
    astray: NDArray[np.intp] = known[confidence[known] < min(BY_CHANCE / np.sqrt(2 * independent), NEVER)]
    return astray


def _bridge(
    matrices: FloatMatrix, confidence: FloatMatrix, known: NDArray[np.intp], astray: NDArray[np.intp]
) -> None:
    """Let frames that went astray lie between those beside them, with confidence 0."""
    sure = np.setdiff1d(known, astray)
    confidence[astray] = 0
    if not sure.size:
        matrices[astray] = np.eye(3)
        return
    for row in range(2):
        for column in range(3):
            matrices[astray, row, column] = np.interp(astray, sure, matrices[sure, row, column])
    matrices[astray, 2] = 0, 0, 1


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


def matched(
    fixed: Frame, moving: Frame, transform: Transform, start: tuple[int, int] = (0, 0)
) -> tuple[FloatMatrix, float]:
    """Return the matrix (3, 3) in (y, x, 1) that takes places in `fixed` to those in `moving`, and how alike they are.

    `start` is the displacement (dy, dx) in whole pixels from which the match is looked for; where that is no good,
    from none.
    """
    if max(map(abs, start)) < FAR or any(abs(s) > n // 2 for s, n in zip(start, fixed.shape, strict=True)):
        start = (0, 0)
    tries = [_matched(fixed, moving, transform, start)]
    if any(start) and tries[0][1] < NEVER:
        tries.append(_matched(fixed, moving, transform, (0, 0)))
    return max(tries, key=lambda found: found[1])


def _matched(
    fixed: Frame, moving: Frame, transform: Transform, start: tuple[int, int]
) -> tuple[FloatMatrix, float]:
    from pystackreg import StackReg

    in_moving = tuple(slice(max(s, 0), n + min(s, 0)) for s, n in zip(start, fixed.shape, strict=True))
    in_fixed = tuple(slice(max(-s, 0), n - max(s, 0)) for s, n in zip(start, fixed.shape, strict=True))
    in_xy = StackReg(getattr(StackReg, KINDS[transform])).register(fixed[in_fixed], moving[in_moving])
    swap = np.eye(3)[[1, 0, 2]]
    matrix = _moved_by(in_moving, 1) @ swap @ in_xy @ swap @ _moved_by(in_fixed, -1)
    back = _moved_back(moving, matrix)
    inside = np.isfinite(back)
    if inside.sum() < 2:
        return np.full((3, 3), np.nan), 0.0
    alike = np.corrcoef(fixed[inside], back[inside])[0, 1]
    return matrix, float(np.clip(np.nan_to_num(alike), 0, 1))


def _moved_by(part: tuple[slice, ...], sign: int) -> FloatMatrix:
    matrix = np.eye(3)
    matrix[:2, 2] = [sign * one.start for one in part]
    return matrix


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


def _same(image: NDArray[np.float64], i: int) -> NDArray[np.float64]:
    """Return the image whatever the frame."""
    return image
