"""The step that measures the drift of the sample and takes it back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.align.apply import (
    aligned_reader,
    check_drift,
    drift_from_numbers,
    known_drift,
)
from napari_xanes._core.align.estimate import How, measure
from napari_xanes._core.align.frames import doubtful
from napari_xanes._core.align.move import valid_span
from napari_xanes._core.align.params import LEAST, AlignParams
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.words import no_such_frame
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.data.history import Found, Grave
from napari_xanes._core.data.stack import FrameReader
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.code import Before, Lines, call, literal
from napari_xanes._core.engine.judge import named_energies
from napari_xanes._core.engine.step import Step
from napari_xanes._core.io.mask_file import read_mask


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
            f"the reference frame at {chain.energy[params.reference]:.2f} eV cannot be used, {_named_reference(drift, chain)} was taken"
        )
    chain.extra["drift"] = drift
    thickness = chain.thickness
    chain.wrap(aligned_reader(read, chain.image_shape, drift, params.interpolation))
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
            Drift.load(params.drift)
            if params.drift
            else drift_from_numbers(params.matrices, len(chain.shape) - 1)
        )
        check_drift(drift, chain.shape)
    else:
        mask = None if params.mask is None else read_mask(params.mask)
        how = How(
            params.method,
            params.transform,
            params.reference,
            params.roi,
            mask,
            params.on,
            params.magnification,
            params.least,
            chain.packed_rows,
        )
        drift, more = _measured_once(read, chain, how, progress)
        found.update(more.facts)
        found.warnings.extend(more.warnings)
    beyond = [i for i in params.exclude if not 0 <= i < chain.energy.size]
    if beyond:
        raise InputError(f"exclude names {no_such_frame(beyond[0], chain.energy.size)}; choose one of them.")
    return drift.excluding(params.exclude) if params.exclude else drift


def _measured_once(read: FrameReader, chain: Chain, how: How, progress: Progress) -> tuple[Drift, Found]:
    """Measure the drift, unless an earlier run of the same job has."""
    if chain.sink is None:
        return measure(read, chain.energy, chain.shape, how, progress, chain.workers)

    def make() -> bytes:
        drift, found = measure(read, chain.energy, chain.shape, how, progress, chain.workers)
        return json.dumps([drift.to_dict(), found.facts, found.warnings]).encode()

    drift, facts, warnings = json.loads(chain.sink.once("drift", make))
    return Drift.from_dict(drift), Found(facts, warnings)


def _named_reference(drift: Drift, chain: Chain) -> str:
    if isinstance(drift.reference, int):
        return f"that at {chain.energy[drift.reference]:.2f} eV"
    return "the mean position"


def _facts(
    drift: Drift, image_shape: tuple[int, ...], energy: NDArray[np.float64], found: Found
) -> dict[str, Any]:
    """Return what the history keeps of a drift, and add sentences about frames that did not go well."""
    shifts, known = drift.shifts, np.all(np.isfinite(drift.shifts), axis=1)
    bridged = known & (drift.confidence == 0)
    measured = known & ~bridged
    unsure = doubtful(drift.confidence, measured)
    valid = [valid_span(n, shifts[known, axis]) for axis, n in enumerate(image_shape)]
    facts: dict[str, Any] = {
        "max_shift_px": float(np.linalg.norm(shifts[known], axis=1).max()),
        **_sigma_facts(drift),
        "median_confidence": float(np.median(drift.confidence[measured])) if measured.any() else 0.0,
        "doubtful_frames": energy[unsure].tolist(),
        "bridged_frames": energy[bridged].tolist(),
        "unusable_frames": energy[~known].tolist(),
        "valid_area": [list(span) for span in valid],
    }
    if drift.is_translation:  # by these, later steps tell noise that stays on the detector from the sample's
        facts["shifts"] = [s.round(3).tolist() if ok else [] for s, ok in zip(shifts, known, strict=True)]
    if unsure.any():
        said = f"the drift of {int(unsure.sum())} of {len(known)} frames is doubtful, look at them"
        found.warn(Grave(f"{said}: {named_energies(energy[unsure])}"))
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
        found.warn(Grave("no pixel is in view at all energies; check the drift"))
    return facts


def _sigma_facts(drift: Drift) -> dict[str, Any]:
    """Return the median error along each axis, None along one that is not told."""
    if drift.sigma is None or np.isnan(drift.sigma).all():
        return {}
    typical = np.nanmedian(drift.sigma, axis=0)
    return {"sigma_px": [round(float(s), 4) if np.isfinite(s) else None for s in typical]}


def _align_code(given: dict[str, Any], before: Before) -> Lines | None:
    """Return the step in Python."""
    if "matrices" in given or "mask" in given:
        return None
    excluded, interpolation = given.pop("exclude", ()), given.pop("interpolation", None)
    if "drift" in given:
        lines = [f"drift = nx.Drift.load({literal(given['drift'])})"]
    else:
        given.setdefault("least", LEAST)  # of the function it is 0
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
    usual=True,
)
