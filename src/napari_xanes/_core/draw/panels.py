"""What a figure shows: which maps, the plane of volumes, and for each kind of map its colours and limits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_xanes._core.base.arrays import as_float32, unmasked
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data import kinds
from napari_xanes._core.data.kinds import Scale, told_by_name
from napari_xanes._core.data.result import Result
from napari_xanes._core.draw.color import SAFE_COLORS

Image = NDArray[np.float32]


DEFAULT_KINDS = (("fraction",), ("thickness", "edge_step"), ("error", "rms"))
"""What is drawn if nothing is asked for; of each group the first that there is."""


@dataclass(frozen=True, eq=False)
class Panel:
    """A map as it is drawn: image (Y, X), what it is, and the limits of its colours."""

    name: str
    kind: str
    reference: str | None
    unit: str
    image: Image
    colors: str
    scale: Scale
    limits: tuple[float, float] = (0.0, 1.0)

    @property
    def title(self) -> str:
        return self.reference or _in_words(self.name)

    @property
    def label(self) -> str:
        """What stands beside the colour bar: the unit, after the kind where the title does not say it."""
        kind = _in_words(self.kind)
        if not self.reference:
            return self.unit
        return f"{kind} ({self.unit})" if self.unit else kind


@dataclass(frozen=True, eq=False)
class Mixture:
    """Maps that are mixed in colour, and the sigma they are faded by, if it is known of all."""

    panels: list[Panel]
    sigma: list[Image] | None
    sigma_limit: float


def read_panels(maps: Result | Mapping[str, ArrayLike], plane: int | None) -> dict[str, Panel]:
    """Return all maps as panels by name, of volumes one plane, checked to be of one shape."""
    given = maps.maps if isinstance(maps, Result) else maps
    info = maps.info if isinstance(maps, Result) else {}
    arrays = {name: unmasked(data) for name, data in given.items()}
    if not arrays:
        raise InputError("there are no maps to draw; give a result that holds some.")
    first, *others = arrays
    shape = arrays[first].shape
    for name in others:
        if arrays[name].shape != shape:
            raise InputError(
                f"map '{name}' has shape {arrays[name].shape}, '{first}' {shape}; they must be the same."
            )
    index = _plane_index(shape, plane)
    return {
        name: _panel(name, data if index is None else data[index], info.get(name, {}))
        for name, data in arrays.items()
    }


def choose(panels: Mapping[str, Panel], wanted: Iterable[str] | None) -> list[Panel]:
    """Return the panels asked for by name or kind, each once, with limits; without a wish the usual ones."""
    names = _usual(panels) if wanted is None else _asked_for(panels, wanted)
    chosen = [panels[name] for name in names]
    answered = _answered(panels)
    return [
        replace(panel, limits=_limits(_compared(panel, chosen, answered), panel.scale)) for panel in chosen
    ]


def choose_mixture(
    panels: Mapping[str, Panel], shown: Sequence[Panel], mix: Sequence[str] | None, sigma_limit: float | None
) -> Mixture | None:
    """Return the maps asked for, or the fractions among those shown, if there are as many as colours."""
    most = len(SAFE_COLORS)
    if mix is None:
        mixed = [panel for panel in shown if panel.kind == "fraction"]
        mixed = mixed if 2 <= len(mixed) <= most else []
    else:
        mixed = choose(panels, mix) if mix else []
    if len(mixed) > most:
        raise InputError(f"mix names {len(mixed)} maps, at most {most} can be told apart by colour.")
    sigma = [panels[f"sigma_{p.reference}"].image for p in mixed if f"sigma_{p.reference}" in panels]
    known = sigma_limit is not None and len(sigma) == len(mixed) and all(p.kind == "fraction" for p in mixed)
    return Mixture(mixed, sigma if known else None, sigma_limit or 1.0) if mixed else None


def _plane_index(shape: tuple[int, ...], plane: int | None) -> int | None:
    """Return which plane of a volume is drawn; None where there is but one image."""
    if len(shape) not in (2, 3) or 0 in shape:
        raise InputError(f"maps have shape {shape}, expected images (Y, X) or volumes (Z, Y, X).")
    if len(shape) == 2:
        if plane is not None:
            raise InputError(f"plane is {plane}, but the maps are images; leave it out.")
        return None
    if plane is None:
        return shape[0] // 2
    if not 0 <= plane < shape[0]:
        raise InputError(f"plane is {plane}, expected 0 to {shape[0] - 1}.")
    return plane


def _panel(name: str, image: NDArray[Any], info: Mapping[str, Any]) -> Panel:
    kind, reference = info.get("kind"), info.get("reference")
    if kind is None:
        kind, reference = told_by_name(name)
    unit = str(info.get("unit") or "")
    look = kinds.kind(kind)
    colors, scale = look.colors, look.scale
    image = as_float32(image)
    image = np.where(np.isfinite(image), image, np.float32(np.nan))
    if scale == "around zero" and not (image < 0).any():
        colors, scale = "viridis", "from zero"
    return Panel(name, kind, reference, unit, image, colors, scale)


def _usual(panels: Mapping[str, Panel]) -> list[str]:
    names = []
    for group in DEFAULT_KINDS:
        by_kind = [[name for name, panel in panels.items() if panel.kind == kind] for kind in group]
        names += next(filter(None, by_kind), [])
    return names or list(panels)


def _asked_for(panels: Mapping[str, Panel], wanted: Iterable[str]) -> list[str]:
    if isinstance(wanted, str):
        wanted = [wanted]
    names: dict[str, None] = {}
    for word in wanted:
        found = [word] if word in panels else [name for name, panel in panels.items() if panel.kind == word]
        if not found:
            raise InputError(f"there is no map '{word}'; there are {', '.join(panels)}.")
        names.update(dict.fromkeys(found))
    if not names:
        raise InputError("no map was asked for; name at least one, or leave it to be chosen.")
    return list(names)


def _answered(panels: Mapping[str, Panel]) -> NDArray[np.bool_]:
    """Return where there are fractions; everywhere if there are none at all."""
    valid = [np.isfinite(panel.image) for panel in panels.values() if panel.kind == "fraction"]
    found = np.logical_and.reduce(valid) if valid else np.array(False)
    return np.asarray(found if found.any() else True)


def _compared(panel: Panel, chosen: Sequence[Panel], answered: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Return the valid pixels that set the limits: of all maps of the kind where each is of a reference."""
    alike = [p for p in chosen if p.kind == panel.kind] if panel.reference else [panel]
    where = answered if kinds.kind(panel.kind).of_fit else True
    return np.concatenate([p.image[np.isfinite(p.image) & where] for p in alike])


def _limits(valid: NDArray[np.float32], scale: Scale) -> tuple[float, float]:
    """Return the values between which nearly all pixels are shown."""
    if scale == "decades":
        valid = valid[valid > 0]
    if scale == "share" or not valid.size:
        return (0.1, 1.0) if scale == "decades" else (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(valid, [1, 99 if scale == "decades" else 99.8]))
    if scale == "from zero":
        low = min(low, 0.0)
    elif scale == "around zero":
        high = max(abs(low), abs(high))
        low = -high
    if high <= low:
        return low, low * 10 if scale == "decades" else low + 1
    return low, high


def _in_words(name: str) -> str:
    return name.replace("_", " ")
