"""Steps of a recipe as lines of Python with the public functions: what `script` puts together.

A writer of a step returns its lines, or None where only the recipe does what the parameters ask for.  In these
lines `images` (E, ...), `energy` and `stack` are what came before, `maps`, `labels` and `tables` what was found.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from napari_xanes._core.base.params import Params
from napari_xanes._core.data.stack import Signal

WIDTH = 100
SIGNALS: tuple[Signal, ...] = ("counts", "transmission", "optical_density", "normalized")
AFTER: dict[str, Signal] = {
    "flat_field": "transmission",
    "internal_i0": "transmission",
    "optical_density": "optical_density",
}
Lines = list[str]


@dataclass(frozen=True)
class Before:
    """What is known before a step: what the images are, and whether the script normalised them itself."""

    signal: Signal
    normalized_here: bool = False

    def then(self, name: str) -> Before:
        """Return what is known after a step."""
        if name == "normalize":
            return Before("normalized", True)
        after = AFTER.get(name)
        if after is None or SIGNALS.index(after) < SIGNALS.index(self.signal):
            return self
        return Before(after, self.normalized_here)


Writer = Callable[[dict[str, Any], Before], Lines | None]
"""Takes the parameters that differ from their defaults, and what was before the step."""


def given(params: Params) -> dict[str, Any]:
    """Return the parameters that differ from their defaults, in the order of their declaration."""
    values = {}
    for name, info in type(params).model_fields.items():
        value = getattr(params, name)
        if info.is_required() or value != info.get_default(call_default_factory=True):
            values[name] = value
    return values


def call(target: str, function: str, *args: str, then: str = "", **keywords: Any) -> Lines:
    """Return ``target = function(args, keywords)then`` in as many lines as it needs."""
    parts = [*args, *(f"{name}={literal(value)}" for name, value in keywords.items())]
    head = f"{target} = {function}(" if target else f"{function}("
    line = f"{head}{', '.join(parts)}){then}"
    if len(line) <= WIDTH:
        return [line]
    return [head, *(f"    {part}," for part in parts), f"){then}"]


def literal(value: Any) -> str:
    """Return a plain value as Python has it, strings in double quotes."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{literal(k)}: {literal(v)}' for k, v in value.items())}}}"
    return repr(value)


def _flat_field(params: dict[str, Any], before: Before) -> Lines:
    return ["images = nx.flat_field(images, stack.flat, stack.dark)"] if before.signal == "counts" else []


def _optical_density(params: dict[str, Any], before: Before) -> Lines:
    return ["images = nx.optical_density(images)"] if before.signal in ("counts", "transmission") else []


def _bad_pixels(params: dict[str, Any], before: Before) -> Lines:
    return call("images", "nx.remove_bad_pixels", "images", then=".images", **params)


def _crop(params: dict[str, Any], before: Before) -> Lines:
    lines = []
    if params.get("energy_range"):
        lo, hi = params["energy_range"]
        lines = [
            f"kept = (energy >= {lo!r}) & (energy <= {hi!r})",
            "images, energy = images[kept], energy[kept]",
        ]
    if params.get("roi"):
        y0, y1, x0, x1 = params["roi"]
        lines.append(f"images = images[..., {y0}:{y1}, {x0}:{x1}]")
    return lines


def _bin(params: dict[str, Any], before: Before) -> Lines:
    return [f"images = nx.bin_pixels(images, {params.get('factor', 2)}, axes=images.ndim - 1)"]


def _denoise(params: dict[str, Any], before: Before) -> Lines:
    return call("images", "nx.denoise", "images", "axes=images.ndim - 1", **params)


def _drop_energies(params: dict[str, Any], before: Before) -> Lines:
    lines = ["images = np.array(images, dtype=np.float32)"]
    lines += [f"images[np.argmin(np.abs(energy - {one!r}))] = np.nan" for one in params.get("energies", ())]
    lines += [
        f"images[(energy >= {lo!r}) & (energy <= {hi!r})] = np.nan" for lo, hi in params.get("windows", ())
    ]
    return lines


def _shift_energy(params: dict[str, Any], before: Before) -> Lines:
    if "offset" in params:
        return [f"energy = energy + {params['offset']!r}"]
    return [f"energy = energy + ({params['true']!r} - {params['measured']!r})"]


def _align(params: dict[str, Any], before: Before) -> Lines | None:
    if "matrices" in params or "mask" in params:
        return None
    excluded, interpolation = params.pop("exclude", ()), params.pop("interpolation", None)
    if "drift" in params:
        lines = [f"drift = nx.Drift.load({literal(params['drift'])})"]
    else:
        lines = call("drift", "nx.estimate_drift", "images", **params)
    if excluded:
        lines.append(f"drift = drift.excluding({excluded!r})")
    keywords = {"interpolation": interpolation} if interpolation else {}
    return lines + call("images", "nx.apply_drift", "images", "drift", **keywords)


