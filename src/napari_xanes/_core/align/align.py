"""Drift of the sample from energy to energy: measure it, take it back, and the step that does both.

How drift is found is in `_core.drift_search`, how two frames are compared in `_core.correlation`, how a frame
is moved in `_core.resampling`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.affine import transformed_rows
from napari_xanes._core.align.magnification import measure_magnified
from napari_xanes._core.align.move import INTERPOLATIONS, Interpolation, moved_rows, valid_span
from napari_xanes._core.align.search import Measured, doubtful, measure_drift
from napari_xanes._core.align.view import MASK_ROUNDS, On, check_mask, masked, roi_around, view
from napari_xanes._core.base.checks import check_choice, check_roi
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.base.params import Params, Roi, field
from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.data.drift import Drift, Method, Reference, Transform
from napari_xanes._core.data.history import Entry, Found
from napari_xanes._core.data.stack import EnergyStack, Float32, FrameReader, peek
from napari_xanes._core.engine import blocks
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call, literal
from napari_xanes._core.engine.judge import named_energies
from napari_xanes._core.engine.step import Step
from napari_xanes._core.io.mask_file import read_mask

__all__ = ["AlignParams", "Drift", "align_step", "apply_drift", "estimate_drift", "known_drift"]


class AlignParams(Params):
    """How drift is measured and taken back."""

    method: Method = field(
        "correlation",
        "Method",
        "How frames are compared: 'correlation' is fast and not misled by changing contrast; 'stackreg' also finds turns "
        "and changes of scale.",
    )
    transform: Transform = field(
        "translation",
        "Transform",
        "What the sample may do between frames: 'translation' moves, 'rigid' turns as well, 'similarity' also changes "
        "scale, 'affine' also shears. All but the first need the method stackreg.",
        rare=True,
    )
    reference: int | Literal["previous", "mean"] = field(
        -1,
        "Reference",
        "The frame that stays where it is, counted from 0, or from the end if negative. 'mean' puts every frame "
        "at the mean position; 'previous' compares each frame with the one before it and adds up, for samples "
        "that change a lot, but its errors add up too.",
    )
    roi: Roi | None = field(
        None,
        "Region",
        "Rows and columns (y0, y1, x0, x1) to look at when measuring drift, with structure that is seen at all "
        "energies. Empty: the whole frame.",
        unit="px",
        widget="roi",
        example=[100, 400, 150, 500],
    )
    on: On = field(
        "values",
        "Compare",
        "The images, or their gradient, which knows outlines only and so minds changes of contrast less.",
        rare=True,
    )
    mask: str | None = field(
        None,
        "Mask",
        "Image file that is not zero where the reference shows what is to stay in place. Empty: none.",
        widget="file",
        example="mask.tif",
        rare=True,
    )
    magnification: bool = field(
        False,
        "Magnification changes",
        "The scale changes linearly with energy, as with zone plates; it is fitted for all frames together.",
        rare=True,
    )
    interpolation: Interpolation = field(
        "lanczos",
        "Interpolation",
        "How values between pixels are found: lanczos keeps fine detail, cubic and linear are smoother.",
    )
    drift: str | None = field(
        None,
        "Known drift",
        "File with a drift that was saved; it is applied instead of measuring. Empty: measure.",
        widget="file",
        example="drift.json",
        rare=True,
    )
    exclude: tuple[int, ...] = field(
        (),
        "Exclude",
        "Frames, counted from 0, that become invalid, because their drift is doubtful.",
        example=[7],
        rare=True,
    )
    matrices: tuple[tuple[float, ...], ...] = field(
        (),
        "Matrices",
        "A known drift: of each frame the numbers of its matrix, row by row but for the last; none of a lost frame.",
        widget="hidden",
        example=[[1.0, 0.0, 0.3, 0.0, 1.0, -0.2]],
    )


def estimate_drift(
    stack: EnergyStack | NDArray[Any],
    *,
    method: Method = "correlation",
    transform: Transform = "translation",
    reference: Reference = -1,
    roi: Roi | None = None,
    mask: NDArray[Any] | None = None,
    on: On = "values",
    magnification: bool = False,
    progress: Progress | None = None,
    workers: int | None = None,
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
    """
    given = _readable(stack)
    if magnification and not isinstance(stack, EnergyStack):
        raise InputError("magnification changes with the energy; give an EnergyStack, which has energies.")
    how = _How(method, transform, reference, roi, mask, on, magnification)
    read = partial(peek, given.data)
    return _estimate(read, given.energy, given.shape, how, progress or no_progress, workers)[0]


