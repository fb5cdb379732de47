"""Leaves out pixels without the element, whose maps would be speckle: of noise, too, something is highest somewhere.

A pixel has the element if its spectrum holds the shape that the scan has as a whole, over a line, with an amount
well above its uncertainty.  That takes all energies, not only those after the edge, and so finds thin parts of
which an edge step alone tells nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, stdtrit

from napari_xanes._core.base.params import Params, field
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.engine.step import Step

FloatArray = NDArray[np.floating[Any]]

FEWEST = 3
"""Energies that must be left over to tell the noise of a pixel by."""


class ElementParams(Params):
    """Parameters of leaving out pixels without the element."""

    significance: float = field(
        3.0,
        "Min. significance",
        "In sigma: pixels are left out that hold less of the element than this many times its uncertainty. 0 keeps all.",
        ge=0,
    )


class ElementKernel:
    """Sets spectra (E, n) to NaN that hold too little of a shape (E,), which is NaN where there is no frame."""

    maps: Mapping[str, tuple[int, ...]] = {"left_out": ()}
    writes = True
    flags = remembered = ("left_out",)

    def __init__(self, energy: NDArray[np.float64], shape: NDArray[np.float64], significance: float) -> None:
        self._rows = np.flatnonzero(np.isfinite(shape))
        x = energy[self._rows] - energy[self._rows].mean()
        columns = np.stack([np.ones(x.size), x / (np.abs(x).max() or 1), shape[self._rows]], axis=1)
        self._q, r = np.linalg.qr(columns)
        self._amount = self._q[:, -1]  # but for a factor, what of the shape a line does not explain
        self._sign = np.sign(r[-1, -1])
        self.freedom = x.size - columns.shape[1]
        # of noise that is not known well, a higher limit lets the same share pass
        self._limit = float(stdtrit(max(self.freedom, 1), ndtr(significance)))

    def __call__(self, y: FloatArray, out: Mapping[str, FloatArray]) -> None:
        data = y[self._rows].astype(np.float64)
        found = self._q.T @ data
        with np.errstate(invalid="ignore"):
            left = np.maximum(np.einsum("ij,ij->j", data, data) - np.einsum("ij,ij->j", found, found), 0)
            none = self._sign * found[-1] <= self._limit * np.sqrt(left / max(self.freedom, 1))
        y[:, none] = np.nan
        out["left_out"][...] = none

    def frame(self, index: int, y: FloatArray, known: Mapping[str, FloatArray]) -> None:
        y[known["left_out"].astype(bool)] = np.nan


def element_step(chain: Chain, params: ElementParams, progress: Progress) -> tuple[ElementParams, Found]:
    """Add to the chain that pixels without the element become invalid."""
    found = Found()
    usable = chain.usable_energies(found)
    if params.significance == 0:
        return params, found
    shape = np.where(usable, _shape_of(chain.sample().spectra), np.nan)
    kernel = ElementKernel(chain.energy, shape, params.significance)
    if kernel.freedom < FEWEST:
        found.warn(
            f"{int(usable.sum())} energies are too few to tell pixels without the element by, so all are kept; mask them"
        )
        return params, found

    def collect(raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        return {}, Found({"pixels_without_element": int(raw["left_out"].sum(dtype=np.float64))})

    chain.add_kernel(kernel, collect)
    return params, found


def _shape_of(spectra: FloatArray) -> NDArray[np.float64]:
    """Return the mean of spectra (E, n) that are complete, each by how little noise it has.

    Of normalised spectra the noise is large where there is little of the element.
    """
    usable = np.isfinite(spectra).any(axis=1)
    complete = spectra[:, np.isfinite(spectra[usable]).all(axis=0)]
    if complete.shape[1] == 0:
        complete = spectra
    noise = np.nanmedian(np.abs(np.diff(complete[usable], axis=0)), axis=0)
    weights = 1 / np.maximum(noise, np.nanmedian(noise) * 1e-3 + 1e-30) ** 2
    weights = np.where(np.isfinite(weights), weights, 0)
    shape = np.full(len(spectra), np.nan)
    shape[usable] = np.nan_to_num(complete[usable]).astype(np.float64) @ weights / max(weights.sum(), 1e-300)
    return shape


ELEMENT = Step(
    name="element",
    title="Pixels with the element",
    does="leave out pixels with too little of the element to be mapped",
    params=ElementParams,
    run=element_step,
    order=125,
    takes=("optical_density", "normalized"),
    after=("flat_field", "optical_density"),
)
