"""The step `residual` of a recipe: whether what a fit left is noise, or the trace of a missing reference."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step
from napari_xanes._core.fit.residual import analyze_residuals, noise_of_maps
from napari_xanes._core.fit.step import Fitted
from napari_xanes._core.groups.source import spectra_of_chain

RANGE = 99.5
"""Percentile of the sizes in the less noisy half of the pixels: the largest that a map has to show."""

NOISES = 3.0
"""Standard errors from which on a pixel is above its noise, and is shown however large that is."""


class ResidualParams(Params):
    """Parameters of the look at residuals."""

    slopes: bool = field(
        True,
        "Allow slopes",
        "Lines in energy, and references times energy, count as explained: there normalisation leaves its errors.",
    )


def residual_step(chain: Chain, params: ResidualParams, progress: Progress) -> tuple[ResidualParams, Found]:
    """Decompose what the fit before it left: maps "residual_1" and so on, table "residual_components".

    Maps are NaN where the fit gave no fractions, and where a pixel shows nothing but noise that is larger than all that
    the map has to show elsewhere, as at the thin rims of normalised spectra; how many these are is counted.
    """
    fitted = chain.handed(Fitted)
    if fitted is None:
        raise InputError("residual looks at what a fit left; put fit before it.")
    found = Found()
    chosen = np.zeros(chain.energy.size, bool)
    chosen[fitted.indices] = True
    spectra = spectra_of_chain(chain, None, found, progress, chosen=chosen)
    references = np.zeros((len(fitted.references), chain.energy.size))
    references[:, fitted.indices] = fitted.references
    made = analyze_residuals(spectra, chain.energy, references, params.slopes, chain.extra.get("diagnosis"))
    columns = {"energy": chain.energy, "noise": made.noise}
    fitted_here, noisy = _with_fractions(chain), np.zeros(chain.image_shape, bool)
    noise = noise_of_maps(made, references, chain.energy, spectra, params.slopes)
    for k, (spectrum, image) in enumerate(zip(made.spectra, made.maps, strict=True), start=1):
        columns[f"residual_{k}"] = spectrum
        drowned = fitted_here & _drowned(np.where(fitted_here, image, np.nan), noise[k - 1])
        noisy |= drowned
        shown = np.where(fitted_here & ~drowned, image, np.nan)
        chain.maps[f"residual_{k}"] = NamedMap(shown.astype(image.dtype), "residual")
    chain.tables["residual_components"] = columns
    found.update(
        {
            "reference_missing": made.missing,
            "message": made.message,
            "strength": [float(s) for s in made.strength[: len(made.spectra)]],
            "limit": made.limit,
            "pixels_too_noisy": int(noisy.sum()),
        }
    )
    if made.missing:
        hint = (
            ""
            if "mask" in chain.labels
            else "; noise of pixels without material can look so, put mask before fit"
        )
        found.warn(made.message + hint)
    return params, found


def _with_fractions(chain: Chain) -> NDArray[np.bool_]:
    """Return the pixels that the fit gave fractions: of the others, noise over noise is left."""
    valid = np.ones(chain.image_shape, bool)
    for one in chain.maps.values():
        if one.kind == "fraction":
            valid &= np.isfinite(one.data)
    return valid


def _drowned(image: NDArray[np.floating[Any]], noise: NDArray[np.floating[Any]]) -> NDArray[np.bool_]:
    """Return where a pixel is not above its noise, and this exceeds all that a map shows where there is less of it."""
    valid = np.isfinite(image)
    if not valid.any():
        return np.zeros(image.shape, bool)
    quiet = valid & (noise <= np.median(noise[valid]))
    loud = noise > np.percentile(np.abs(image[quiet]), RANGE)
    return np.asarray(loud & (np.abs(image) < NOISES * noise))


RESIDUAL = Step(
    name="residual",
    title="Residual",
    does="look for what the references leave over",
    params=ResidualParams,
    run=residual_step,
    order=220,
    makes=("residual",),
    measures=True,
    looks_back=True,
    after=("fit",),
)