def _normalize(params: dict[str, Any], before: Before) -> Lines:
    return [
        *call("edge", "nx.normalize_edge", "images", "energy", **params),
        "images = edge.normalized",
        'maps |= {"thickness": edge.thickness, "edge_step": edge.edge_step}',
    ]


def _peak(params: dict[str, Any], before: Before) -> Lines:
    window = literal(params.pop("window"))
    return [
        *call("peak", "nx.peak_map", "images", "energy", window, **params),
        'maps |= {"peak_energy": peak.energy, "peak_height": peak.height}',
    ]


def _edge_position(params: dict[str, Any], before: Before) -> Lines:
    return [
        *call("position", "nx.edge_map", "images", "energy", **params),
        'maps["edge_energy"] = position.energy',
    ]


def _white_line(params: dict[str, Any], before: Before) -> Lines:
    window = literal(params.pop("window"))
    lines = call("white_line", "nx.white_line_map", "images", "energy", window, **params)
    return lines + [
        f'maps["white_line_{part}"] = white_line.{part}' for part in ("centroid", "area", "height")
    ]


def _cluster(params: dict[str, Any], before: Before) -> Lines:
    number = repr(params.pop("n_clusters", 4))
    return [
        *call("clusters", "nx.cluster_spectra", "images", number, "energy=energy", **params),
        'labels["clusters"] = clusters.labels',
        'tables["cluster_spectra"] = {"energy": energy}',
        "for k, spectrum in enumerate(clusters.spectra, start=1):",
        '    tables["cluster_spectra"][f"cluster_{k}"] = spectrum',
    ]


def _decompose(params: dict[str, Any], before: Before) -> Lines:
    number = repr(params.pop("n_components", 3))
    return [
        *call("components", "nx.decompose", "images", number, "energy=energy", **params),
        "for k, image in enumerate(components.maps, start=1):",
        '    maps[f"component_{k}"] = image',
    ]


def _fit(params: dict[str, Any], before: Before) -> Lines | None:
    as_data = params.pop("references_as", "given") == "data"
    if {"significance", "weights", "shift_references"} & params.keys() or as_data > before.normalized_here:
        return None
    params.pop("shift_limit", None)
    paths, names = params.pop("references"), params.pop("names", ())
    lines = call("references", "nx.read_references", *map(literal, paths))
    if names:
        lines.append("by_name = {one.name: one for one in references}")
        lines += _list("references", [f"by_name[{literal(name)}]" for name in names])
    if as_data:
        lines.append("references = nx.normalize_references(references, edge, energy=energy)")
    lines += call("fit", "nx.fit_references", "images", "energy", "references", **params)
    return [*lines, *_fit_maps(before)]


def _fit_maps(before: Before) -> Lines:
    normalized = before.signal == "normalized"
    lines = [] if normalized else ['maps["thickness"] = fit.coefficients.sum(axis=0)']
    note = "  # without the noise of the edge step" if normalized else ""
    lines += [
        "for k, name in enumerate(fit.names):",
        '    maps[f"fraction_{name}"] = fit.fractions[k]',
        f'    maps[f"sigma_{{name}}"] = fit.sigma[k]{note}',
        '    maps[f"coefficient_{name}"] = fit.coefficients[k]',
    ]
    if before.normalized_here or not normalized:
        lines.append('    maps[f"amount_{name}"] = fit.fractions[k] * maps["thickness"]')
    return [*lines, 'maps |= {"error": fit.error, "rms": fit.rms, "r_factor": fit.r_factor}']


def _list(target: str, items: Lines) -> Lines:
    line = f"{target} = [{', '.join(items)}]"
    return [line] if len(line) <= WIDTH else [f"{target} = [", *(f"    {item}," for item in items), "]"]


WRITERS: Mapping[str, Writer] = {
    "flat_field": _flat_field,
    "optical_density": _optical_density,
    "bad_pixels": _bad_pixels,
    "crop": _crop,
    "bin": _bin,
    "denoise": _denoise,
    "drop_energies": _drop_energies,
    "shift_energy": _shift_energy,
    "align": _align,
    "normalize": _normalize,
    "peak": _peak,
    "edge_position": _edge_position,
    "white_line": _white_line,
    "cluster": _cluster,
    "decompose": _decompose,
    "fit": _fit,
}
"""Steps without one go through the recipe."""
