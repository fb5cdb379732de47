"""Step 2 of the window: how the sample drifted, and undoing it."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from napari.layers import Layer
from qtpy.QtWidgets import QPushButton, QWidget

from napari_xanes._core.align.blend import blend_frames
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.base.words import no_such_frame
from napari_xanes._core.data.history import last_entry
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.jobs.trial import Previewed, Trial, plane_seen
from napari_xanes._widgets.layers.drawn import drawn_rectangle
from napari_xanes._widgets.layers.layers import (
    about,
    geometry_of,
    history_of,
    lineage,
    results_of,
    stack_of,
)
from napari_xanes._widgets.layers.words import facts, frames_text
from napari_xanes._widgets.parts.buttons import allow
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.sections import ALIGN, NORMALIZE, what_is_missing

SHOW = ' <a href="review" style="color: #4a9de0">Show the frames</a>'
"""A link after what was found."""


class AlignPanel(StepPanel):
    """Drift correction."""

    title, key, names = ALIGN.title, ALIGN.key, ALIGN.steps
    stack_name = "aligned"

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the nearest stack of optical density that is not aligned yet, else the nearest at all."""
        density = [one for one in line if about(one)["signal"] == "optical_density"]
        fresh = [one for one in density if last_entry(history_of(one), "align") is None]
        return next(iter(fresh or density), None)

    def missing(self, line: list[Layer]) -> str:
        """Say what comes first: in the window, optical density is aligned."""
        return what_is_missing(NORMALIZE.key, about(line[0])["signal"])

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        return f"Finds the drift of {frames_text(layer)} and undoes it. What leaves the view becomes invalid."

    def tell(self, result: Result) -> tuple[str, str]:
        """Return the largest drift, the frames that cannot be trusted and the area that is always in view."""
        found = facts(result, "align")
        short = f"drift up to {found['max_shift_px']:.1f} px"
        text = f"Drift up to {found['max_shift_px']:.2f} px"
        doubtful, lost = len(found["doubtful_frames"]), len(found["unusable_frames"])
        if alone := len(found.get("bridged_frames", ())):
            text += f"; {alone} frame{'s show' if alone > 1 else ' shows'} nothing to align by and move{'' if alone > 1 else 's'} like those beside"
        if doubtful:
            short += f", {doubtful} doubtful"
            text += f"; {doubtful} frame{'s are' if doubtful > 1 else ' is'} doubtful"
        if lost:
            text += f"; {lost} frame{'s' if lost > 1 else ''} could not be aligned and {'are' if lost > 1 else 'is'} invalid"
        area = " x ".join(str(max(0, hi - lo)) for lo, hi in found["valid_area"])
        return short, f"{text}; {area} px are in view at all energies.{SHOW if doubtful or alone else ''}"

    def trial(self, layer: Layer) -> Trial:
        """Return how the shown frame is put onto the reference, both in one picture."""
        params = self.forms["align"].params()
        assert isinstance(params, AlignParams)
        if params.drift:
            raise InputError("A known drift is applied as it is; Review frames... shows it after Run.")
        stack, n = stack_of(layer), layer.data.shape[0]
        shown = round(layer.world_to_data(self.viewer.dims.point[-layer.ndim :])[0])
        shown = min(max(shown, 0), n - 1)
        partner = _partner(params, shown, n)
        if partner == shown:
            raise InputError(
                f"Frame {shown + 1} is the one that stays in place; move the energy slider to see another put onto it."
            )
        plane = plane_seen(self.viewer, layer)
        job = partial(_align_pair, stack, geometry_of(layer, 1), params, shown, partner, plane)
        return Trial(layer, job, (id(stack.data), shown, plane, params.model_dump_json()))

    def options(self) -> list[QWidget]:
        """Return a button that takes the region from a drawn rectangle."""
        button = QPushButton("Region from drawn rectangle")
        button.setToolTip(
            "<p>Draw a rectangle in a Shapes layer first; the last one of the selected layer counts.</p>"
        )
        button.clicked.connect(self.take_rectangle)
        self.review = QPushButton("Review frames...")
        self.review.setToolTip("<p>Look at the drift of every frame, correct it, or leave frames out.</p>")
        self.review.clicked.connect(self.open_review)
        self.result.linkActivated.connect(lambda _: self.open_review())
        return [button, self.review]

    def open_review(self) -> None:
        """Open the dock in which the alignment is looked at, beside this one."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "Alignment review", tabify=True)

    def update_plan(self) -> None:
        """Say what Run will do; there is something to review once it has."""
        super().update_plan()
        layer = self.input_layer()
        there = layer is not None and "align" in self._results()
        allow(self.review, "" if there else "Run Align first.")

    def _results(self) -> dict[str, Result]:
        chosen = self.chooser.layer()
        line = [] if chosen is None else lineage(self.viewer, chosen)
        return {key: result for layer in line for key, result in results_of(layer).items()}

    def take_rectangle(self) -> None:
        """Set the region from the last shape that was drawn."""
        layer = self.input_layer()
        if layer is None:
            return
        try:
            self.forms["align"].editors["roi"].set_value(drawn_rectangle(self.viewer, layer))
        except InputError as error:
            report_error(error, self.title)


def _partner(params: AlignParams, shown: int, n: int) -> int:
    """Return the frame that a frame is compared with in a preview; the last stands for the mean of all."""
    if params.reference == "previous":
        return shown - 1 if shown else 1
    if params.reference == "mean":
        return n - 1 if shown < n - 1 else 0
    if not -n <= params.reference < n:
        raise InputError(f"Reference is {no_such_frame(params.reference, n)}; choose one of them.")
    return params.reference % n


def _align_pair(
    stack: EnergyStack,
    geometry: dict[str, object],
    params: AlignParams,
    shown: int,
    partner: int,
    plane: int | None,
    progress: Progress,
) -> Previewed:
    """Align one frame to another, and show both in one picture."""
    both = sorted((shown, partner))
    pair = EnergyStack(
        np.stack([np.asarray(stack.data[i, :]) for i in both]),
        stack.energy[both],
        stack.signal,
        name=stack.name,
    )
    steady = params.model_copy(
        update={"reference": both.index(partner), "magnification": False, "exclude": (), "matrices": ()}
    )
    result = run_steps(pair, [("align", steady)], keep_stack=True, in_memory=True, progress=progress)
    assert result.stack is not None  # it was asked for
    moved, fixed = (result.stack.data[both.index(i)] for i in (shown, partner))
    shift = result.extra["drift"].shifts[both.index(shown)]
    if not np.isfinite(shift).all():
        return Previewed({}, f"Frame {shown + 1} shows nothing that frame {partner + 1} shows, too.")
    at = () if plane is None else (plane,)
    picture = blend_frames(fixed[at], moved[at])
    if plane is not None:
        picture = picture[None]
        geometry = {**geometry, "translate": _raised(geometry, plane)}
    moves = ", ".join(f"{name} {value:+.2f}" for name, value in zip("zyx"[-shift.size :], shift, strict=True))
    return Previewed(
        {"aligned": (picture, {**geometry, "rgb": True}, "image")},
        f"Frame {shown + 1} ({stack.energy[shown]:.1f} eV, green) lies {moves} px from frame {partner + 1} (magenta); here it "
        "is put back. Grey is where they agree.",
    )


def _raised(geometry: dict[str, Any], plane: int) -> tuple[float, ...]:
    """Return where a plane of a volume lies."""
    (z, *rest), (step, *_) = geometry["translate"], geometry["scale"]
    return (z + plane * step, *rest)
