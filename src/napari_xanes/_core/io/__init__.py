"""Files in and files out."""

from napari_xanes._core.data.reference import Reference, interpolate_reference
from napari_xanes._core.io.describe import inspect_stack
from napari_xanes._core.io.read import read_stack
from napari_xanes._core.io.references import read_references

__all__ = [
    "Reference",
    "inspect_stack",
    "interpolate_reference",
    "read_references",
    "read_stack",
]
