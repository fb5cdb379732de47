"""The sample of the menu: a raw scan, simulated once and kept in the user's cache with its references.

It is a file like any other, so that everything that can be done with a measured scan can be tried on it, the
command line included.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from napari_xanes import __version__
from napari_xanes._demo import SIGNIFICANCE


def ni_scan() -> list[tuple[Any, dict[str, Any], str]]:
    """Return the layer of a simulated Ni K-edge scan: counts, flats, darks and drift, 61 energies."""
    from napari_xanes._core.io import read_stack
    from napari_xanes._widgets._tuples import stack_tuple

    scan = sample_file()
    references = sorted(str(path) for path in (scan.parent / "references").glob("*.txt"))
    stack = read_stack(scan)
    suggested = {"fit": {"references": references, "significance": SIGNIFICANCE}}
    stack = stack.replace(name="Ni scan", source={**stack.source, "suggested": suggested})
    return [stack_tuple(stack)]


def sample_file() -> Path:
    """Return the scan's file, simulating it if it is not there yet."""
    folder = _cache() / f"ni_scan_{__version__}"
    found = sorted(folder.glob("ni*.h5"))
    if found:
        return found[0]
    from napari_xanes._core.phantom import simulate

    folder.parent.mkdir(parents=True, exist_ok=True)
    part = Path(tempfile.mkdtemp(prefix="part_", dir=folder.parent))
    try:
        name = simulate().save(part).name
        os.replace(part, folder)
    except OSError:
        if not folder.is_dir():  # else another window was quicker
            raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return folder / name


def _cache() -> Path:
    """Return a folder to keep files in: the user's cache, or the temporary folder where there is none."""
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "napari-xanes"
    try:
        base.mkdir(parents=True, exist_ok=True)
    except OSError:
        base = Path(tempfile.gettempdir()) / "napari-xanes"
    return base
