"""XANES imaging: from a stack of X-ray images over energy to maps of elements and chemical states.

The names below are the public API (``import napari_xanes as nx``).  They are loaded when first used,
so importing this package is quick and needs neither Qt nor napari.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

__version__ = "0.1.0"

_HOME = {
    "EnergyStack": "stack",
    "read_stack": "io",
    "read_references": "io",
    "Reference": "io",
    "flat_field": "background",
    "optical_density": "absorbance",
    "bin_pixels": "geometry",
    "remove_bad_pixels": "bad_pixels",
    "denoise": "filtering",
    "suspect_energies": "beam_level",
    "combine_scans": "combine",
    "estimate_drift": "registration",
    "apply_drift": "registration",
    "Drift": "registration",
    "find_e0": "edge_energy",
    "normalize_edge": "edge",
    "EdgeNormalization": "edge_params",
    "normalize_references": "edge_references",
    "fit_references": "lincombo",
    "ReferenceFit": "lincombo",
    "fit_reference_shifts": "reference_shift",
    "ReferenceShifts": "reference_shift",
    "energy_shift_map": "shift_map",
    "ShiftMap": "shift_map",
    "rank_combinations": "ranking",
    "Ranking": "ranking",
    "combination_map": "ranking",
    "CombinationMap": "ranking",
    "check_references": "reference_check",
    "ReferenceCheck": "reference_check",
    "estimate_noise": "reference_check",
    "threshold_mask": "masks",
    "polygon_mask": "masks",
    "otsu_threshold": "masks",
    "combine_masks": "masks",
    "fill_holes": "masks",
    "erode": "masks",
    "dilate": "masks",
    "remove_small": "masks",
    "apply_mask": "masks",
    "label_particles": "particles",
    "particle_table": "particle_table",
    "core_to_rim": "core_to_rim",
    "CoreToRim": "core_to_rim",
    "DepthProfile": "core_to_rim",
    "mean_spectra": "spectra",
    "MeanSpectra": "spectra",
    "cluster_spectra": "clustering",
    "Clusters": "clustering",
    "cluster_quality": "clustering",
    "ClusterQuality": "clustering",
    "decompose": "decomposition",
    "Components": "decomposition",
    "residual_components": "residual",
    "ResidualComponents": "residual",
    "peak_map": "peak",
    "PeakMap": "peak",
    "white_line_map": "white_line",
    "WhiteLine": "white_line",
    "edge_map": "edge_position",
    "EdgeMap": "edge_position",
    "mix_colors": "colors",
    "color_bar": "legends",
    "color_triangle": "legends",
    "SAFE_COLORS": "colors",
    "save_figure": "figure",
    "Recipe": "recipe",
    "run_recipe": "pipeline",
    "as_script": "script",
    "Result": "result",
    "make_result": "named_maps",
    "save_result": "io",
    "load_result": "io",
    "simulate": "phantom",
    "simulate_fluorescence": "phantom_scanning",
    "simulate_stxm": "phantom_scanning",
    "simulate_volume": "phantom_volume",
    "Simulation": "phantom",
    "XanesError": "errors",
    "InputError": "errors",
    "DataFileError": "errors",
    "ResourceError": "errors",
    "Cancelled": "errors",
}

__all__ = ["__version__", *_HOME]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}._core.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
