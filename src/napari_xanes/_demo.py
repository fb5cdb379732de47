"""What `napari-xanes demo` does besides running a recipe: a simulated scan, its recipe, and the comparison with truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from napari_xanes._core.data.result import Result
    from napari_xanes._core.recipe.recipe import Recipe
    from napari_xanes._core.simulate.full_field import Simulation

SIGNIFICANCE = 3.0
"""Pixels whose element content is below this many times its uncertainty get no fractions."""


def prepare(folder: Path) -> tuple[Simulation, Path, Path]:
    """Simulate a scan into a folder and write its recipe; return the truth, the scan and the recipe file."""
    from napari_xanes._core.recipe.recipe import Recipe
    from napari_xanes._core.simulate.full_field import simulate

    simulation = simulate()
    scan = simulation.save(folder)
    references = [f"references/{reference.name}.txt" for reference in simulation.references]
    steps = [{"do": name} for name in ("flat_field", "optical_density", "align")]
    normalize = {
        "do": "normalize",
        "slope": "shared",
    }  # one slope for all pixels: no noise where there is no sample
    fit = {"do": "fit", "references": references, "significance": SIGNIFICANCE}
    recipe = Recipe.from_dict({"schema": 1, "step": [*steps, normalize, fit]})
    recipe.save(folder / "recipe.toml")
    return simulation, scan, folder / "recipe.toml"


def load_recipe(path: Path) -> Recipe:
    """Load the recipe as a user would."""
    from napari_xanes._core.recipe.recipe import Recipe

    return Recipe.load(path)


def overview(result: Result, folder: Path) -> Path:
    """Write a picture of all maps and return its path."""
    from napari_xanes._core.draw.overview import save_overview

    path = folder / "overview.png"
    save_overview(result, path)
    return path


def compare(result: Result, truth: Simulation) -> list[str]:
    """Return lines saying how far fractions, thickness and drift are from the truth."""
    inside = truth.mask
    found = np.stack([result.maps[f"fraction_{reference.name}"] for reference in truth.references])[:, inside]
    valid = np.isfinite(found).all(axis=0)
    fractions = _rms(found[:, valid] - truth.fractions[:, inside][:, valid])
    thickness = _rms((result.maps["thickness"] - truth.thickness)[inside])
    moved = result.extra["drift"].shifts - truth.drift
    drift = _rms(np.hypot(*(moved - moved.mean(axis=0)).T))
    return [
        f"fraction RMSE against the truth: {fractions:.4f} ({valid.mean():.1%} of the sample's pixels have a result)",
        f"thickness RMSE: {thickness:.4f} edge steps",
        f"drift RMSE: {drift:.3f} px",
    ]


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt(np.nanmean(np.square(values))))
