"""Kinds of maps: what each is measured in, how it is drawn and listed; said once for window, figures, files and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from napari_xanes._core.data.stack import Signal

Scale = Literal["share", "from zero", "around zero", "decades", "narrow", "spread"]
Group = Literal["fractions", "amounts", "errors", "energies", ""]

OF_SPECTRA = "of the spectra"
"""Unit of values that are measured in what the spectra are measured in."""


@dataclass(frozen=True)
class Kind:
    """What is to be known of a kind of map.

    Attributes
    ----------
    unit : str
        What it is measured in; `OF_SPECTRA` if that depends on the spectra.
    group : str
        The setting that its colours in the window follow; "" for none.
    colors : str
        Its colour map, unless the setting says otherwise.
    scale : str
        How the limits of its colours are found. Values that span "decades" are drawn on a logarithmic scale in figures; the
        linear scale of the window is cut at a multiple of their median.
    shown : bool
        Whether it becomes a layer without being asked for.
    rank : int
        Maps of higher rank lie above others; the highest is looked at first.
    prefix : bool
        Whether there is one map for each reference (or number), named ``<kind>_<reference>``.
    of_fit : bool
        Whether its limits are those of the pixels that have fractions: elsewhere they are of noise.
    averaged : bool
        Whether its mean over a particle says something.
    """

    unit: str = ""
    group: Group = ""
    colors: str = "viridis"
    scale: Scale = "spread"
    shown: bool = False
    rank: int = 0
    prefix: bool = False
    of_fit: bool = False
    averaged: bool = True


_AMOUNT: dict[str, Any] = {
    "unit": "optical density",
    "group": "amounts",
    "colors": "magma",
    "scale": "from zero",
}
_ERROR: dict[str, Any] = {"group": "errors", "colors": "inferno", "scale": "decades"}
_ENERGY: dict[str, Any] = {"unit": "eV", "group": "energies", "colors": "plasma", "scale": "narrow"}
_SIGMA: dict[str, Any] = {**_ERROR, "averaged": False}
_SIGNED: dict[str, Any] = {"colors": "RdBu_r", "scale": "around zero"}

KINDS: dict[str, Kind] = {
    "fraction": Kind(group="fractions", scale="share", shown=True, rank=5, prefix=True),
    "chosen_fraction": Kind(group="fractions", scale="share", prefix=True),
    "coefficient": Kind(unit=OF_SPECTRA, group="fractions", scale="from zero", prefix=True, of_fit=True),
    "amount": Kind(**_AMOUNT, prefix=True),
    "amount_sigma": Kind(unit="optical density", **_SIGMA, prefix=True),
    "sigma": Kind(**_SIGMA, prefix=True),
    "thickness": Kind(**_AMOUNT, shown=True, rank=4),
    "thickness_sigma": Kind(unit="optical density", **_SIGMA),
    "edge_step_sigma": Kind(unit="optical density", **_SIGMA),
    "edge_step": Kind(**_AMOUNT, shown=True, rank=3),
    "error": Kind(unit=f"({OF_SPECTRA})^2", **_ERROR, shown=True, rank=2, of_fit=True),
    "r_factor": Kind(**_ERROR, shown=True, rank=1, of_fit=True),
    "rms": Kind(unit=OF_SPECTRA, **_ERROR, of_fit=True),
    "iterations": Kind(averaged=False),
    "peak_energy": Kind(**_ENERGY, shown=True),
    "peak_energy_sigma": Kind(unit="eV", **_SIGMA),
    "peak_height": Kind(unit=OF_SPECTRA),
    "peak_height_sigma": Kind(unit=OF_SPECTRA, **_SIGMA),
    "peak_at_boundary": Kind(),
    "edge_energy": Kind(**_ENERGY, shown=True),
    "edge_energy_sigma": Kind(unit="eV", **_SIGMA),
    "white_line_centroid": Kind(**_ENERGY, shown=True),
    "white_line_centroid_sigma": Kind(unit="eV", **_SIGMA),
    "white_line_area": Kind(unit="eV", colors="plasma", shown=True),
    "white_line_area_sigma": Kind(unit="eV", **_SIGMA),
    "white_line_height": Kind(unit="normalized"),
    "energy_shift": Kind(unit="eV", **_SIGNED, shown=True),
    "energy_shift_sigma": Kind(unit="eV", **_SIGMA),
    "component": Kind(**_SIGNED, shown=True, prefix=True),
    "residual": Kind(**_SIGNED, prefix=True),
}

TITLES = {"error": "fit error", "r_factor": "R-factor"}
"""What maps are called where their names alone do not say."""

KIND_TITLES = {"sigma": "fraction sigma"}
"""What kinds of maps of a reference are called where their names do not say of what: those of amounts do."""

PREFIXES = {"chosen_fraction": "chosen"}
"""How names of maps begin that do not begin with their kind."""


def kind(name: str) -> Kind:
    """Return what is to be known of a kind; of one that is not in the table, what holds for any image."""
    return KINDS.get(name, Kind())


def told_by_name(name: str) -> tuple[str, str | None]:
    """Return the kind of a map and its reference, as its name says."""
    starts = {f"{PREFIXES.get(one, one)}_": one for one, about in KINDS.items() if about.prefix}
    told = [start for start in starts if name.startswith(start)]
    if not told or name in KINDS:
        return name, None
    start = max(told, key=len)  # of "amount_sigma_", not "amount_"
    return starts[start], name.removeprefix(start)


def unit_of(name: str, signal: Signal | None = None) -> str:
    """Return what a kind is measured in; `signal` is what the spectra were that it was made from."""
    unit = kind(name).unit
    if OF_SPECTRA not in unit:
        return unit
    if name == "peak_height":  # said also where it is a number without a unit
        return (signal or "").replace("_", " ")
    return unit.replace(OF_SPECTRA, "optical density") if signal == "optical_density" else ""


def info_of(name: str, signal: Signal | None = None) -> dict[str, Any]:
    """Return kind, unit and reference of a map of a usual name."""
    one, reference = told_by_name(name)
    numbered = one in ("component", "residual")
    return {"kind": one, "unit": unit_of(one, signal), "reference": None if numbered else reference}


def title_of(name: str, info: Mapping[str, Any] | None = None) -> str:
    """Return what people call a map: its reference first, where it has one."""
    said = info_of(name) if info is None else info
    if said.get("reference"):
        name = str(said["kind"])
        return f"{said['reference']} {KIND_TITLES.get(name, name.replace('_', ' '))}"
    return TITLES.get(name, name.replace("_", " "))
