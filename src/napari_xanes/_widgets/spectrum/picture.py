"""What is drawn of the spectra that were read: curves, windows, the edge, and a sentence; no Qt here."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from napari.layers import Layer
from numpy.typing import NDArray

from napari_xanes._core.base.errors import XanesError
from napari_xanes._core.base.params import Window
from napari_xanes._core.data.stack import SIGNAL_WORDS
from napari_xanes._core.fit.result import ReferenceFit
from napari_xanes._core.runs.spectra import SpectraSteps, SpectrumFound
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.spectrum.colors import SPOT_COLORS, next_color
from napari_xanes._widgets.spectrum.curves import FIT_COLORS, WINDOW_COLORS, Curve
from napari_xanes._widgets.spectrum.mean_spectra import DENSITY, MEASURED, NORMALISED
from napari_xanes._widgets.spectrum.model import SpectrumModel
from napari_xanes._widgets.spectrum.reading import CURSOR, MEAN, SpectrumRead
from napari_xanes._widgets.steps.sections import FIT, numbered

Float64 = NDArray[np.float64]

NOTHING_OPEN = "Open a XANES stack to see its spectra."
CHOOSE_REFERENCES = f"choose references in {numbered(FIT)} to see a fit."


@dataclass(frozen=True, eq=False)
class Picture:
    """What is drawn: curves by name, the windows and the edge, what the fit leaves out, the axis, and a sentence."""

    curves: dict[str, Curve] = field(default_factory=dict)
    windows: dict[str, Window] | None = None
    e0: float | None = None
    excluded: list[Window] = field(default_factory=list)
    left: str = ""
    message: str = NOTHING_OPEN
    fit: ReferenceFit | None = None


def picture_of(model: SpectrumModel) -> Picture:
    """Return what is to be drawn."""
    layer = model.reading.stack_layer()
    if layer is None or not model.is_read():
        return Picture()
    energy, wanted, first = model.energy(), model.wanted, model.first()
    try:
        steps, trouble = model.normalization(layer), ""
    except XanesError as error:
        steps, trouble = None, str(error)
    found = None if steps is None else steps(model.reading.spectra[first].mean.values)
    shown = Picture(
        curves=_spectra(model, energy, steps),
        excluded=model.forms.excluded(),
        left=_left_label(model, layer),
        message=trouble or _says(model, first, found),
    )
    if found is not None and steps is not None and not wanted.fit:
        shown = _with_edge(model, shown, energy, found, steps)
    if wanted.fit:
        shown = _with_fit(model, shown, layer, first)
    elif wanted.references:
        shown.curves.update(_reference_curves(model, layer, energy))
    if wanted.derivative:
        curves = {name: replace(c, y=np.gradient(c.y, c.x)) for name, c in shown.curves.items()}
        shown = replace(shown, curves=curves, left=f"d({shown.left}) / dE")
    return replace(shown, message=f"{layer.name}: {shown.message}")


def _spectra(model: SpectrumModel, energy: Float64, steps: SpectraSteps | None) -> dict[str, Curve]:
    normalize = model.wanted.quantity == NORMALISED
    curves = {}
    for name, one in model.reading.spectra.items():
        y = one.mean.values
        if normalize and steps is not None:
            found = steps(y)
            y = np.full(energy.size, np.nan) if _no_step(found) else found.spectrum
        elif normalize and not model.is_normalized():
            y = np.full(energy.size, np.nan)
        curves[name] = Curve(energy, y, one.color, width=2)
    return curves


def _left_label(model: SpectrumModel, layer: Layer) -> str:
    quantity = model.wanted.quantity
    if model.wanted.fit and model.is_normalized():
        return SIGNAL_WORDS["normalized"]
    return SIGNAL_WORDS[about(layer)["signal"]] if quantity == MEASURED else quantity


def _with_edge(
    model: SpectrumModel, shown: Picture, energy: Float64, found: SpectrumFound, steps: SpectraSteps
) -> Picture:
    """Add the windows, the edge, and the curves before and after it where they belong to what is drawn."""
    chosen = steps.normalization
    assert chosen is not None and chosen.pre_edge and chosen.post_edge and chosen.e0
    if model.wanted.quantity != NORMALISED and not model.wanted.derivative:
        for name, y, part in (
            ("pre-edge line", found.pre_curve, energy <= chosen.post_edge[1]),
            ("post-edge line", found.post_curve, energy >= chosen.e0),
        ):
            assert y is not None
            color = WINDOW_COLORS[name.split()[0].replace("-", "_")]
            shown.curves[name] = Curve(energy[part], y[part], color, "dash")
    if not model.wanted.windows:
        return shown
    return replace(shown, windows={"pre_edge": chosen.pre_edge, "post_edge": chosen.post_edge}, e0=chosen.e0)


def _with_fit(model: SpectrumModel, shown: Picture, layer: Layer, first: str) -> Picture:
    """Replace the curves by one with its fit, or say why there is none."""
    counts = model.wanted.quantity == MEASURED and about(layer)["signal"] in ("counts", "transmission")
    if counts:
        return replace(shown, message="choose optical density to fit this stack's spectra.")
    try:
        steps = model.fit_steps(layer)
    except XanesError as error:
        return replace(shown, message=str(error))
    if steps is None:
        return replace(shown, message=CHOOSE_REFERENCES)
    fit = steps(model.reading.spectra[first].mean.values).fit
    assert fit is not None
    if not np.isfinite(fit.coefficients).all():
        return replace(
            shown,
            message=f"'{first}' cannot be fitted: it shows no edge, or is invalid at some energies.",
        )
    color = model.reading.spectra[first].color
    left = "normalised" if steps.normalization is not None or model.is_normalized() else DENSITY
    said = f"fit of '{first}', residual {float(fit.rms):.2g} rms."
    if not np.isfinite(fit.fractions).all():
        said = f"'{first}' holds too little of the element for fractions."
    said += model.differs_from_run(layer)
    return replace(shown, curves=_fit_curves(first, fit, color), left=left, message=said, fit=fit)


def _reference_curves(model: SpectrumModel, layer: Layer, energy: Float64) -> dict[str, Curve]:
    try:
        steps = model.fit_steps(layer)
    except XanesError:
        return {}
    curves: dict[str, Curve] = {}
    used = [one.color for one in model.reading.spectra.values() if one.color is not None]
    for one in () if steps is None else steps.references:
        inside = (one.energy >= energy[0]) & (one.energy <= energy[-1])
        color = next_color(used)
        used.append(color)
        curves[one.name] = Curve(one.energy[inside], one.mu[inside], color, "dot")
    return curves


def _says(model: SpectrumModel, first: str, found: SpectrumFound | None) -> str:
    """Return what the first curve is of, and why it is not seen where it is not."""
    one = model.reading.spectra[first]
    if first == CURSOR and model.reading.cursor is not None:
        what = "pixel " + ", ".join(map(str, model.reading.cursor))
    elif first == MEAN:
        what = f"mean of {_sampled(one)}"
    else:
        what = f"'{first}', {one.pixels} px" if one.pixels > 1 else f"'{first}'"
    if found is not None and model.wanted.quantity == NORMALISED and (why := _no_step(found)):
        return f"{what} cannot be normalised: {why}."
    return what if first == MEAN else what + _validity(one)


def _no_step(found: SpectrumFound) -> str:
    """Return why a spectrum has no edge step to be divided by; empty if it has."""
    if found.in_noise:
        return "its edge step is within its noise"
    if not np.isnan(found.spectrum).all():
        return ""
    return "its edge step is below the minimum" if found.gated else "it shows no edge"


def _sampled(one: SpectrumRead) -> str:
    """Return of which pixels the mean of a whole stack is."""
    mean = one.mean
    if not mean.used:
        return f"{mean.pixels} evenly spaced pixels, none valid in all frames"
    if mean.used < mean.pixels:
        return f"{mean.used} evenly spaced pixels that are valid in all frames"
    return f"{mean.pixels} evenly spaced pixels"


def _validity(one: SpectrumRead) -> str:
    """Say so where a mean is not of all its pixels, or of more than was painted at this energy."""
    mean = one.mean
    spaced = " evenly spaced" if mean.pixels < one.pixels else ""
    said = ["painted at one energy, used at all"] if one.collapsed else []
    if not mean.used:
        said.append("no pixel is valid in all frames: mean of those valid in each")
    elif mean.used < mean.pixels:
        said.append(f"mean of the {mean.used} of {mean.pixels}{spaced} pixels that are valid in all frames")
    elif spaced:
        said.append(f"mean of {mean.pixels}{spaced} pixels")
    return "".join(f"; {part}" for part in said)


def _fit_curves(first: str, fit: ReferenceFit, color: str | None) -> dict[str, Curve]:
    """Return the measured points, the fit, what each reference gives to it, and what is left."""
    model, free = fit.model(), [one for one in SPOT_COLORS if one != color]
    curves = {
        first: Curve(model.energy, np.asarray(model.measured), color, "points"),
        "fit": Curve(model.energy, np.asarray(model.fitted), FIT_COLORS[0], width=2),
    }
    parts = zip(fit.names, model.components + model.background, fit.fractions, fit.sigma, strict=True)
    for k, (name, component, fraction, sigma) in enumerate(parts):
        label = f"{name}: {fraction:.3f} ± {sigma:.3f}"
        curves[label] = Curve(model.energy, np.asarray(component), free[k % len(free)], "dash")
    curves["residual"] = Curve(model.energy, np.asarray(model.measured - model.fitted), FIT_COLORS[1])
    return curves
