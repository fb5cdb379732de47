"""Files in and files out."""

from napari_xanes._core.io.describe import inspect_stack
from napari_xanes._core.io.read import read_stack
from napari_xanes._core.io.reference import Reference, interpolate_reference, read_references
from napari_xanes._core.io.results import load_result, save_result

__all__ = [
    "Reference",
    "inspect_stack",
    "interpolate_reference",
    "load_result",
    "read_references",
    "read_stack",
    "save_result",
]