@dataclass(frozen=True, eq=False)
class _How:
    """What is asked of the measurement of drift, apart from the frames."""

    method: Method
    transform: Transform
    reference: Reference
    roi: Roi | None = None
    mask: NDArray[Any] | None = None
    on: On = "values"
    magnification: bool = False


def _estimate(
    read: FrameReader,
    energy: NDArray[np.float64],
    shape: tuple[int, ...],
    how: _How,
    progress: Progress,
    workers: int | None,
) -> tuple[Drift, Found]:
    """Return the drift and what was found besides."""
    _check_fits(how, shape)
    reference = _check_reference(how.reference, shape[0])
    look, roi = view(read, shape, how.roi, how.on)
    if how.mask is not None:
        inside = check_mask(how.mask, shape[1:])
        for _ in range(MASK_ROUNDS):  # the mask goes with what it follows, so that must be known about
            rough = measure_drift(look, shape[0], reference, progress=progress, workers=workers).shifts
            whole_view, roi = view(read, shape, roi_around(inside, rough), how.on)
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
        return Drift.from_shifts(measured.shifts, measured.confidence, **kept), found
    to_region = np.eye(3)
    to_region[:2, 2] = -roi[0], -roi[2]
    matrices = np.linalg.inv(to_region) @ matrices @ to_region
    return Drift(matrices, confidence, reference, **kept), found


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
    found.warn(text)


def _direction(along: list[float], axes: tuple[str, ...]) -> str:
    """Return a direction in words: the name of an axis, or its components."""
    for name, part in zip(axes, along, strict=True):
        if abs(part) > 0.995:
            return name
    sign = 1 if max(along, key=abs) > 0 else -1
    return f"the direction ({', '.join(axes)}) = ({', '.join(f'{sign * p:.2f}' for p in along)})"


def _check_fits(how: _How, shape: tuple[int, ...]) -> None:
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


@overload
def apply_drift(
    stack: EnergyStack, drift: Drift, *, interpolation: Interpolation = ..., workers: int | None = ...
) -> EnergyStack: ...
@overload
def apply_drift(
    stack: NDArray[Any], drift: Drift, *, interpolation: Interpolation = ..., workers: int | None = ...
) -> Float32: ...
def apply_drift(
    stack: EnergyStack | NDArray[Any],
    drift: Drift,
    *,
    interpolation: Interpolation = "lanczos",
    workers: int | None = None,
) -> EnergyStack | Float32:
    """Put every frame where the reference is.

    Parameters
    ----------
    stack : EnergyStack or array
        Images (E, Y, X) or volumes (E, Z, Y, X); not written to.
    drift : Drift
        As `estimate_drift` returns it; a drift measured on one stack may be applied to another.
    interpolation : {"lanczos", "linear", "cubic"}
        8, 2 or 4 taps along each axis.  Shifts by whole pixels change no value.
    workers : int, optional
        Number of threads.

    Returns
    -------
    EnergyStack or array
        Like `stack`, float32 in memory; NaN where there is no data and in frames whose drift is not known.

    Raises
    ------
    InputError
        If the drift is not of this stack's frames.
    """
    check_choice("interpolation", interpolation, INTERPOLATIONS)
    given = _readable(stack)
    _check_drift(drift, given.shape)
    check_memory(4 * int(np.prod(given.shape)), f"the aligned stack {given.shape}")
    read = _aligned_reader(partial(peek, given.data), given.image_shape, drift, interpolation)
    out = np.empty(given.shape, np.float32)

    def move(i: int) -> None:
        out[i] = read(i, slice(None))

    blocks.run(move, range(len(out)), text="Aligning", workers=workers)
    if not isinstance(stack, EnergyStack):
        return out
    params = AlignParams(interpolation=interpolation, matrices=known_drift(drift))
    entry = Entry("align", params.model_dump(mode="json", exclude_none=True))
    return stack.replace(data=out, flat=None, dark=None, history=(*stack.history, entry))


