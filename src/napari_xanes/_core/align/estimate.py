"""The drift of the sample from energy to energy, measured.

How it is found is in `search`, how two frames are compared in `correlation`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.apply import as_stack
from napari_xanes._core.align.magnification import measure_magnified
from napari_xanes._core.align.params import LEAST
from napari_xanes._core.align.search import Measured, measure_drift
from napari_xanes._core.align.view import MASK_ROUNDS, On, check_mask, masked, roi_around, view
from napari_xanes._core.base.checks import check_choice, check_roi
from napari_xanes._core.base.door import Count, StackLike, public
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Roi
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.base.words import no_such_frame
from napari_xanes._core.data.drift import Drift, Method, ReferenceFrame, Transform
from napari_xanes._core.data.history import Found, Grave
from napari_xanes._core.data.stack import EnergyStack, FrameReader, pieces
from napari_xanes._core.engine.judge import named_energies


@public
def estimate_drift(
    stack: EnergyStack | StackLike,
    *,
    method: Method = "correlation",
    transform: Transform = "translation",
    reference: ReferenceFrame = -1,
    roi: Roi | None = None,
    mask: NDArray[Any] | None = None,
    on: On = "values",
    magnification: bool = False,
    least: float = 0.0,
    progress: Progress | None = None,
    workers: Count | None = None,
) -> Drift:
    """Measure how the sample is displaced in every frame.

    Parameters
    ----------
    stack : EnergyStack or array
        Images (E, Y, X) or volumes (E, Z, Y, X) of any signal; optical density is best.
    method : {"correlation", "stackreg"}
        Cross-correlation weighted by the coherence of the frames; or StackReg, for images only.
    transform : {"translation", "rigid", "similarity", "affine"}
        What is measured; all but translation need StackReg.
    reference : int, "previous" or "mean"
        The frame that stays in place; or compare each frame with the one before and add up; or put all
        frames at their mean position.  With an index or "mean", frames are finally compared with the mean of
        the aligned frames, and what stays put on the detector is recognised and left out.
    roi : (y0, y1, x0, x1), optional
        Rows and columns to look at, px.
    mask : array (Y, X) or (Z, Y, X), optional
        Where it is not zero the reference shows what is to stay in place; the rest is not looked at.
    on : {"values", "gradient"}
        Compare the images or the size of their gradient, which knows outlines only.
    magnification : bool
        Whether the scale of images changes linearly with energy, as with zone plates; one number for all
        frames is fitted.
    least : float
        Frames that are all displaced by less, px, are taken to lie still, and what was found goes into `sigma`: compounds that
        differ at the edge make them look displaced by up to 0.1, which is what the step of a recipe takes.  Of
        translations only.
    progress : callable, optional
        ``progress(done, total, text)``; raises `Cancelled` to stop.
    workers : int, optional
        Number of threads.

    Returns
    -------
    Drift
        Frames that are lost or constant have NaN shifts; those that share nothing with the others have the shifts
        of the frames beside them.  Both have confidence 0.

    Raises
    ------
    InputError
        If an argument does not fit the stack or no frame shows any structure.

    Examples
    --------
    >>> from napari_xanes import simulate
    >>> simulation = simulate((64, 72), n_energies=21, max_drift=3.0, seed=1)
    >>> drift = estimate_drift(simulation.stack)
    >>> bool(abs(drift.shifts - simulation.drift).max() < 0.3)  # px
    True
    """
    given = as_stack(stack)
    if magnification and not isinstance(stack, EnergyStack):
        raise InputError("magnification changes with the energy; give an EnergyStack, which has energies.")
    packed = pieces(given.data)[1]
    how = How(method, transform, reference, roi, mask, on, magnification, least, packed)
    read = given.peek
    return measure(read, given.energy, given.shape, how, progress or no_progress, workers)[0]


@dataclass(frozen=True, eq=False)
class How:
    """What is asked of the measurement of drift, apart from the frames."""

    method: Method
    transform: Transform
    reference: ReferenceFrame
    roi: Roi | None = None
    mask: NDArray[Any] | None = None
    on: On = "values"
    magnification: bool = False
    least: float = LEAST
    packed: int = 1
    """Rows that lie together in the source, which are best read together."""


def measure(
    read: FrameReader,
    energy: NDArray[np.float64],
    shape: tuple[int, ...],
    how: How,
    progress: Progress,
    workers: int | None,
) -> tuple[Drift, Found]:
    """Return the drift and what was found besides."""
    _check_fits(how, shape)
    reference = _check_reference(how.reference, shape[0])
    look, roi = view(read, shape, how.roi, how.on, how.packed)
    if how.mask is not None:
        inside = check_mask(how.mask, shape[1:])
        for _ in range(MASK_ROUNDS):  # the mask goes with what it follows, so that must be known about
            rough = measure_drift(look, shape[0], reference, progress=progress, workers=workers).shifts
            whole_view, roi = view(read, shape, roi_around(inside, rough), how.on, how.packed)
            look = masked(whole_view, inside, roi, rough)
    whole = roi == check_roi(None, shape[1:])
    kept: dict[str, Any] = {
        "roi": None if whole else roi,
        "method": how.method,
        "transform": how.transform,
    }
    found = Found()
    if how.method == "stackreg":
        from napari_xanes._core.align.stackreg import register_frames  # pystackreg is loaded where it is used

        matrices, confidence, start = register_frames(
            look, shape[0], how.transform, reference, progress=progress, workers=workers
        )
        reference = start.reference
        if how.transform == "translation":
            kept["sigma"] = start.sigma  # noise and gradients are the same, whichever way they are matched
            matrices[:, :2, 2] -= (matrices[:, :2, 2] @ start.blind.T) @ start.blind
            _name_blind(start, found)
    elif how.magnification:
        magnified = measure_magnified(look, energy, reference, progress=progress, workers=workers)
        matrices, confidence, reference = magnified.matrices, magnified.confidence, magnified.reference
        found["magnification_per_ev"] = magnified.per_ev
        kept |= {"transform": "similarity", "sigma": magnified.sigma}
    else:
        measured = measure_drift(look, shape[0], reference, progress=progress, workers=workers)
        kept |= {"reference": measured.reference, "sigma": measured.sigma}
        _name_blind(measured, found)
        _name_opening(measured, roi, found)
        _name_misfit(measured, energy, found)
        told = 1 - len(measured.blind) / measured.shifts.shape[1]
        found_drift = Drift.from_shifts(measured.shifts, told * measured.confidence, **kept)
        return _left(found_drift, how.least, found), found
    to_region = np.eye(3)
    to_region[:2, 2] = -roi[0], -roi[2]
    matrices = np.linalg.inv(to_region) @ matrices @ to_region
    drift = Drift(matrices, confidence, reference, **kept)
    if how.transform == "translation" and not how.magnification:
        drift = _left(drift, how.least, found)
    return drift, found


def _left(drift: Drift, least: float, found: Found) -> Drift:
    """Return a drift of nothing, and say so, for one of less than `least` px; its error holds what was found."""
    shifts = drift.shifts
    largest = float(np.nanmax(np.linalg.norm(shifts, axis=1), initial=0.0))
    if not 0 < largest < least:
        return drift
    found["left_px"] = round(largest, 4)
    found.warn(
        f"frames lie on one another within {largest:.2g} px, by which compounds that differ at the edge make them look displaced, so "
        "they were left as they are; set least = 0 to move them by as much"
    )
    sigma = None if drift.sigma is None else np.hypot(drift.sigma, shifts)
    still = Drift.from_shifts(np.where(np.isfinite(shifts), 0.0, np.nan)).matrices
    return replace(drift, matrices=still, sigma=sigma)


def _name_blind(measured: Measured, found: Found) -> None:
    """Say along which directions nothing is told."""
    if not len(measured.blind):
        return
    found["undetermined"] = measured.blind.round(4).tolist()
    if len(measured.blind) == measured.shifts.shape[1]:
        text = "the frames share nothing but noise, so no drift is told and none was taken back"
    else:
        axes = ("y", "x") if measured.shifts.shape[1] == 2 else ("z", "y", "x")
        names = " and ".join(_direction(u.tolist(), axes) for u in measured.blind)
        text = (
            f"the sample looks the same along {names}, so its drift in that direction cannot be told and is taken to be 0; "
            "choose a region that holds an end or a corner of something, or give the drift"
        )
    found.warn(Grave(text))


def _name_opening(measured: Measured, roi: Roi, found: Found) -> None:
    """Say that what an aperture covers was not looked at."""
    if measured.opening is None:
        return
    rows, columns = measured.opening
    seen = (roi[0] + rows.start, roi[0] + rows.stop, roi[2] + columns.start, roi[2] + columns.stop)
    found["opening"] = list(seen)
    found.warn(
        f"something with a rim stays put, as an aperture does, so only rows {seen[0]} to {seen[1]} and columns {seen[2]} to "
        f"{seen[3]} within it were looked at; give a region to look at another"
    )


def _name_misfit(measured: Measured, energy: NDArray[np.float64], found: Found) -> None:
    """Say what displacements alone do not take back."""
    if measured.turned:
        found["turned_degrees"] = round(measured.turned, 3)
        said = (
            f"the sample turns, by up to {measured.turned:.2g} degrees, which displacements do not take back"
        )
        found.warn(Grave(f"{said}; use method = 'stackreg' with transform = 'rigid'"))
    if measured.reversed:
        at = energy[list(measured.reversed)]
        found["reversed_frames"] = at.tolist()
        said = f"in {at.size} of {energy.size} frames bright and dark are exchanged, so they match no other: {named_energies(at)}"
        found.warn(Grave(f"{said}; compare outlines, with on = 'gradient'"))


def _direction(along: list[float], axes: tuple[str, ...]) -> str:
    """Return a direction in words: the name of an axis, or its components."""
    for name, part in zip(axes, along, strict=True):
        if abs(part) > 0.995:
            return name
    sign = 1 if max(along, key=abs) > 0 else -1
    return f"the direction ({', '.join(axes)}) = ({', '.join(f'{sign * p:.2f}' for p in along)})"


def _check_fits(how: How, shape: tuple[int, ...]) -> None:
    check_choice("method", how.method, Method)
    check_choice("transform", how.transform, Transform)
    check_choice("on", how.on, On)
    if how.method == "correlation" and how.transform != "translation":
        raise InputError(
            f"transform is '{how.transform}', which the method correlation does not find; use method='stackreg'."
        )
    if how.method == "stackreg" and len(shape) == 4:
        raise InputError("the method stackreg takes images, these are volumes; use method='correlation'.")
    if how.magnification and (how.method == "stackreg" or len(shape) == 4):
        raise InputError(
            "magnification is measured in images with the method correlation; leave it out, or choose that."
        )


def _check_reference(reference: object, n: int) -> ReferenceFrame:
    if reference in ("previous", "mean"):
        return reference
    if isinstance(reference, bool) or not isinstance(reference, int | np.integer):
        raise InputError(f"reference is {reference!r}, expected a frame number, 'previous' or 'mean'.")
    if not -n <= reference < n:
        raise InputError(f"reference is {no_such_frame(int(reference), n)}; choose one of them.")
    return int(reference) % n
