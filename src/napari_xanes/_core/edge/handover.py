"""How the spectra of a chain were normalised: what the step `normalize` hands over to the steps after it."""

from __future__ import annotations

from dataclasses import dataclass

from napari_xanes._core.base.params import make_params
from napari_xanes._core.data.history import last_entry
from napari_xanes._core.edge.params import ResolvedNormalizeParams
from napari_xanes._core.engine.chain import Chain


@dataclass(frozen=True)
class Normalization:
    """A normalisation that was carried out.

    Attributes
    ----------
    params : ResolvedNormalizeParams
        Its parameters as resolved.
    step_noise : float
        The standard error of the edge step divided out, for noise of one in optical density.
    """

    params: ResolvedNormalizeParams
    step_noise: float


def normalization_of(chain: Chain) -> Normalization | None:
    """Return how the spectra of a chain were normalised, in this run or an earlier one; None if they were not."""
    handed = chain.handed(Normalization)
    entry = last_entry(chain.stack.history, "normalize")
    if handed is not None or entry is None or chain.signal != "normalized":
        return handed
    params = make_params(ResolvedNormalizeParams, entry.params, "the history's normalize")
    return Normalization(params, float(entry.facts.get("step_noise", 0.0)))
