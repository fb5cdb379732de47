"""The maps of a fit, named: what a step leaves of what its kernel filled."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_xanes._core.base.unread import at_once
from napari_xanes._core.data.history import Found
from napari_xanes._core.data.kinds import unit_of
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.data.stack import Signal
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.fit.library import gave_up
from napari_xanes._core.fit.verdict import FitDiagnosis
from napari_xanes._core.solve.design import FloatArray

RESIDUALS = ("primal_residual", "dual_residual")


@dataclass(frozen=True, eq=False)
class Collect:
    """Names the maps of a fit and counts what is invalid."""

    chain: Chain
    names: tuple[str, ...]
    direct: bool
    diagnosed: Callable[[Mapping[str, FloatArray]], FitDiagnosis | None]
    uncertainty: bool = False

    def _amount_sigma(
        self, raw: Mapping[str, FloatArray], thickness: FloatArray | None, found: Found
    ) -> dict[str, NamedMap]:
        """Return the errors of the amounts: of normalised data, those of fraction and thickness."""
        of_thickness = self.chain.maps.get("thickness_sigma")
        if self.direct:
            errors = amount_sigma(raw, None)
        elif thickness is not None and of_thickness is not None:
            errors = amount_sigma(raw, (thickness, of_thickness.data))
        else:
            found.warn(
                "the amounts have no sigma, as that of the thickness is not known; set uncertainty = true in normalize, too"
            )
            return {}
        unit = unit_of("amount_sigma")
        return {
            f"amount_sigma_{name}": NamedMap(one, "amount_sigma", unit, name)
            for name, one in zip(self.names, errors, strict=True)
        }

    def __call__(self, raw: Mapping[str, FloatArray]) -> tuple[dict[str, NamedMap], Found]:
        maps = _name_maps(raw, self.names, "optical_density" if self.direct else "normalized")
        thickness = divided_out(self.chain)
        diagnosis = self.diagnosed(raw)
        if self.direct:
            thickness = raw["coefficients"].sum(axis=0)
            maps["thickness"] = NamedMap(thickness, "thickness", unit_of("thickness"))
        if thickness is not None and self.chain.wants("amount"):
            for name, fraction in zip(self.names, raw["fractions"], strict=True):
                maps[f"amount_{name}"] = NamedMap(fraction * thickness, "amount", unit_of("amount"), name)
        invalid = {"invalid_pixels": raw["error"], "invalid_fractions": raw["fractions"][0]}
        told = at_once({name: np.isnan(one).sum() for name, one in invalid.items()} | _told_of_admm(raw))
        found = Found({name: int(told[name]) for name in invalid})
        if self.uncertainty:
            maps |= self._amount_sigma(raw, thickness, found)
        if diagnosis is not None:
            found["diagnosis"] = diagnosis.facts()
            found.warn(*diagnosis.warnings)
            self.chain.extra["diagnosis"] = diagnosis
        if "iterations" in raw:
            maps["admm_iterations"] = NamedMap(raw["iterations"], "iterations")
            facts = _admm_facts(told)
            found["admm"] = facts
            found.warn(*gave_up(facts["unconverged_pixels"], raw["error"].size))
        return maps, found


def _told_of_admm(raw: Mapping[str, FloatArray]) -> dict[str, Any]:
    """Return what is to be known of the maps that iterations leave, if there are any."""
    if "iterations" not in raw:
        return {}
    residuals = {name: np.fmax(raw[name], 0).max() for name in RESIDUALS}
    unconverged = np.nansum(raw["unconverged"], dtype=np.float64)
    return {"iterations": raw["iterations"], "unconverged": unconverged, **residuals}


def _admm_facts(told: Mapping[str, Any]) -> dict[str, Any]:
    """Return how far the iterations came, over all pixels."""
    iterations = told["iterations"]
    valid = np.isfinite(iterations)
    return {
        "median_iterations": float(np.median(iterations[valid])) if valid.any() else 0.0,
        "most_iterations": int(iterations.max(where=valid, initial=0)),
        "unconverged_pixels": int(told["unconverged"]),
        **{name: float(told[name]) for name in RESIDUALS},
    }


def amount_sigma(
    raw: Mapping[str, FloatArray], thickness: tuple[FloatArray, FloatArray] | None
) -> FloatArray:
    """Return the errors of amounts (K, ...): of coefficients, or of fractions times a thickness with its own error.

    The two share the errors of the lines before and after the edge, but can cancel no more than two errors do: where noise was
    told otherwise for the one than for the other, the sum could come out at nothing.
    """
    if thickness is None:
        return raw["coefficient_sigma"]
    whole, error = thickness
    fraction = raw["fractions"]
    one, other = raw["sigma"] * whole, np.abs(fraction) * error
    together = 2 * fraction * raw["with_thickness"] * whole**2
    sigma: FloatArray = np.sqrt(np.maximum(one**2 + other**2 + together, (one - other) ** 2))
    return sigma


def divided_out(chain: Chain) -> FloatArray | None:
    """Return the thickness that normalisation divided out, in this run or an earlier one."""
    return chain.maps["thickness"].data if "thickness" in chain.maps else chain.thickness


def _name_maps(raw: Mapping[str, FloatArray], names: Sequence[str], signal: Signal) -> dict[str, NamedMap]:
    maps = {}
    for key, kind in (("fractions", "fraction"), ("sigma", "sigma"), ("coefficients", "coefficient")):
        if key in raw:
            for name, data in zip(names, raw[key], strict=True):
                maps[f"{kind}_{name}"] = NamedMap(data, kind, unit_of(kind, signal), name)
    for kind in ("error", "rms", "r_factor"):
        if kind in raw:
            maps[kind] = NamedMap(raw[kind], kind, unit_of(kind, signal))
    return maps
