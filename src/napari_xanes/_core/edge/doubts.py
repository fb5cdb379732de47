"""What the user should know of the choices of a normalisation, and of what comes out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.data.history import Grave
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.edge.params import FloatArray, NormalizeParams

SHORT = 30.0
"""eV; in shorter post-edge windows a line is not told from the end of the white line and from noise."""

STEEP = 0.15
"""Relative change of what is divided by, from e0 to the middle of the post-edge window, from which on it bends spectra."""

NOISY = 5.0
"""Noise of the edge step, in units of one frame's, from which on shared slopes are advised."""

CLEARLY, MANY_NEGATIVE, LOOKED_AT = 3.0, 0.02, 2000
"""Standard errors below zero of a clearly negative edge step, share of the pixels from which these are worth a word, and pixels
that tell that share."""


def doubts_of(
    asked: NormalizeParams,
    params: NormalizeParams,
    kernel: NormalizeKernel,
    spectra: FloatArray,
    mean: NDArray[np.float64],
) -> list[str]:
    """Return what the user should know of windows that hold little, of steep lines, and of steps of sampled spectra (E, n)."""
    doubts = []
    if params.slope == "shared" and asked.slope is None:
        doubts.append(
            "the windows before and after the edge are so short that slopes of single pixels would drown in noise, so slopes "
            "were shared; set slope = 'pixel' to fit them in each"
        )
    if params.post_order == 0 and asked.post_order is None:
        doubts.append(
            f"the post-edge window is shorter than {SHORT:g} eV, so its mean was taken instead of a line; set post_order = 1 for a line"
        )
    if params.slope == "pixel" and params.divide_by != "area" and kernel.divisor_noise > NOISY:
        lower = f"post_order = {params.post_order - 1} or " if params.post_order == 2 else ""
        said = (
            f"the lines are fitted to so few energies that the edge step has {kernel.divisor_noise:.0f} times the noise of one "
            f"frame; {lower}slope = 'shared' has far less"
        )
        doubts.append(Grave(said))
    if asked.divide_by is None and params.divide_by == "step" and not asked.flatten:
        doubts.append(
            f"between the lines the step changes by more than {100 * STEEP:.0f} % from e0 to the middle of post_edge; dividing by the "
            "lines would bend spectra where references are not bent, so spectra were divided by the edge step; set "
            "divide_by = 'line' to divide by the lines. Edge step, thickness and amounts then hang on where the lines meet e0: by "
            "more than their errors say"
        )
    if params.divide_by in ("line", "post") and (bend := change_after_edge(kernel, mean)) > STEEP:
        what = "the step between the lines" if params.divide_by == "line" else "the post-edge line"
        said = (
            f"{what} changes by {100 * bend:.0f} % from e0 to the middle of post_edge, and dividing "
            "by it bends spectra where references are not bent; divide_by = 'step' or a fit with a background does not"
        )
        doubts.append(Grave(said))
    return doubts + _negative(kernel, spectra)


def _negative(kernel: NormalizeKernel, spectra: FloatArray) -> list[str]:
    """Say that steps of the sampled pixels are negative by more than noise makes them."""
    some = spectra[:, :: max(1, spectra.shape[1] // LOOKED_AT)]
    step, sigma = kernel.window_noise(some).sampled
    known, below = int(np.isfinite(step).sum()), int((step < -CLEARLY * sigma).sum())
    if below <= MANY_NEGATIVE * known:
        return []
    said = (
        f"the edge step of about {100 * below / known:.0f} % of the pixels is clearly negative, by more than {CLEARLY:g} times its error, "
        "which no amount of the element is: their absorption is not as the lines take it (shared slopes let all that is not the "
        "element fall at one rate); give another pre_edge, or fit with a background"
    )
    return [Grave(said)]


def change_after_edge(kernel: NormalizeKernel, mean: NDArray[np.float64]) -> float:
    """Return by how much what is divided by changes from e0 to the middle of the post-edge window, relative.

    Where it does, spectra are bent, and references, whose lines are others, are bent otherwise.
    """
    at_e0 = kernel.divisor_at_e0(mean)
    after = float(kernel.divisor_of(mean)[kernel.post].mean())
    return abs(after - at_e0) / abs(at_e0) if at_e0 else 0.0
