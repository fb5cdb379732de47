"""Which dataset of an HDF5 or NeXus file holds the images, and which of its axes is which.

What the file declares (`default`, `signal`, `axes`, `NX_class`) is obeyed.  Where it declares nothing, datasets are
told by their shapes first and by their names where shapes do not decide; what cannot be decided is asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.io.hdf5_tree import Tree, TreeEntry, text_of, texts_of
from napari_xanes._core.io.names import DARK_DATASET, FLAT_DATASET
from napari_xanes._core.io.plausible import ENERGY_NAME

IMAGES = re.compile(r"img_?xanes|xanes_?img|img|images?|data|stack|counts?", re.IGNORECASE)
NO_IMAGES = re.compile(
    r"(^|/)(scalers?|positions?|pos|xrfmap|maps|mca|spectr(a|um|e)|monitors?|thumbnails?|control)(/|$)",
    re.IGNORECASE,
)
"""Parts of a path that hold scalers, positions or spectra of pixels, which look like images by their shapes."""
NO_IMAGE_CLASSES = ("NXmonitor", "NXlog", "NXpositioner", "NXsensor", "NXgeometry", "NXtransformations")
PTYCHOGRAPHY = re.compile(r"(^|/)(image_\d+/data|content/obj/.*data)$")
"""Where CXI and PtyPy files hold the images that were reconstructed, beside those that were measured."""
SMALLEST = 4
"""An image of fewer rows and columns is a matrix."""


@dataclass(eq=False)
class Chosen:
    """The images, and what is to be said of the choice."""

    entry: TreeEntry
    warnings: list[str] = field(default_factory=list)


def choose_images(
    tree: Tree, name: str | None, others: Sequence[str] = (), *, single: bool = False
) -> Chosen:
    """Return the dataset of the images, named or found; it is none of the `others`.

    Raises
    ------
    DataFileError
        If there is none, or several could be meant.
    """
    if name is not None:
        entry = tree.named(name)
        if entry is None:
            raise DataFileError(f"{tree.path} has no dataset {name}; it holds {tree.describe()}.")
        _check_shape(tree, entry, single)
        return Chosen(entry)
    known = {entry.name for other in others if (entry := _known(tree, other)) is not None}
    every = [e for e in tree.entries.values() if e.is_numeric or e.is_complex]
    found = [e for e in every if e.name not in known and could_be_images(tree, e, single)]
    if not found:
        raise _no_images(tree, single)
    samples = [e for e in found if not (FLAT_DATASET.match(e.leaf) or DARK_DATASET.match(e.leaf))] or found
    declared = _declared(tree, samples)
    if declared is not None:
        return declared
    likely = _likeliest(tree, samples)
    if len(likely) > 1:
        listed = ", ".join(f"{e.name} {e.shape}" for e in likely[:6])
        raise DataFileError(f"{tree.path} holds several stacks: {listed}; name one with images=.")
    others = [e.name for e in samples if e is not likely[0] and e.shape == likely[0].shape]
    if not others:
        return Chosen(likely[0])
    return Chosen(likely[0], [f"{likely[0].name} was opened by its name; {_also(others)}"])


def _also(names: Sequence[str]) -> str:
    return f"there are also {', '.join(names[:4])}{', ...' * (len(names) > 4)}: choose with images="


def _known(tree: Tree, name: str) -> TreeEntry | None:
    try:
        return tree.named(name)
    except DataFileError:
        return None


def could_be_images(tree: Tree, entry: TreeEntry, single: bool) -> bool:
    """Whether a dataset could hold images, by its shape, its place and the class of its group."""
    shape = tuple(n for n in entry.shape or () if n > 1)
    full = tuple(entry.shape or ())
    while len(full) > (2 if single else 3) and full[0] == 1:
        full = full[1:]
    if len(full) not in ((2, 3) if single else (3, 4)) or 0 in full:
        return False
    if len(shape) >= 2 and max(sorted(shape)[-2:]) < SMALLEST:
        return False
    if NO_IMAGES.search(entry.name) or tree.nx_class(entry.parent) in NO_IMAGE_CLASSES:
        return False
    return not _lists_elements(tree, entry)


def _lists_elements(tree: Tree, entry: TreeEntry) -> bool:
    """Whether names of elements or channels stand beside the dataset, one for each of its images."""
    return (entry.parent, (entry.shape or (0,))[:1]) in tree.lists_of_names


def _check_shape(tree: Tree, entry: TreeEntry, single: bool) -> None:
    if not (entry.is_numeric or entry.is_complex):
        raise DataFileError(
            f"{tree.path}: {entry.name} holds values of type {entry.dtype}, expected real numbers."
        )
    shape = entry.shape or ()
    if 0 in shape:
        raise DataFileError(f"{tree.path}: {entry.name} has shape {shape}, it holds no images.")
    long = len([n for n in shape if n > 1])
    if not (2 if single else 3) <= len(shape) or long > (3 if single else 4):
        wanted = "an image (y, x) or a volume (z, y, x)" if single else "(energy, y, x) or (energy, z, y, x)"
        raise DataFileError(f"{tree.path}: {entry.name} has shape {shape}, expected {wanted}.")


def _no_images(tree: Tree, single: bool) -> DataFileError:
    if tree.missing:
        return tree.lost(next(iter(tree.missing)))
    dims = (2, 3) if single else (3, 4)
    odd = [e for e in tree.entries.values() if not (e.is_numeric or e.is_complex) and e.ndim in dims]
    if odd:
        return DataFileError(
            f"{tree.path}: {odd[0].name} holds values of type {odd[0].dtype}, expected real numbers."
        )
    wanted = "image or volume" if single else "stack (energy, y, x)"
    return DataFileError(
        f"{tree.path} holds no {wanted}; it holds {tree.describe()}; name the images with images=."
    )


# -- what the file declares ---------------------------------------------------------------------------


def _declared(tree: Tree, found: Sequence[TreeEntry]) -> Chosen | None:
    """Return what the file declares as its data: by `default`, else the first signal; the others are named."""
    signals = [entry for entry in found if is_signal(tree, entry)]
    if not signals:
        return None
    pointed = [entry for entry in signals if entry.parent == _default(tree)]
    first = (pointed or signals)[0]
    rest = [entry.name for entry in signals if entry is not first]
    if not rest:
        return Chosen(first)
    how = "the file's default" if pointed else "the first of the file"
    return Chosen(first, [f"{first.name}, {how}, was opened; {_also(rest)}"])


def is_signal(tree: Tree, entry: TreeEntry) -> bool:
    """Whether a dataset is declared as the data of its group."""
    attrs = tree.attrs(entry.parent)
    if text_of(attrs.get("signal", "")) == entry.leaf:
        return True
    return bool(tree.nx_class(entry.parent) == "NXdata" and text_of(entry.attrs.get("signal", "")) == "1")


def _default(tree: Tree) -> str:
    """Return the group that the attributes `default` lead to."""
    group = ""
    for _ in range(8):
        name = text_of(tree.attrs(group).get("default", ""))
        if not name:
            break
        group = f"{group}/{name.strip('/')}"
    return group


def declared_axes(tree: Tree, entry: TreeEntry) -> list[str] | None:
    """Return the name of each axis of a dataset as its file declares them, "" for those without; None if it does not."""
    attrs = tree.attrs(entry.parent)
    names = texts_of(entry.attrs["axes"]) if "axes" in entry.attrs else []
    if not names and "axes" in attrs and is_signal(tree, entry):
        names = texts_of(attrs["axes"])
    if not names:
        names = _numbered_axes(tree, entry)
    names = ["" if name == "." else name for name in (names if any(names) else _dimensions(entry))]
    return names if len(names) == entry.ndim and any(names) else None


def _dimensions(entry: TreeEntry) -> list[str]:
    """Return the names of HDF5's own dimensions: their labels, or the datasets that are their scales, as netCDF-4 has them."""
    none = [""] * entry.ndim
    given = np.ravel(np.asarray(entry.attrs.get("DIMENSION_LABELS", none), object))
    labels = [text_of(one) if isinstance(one, (str, bytes)) else "" for one in given]
    scales = entry.attrs.get("DIMENSION_LIST", none)
    if len(labels) != entry.ndim or len(scales) != entry.ndim:
        return []
    # not by `dataset.dims`, which crashes where one of them cannot be read
    return [label or _scale(entry, one) for label, one in zip(labels, scales, strict=True)]


