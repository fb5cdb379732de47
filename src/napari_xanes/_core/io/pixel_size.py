"""The size of a pixel: where an HDF5 file states it with its unit, or by the axes of its images."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry, text_of, texts_of
from napari_xanes._core.io.lengths import LENGTHS
from napari_xanes._core.io.nexus import axis_entry, axis_letter, declared_axes

PIXEL_SIZE = re.compile(r".*pi?xe?l.?size.*", re.IGNORECASE)
DETECTOR = re.compile(r"(^|/)(detector|camera)\w*(/|$)", re.IGNORECASE)
IN_MICROMETRES = re.compile(r"(^|/)SpecNormalized(/|$)")
"""Groups of MISTRAL, whose sizes are in micrometres and have no unit."""
_SIZE = re.compile(r"([\d.eE+-]+)\s*(nm|um|µm|μm|mm|m)?")
STEPS = "the steps of the axes of the images"


@dataclass(frozen=True)
class PixelSize:
    """A size in micrometres or none, why it was taken, and what is to be said of it."""

    um: float | None = None
    why: str = "stated in the file"
    said: str = ""


def pixel_size(tree: Tree, images: TreeEntry) -> PixelSize:
    """Return the size of a pixel that a file states with its unit, else the step of the axes of the images.

    Sizes without a unit are taken where the definition of the file has a unit for them; else they are only named.
    """
    bare: list[tuple[str, float]] = []
    for name, value, where in _stated(tree, images):
        number, unit = _parts(value, where)
        if number is None:
            continue
        if unit:
            size = round(number * LENGTHS[unit], 9)
            return PixelSize(size, f"stated in the file, {name}", _of_detector(tree, name, size))
        bare.append((name, number))
    if (found := _spacing(tree, images)).um is not None:
        return found
    for name, number in bare:
        if IN_MICROMETRES.search(name):
            why = f"{name}, taken for micrometres as MISTRAL has them, for it has no unit"
            return PixelSize(number, why, f"the pixel size is {number:g} um by {why}")
    if bare:
        name, number = bare[0]
        said = f"{name} is {number:g} without a unit, so it is not used; give the size of a pixel with pixel_size_um="
        return PixelSize(said=said)
    return PixelSize()


def _stated(tree: Tree, images: TreeEntry) -> Iterator[tuple[str, Any, str]]:
    """Yield attributes and datasets that are named so: their path, value, and a text that may hold the unit."""
    for place, attrs in (
        (images.name, images.attrs),
        (images.parent, tree.attrs(images.parent)),
        ("", tree.attrs("")),
    ):
        for name, value in attrs.items():
            if PIXEL_SIZE.fullmatch(name):
                yield f"{place}@{name}", value, name
    found = [e for e in tree.entries.values() if PIXEL_SIZE.fullmatch(e.leaf) and e.size == 1]
    for entry in sorted(found, key=lambda e: bool(DETECTOR.search(e.parent))):
        yield entry.name, entry.read(), entry.units or entry.leaf


def _parts(value: Any, where: str) -> tuple[float | None, str]:
    """Read "20.0nm", or a number whose unit stands in `where` ("pixel_size_um", "nm"); the unit is "" if there is none."""
    match = _SIZE.fullmatch(text_of(value).strip())
    if match is None:
        return None, ""
    named = re.search(r"(?:^|[_ (\[])(nm|um|µm|μm|mm|m|micron|micrometer|micrometre)s?[)\]]?$", where)
    try:
        number = float(match[1])
    except ValueError:
        return None, ""
    return (number if np.isfinite(number) and number > 0 else None), match[2] or (named[1] if named else "")


def _of_detector(tree: Tree, name: str, size: float) -> str:
    """Return the sentence on a size that may be that of the detector behind a lens."""
    parent = name.rsplit("/", 1)[0]
    if not (DETECTOR.search(parent) or tree.nx_class(parent) == "NXdetector"):
        return ""
    said = f"the pixel size, {size:g} um, is {name}: if it is that of a detector behind a lens"
    return f"{said}, give that of the image with pixel_size_um="


def _spacing(tree: Tree, images: TreeEntry) -> PixelSize:
    """Return the step of the declared axis x, if it has a unit of length.

    Files of the definition NXstxm have axes in micrometres also where they do not say so.
    """
    for name in declared_axes(tree, images) or []:
        entry = axis_entry(tree, images, name)
        if axis_letter(name) != "x" or entry is None or not entry.is_list or entry.size < 2:
            continue
        factor, why, bare = LENGTHS.get(entry.units.lower()), STEPS, not entry.units
        if bare and _is_nxstxm(tree, images):
            factor, why = 1.0, f"{STEPS}, taken for micrometres as NXstxm has them, for they have no unit"
        values = entry.numbers()
        step = abs(values[-1] - values[0]) / (values.size - 1)
        if factor is not None and step > 0:
            size = round(float(step * factor), 9)
            return PixelSize(size, why, f"the pixel size is {size:g} um by {why}" if bare else "")
    return PixelSize()


def _is_nxstxm(tree: Tree, images: TreeEntry) -> bool:
    """Whether the entry of the images is of the definition NXstxm."""
    entry = tree.entries.get(f"/{images.top}/definition")
    return entry is not None and entry.dtype.kind in "OS" and "NXstxm" in texts_of(entry.read())
