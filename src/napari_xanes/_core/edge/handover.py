"""How the spectra of a chain were normalised: what the step `normalize` hands over to the steps after it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import make_params
from napari_xanes._core.data.history import Entry, last_entry
from napari_xanes._core.data.jacobian import Jacobian
from napari_xanes._core.edge.kernel import NormalizeKernel
from napari_xanes._core.edge.params import ResolvedNormalizeParams
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.sampling import sampled_pixels


@dataclass(frozen=True)
class Normalization:
    """A normalisation that was carried out.

    Attributes
    ----------
    params : ResolvedNormalizeParams
        Its parameters as resolved.
    step_noise : float
        The standard error of the edge step divided out, for noise of one in optical density.
    sampled : callable or None
        Gives the thickness (n,) of the sampled pixels (see `engine.sampling`), while the map of it is not made yet.
    jacobian : Jacobian or None
        How the spectra answer to noise, if that is known.
    """

    params: ResolvedNormalizeParams
    step_noise: float
    sampled: Callable[[], NDArray[np.floating[Any]]] | None = field(default=None, compare=False)
    jacobian: Jacobian | None = field(default=None, compare=False)


def normalization_of(chain: Chain) -> Normalization | None:
    """Return how the spectra of a chain were normalised, in this run or an earlier one; None if they were not."""
    handed = chain.handed(Normalization)
    entry = last_entry(chain.stack.history, "normalize")
    if handed is not None or entry is None or chain.signal != "normalized":
        return handed
    params = make_params(ResolvedNormalizeParams, entry.params, "the history's normalize")
    return Normalization(
        params, float(entry.facts.get("step_noise", 0.0)), jacobian=_jacobian_again(params, entry, chain)
    )


def _jacobian_again(params: ResolvedNormalizeParams, entry: Entry, chain: Chain) -> Jacobian | None:
    """Return the Jacobian of an earlier run's normalisation, from its mean spectrum; None if not known."""
    mean, usable = np.asarray(entry.facts.get("mean_spectrum", ()), np.float64), chain.sample().usable
    if mean.shape != chain.energy.shape:
        return None
    try:
        kernel = NormalizeKernel(params, chain.energy, usable, mean[:, None])
    except InputError:  # energies of the windows have been left out since
        return None
    return kernel.jacobian(np.where(usable, mean, np.nan))


def sampled_thickness(
    chain: Chain,
) -> tuple[NDArray[np.floating[Any]] | None, NDArray[np.floating[Any]] | None]:
    """Return the thickness that was divided out, in sampled pixels (n,), and as an image if that is made already."""
    image = chain.maps["thickness"].data if "thickness" in chain.maps else chain.thickness
    if image is not None and image.shape == chain.image_shape:
        image = np.asarray(image)
        return image.reshape(-1)[sampled_pixels(chain.image_shape)], image
    handed = chain.handed(Normalization)
    if image is None and handed is not None and handed.sampled is not None:
        return handed.sampled(), None
    return None, None
