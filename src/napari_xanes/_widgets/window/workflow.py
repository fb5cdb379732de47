"""All steps in order in one dock, and each step as a dock of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QTimer

from napari_xanes._core.io.companions import is_named_i0
from napari_xanes._core.recipe.steps import step_title
from napari_xanes._widgets.forms.list_editors import FilesEditor
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.layers import about, find, results_of
from napari_xanes._widgets.layers.one_scan import show_scan_of
from napari_xanes._widgets.layers.reopened import KEY
from napari_xanes._widgets.layers.session import (
    changed_together,
    forget_workflow,
    real_viewer,
    remember_workflow,
    workflow_of,
)
from napari_xanes._widgets.layers.undo import last_step, next_step, redo, undo
from napari_xanes._widgets.parts.busy import busy_sign, is_busy
from napari_xanes._widgets.parts.buttons import in_line, make_button
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.section import FoldedSection, Lazy
from napari_xanes._widgets.parts.view import View
from napari_xanes._widgets.steps.align import AlignPanel
from napari_xanes._widgets.steps.cluster import ClusterPanel
from napari_xanes._widgets.steps.corrections import CorrectionsPanel
from napari_xanes._widgets.steps.fit import FitPanel
from napari_xanes._widgets.steps.maps import MapsPanel
from napari_xanes._widgets.steps.masks import MaskPanel
from napari_xanes._widgets.steps.more import MorePanel, steps_left
from napari_xanes._widgets.steps.normalize import NormalizePanel
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.particles import ParticlesPanel
from napari_xanes._widgets.steps.preprocess import PreprocessPanel
from napari_xanes._widgets.steps.rank import RankPanel
from napari_xanes._widgets.steps.residual import ResidualPanel
from napari_xanes._widgets.steps.results import ResultsPanel
from napari_xanes._widgets.steps.sections import MASKS, PREPROCESS, RESULTS, SECTIONS, first_section
from napari_xanes._widgets.steps.table import OTHER_PANELS, STEP_PANELS
from napari_xanes._widgets.window.energy_text import show_energy
from napari_xanes._widgets.window.keys import ShortcutsDialog, bind_keys, unbind_keys

REST_MS = 30
"""ms between the panels that are made one by one."""


class XanesWorkflow(Dock):
    """The XANES workflow: choose a stack, then run the steps from top to bottom."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        View(real_viewer(napari_viewer)).fit_soon()
        self.chooser = StackChooser(napari_viewer)
        self._make_sections()
        self.undo = make_button(
            "", "Takes the last step back: its layers go, what it changed is as it was before."
        )
        self.undo.clicked.connect(self.undo_step)
        self.redo = make_button("", "Does again what was taken back last.")
        self.redo.clicked.connect(self.redo_step)
        self.column.addWidget(self.chooser)
        self.column.addWidget(in_line(self.undo, self.redo))
        for section in self.sections.values():
            self.column.addWidget(section)
        self._shown: str | None = None
        remember_workflow(napari_viewer, self)
        bind_keys(napari_viewer)
        self.spectrum = make_button(
            "Spectrum",
            "The spectrum of the pixel under the cursor, of regions and of labels, below the picture.",
        )
        self.spectrum.clicked.connect(self.open_spectrum)
        self.keys = make_button("Keys", "The keys for what is done often.")
        self.keys.clicked.connect(lambda: ShortcutsDialog(self).show())
        self.column.addWidget(in_line(self.spectrum, self.keys))
        self.chooser.changed.connect(self._on_stack)
        self.chooser.changed.connect(self._show_undo)
        self._on_stack()
        self._show_undo()
        show_energy(napari_viewer)
        self._rest.start()

    def _make_sections(self) -> None:
        """Make the sections; the panels in them are made when they are asked for, else one by one when there is time."""
        viewer, chooser = self.viewer, self.chooser
        makers: dict[str, Callable[[], StepPanel]] = {
            panel.key: partial(panel, viewer, chooser) for panel in STEP_PANELS
        }
        if names := steps_left((*STEP_PANELS, *OTHER_PANELS)):
            makers["more"] = partial(MorePanel, viewer, chooser, names)
        self.panels = Lazy(makers, self._on_made)
        others: dict[str, Callable[[], MaskPanel | ResultsPanel]] = {
            MASKS.key: partial(MaskPanel, viewer, chooser),
            RESULTS.key: partial(ResultsPanel, viewer, chooser, self.panels),
        }
        self._others = Lazy(others, self._on_made)
        titles = {one.key: one.title for one in SECTIONS}
        titles |= {key: MorePanel.title for key in makers if key not in titles}
        self.sections = {
            key: FoldedSection(
                number, title, partial((self.panels if key in makers else self._others).__getitem__, key)
            )
            for number, (key, title) in enumerate(titles.items(), 1)
        }
        self._rest = QTimer(self)
        self._rest.setInterval(REST_MS)
        self._rest.timeout.connect(self._make_next)

    @property
    def masks(self) -> MaskPanel:
        """The panel of masks."""
        panel = self._others[MASKS.key]
        assert isinstance(panel, MaskPanel)
        return panel

    @property
    def results(self) -> ResultsPanel:
        """The panel of recipes and results."""
        panel = self._others[RESULTS.key]
        assert isinstance(panel, ResultsPanel)
        return panel

    def _make_next(self) -> None:
        missing = [*self.panels.missing(), *self._others.missing()]
        if is_busy():
            return
        if missing:
            self.sections[missing[0]].panel  # noqa: B018 - which makes it
        else:
            self._rest.stop()

    def _on_made(self, key: str, panel: Any) -> None:
        """Put a panel that was just made into its section, and listen to it."""
        section = self.sections[key]
        section.hold(panel)
        if isinstance(panel, StepPanel | MaskPanel):
            panel.headline.connect(section.say)
            panel.refresh()
        if isinstance(panel, StepPanel):
            panel.done.connect(partial(self._advance, key))
        if isinstance(panel, ClusterPanel):
            panel.references_made.connect(lambda path: self.fit_with((path,)))

    def open_spectrum(self) -> None:
        """Open the spectrum below the canvas."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "XANES spectrum")

    def undo_step(self) -> None:
        """Take the last step back, and choose the stack that was chosen before it."""
        with busy_sign("Taking the step back"), changed_together(self.viewer):
            done = undo(self.viewer)
            self.chooser.refresh()
            chosen = None if done is None else find(self.viewer, done.chosen)
            if chosen is not None:
                self.chooser.choose(chosen)

    def redo_step(self) -> None:
        """Do again what was taken back last."""
        with busy_sign("Doing the step again"), changed_together(self.viewer):
            redo(self.viewer)
            self.chooser.refresh()

    def _show_undo(self) -> None:
        for button, verb, step in (
            (self.undo, "Undo", last_step(self.viewer)),
            (self.redo, "Redo", next_step(self.viewer)),
        ):
            words = step_title(step)
            button.setVisible(bool(step))
            button.setText(f"{verb} {words[:1].lower()}{words[1:]}")

    def open_step(self, key: str) -> None:
        """Unfold one step and fold the others."""
        for name, section in self.sections.items():
            section.unfold(name == key)
        self._opened = key
        QTimer.singleShot(0, self._scroll)

    def _scroll(self) -> None:
        """Bring all of the open step into view, or as much as there is room for from its title on."""
        section, bar = self.sections[self._opened], self.verticalScrollBar()
        top, bottom = section.y(), section.y() + section.height()
        if bar is not None and bottom > bar.value() + bar.pageStep():
            bar.setValue(min(top, bottom - bar.pageStep()))

    def _on_stack(self) -> None:
        """Unfold the step that comes next for a stack that was opened from a file."""
        layer = self.chooser.layer()
        chosen = self.chooser.layer_id()
        reopened = layer is not None and KEY in results_of(layer)
        if layer is not None and chosen != self._shown and not about(layer)["made_from"]:
            self.open_step(RESULTS.key if reopened else first_section(about(layer)["signal"]).key)
        elif layer is None and self._shown is None:
            self.open_step(PREPROCESS.key)
        if layer is not None and chosen != self._shown and reopened:
            QTimer.singleShot(0, self._show_chosen)  # its maps come behind it, and are what is to be seen
        elif chosen != self._shown:
            self._show_chosen()
        self._shown = chosen

    def _show_chosen(self) -> None:
        layer = self.chooser.layer()
        if layer is not None:
            show_scan_of(self.viewer, layer)

    def _advance(self, key: str, layer: Any = None) -> None:
        """Unfold the step that comes next, unless this one was run again: whoever tries values goes on with it."""
        section = next((one for one in SECTIONS if one.key == key), None)
        if section is not None and section.then and not self.panels[key].again:
            self.open_step(section.then)

    def take_spectra(self, paths: Sequence[str]) -> None:
        """Take files that were dropped on the window: an I0 spectrum for a scan that has none, else references of the fit."""
        preprocess, fit = self.panels["preprocess"], self.panels["fit"]
        layer = preprocess.input_layer()
        if layer is not None and preprocess.lacks(layer) and len(paths) == 1 and is_named_i0(paths[0]):
            assert isinstance(preprocess, PreprocessPanel)
            self.open_step("preprocess")
            preprocess.beam.take(layer, {"flat": paths[0]})
            return
        references = fit.forms["fit"].editors["references"]
        assert isinstance(references, FilesEditor)
        references.add(paths)
        self.open_step("fit")

    def fit_with(self, paths: Sequence[str], names: Sequence[str] = ()) -> None:
        """Make spectra of files the references of the fit, and show so."""
        fit = self.panels["fit"]
        assert isinstance(fit, FitPanel)
        fit.use_references(paths, names)
        self.open_step("fit")

    def hand_over(self) -> None:
        """Leave the viewer to another workflow that may be opened."""
        forget_workflow(self.viewer, self)

    def cleanup(self) -> None:
        """Stop work and disconnect from the viewer."""
        self._rest.stop()
        forget_workflow(self.viewer, self)
        unbind_keys(self.viewer)
        for panel in (*self.panels.there().values(), *self._others.there().values()):
            panel.cleanup()
        self.chooser.cleanup()


def _go_on_with(viewer: Any, layer: Any) -> None:
    """Let the workflow go on with the stack that a dock of its own has made."""
    workflow = workflow_of(viewer)
    if workflow is not None:
        workflow.chooser.choose(layer)


class StepDock(Dock):
    """One step as a dock of its own, with its own choice of the stack."""

    panel_class: type[StepPanel] | type[MaskPanel]

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.chooser = StackChooser(napari_viewer)
        self.panel = self.panel_class(napari_viewer, self.chooser)
        self.column.addWidget(self.chooser)
        self.column.addWidget(self.panel)
        if isinstance(self.panel, StepPanel):
            self.panel.done.connect(partial(_go_on_with, napari_viewer))
        show_energy(napari_viewer)

    def cleanup(self) -> None:
        """Stop work and disconnect from the viewer."""
        self.panel.cleanup()
        self.chooser.cleanup()


class PreprocessDock(StepDock):
    """Flat field and optical density."""

    panel_class = PreprocessPanel


class CorrectionsDock(StepDock):
    """Bad pixels, beam, crop, bin, noise and energies."""

    panel_class = CorrectionsPanel


class AlignDock(StepDock):
    """Drift correction."""

    panel_class = AlignPanel


class NormalizeDock(StepDock):
    """Edge normalisation."""

    panel_class = NormalizePanel


class FitDock(StepDock):
    """Linear-combination fit."""

    panel_class = FitPanel


class MapsDock(StepDock):
    """Peak, edge, white line and energy shift."""

    panel_class = MapsPanel


class ClusterDock(StepDock):
    """k-means, PCA and NMF."""

    panel_class = ClusterPanel


class MaskDock(StepDock):
    """Masks by threshold."""

    panel_class = MaskPanel


class RankDock(StepDock):
    """Choice of references."""

    panel_class = RankPanel


class ParticlesDock(StepDock):
    """Particles, their table and profile."""

    panel_class = ParticlesPanel


class ResidualDock(StepDock):
    """What a fit leaves."""

    panel_class = ResidualPanel