def align_step(chain: Chain, params: AlignParams, progress: Progress) -> tuple[AlignParams, Found]:
    """Measure the drift of the frames as they are by now and add its correction to the chain.

    The drift is left in ``chain.extra["drift"]``.
    """
    read = chain.frames(progress)
    shape = chain.shape
    found = Found()
    if chain.signal == "counts" and chain.stack.flat is not None:
        found.warn(
            "frames were aligned as counts although there are flats; divide by the flats before aligning"
        )
    drift = _known_or_measured(read, chain, params, progress, found)
    found.update(_facts(drift, shape[1:], chain.energy, found))
    measured = not (params.drift or params.matrices)
    if measured and isinstance(params.reference, int) and drift.reference != params.reference % shape[0]:
        found.warn(
            f"the reference frame {params.reference} cannot be used, {_named_reference(drift, chain)} was taken"
        )
    chain.extra["drift"] = drift
    thickness = chain.thickness
    chain.wrap(_aligned_reader(read, chain.image_shape, drift, params.interpolation))
    chain.thickness = thickness  # of the frame that stays where it is
    if not measured:
        return params.model_copy(update={"drift": None, "matrices": known_drift(drift)}), found
    return params.model_copy(update={"reference": drift.reference}), found


def _known_or_measured(
    read: FrameReader, chain: Chain, params: AlignParams, progress: Progress, found: Found
) -> Drift:
    """Return the drift that the parameters give, or measure it."""
    if params.drift or params.matrices:
        drift = (
            Drift.load(params.drift) if params.drift else _from_numbers(params.matrices, len(chain.shape) - 1)
        )
        _check_drift(drift, chain.shape)
    else:
        mask = None if params.mask is None else read_mask(params.mask)
        how = _How(
            params.method,
            params.transform,
            params.reference,
            params.roi,
            mask,
            params.on,
            params.magnification,
        )
        drift, more = _estimate(read, chain.energy, chain.shape, how, progress, chain.workers)
        found.update(more.facts)
        found.warnings.extend(more.warnings)
    beyond = [i for i in params.exclude if not 0 <= i < chain.energy.size]
    if beyond:
        raise InputError(
            f"exclude names frame {beyond[0]}, the stack has frames 0 to {chain.energy.size - 1}."
        )
    return drift.excluding(params.exclude) if params.exclude else drift


def known_drift(drift: Drift) -> tuple[tuple[float, ...], ...]:
    """Return the matrices as a history keeps them: without their last row, none of a frame that is not known."""
    return tuple(tuple(m[:-1].ravel().tolist()) if np.isfinite(m).all() else () for m in drift.matrices)


def _from_numbers(numbers: tuple[tuple[float, ...], ...], n_axes: int) -> Drift:
    matrices = np.full((len(numbers), n_axes + 1, n_axes + 1), np.nan)
    for matrix, values in zip(matrices, numbers, strict=True):
        if values:
            if len(values) != n_axes * (n_axes + 1):
                raise InputError(
                    f"matrices hold {len(values)} numbers for a frame, expected {n_axes * (n_axes + 1)} or none."
                )
            matrix[:-1], matrix[-1] = np.reshape(values, (n_axes, -1)), np.eye(n_axes + 1)[-1]
    known = np.isfinite(matrices).all(axis=(1, 2)).astype(np.float64)
    return Drift(matrices, known, "mean")


def _named_reference(drift: Drift, chain: Chain) -> str:
    if isinstance(drift.reference, int):
        return f"frame {drift.reference} at {chain.energy[drift.reference]:.2f} eV"
    return "the mean position"


def _aligned_reader(
    read: FrameReader,
    image_shape: tuple[int, ...],
    drift: Drift,
    interpolation: Interpolation,
) -> FrameReader:
    shifts = drift.shifts.tolist()
    moves = drift.is_translation

    def read_aligned(index: int, rows: slice = slice(None)) -> Float32:
        if not moves:
            matrix = drift.matrices[index]
            return transformed_rows(lambda r: read(index, r), image_shape, matrix, rows, interpolation)
        return moved_rows(lambda r: read(index, r), image_shape, shifts[index], rows, interpolation)

    return read_aligned


