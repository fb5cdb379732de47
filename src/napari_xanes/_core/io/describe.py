"""What the reader sees in a scan, in words, for those who look before they leap."""

from __future__ import annotations

import re
from pathlib import Path

from napari_xanes._core.data.stack import ArrayLike, EnergyStack
from napari_xanes._core.io.companions import find_companions
from napari_xanes._core.io.formats import need_scan_format
from napari_xanes._core.io.opened import absolute


def inspect_stack(stack: EnergyStack) -> list[tuple[str, str]]:
    """Return what the reader sees in a scan, one (key, value) a line.

    Parameters
    ----------
    stack : EnergyStack

    Returns
    -------
    list of (str, str)
    """
    size = stack.pixel_size_um
    lines = [
        ("name", stack.name),
        ("signal", stack.signal),
        ("shape", " x ".join(map(str, stack.shape))),
        ("dtype", str(stack.data.dtype)),
        ("energies", str(stack.energy.size)),
        ("unit", str(stack.source.get("file_energy_unit", "eV"))),
        ("first energy", f"{stack.energy[0]:.3f} eV"),
        ("last energy", f"{stack.energy[-1]:.3f} eV"),
        ("energy source", str(stack.source.get("energy_source", "unknown"))),
        *_reason(stack, "energy"),
        ("flats", _shape_words(stack.flat)),
        *_place(stack, "flat"),
        ("darks", _shape_words(stack.dark)),
        *_place(stack, "dark"),
        *(
            ("beside the scan", f"{one.settings()} would fit ({one.reason})")
            for one in find_companions(stack)[:1]
        ),
        ("pixel size", "unknown" if size is None else f"{size:g} um"),
        *_reason(stack, "pixel_size"),
        ("warnings", str(len(stack.warnings))),
    ]
    return lines + [("warning", text) for text in stack.warnings]


def _place(stack: EnergyStack, what: str) -> list[tuple[str, str]]:
    """Return where flats or darks are and why they were taken, if there are any."""
    given = stack.source.get(what)
    return [(f"{what} source", str(given)), *_reason(stack, what)] if given else []


def _reason(stack: EnergyStack, what: str) -> list[tuple[str, str]]:
    why = stack.source.get(f"{what}_reason")
    return [(f"{what.replace('_', ' ')} reason", str(why))] if why else []


def list_contents(path: Path) -> list[tuple[str, str]]:
    """Return the arrays of a file one by one, those first that could be images; none of formats without named arrays.

    Raises
    ------
    DataFileError
        If the file is of no format that is read.
    """
    kind = need_scan_format(absolute(path))
    found = (
        sorted(kind.contents(absolute(path)), key=lambda one: -min(len(one.shape), 3))
        if kind.contents
        else []
    )
    return [("dataset", f"{one.name} {one.shape} {one.dtype}, {_size_words(one.nbytes)}") for one in found]


def _size_words(nbytes: int) -> str:
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            return f"{nbytes / size:.3g} {unit}"
    return f"{nbytes} bytes"


def _shape_words(data: ArrayLike | None) -> str:
    return "none" if data is None else " x ".join(map(str, data.shape))


OPTIONS = {
    "complex_as": "--complex",
    **{
        name: f"--{name.replace('_', '-')}"
        for name in ("energy_unit", "energy", "images", "flat", "dark", "signal", "pixel_size_um", "axis")
    },
}
"""Keywords of `read_stack` as options of the command line."""


def in_options(sentence: str) -> str:
    """Return a sentence on what to say to `read_stack` in the words of the command line: energy= is --energy."""
    names = "|".join(OPTIONS)
    return re.sub(
        rf"(?<![\w.-])({names})\s?=(?:\s?(?=['\"]))?(?=(.?))",
        lambda m: OPTIONS[m[1]] + " " * bool(m[2].strip(" ,;.:)\n")),
        sentence,
    )
