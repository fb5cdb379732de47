"""Do the chosen references fit the scan?  Said before the fit, with the buttons that put it right."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.checks import in_window
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.fit.other_edge import covered, edge_text, of_another_edge
from napari_xanes._core.rank.check import noise_of_fractions
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.forms.library import spectra_in
from napari_xanes._widgets.parts.advice import Told, Way

LEAST = 0.5
"""Fraction of the scan's energies that a reference of the same edge covers at least."""


MANY = 6
"""References from which on their number is said with what it does to the fractions."""
APART = 20.0
"""Error of a fraction per error of a value from which it is said of fewer: 20 % where the noise is 1 %."""


def chosen_in(form: ParamsForm) -> list[Reference]:
    """Return the references that a form names."""
    values = form.values()
    names = values["names"]
    return [one for one in spectra_in(values["references"]) if not names or one.name in names]


def advice_on(form: ParamsForm, energy: NDArray[np.float64], e0: float | None = None) -> list[Told]:
    """Return what is to be known of the references in a form for a scan at these energies, whose edge may be known."""
    values = form.values()
    chosen = chosen_in(form)
    if not chosen:
        return []
    window = values["energy_range"]
    wanted = energy if window is None else energy[in_window(energy, window)]
    if wanted.size < 2:
        return []
    strange = [
        one for one in chosen if covered(one, wanted).mean() < LEAST or of_another_edge(one, energy, e0)
    ]
    fitting = [one for one in chosen if all(one is not other for other in strange)]
    if strange:
        return [_of_another_edge(form, strange, fitting, wanted, e0)]
    narrow = [one for one in fitting if not covered(one, wanted).all()]
    return [_narrow(form, narrow, fitting, wanted)] if narrow and values.get("extrapolate") is None else []


def many_at_once(form: ParamsForm, energy: NDArray[np.float64]) -> list[Told]:
    """Say what noise does to the fractions where a form names many references, or ones that are alike."""
    chosen = chosen_in(form)
    try:
        noise = noise_of_fractions(chosen, energy, form.values()["background"])
    except InputError:
        return []
    if len(chosen) < MANY and noise < APART:
        return []
    size = f"an error of {noise:.0f} %" if noise < 100 else "an error of more than 100 %"
    sentence = (
        f"{len(chosen)} references at once: the more they are, and the more alike, the less is known of each. Of noise of 1 % a "
        f"fraction gets {size}. Find references... ranks which of them the data ask for."
    )
    return [Told(sentence)]


def _listed(references: Sequence[Reference]) -> str:
    names = ", ".join(one.name for one in references[:3])
    return f"{names} and {len(references) - 3} more" if len(references) > 3 else names


def _of_another_edge(
    form: ParamsForm,
    strange: Sequence[Reference],
    fitting: Sequence[Reference],
    energy: NDArray[np.float64],
    e0: float | None,
) -> Told:
    one = strange[0]
    edge = edge_text(one)
    sentence = (
        f"{_listed(strange)}: {one.energy[0]:.0f} to {one.energy[-1]:.0f} eV{f', edge at {edge}' if edge else ''}, while the scan "
        f"goes from {energy[0]:.0f} to {energy[-1]:.0f} eV{f', edge at {e0:.0f} eV' if e0 else ''}. "
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
    inside = energy[np.logical_and.reduce([covered(one, energy) for one in chosen])]
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


def _set(form: ParamsForm, **values: object) -> None:
    for name, value in values.items():
        form.editors[name].set_value(value)
