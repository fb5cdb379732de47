"""What the forms of the workflow say that the spectrum dock follows, and what is dragged there told to them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from napari.layers import Layer

from napari_xanes._core.base.params import make_params
from napari_xanes._core.data.history import last_entry
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.edge.params import NormalizeParams
from napari_xanes._core.fit.params import FitParams
from napari_xanes._widgets.layers.layers import about, results_of, stack_of
from napari_xanes._widgets.layers.session import workflow_of

if TYPE_CHECKING:
    from napari_xanes._widgets.forms.form import ParamsForm


@dataclass(frozen=True, eq=False)
class FitAsked:
    """Which fit is asked for: its parameters, whether spectra are normalised first, and references that are at hand.

    References are None where they are in the files that the parameters name.
    """

    params: FitParams
    normalized_first: bool
    references: tuple[Reference, ...] | None = None


class FormLink:
    """The forms of Normalise and Fit in the workflow that is open in a viewer, if one is."""

    def __init__(self, viewer: Any) -> None:
        self._viewer = viewer
        self._own: dict[str, Any] = {}

    def form(self, step: str) -> ParamsForm | None:
        """Return the form of "normalize" or "fit"."""
        workflow = workflow_of(self._viewer)
        return None if workflow is None else workflow.panels[step].forms[step]

    def normalization(self, source: Layer) -> NormalizeParams:
        """Return how spectra are normalised: as the form says.

        Without a form, it is as the stack was normalised last, and as was dragged.  Raises InputError if the
        form holds what cannot be.
        """
        form = self.form("normalize")
        if form is not None:
            params: Any = form.params()
        else:
            before = results_of(source).get("normalize")
            last = None if before is None else last_entry(before.history, "normalize")
            known = {} if last is None else last.params
            params = make_params(NormalizeParams, {**known, **self._own}, "Normalise")
        assert isinstance(params, NormalizeParams)
        return params

    def set_normalization(self, name: str, value: Any) -> bool:
        """Set a parameter of the normalisation; returns whether there is a form that tells of it."""
        form = self.form("normalize")
        if form is None:
            self._own[name] = value
            return False
        form.editors[name].set_value(value)
        return True

    def differs_from_run(self, source: Layer, normalized: bool) -> str:
        """Say so where the form of Normalise holds other values than those that Fit's Run goes by; empty if not."""
        form, run = self.form("normalize"), results_of(source).get("normalize")
        entry = None if run is None else last_entry(run.history, "normalize")
        if form is None or entry is None or not normalized:
            return ""
        asked = form.params().model_dump(mode="json", exclude_none=True)
        unlike = [
            str(form.cls.model_fields[name].title)
            for name, value in asked.items()
            if entry.params.get(name) != value
        ]
        if not unlike:
            return ""
        return f" By the form of Normalise as it is now ({', '.join(unlike)}); Run of Fit goes by the one that was run."

    def fit(self, family: Sequence[Layer]) -> FitAsked | None:
        """Return the fit of a stack (the first of its family) as the form says, which alone counts where there is one.

        Without a form it is as it was run last.  None if no references are chosen.  Raises InputError if the form holds what cannot be.
        """
        form = self.form("fit")
        if form is None:
            return _last_fit(family)
        if not form.values()["references"]:
            return None
        params: FitParams = workflow_of(self._viewer).panels["fit"].fit_params()
        return FitAsked(params, self._normalizes_first(family, params))

    def _normalizes_first(self, family: Sequence[Layer], params: FitParams) -> bool:
        """Return what Fit does with a stack; one that was not normalised yet is, unless a background is fitted."""
        panel = workflow_of(self._viewer).panels["fit"]
        fitted = panel.input_layer()
        if fitted is None or all(fitted is not one for one in family):
            fitted = family[0]
        if about(fitted)["signal"] == "normalized":
            return True
        choice = panel.what_is_fitted()
        return not params.background if choice is None else choice == "normalised"

    def excluded(self) -> list[tuple[float, float]]:
        """Return the windows that the fit leaves out; none while what is typed is not all of windows."""
        form = self.form("fit")
        typed = () if form is None else form.values().get("exclude") or ()
        if any(len(window) != 2 or any(isinstance(end, str) for end in window) for window in typed):
            return []
        return [(float(lo), float(hi)) for lo, hi in typed]

    def set_excluded(self, number: int, lo: float, hi: float) -> None:
        """Change one of the windows that the fit leaves out."""
        form, windows = self.form("fit"), self.excluded()
        if form is not None and number < len(windows):
            windows[number] = (round(lo, 2), round(hi, 2))
            form.editors["exclude"].set_value(tuple(windows))


def _last_fit(family: Sequence[Layer]) -> FitAsked | None:
    """Return the last fit in a family of stacks, with the references as it used them."""
    for layer in family:
        result = results_of(layer).get("fit") or results_of(layer).get("recipe")
        if result is None or "references" not in result.extra:
            continue
        steps = [entry.step for entry in result.history]
        if "fit" not in steps:
            continue
        at = len(steps) - 1 - steps[::-1].index("fit")
        params: Any = make_params(FitParams, result.history[at].params, "Fit")
        as_used = params.model_copy(update={"reference_shifts": (), "shift_references": False})
        first = "normalize" in steps[:at] or stack_of(layer).signal == "normalized"
        return FitAsked(as_used, first, tuple(result.extra["references"]))
    return None
