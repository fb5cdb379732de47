"""Attributes of HDF5 files, those that can be read, and names that are not UTF-8, which the library gives as bytes."""

from __future__ import annotations

from typing import Any

from napari_xanes._core.base.hdf5_heaps import check_attributes

NOT_UTF8 = "its name is not UTF-8"


def name_of(name: str | bytes) -> str:
    """Return a name in a file as it is shown; the library gives bytes where it is not UTF-8."""
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else name


def readable_attrs(item: Any, left_out: dict[str, str] | None = None) -> dict[str, Any]:
    """Return the attributes of a group or dataset; those of unknown types are left out, and names that are not UTF-8 noted."""
    found: dict[str, Any] = {}
    check_attributes(item)
    for name in item.attrs:
        if isinstance(name, bytes):
            if left_out is not None:
                left_out[f"the attribute {name_of(name)} of {name_of(item.name)}"] = NOT_UTF8
            continue
        try:
            found[name] = item.attrs[name]
        except (OSError, RuntimeError, TypeError, ValueError, KeyError):
            continue
    return found
