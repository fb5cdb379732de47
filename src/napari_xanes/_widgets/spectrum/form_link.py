"""What the forms of the workflow say that the spectrum dock follows, and what is dragged there told to them."""

from __future__ import annotations

from typing import Any

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io import read_references
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.layers.session import workflow_of


class FormLink:
    """The forms of Normalise and Fit in the workflow that is open in a viewer, if one is."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._own: dict[str, Any] = {}
        self._read: tuple[tuple[Any, ...], list[Reference]] = ((), [])

    def form(self, step: str) -> ParamsForm | None:
        """Return the form of "normalize" or "fit"."""
        workflow = workflow_of(self._viewer)
        return None if workflow is None else workflow.panels[step].forms[step]

    def normalisation(self) -> dict[str, Any]:
        """Return what is set of the normalisation; without a form, what was dragged."""
        form = self.form("normalize")
        values = self._own if form is None else form.values()
        return {key: value for key, value in values.items() if value is not None}

    def set_normalisation(self, name: str, value: Any) -> bool:
        """Set a parameter of the normalisation; returns whether there is a form that tells of it."""
        form = self.form("normalize")
        if form is None:
            self._own[name] = value
            return False
        form.editors[name].set_value(value)
        return True

    def excluded(self) -> list[tuple[float, float]]:
        """Return the windows that the fit leaves out."""
        form = self.form("fit")
        values = {} if form is None else form.values()
        return [(float(lo), float(hi)) for lo, hi in values.get("exclude") or ()]

    def set_excluded(self, number: int, lo: float, hi: float) -> None:
        """Change one of the windows that the fit leaves out."""
        form, windows = self.form("fit"), self.excluded()
        if form is not None:
            windows[number] = (round(lo, 2), round(hi, 2))
            form.editors["exclude"].set_value(tuple(windows))

    def references(self) -> list[Reference]:
        """Return the spectra of the files in the form of the fit, read again only if there are others."""
        form = self.form("fit")
        values = {} if form is None else form.values()
        wanted = tuple(values.get("references") or ()), tuple(values.get("names") or ())
        if self._read[0] != wanted:
            try:
                found = list(read_references(*wanted[0])) if wanted[0] else []
            except XanesError:
                found = []
            self._read = wanted, [one for one in found if not wanted[1] or one.name in wanted[1]]
        return self._read[1]
