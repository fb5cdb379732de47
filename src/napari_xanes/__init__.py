"""XANES imaging: from a stack of X-ray images over energy to maps of elements and chemical states.

The names below are the public API (``import napari_xanes as nx``).  They are loaded when first used,
so importing this package is quick and needs neither Qt nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "EnergyStack": "data.stack",
    "read_stack": "io",
    "read_references": "io",
    "Reference": "io",
    "flat_field": "prepare.flat_field",
    "optical_density": "prepare.optical_density",
    "bin_pixels": "prepare.crop",
    "remove_bad_pixels": "prepare.bad_pixels",
    "denoise": "prepare.denoise",
    "suspect_energies": "prepare.beam",
    "combine_scans": "prepare.combine",
    "estimate_drift": "align.estimate",
    "apply_drift": "align.apply",
    "Drift": "data.drift",
    "find_e0": "edge.energy",
    "normalize_edge": "edge.normalize",
    "EdgeNormalization": "edge.params",
    "normalize_references": "edge.references",
    "pixels_with_step": "groups.source",
    "fit_references": "fit.fit",
    "ReferenceFit": "fit.fit",
    "diagnose_fit": "fit.diagnosis",
    "FitDiagnosis": "fit.verdict",
    "fit_reference_shifts": "fit.shifts",
    "ReferenceShifts": "fit.shifts",
    "energy_shift_map": "fit.shift_map",
    "ShiftMap": "fit.shift_map",
    "rank_combinations": "rank.ranking",
    "Ranking": "rank.ranking",
    "combination_map": "rank.ranking",
    "CombinationMap": "rank.ranking",
    "check_references": "rank.check",
    "ReferenceCheck": "rank.check",
    "estimate_noise": "rank.check",
    "threshold_mask": "regions.masks",
    "polygon_mask": "regions.masks",
    "otsu_threshold": "regions.masks",
    "combine_masks": "regions.masks",
    "fill_holes": "regions.masks",
    "erode": "regions.masks",
    "dilate": "regions.masks",
    "remove_small": "regions.masks",
    "apply_mask": "regions.masks",
    "label_particles": "regions.label",
    "particle_table": "regions.table",
    "core_to_rim": "regions.core_to_rim",
    "CoreToRim": "regions.core_to_rim",
    "DepthProfile": "regions.core_to_rim",
    "mean_spectra": "groups.mean_spectra",
    "MeanSpectra": "groups.mean_spectra",
    "cluster_spectra": "groups.cluster",
    "Clusters": "groups.cluster",
    "cluster_quality": "groups.cluster",
    "ClusterQuality": "groups.cluster",
    "decompose": "groups.decompose",
    "Components": "groups.decompose",
    "residual_components": "fit.residual",
    "ResidualComponents": "fit.residual",
    "peak_map": "maps.peak",
    "PeakMap": "maps.peak",
    "white_line_map": "maps.white_line",
    "WhiteLine": "maps.white_line",
    "edge_map": "maps.edge_position",
    "EdgeMap": "maps.edge_position",
    "mix_colors": "draw.color",
    "color_bar": "draw.legends",
    "color_triangle": "draw.legends",
    "SAFE_COLORS": "draw.color",
    "save_figure": "draw.figure",
    "Recipe": "recipe.recipe",
    "run_recipe": "runs.pipeline",
    "as_script": "recipe.script",
    "Result": "data.result",
    "make_result": "data.named_maps",
    "save_result": "runs.result_file",
    "load_result": "runs.result_file",
    "simulate": "simulate.full_field",
    "simulate_fluorescence": "simulate.scanning",
    "simulate_stxm": "simulate.scanning",
    "simulate_volume": "simulate.volume",
    "Simulation": "simulate.full_field",
    "XanesError": "base.errors",
    "InputError": "base.errors",
    "DataFileError": "base.errors",
    "ResourceError": "base.errors",
    "Cancelled": "base.errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}._core.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
