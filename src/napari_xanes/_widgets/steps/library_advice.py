"""Do the chosen references fit the scan?  Said before the fit, with the buttons that put it right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.checks import in_window
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.edge.elements import edge_near
from napari_xanes._core.edge.energy import find_e0
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.forms.library import spectra_in
from napari_xanes._widgets.parts.advice import Told, Way

LEAST = 0.5
"""Fraction of the scan's energies that a reference of the same edge covers at least."""


def advice_on(form: ParamsForm, energy: NDArray[np.float64]) -> list[Told]:
    """Return what is to be known of the references in a form for a scan at these energies."""
    values = form.values()
    found = spectra_in(values["references"])
    names = values["names"]
    chosen = [one for one in found if not names or one.name in names]
    if not chosen:
        return []
    window = values["energy_range"]
    wanted = energy if window is None else energy[in_window(energy, window)]
    if wanted.size < 2:
        return []
    strange = [one for one in chosen if _covered(one, wanted).mean() < LEAST]
    fitting = [one for one in chosen if all(one is not other for other in strange)]
    if strange:
        return [_of_another_edge(form, strange, fitting, wanted)]
    narrow = [one for one in fitting if not _covered(one, wanted).all()]
    return [_narrow(form, narrow, fitting, wanted)] if narrow and values.get("extrapolate") is None else []


def _covered(reference: Reference, energy: NDArray[np.float64]) -> NDArray[np.bool_]:
    return in_window(energy, (float(reference.energy[0]), float(reference.energy[-1])))


def _listed(references: Sequence[Reference]) -> str:
    names = ", ".join(one.name for one in references[:3])
    return f"{names} and {len(references) - 3} more" if len(references) > 3 else names


def _of_another_edge(
    form: ParamsForm, strange: Sequence[Reference], fitting: Sequence[Reference], energy: NDArray[np.float64]
) -> Told:
    one = strange[0]
    edge = _edge_of(one)
    sentence = (
        f"{_listed(strange)}: {one.energy[0]:.0f} to {one.energy[-1]:.0f} eV{f' ({edge})' if edge else ''}, while the scan "
        f"goes from {energy[0]:.0f} to {energy[-1]:.0f} eV. "
    )
    if not fitting:
        remove = Way(
            "Remove them",
            "Takes all references out of the form.",
            partial(_set, form, references=(), names=()),
        )
        return Told(sentence + "Choose references of the element and edge of the scan, in eV.", (remove,))
    keep = tuple(other.name for other in fitting)
    way = Way(
        f"Leave out {_listed(strange)}", f"Fits {_listed(fitting)} only.", partial(_set, form, names=keep)
    )
    return Told(sentence + "They cannot be fitted to it.", (way,))


def _narrow(
    form: ParamsForm, narrow: Sequence[Reference], chosen: Sequence[Reference], energy: NDArray[np.float64]
) -> Told:
    inside = energy[np.logical_and.reduce([_covered(one, energy) for one in chosen])]
    outside = energy.size - inside.size
    first, last = max(one.energy[0] for one in narrow), min(one.energy[-1] for one in narrow)
    sentence = (
        f"{_listed(narrow)} cover{'s' if len(narrow) == 1 else ''} {first:.1f} to {last:.1f} eV; {outside} of the {energy.size} "
        f"energies of the scan lie outside."
    )
    ways = []
    if inside.size >= 2:
        window = (float(inside[0]), float(inside[-1]))
        ways.append(
            Way(
                f"Fit {window[0]:.1f} to {window[1]:.1f} eV",
                "Sets the energy range to what all references cover.",
                partial(_set, form, energy_range=window),
            )
        )
    ways.append(
        Way(
            "Hold their end values",
            "Takes the first and last value of a reference for the energies beyond it: right only where spectra are flat.",
            partial(_set, form, extrapolate="hold"),
        )
    )
    return Told(sentence, tuple(ways))


def _edge_of(reference: Reference) -> str:
    try:
        edge = edge_near(find_e0(reference.energy, reference.mu))
    except InputError:
        return ""
    return str(edge or "")


def _set(form: ParamsForm, **values: object) -> None:
    for name, value in values.items():
        form.editors[name].set_value(value)
