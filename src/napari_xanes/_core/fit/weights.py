"""How much each energy counts in the fit: the same for all pixels, so that they share one matrix.

The noise of optical density -ln(I/I0) is that of counting I photons (the many photons of the flats add little): its
variance is 1/I = exp(mu)/I0.  Taken from the mean spectrum, its inverse weighs the energies; pixels much thicker or
thinner than the mean are then weighted less than ideally, which costs them some noise but no bias.
"""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import unmasked
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.sampling import sampled_spectra
from napari_xanes._core.prepare.flat_field import beam_reader, mean_dark

Matrix = NDArray[np.float64]
Weights = Literal["none", "counts"]

BEAM_ROWS = 16
"""Rows in the middle of the flats that are looked at for the beam's spectrum."""


def counting_weights(density: Matrix, beam: Matrix | None = None) -> Matrix:
    """Return weights (n,) in proportion to the counts: ``beam * exp(-density)``, for a mean optical density (n,)."""
    weights: Matrix = np.exp(-(density - density.min()))
    return weights if beam is None else weights * beam


def check_weights(
    weights: ArrayLike | str | None, mu: NDArray[np.floating[Any]], fitted: NDArray[np.intp]
) -> Matrix | None:
    """Return the weights of the fitted energies (n,), given for all energies (E,) or by name."""
    if weights is None or (isinstance(weights, str) and weights == "none"):
        return None
    if isinstance(weights, str):
        if weights != "counts":
            raise InputError(
                f"weights is {weights!r}, expected one number per energy or one of {', '.join(get_args(Weights))}."
            )
        sample = sampled_spectra(mu)[fitted]
        valid = np.isfinite(sample)
        total = np.where(valid, sample, 0).sum(axis=1, dtype=np.float64)
        return counting_weights(total / np.maximum(valid.sum(axis=1), 1))
    values = unmasked(weights).astype(np.float64)
    if values.shape != mu.shape[:1]:
        raise InputError(
            f"weights have shape {values.shape}, expected one number for each of {len(mu)} energies."
        )
    values = values[fitted]
    if not (np.isfinite(values) & (values > 0)).all():
        raise InputError("weights must be positive at all fitted energies; leave energies out by exclude.")
    return values


def beam_spectrum(chain: Chain) -> Matrix | None:
    """Return the mean counts without sample (E,) at the chain's energies, or None if they are not known."""
    stack = chain.stack
    at = np.searchsorted(stack.energy, chain.energy).clip(0, stack.energy.size - 1)
    n, flat = stack.energy.size, stack.flat
    if (
        flat is None
        or flat.shape[0] != n
        or not np.allclose(stack.energy[at], chain.energy, atol=1e-6, rtol=0)
    ):
        return None
    if flat.ndim > 1 and (flat.shape[1:] != stack.image_shape or n == 1):
        return None
    beam, dark = beam_reader(flat, n, stack.image_shape), mean_dark(stack.dark, stack.image_shape)
    first = max(0, (stack.image_shape[0] - BEAM_ROWS) // 2)
    rows = slice(first, first + BEAM_ROWS)
    below = dark[rows] if isinstance(dark, np.ndarray) else dark
    seen = (np.asarray(beam(int(i), rows), np.float64) - below for i in at)
    counts = np.array(
        [np.mean(level, where=np.isfinite(level)) if np.isfinite(level).any() else np.nan for level in seen]
    )
    return counts if (np.isfinite(counts) & (counts > 0)).all() else None