def _facts(
    drift: Drift, image_shape: tuple[int, ...], energy: NDArray[np.float64], found: Found
) -> dict[str, Any]:
    """Return what the history keeps of a drift, and add sentences about frames that did not go well."""
    shifts, known = drift.shifts, np.all(np.isfinite(drift.shifts), axis=1)
    bridged = known & (drift.confidence == 0)
    measured = known & ~bridged
    unsure = doubtful(drift.confidence, measured)
    valid = [valid_span(n, shifts[known, axis]) for axis, n in enumerate(image_shape)]
    facts = {
        "max_shift_px": float(np.linalg.norm(shifts[known], axis=1).max()),
        **_sigma_facts(drift),
        "median_confidence": float(np.median(drift.confidence[measured])) if measured.any() else 0.0,
        "doubtful_frames": energy[unsure].tolist(),
        "bridged_frames": energy[bridged].tolist(),
        "unusable_frames": energy[~known].tolist(),
        "valid_area": [list(span) for span in valid],
    }
    if unsure.any():
        found.warn(
            f"the drift of {int(unsure.sum())} of {len(known)} frames is doubtful, look at them: "
            f"{named_energies(energy[unsure])}"
        )
    if bridged.any():
        found.warn(
            f"{int(bridged.sum())} of {len(known)} frames show nothing to align by and are moved like the frames beside "
            f"them: {named_energies(energy[bridged])}"
        )
    if not known.all():
        found.warn(
            f"{int((~known).sum())} of {len(known)} frames are lost or constant and are invalid: "
            f"{named_energies(energy[~known])}"
        )
    if any(lo >= hi for lo, hi in valid):
        found.warn("no pixel is in view at all energies; check the drift")
    return facts


def _sigma_facts(drift: Drift) -> dict[str, Any]:
    """Return the median error along each axis, None along one that is not told."""
    if drift.sigma is None or np.isnan(drift.sigma).all():
        return {}
    typical = np.nanmedian(drift.sigma, axis=0)
    return {"sigma_px": [round(float(s), 4) if np.isfinite(s) else None for s in typical]}


def _readable(stack: EnergyStack | NDArray[Any]) -> EnergyStack:
    """Return an EnergyStack to read from; frames of a bare array are numbered in place of energies."""
    if isinstance(stack, EnergyStack):
        return stack
    array = np.asarray(stack)
    if array.ndim not in (3, 4) or array.dtype.kind not in "fiub" or 0 in array.shape:
        raise InputError(
            f"stack has shape {array.shape} and type {array.dtype}, "
            "expected real numbers of shape (energy, y, x) or (energy, z, y, x)."
        )
    return EnergyStack(array, np.arange(1.0, len(array) + 1), "optical_density")


def _check_reference(reference: object, n: int) -> Reference:
    if reference in ("previous", "mean"):
        return reference
    if isinstance(reference, bool) or not isinstance(reference, int | np.integer):
        raise InputError(f"reference is {reference!r}, expected a frame number, 'previous' or 'mean'.")
    if not -n <= reference < n:
        raise InputError(f"reference is frame {reference}, the stack has frames 0 to {n - 1}; choose one.")
    return int(reference) % n


def _check_drift(drift: Drift, shape: tuple[int, ...]) -> None:
    if not isinstance(drift, Drift):
        raise InputError(
            f"drift is a {type(drift).__name__}, expected a Drift; make one of shifts with Drift.from_shifts."
        )
    n, axes = drift.shifts.shape
    if (n, axes) != (shape[0], len(shape) - 1):
        raise InputError(
            f"the drift is of {n} frames with {axes} axes, the stack has shape {shape}; measure it on this stack."
        )
    if axes == 3 and not drift.is_translation:
        raise InputError("the drift turns or scales volumes, only translations of volumes can be applied.")


def _align_code(given: dict[str, Any], before: Before) -> Lines | None:
    """Return the step in Python."""
    if "matrices" in given or "mask" in given:
        return None
    excluded, interpolation = given.pop("exclude", ()), given.pop("interpolation", None)
    if "drift" in given:
        lines = [f"drift = nx.Drift.load({literal(given['drift'])})"]
    else:
        lines = call("drift", "nx.estimate_drift", "images", **given)
    if excluded:
        lines.append(f"drift = drift.excluding({excluded!r})")
    keywords = {"interpolation": interpolation} if interpolation else {}
    return lines + call("images", "nx.apply_drift", "images", "drift", **keywords)


ALIGN = Step(
    name="align",
    title="Align",
    does="measure the drift of the sample and take it back",
    params=AlignParams,
    run=align_step,
    order=110,
    whole_frames=True,
    moves_pixels=True,
    after=("flat_field",),
    code=_align_code,
)
