"""The npe2 writer: the selected maps as one result file."""

from __future__ import annotations

from typing import Any


def write_result(path: str, layers: list[tuple[Any, dict[str, Any], str]]) -> list[str]:
    """Write the maps among the layers with their history to an HDF5 result file; returns the path.

    Regions, pins and painted labels go along.  Of stacks it is said that they do not.

    Raises
    ------
    InputError
        If there is no map among them, or they come from several scans.
    """
    from napari.utils.notifications import show_info

    from napari_xanes._core.runs.result_file import save_result
    from napari_xanes._widgets.layers.written import INSTEAD, result_from_tuples, stacks_among

    save_result(result_from_tuples(layers), path)
    if stacks := stacks_among(layers):
        which = ", ".join(f"'{name}'" for name in stacks)
        show_info(f"Stacks are not saved in {path} ({which}): {INSTEAD}.")
    return [path]
