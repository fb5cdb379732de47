"""The npe2 writer: the selected maps as one result file."""

from __future__ import annotations

from typing import Any


def write_result(path: str, layers: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write the maps among the layers with their history to an HDF5 result file; returns the path.

    Raises
    ------
    InputError
        If there is no map among them, or they come from several scans.
    """
    from napari_xanes._core.runs.result_file import save_result
    from napari_xanes._widgets.layers.tuples import result_from_tuples

    save_result(result_from_tuples(layers), path)
    return [path]