def _scale(entry: TreeEntry, references: Any) -> str:
    """Return the name of the first dataset that is a scale of an axis."""
    try:
        item = entry.dataset.file[references[0]] if len(references) else None
        return "" if item is None else str(item.name).rsplit("/", 1)[-1]
    except (OSError, RuntimeError, KeyError, ValueError, TypeError):
        return ""


def _numbered_axes(tree: Tree, entry: TreeEntry) -> list[str]:
    """Return axes of files that number them on the datasets of the axes."""
    names = [""] * entry.ndim
    for other in tree.entries.values():
        if other.parent != entry.parent or not other.is_list or "axis" not in other.attrs:
            continue
        number = text_of(other.attrs["axis"])
        if number.isdecimal() and 1 <= int(number) <= entry.ndim:
            names[int(number) - 1] = other.leaf
    return names


def axis_entry(tree: Tree, entry: TreeEntry, name: str) -> TreeEntry | None:
    """Return the values of a named axis of a dataset."""
    return tree.entries.get(f"{entry.parent}/{name}") if name else None


_LETTER = re.compile(
    r"(?:^|[^a-z])([xyz])(?:[^a-z]|$)|^(?:sample|stage|pos)?_?([xyz])(?:pos\w*|_?axis)?$", re.IGNORECASE
)


def axis_letter(name: str) -> str:
    """Return "x", "y" or "z" if the name of an axis says so, else ""."""
    match = _LETTER.search(name)
    return (match[1] or match[2]).lower() if match else ""


def is_energy_name(name: str) -> bool:
    """Whether a name of an axis is that of energies."""
    return bool(ENERGY_NAME.match(name)) or name.lower() in ("e", "en", "mono", "ene")


# -- what is only likely ------------------------------------------------------------------------------


def _likeliest(tree: Tree, found: list[TreeEntry]) -> list[TreeEntry]:
    """Narrow candidates: those with an energy for every image, then FXI's name, then a usual name."""
    lengths = {e.size for e in tree.numeric() if e.is_list}
    rules: tuple[Callable[[TreeEntry], bool], ...] = (
        lambda e: PTYCHOGRAPHY.search(e.name) is not None,
        lambda e: (e.shape or (0,))[0] in lengths,
        lambda e: e.leaf.lower() == "img_xanes",
        lambda e: IMAGES.fullmatch(e.leaf) is not None,
        lambda e: "aligned" in e.leaf.lower() or "registered" in e.leaf.lower(),
    )
    for rule in rules:
        narrower = [e for e in found if rule(e)]
        if len(narrower) == 1:
            return narrower
        found = narrower or found
    return found
