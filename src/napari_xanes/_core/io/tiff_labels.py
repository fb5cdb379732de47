"""What a TIFF file says of each of its images in words: labels of ImageJ, channels of OME, descriptions of pages."""

from __future__ import annotations

import re
from typing import Any

import tifffile

from napari_xanes._core.io.plausible import energy_unit_of

MOST_PAGES = 5000
"""Descriptions of more pages are not gone through."""
LONGEST = 1_000_000
"""Characters of a description that are looked through."""
_LIST = re.compile(
    r"""(?<!\w)(\w{0,40}energ\w{0,40})["']?\s{0,20}([(\[]\s{0,9}[km]?eV\s{0,9}[)\]])?\s{0,20}[:=]\s{0,20}[(\[]?"""
    r"""\s{0,40}((?:\d[\d.eE+]*[\s,;]+)+\d[\d.eE+]*)""",
    re.IGNORECASE,
)
"""All but the numbers is bounded, so that the time is in proportion to the text."""

_UNIT = re.compile(r"((?<![a-z])|(?<=energy)|(?<=energies))[km]?ev(?![a-z])", re.IGNORECASE)


def image_labels(file: tifffile.TiffFile, count: int) -> list[tuple[str, list[str]]]:
    """Return lists of `count` labels, each with where it stands."""
    found: list[tuple[str, list[str]]] = []
    if file.is_imagej and file.imagej_metadata:
        found += _imagej(file.imagej_metadata)
    if file.is_ome and file.ome_metadata:
        found.append(("the names of its channels", _ome_channels(file.ome_metadata)))
    if not (file.is_ome or file.is_imagej) and count > 1:
        found += _listed(str(getattr(file.pages[0], "description", "") or "")[:LONGEST])
    if len(file.pages) == count <= MOST_PAGES:
        texts = [str(getattr(page, "description", "") or "") for page in _pages(file)]
        if not (file.is_ome or file.is_imagej):
            found.append(("the descriptions of its pages", texts))
    return [(where, labels) for where, labels in found if len(labels) == count and all(labels)]


def _listed(text: str) -> list[tuple[str, list[str]]]:
    """Return the energies that a description lists, as "energies: 7000, 7001.5" or in json."""
    return [
        (
            f"its description, {name}",
            [number + _unit_of(name + unit) for number in re.split(r"[\s,;]+", numbers)],
        )
        for name, unit, numbers in _LIST.findall(text)
    ]


def _unit_of(text: str) -> str:
    """Return the unit of energies in a name, with a space before it; "" if there is none."""
    found = _UNIT.search(text)
    return "" if found is None else f" {energy_unit_of(found[0])}"


def _pages(file: tifffile.TiffFile) -> list[Any]:
    file.pages.useframes = False
    return [page.aspage() if isinstance(page, tifffile.TiffFrame) else page for page in file.pages]


def _imagej(metadata: dict[str, Any]) -> list[tuple[str, list[str]]]:
    found = []
    properties = metadata.get("Properties")
    pairs = {**metadata, **(properties if isinstance(properties, dict) else {})}
    for key, value in pairs.items():
        if isinstance(value, str) and "energ" in str(key).lower():
            parts = [part.strip() + _unit_of(str(key)) for part in value.split(",") if part.strip()]
            found.append((f"its property {key}", parts))
    labels = metadata.get("Labels")
    if isinstance(labels, (list, tuple)):
        found.append(("the labels of its slices", [str(label) for label in labels]))
    return found


def _ome_channels(text: str) -> list[str]:
    described = tifffile.xml2dict(text).get("OME", {}).get("Image", {})
    image = described[0] if isinstance(described, list) else described
    channels = image.get("Pixels", {}).get("Channel", [])
    return [
        str(channel.get("Name", "")) for channel in (channels if isinstance(channels, list) else [channels])
    ]
