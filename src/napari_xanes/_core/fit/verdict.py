"""What the diagnosis of a fit found, and how it is put into words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.words import of_pixels
from napari_xanes._core.data.history import Grave
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.fit.patterns import Cause

LEAST_NEGATIVE = 0.02
"""Share of the pixels with clearly negative coefficients from which it is worth a word."""


@dataclass(frozen=True, eq=False)
class FitDiagnosis:
    """What `ReferenceFit.diagnosis` and `diagnose_fit` hold.

    Attributes
    ----------
    names : tuple of str
        The references.
    causes : tuple of str
        What explains the residuals, the strongest first: "energy shift", "resolution", "thickness", "flicker",
        "alignment" (displaced frames), "missing reference", or "unclear"; empty if they are noise, or so little that
        it does not matter.
    sizes : tuple of float
        Of each cause: eV by which the data lie above the references; eV (standard deviation) by which they are broader,
        or sharper if negative; share by which the white line is flattened in a pixel of mean thickness; change of
        whole frames, and size of the missing or unclear part, in units of the noise of one pixel; displacement in pixels.
    bias : array (K,)
        By how much the strongest cause moves the mean fractions; NaN where that cannot be known.
    bias_rms : array (K,)
        By how much it moves the fractions of the pixels, which differ, root mean square.
    sigma : array (K,)
        Standard error of the fractions in a typical pixel, to compare with.
    excess : float
        Strength of the strongest component of the residuals, variance in units of the noise's.
    limit : float
        What noise alone reaches, once in a thousand cases.
    energy : array (n,)
        The fitted energies, eV.
    component : array (n,)
        Spectrum of that component, as large as it is in a typical pixel.
    noise : array (n,)
        Standard deviation of the noise at each energy.
    pixels : int
        Number of pixels that hold enough of the element (told from a sample in large images).
    clearly_negative : int
        How many of these have a coefficient that is, or without its bound would be, 3 standard errors below zero.
    where : tuple of int
        Position of the pixel about which the component is strongest.
    look : array (n,)
        Its product with a spectrum says how much of the component is there, in standard errors.
    alike : bool
        Whether what is left is the same in all pixels but for the amount of the element.
    warnings : tuple of str
        What follows, a sentence each; empty if all is well.
    map : array (...) or None
        How much of the component is in each pixel, in standard errors; of `diagnose_fit`.
    """

    names: tuple[str, ...]
    causes: tuple[Cause, ...]
    sizes: tuple[float, ...]
    bias: NDArray[np.float64]
    bias_rms: NDArray[np.float64]
    sigma: NDArray[np.float64]
    excess: float
    limit: float
    energy: NDArray[np.float64]
    component: NDArray[np.float64]
    noise: NDArray[np.float64]
    pixels: int
    clearly_negative: int
    where: tuple[int, ...]
    look: NDArray[np.float64]
    alike: bool = False
    warnings: tuple[str, ...] = ()
    map: FloatArray | None = None

    def facts(self) -> dict[str, object]:
        """Return it as json can write it, for the history of a recipe."""
        return {
            "causes": list(self.causes),
            "sizes": [float(f"{s:.4g}") for s in self.sizes],
            "excess": float(f"{self.excess:.4g}"),
            "limit": float(f"{self.limit:.4g}"),
            "pixels": self.pixels,
            "clearly_negative": self.clearly_negative,
        }


def sentences(found: FitDiagnosis) -> list[str]:
    """Say what the causes are, what they do, and what helps."""
    said = [_SAY[cause](found, size) for cause, size in zip(found.causes, found.sizes, strict=True)]
    if found.clearly_negative > LEAST_NEGATIVE * found.pixels:
        why = (
            ""
            if found.causes
            else ", so references may be wrong there, or normalised in another way than the data"
        )
        said.append(
            f"{of_pixels(found.clearly_negative, found.pixels)} with enough of the element have, or without the bound at "
            f"zero would have, a clearly negative amount of a reference{why}"
        )
    return [Grave(one) for one in said]


def _moves(found: FitDiagnosis) -> str:
    """Say by how much the fractions are moved."""
    if not np.isfinite(found.bias).all():
        return ""
    # of two alike the first, not by rounding
    k = int((found.bias_rms > 0.999 * found.bias_rms.max()).argmax())
    pixels = (
        f"by {found.bias_rms[k]:.3f} (rms over pixels), "
        if found.bias_rms[k] > 2 * abs(found.bias[k])
        else ""
    )
    return (
        f", which moves the fraction of '{found.names[k]}' {pixels}by {found.bias[k]:+.3f} on average, while its sigma in "
        f"one pixel is {found.sigma[k]:.3f}"
    )


def _shift(found: FitDiagnosis, size: float) -> str:
    way = "above" if size > 0 else "below"
    return (
        f"the energies of the data seem to lie {abs(size):.2f} eV {way} those of the references, as what the fit leaves "
        f"follows their slope{_moves(found)}; correct the energies, or set shift_references = true"
    )


def _resolution(found: FitDiagnosis, size: float) -> str:
    way = "broader" if size > 0 else "sharper"
    return (
        f"the data seem {way} than the references, by {abs(size):.2f} eV (standard deviation), as what the fit leaves follows "
        f"their curvature{_moves(found)}; take references of the same energy resolution"
    )


def _thickness(found: FitDiagnosis, size: float) -> str:
    return (
        "the white line seems to be flattened the more, the thicker the sample is, by "
        f"{100 * size:.2g} % in a mean pixel, as higher harmonics, stray light or pinholes do{_moves(found)}; mask the "
        "thick parts, and check the darks and the monochromator"
    )


def _flicker(found: FitDiagnosis, size: float) -> str:
    rows = np.argsort(-np.abs(found.component))[:2]
    worst = " and ".join(f"{found.energy[i]:.2f} eV" for i in sorted(rows))
    return (
        f"whole frames seem to differ in brightness, the same in all pixels, by {size:.2g} times the noise of one pixel "
        f"(most at {worst}); divide by the beam of each frame (internal_i0), or leave these energies out"
    )


def _missing(found: FitDiagnosis, size: float) -> str:
    high, low = found.energy[found.component.argmax()], found.energy[found.component.argmin()]
    axes = ("plane", "row", "column")[-len(found.where) :] if len(found.where) > 1 else ("pixel",)
    where = ", ".join(f"{axis} {at}" for axis, at in zip(axes, found.where, strict=True))
    return (
        f"a reference seems to be missing{' or wrong' if found.alike else ''}: what the fit leaves has a component with "
        f"{found.excess:.3g} x the variance of noise (limit {found.limit:.3g}), highest at {high:.2f} eV and "
        f"lowest at {low:.2f} eV, {'alike in all pixels' if found.alike else f'strongest about {where}'}; add the compound "
        f"that is there{', or check which references were chosen' if found.alike else ''}"
    )


def _displaced(found: FitDiagnosis, size: float) -> str:
    return (
        f"frames seem to be displaced against each other, by about {size:.2g} pixels (rms), as what the fit leaves follows the "
        "edges of the sample; align the frames, or look at the drift that was found"
    )


def _unclear(found: FitDiagnosis, size: float) -> str:
    high, low = found.energy[found.component.argmax()], found.energy[found.component.argmin()]
    return (
        "the references do not match the data, cause unclear: what the fit leaves is not noise, highest at "
        f"{high:.2f} eV and lowest at {low:.2f} eV; look at the map of it, at frames that differ, and at the references"
    )


_SAY = {
    "energy shift": _shift,
    "resolution": _resolution,
    "thickness": _thickness,
    "flicker": _flicker,
    "alignment": _displaced,
    "unclear": _unclear,
    "missing reference": _missing,
}
