"""The fit in Python: its lines in scripts."""

from __future__ import annotations

from typing import Any

from napari_xanes._core.engine.code import Before, Lines, call, list_lines, literal


def fit_code(given: dict[str, Any], before: Before) -> Lines | None:
    """Return the step in Python."""
    as_data = given.pop("references_as", "given") == "data"
    if {"significance", "weights", "shift_references"} & given.keys() or as_data > before.normalized_here:
        return None
    given.pop("shift_limit", None)
    given["significance"] = None
    paths, names = given.pop("references"), given.pop("names", ())
    lines = call("references", "nx.read_references", *map(literal, paths))
    if names:
        lines.append("by_name = {one.name: one for one in references}")
        lines += list_lines("references", [f"by_name[{literal(name)}]" for name in names])
    if as_data:
        lines.append("references = nx.normalize_references(references, edge, energy=energy)")
    carried = ("normalization=edge",) if before.normalized_here else ()
    lines += call("fit", "nx.fit_references", "images", "energy", "references", *carried, **given)
    return [*lines, *_code_of_maps(before, bool(given.get("uncertainty")))]


def _code_of_maps(before: Before, uncertainty: bool) -> Lines:
    """Return the lines that name the maps of a fit."""
    normalized = before.signal == "normalized"
    lines = [] if normalized else ['maps["thickness"] = fit.coefficients.sum(axis=0)']
    lines += [
        "for k, name in enumerate(fit.names):",
        '    maps[f"fraction_{name}"] = fit.fractions[k]',
        '    maps[f"sigma_{name}"] = fit.sigma[k]',
        '    maps[f"coefficient_{name}"] = fit.coefficients[k]',
    ]
    if before.normalized_here or not normalized:
        lines.append('    maps[f"amount_{name}"] = fit.fractions[k] * maps["thickness"]')
    if uncertainty and (not normalized or before.normalized_here):
        lines.append('    maps[f"amount_sigma_{name}"] = fit.amount_sigma[k]')
    return [*lines, 'maps |= {"error": fit.error, "rms": fit.rms, "r_factor": fit.r_factor}']
