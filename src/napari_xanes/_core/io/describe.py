"""What the reader sees in a scan, in words, for those who look before they leap."""

from __future__ import annotations

import re

from napari_xanes._core.data.stack import ArrayLike, EnergyStack


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
        ("flats", _shape_words(stack.flat)),
        ("darks", _shape_words(stack.dark)),
        ("pixel size", "unknown" if size is None else f"{size:g} um"),
        ("warnings", str(len(stack.warnings))),
    ]
    return lines + [("warning", text) for text in stack.warnings]


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
        rf"(?<![\w.-])({names})\s?=(?:\s?(?=['\"])|(?=[\s,;.:)]|$))",
        lambda m: (
            f"{OPTIONS[m[1]]} "
            if sentence[m.end() : m.end() + 1] in "'\"" and m.end() < len(sentence)
            else OPTIONS[m[1]]
        ),
        sentence,
    )
