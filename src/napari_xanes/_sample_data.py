"""The samples of the menu: scans, simulated once and kept in the user's cache with their references and truth.

They are files like any other, so that everything that can be done with a measured scan can be tried on them, the
command line included.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from napari_xanes import __version__

LayerData = tuple[Any, dict[str, Any], str]

SIMULATIONS = {
    "ni_scan": "simulate",
    "ni_volume": "simulate_volume",
    "fe_stxm": "simulate_stxm",
    "fe_fluorescence": "simulate_fluorescence",
}
SHARED_SLOPE = {"normalize": {"slope": "shared"}}
"""Their lines before and after the edge are too short, or too noisy, for a slope of each pixel."""


def ni_scan() -> list[LayerData]:
    """Return the layer of a raw full-field scan: counts, flats, darks and drift, 61 energies."""
    return _sample("ni_scan", "Ni scan")


def ni_volume() -> list[LayerData]:
    """Return the layer of a series of reconstructed volumes, 41 energies."""
    return _sample("ni_volume", "Ni volumes", SHARED_SLOPE)


def fe_stxm() -> list[LayerData]:
    """Return the layer of a soft X-ray scan without flats, 81 energies."""
    return _sample("fe_stxm", "Fe STXM scan", SHARED_SLOPE)


def fe_fluorescence() -> list[LayerData]:
    """Return the layer of fluorescence maps, 51 energies."""
    return _sample("fe_fluorescence", "Fe fluorescence", SHARED_SLOPE)


def _sample(key: str, name: str, suggested: Mapping[str, Any] | None = None) -> list[LayerData]:
    """Return the layer of a sample, with what its forms are to be filled with."""
    from napari_xanes._widgets.parts.busy import wait_for

    made = wait_for(partial(_layer, key, name, suggested), f"Simulating the sample '{name}'")
    from napari_xanes._widgets.window.energy_text import show_energy_in_window

    show_energy_in_window()
    return [made]


def _layer(key: str, name: str, suggested: Mapping[str, Any] | None) -> LayerData:
    from napari_xanes._core.io import read_stack
    from napari_xanes._core.recipe import steps  # noqa: F401 - long to load, so here
    from napari_xanes._widgets.layers.settings import settings
    from napari_xanes._widgets.layers.tuples import stack_tuple

    settings()  # npe2 reads the manifests of all plugins for it, so here
    scan = sample_file(key)
    references = sorted(str(path) for path in (scan.parent / "references").glob("*.txt"))
    fit = {"references": references}
    stack = read_stack(scan)
    stack = stack.replace(name=name, source={**stack.source, "suggested": {"fit": fit, **(suggested or {})}})
    return stack_tuple(stack)


def sample_file(key: str) -> Path:
    """Return a scan's file, simulating it if it is not there yet."""
    folder = _cache() / f"{key}_{__version__}"
    found = [path for path in sorted(folder.glob("*.h5")) if path.name != "truth.h5"]
    if found:
        return found[0]
    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="part_", dir=folder.parent))
    try:
        name: str = _simulation(key)().save(part).name
        os.replace(part, folder)
    except OSError:
        if not folder.is_dir():  # else another window was quicker
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder / name


def _simulation(key: str) -> Callable[[], Any]:
    import napari_xanes

    simulate: Callable[[], Any] = getattr(napari_xanes, SIMULATIONS[key])
    return simulate


def _cache() -> Path:
    """Return a folder to keep files in: the user's cache, or the temporary folder where there is none."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "napari-xanes"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        base = Path(tempfile.gettempdir()) / "napari-xanes"
    return base
