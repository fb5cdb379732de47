"""Step 5 of the window: recipes and results to files and back, and the history in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QFileDialog, QGridLayout, QLabel, QPlainTextEdit, QPushButton, QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError, XanesError
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.export import export_maps
from napari_xanes._core.runs.result_file import save_result
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.groups import Group, Home, group_steps, put_groups, run_groups
from napari_xanes._widgets.jobs.runner import Runner
from napari_xanes._widgets.layers.kept import as_seen, result_as_seen
from napari_xanes._widgets.layers.layers import about, find, lineage, stack_of
from napari_xanes._widgets.layers.marks import mark_of
from napari_xanes._widgets.layers.painted import save_recipe
from napari_xanes._widgets.layers.reopened import alone, no_stack_text
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.layers.words import history_text
from napari_xanes._widgets.parts.buttons import allow
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.parts.spoken import spoken
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.sections import RESULTS


class ResultsPanel(QWidget):
    """Save and run recipes, save results.

    Parameters
    ----------
    panels : mapping of str to StepPanel
        The panels whose steps a recipe runs, in order.
    """

    title = RESULTS.title
    done = Signal(object)

    def __init__(self, viewer: Any, chooser: StackChooser, panels: Mapping[str, StepPanel]) -> None:
        super().__init__()
        self.viewer, self.chooser, self.panels = viewer, chooser, panels
        self.text = _history_text()
        self.runner = Runner(
            "Load recipe and run...",
            "Run all steps of a recipe file on the scan chosen above.",
            cancel_always=False,
        )
        offered = (
            ("Save recipe...", "What was done, as a small text file to run again.", self._ask_recipe),
            (
                "Save result...",
                "All maps with their history, masks and drawn regions in one .h5 file.",
                self._ask_result,
            ),
            (
                "Export TIFF, CSV...",
                "Each map as it is seen as a float TIFF, and tables of statistics and drift, in a folder.",
                self._ask_export,
            ),
        )
        self.buttons = [self._button(*one) for one in offered]
        self.save = self.buttons[0]
        self.view = self._button(
            "Mix colours, 3D...",
            "Maps in one picture, each in its colour, and volumes in 3D.",
            self.open_view,
        )
        self.history = self._button(
            "History...",
            "Every step done, to be changed, run again or taken as a Python script.",
            self.open_history,
        )
        self.particles = self._button(
            "Particles...",
            "Particles one by one: size, mean of every map, and profiles from rim to core.",
            self.open_particles,
        )
        self.batch = self._button(
            "Batch...",
            "The same on many scans, in a process of its own, while you go on working.",
            self.open_batch,
        )
        grid = QGridLayout()
        for i, button in enumerate((*self.buttons, self.view, self.particles, self.history, self.batch)):
            grid.addWidget(button, i // 2, i % 2)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(grid)
        layout.addWidget(self.runner)
        layout.addWidget(QLabel("History of the chosen stack and its maps"))
        layout.addWidget(self.text)
        self._running_on: str | None = None
        self._mark: int | None = None
        self.runner.run_clicked.connect(self._ask_run)
        self.runner.background.delivered.connect(self._on_delivered)
        chooser.changed.connect(self.refresh)
        self.refresh()

    def _button(self, text: str, tooltip: str, action: Callable[[], None]) -> QPushButton:
        button = QPushButton(text)
        button.setToolTip(f"<p>{tooltip}</p>")
        button.clicked.connect(action)
        return button

    def refresh(self) -> None:
        """Show the history of what is chosen."""
        made = self._made()
        self.text.setPlainText("" if made is None else history_text(made.name, made.source, made.history))
        none = no_stack_text(self.viewer)
        self.runner.set_ready(self.chooser.layer() is not None, none)
        for button in self.buttons:
            needs_maps = button is not self.save and not isinstance(made, Result)
            why = none if made is None else "No step has been run on this stack yet." if needs_maps else ""
            allow(button, why)

    def _made(self) -> Result | EnergyStack | None:
        layer = self.chooser.layer()
        if layer is None:
            found = alone(self.viewer)
            return None if found is None else found[0]
        try:
            return result_of(self.viewer, layer)
        except InputError:
            return stack_of(layer)

    def open_view(self) -> None:
        """Open the dock that shows maps together."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "XANES view", tabify=True)

    def open_particles(self) -> None:
        """Open the dock of particles."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "Particles", tabify=True)

    def open_history(self) -> None:
        """Open the dock in which what was done can be changed."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "XANES history", tabify=True)

    def open_batch(self) -> None:
        """Open the dock that runs a recipe on many scans."""
        self.viewer.window.add_plugin_dock_widget("napari-xanes", "XANES batch", tabify=True)

    # -- files ----------------------------------------------------------------------------------------

    def save_recipe(self, path: str | Path) -> None:
        """Write what was done to the chosen stack as a recipe."""
        made = self._made()
        if made is not None:
            entries = made.history
            self._guard(
                lambda: save_recipe(self.viewer, Recipe.of(made), entries, path), f"recipe saved in {path}"
            )

    def save_result(self, path: str | Path) -> None:
        """Write all maps of the chosen stack to a result file."""
        self._guard(lambda: save_result(self._result(), path), f"result saved in {path}")

    def export(self, folder: str | Path) -> None:
        """Write all maps of the chosen stack as TIFF files, and tables of their statistics and the drift."""
        self._guard(
            lambda: export_maps(as_seen(self._result()), folder, ("tiff", "csv")), f"maps written to {folder}"
        )

    def _result(self) -> Result:
        layer, found = self.chooser.layer(), alone(self.viewer)
        if layer is not None:
            return result_as_seen(self.viewer, layer)
        if found is None:
            raise InputError("there is no stack yet; open a scan first.")
        return found[0]

    def _guard(self, action: Callable[[], Any], success: str) -> None:
        try:
            action()
        except (XanesError, OSError) as error:
            report_error(error, self.title)
        else:
            show_info(success)

    def _ask_recipe(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save recipe", self._start("_recipe.toml"), "Recipe (*.toml)"
        )
        if path:
            self.save_recipe(_with_suffix(path, ".toml"))

    def _ask_result(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, "Save result", self._start("_maps.h5"), "Result (*.h5)")
        if path:
            self.save_result(_with_suffix(path, ".h5"))

    def _ask_export(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder for TIFF and CSV files", str(Path.cwd()))
        if folder:
            self.export(folder)

    def _ask_run(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Load recipe and run", str(Path.cwd()), "Recipe (*.toml)")
        if path:
            self.run_recipe(path)

    def _start(self, ending: str) -> str:
        made = self._made()
        name = "scan" if made is None else made.name.replace(" ", "_") or "scan"
        return str(Path.cwd() / f"{name}{ending}")

    # -- running a recipe -----------------------------------------------------------------------------

    def run_recipe(self, recipe: Recipe | str | Path) -> None:
        """Run all steps of a recipe on the scan, as if they were clicked one after the other."""
        layer = self.chooser.layer()
        if layer is None or self.runner.background.running:
            return
        try:
            recipe = recipe if isinstance(recipe, Recipe) else Recipe.load(recipe)
            raw = lineage(self.viewer, layer)[-1]
            groups = group_steps(recipe.steps, self._home_of)
            stack = stack_of(raw)
        except XanesError as error:
            report_error(error, self.title)
            return
        self.fill_forms(recipe)
        self._running_on, self._mark = about(raw)["id"], mark_of(raw)
        self.runner.start(lambda progress: run_groups(stack, groups, progress), f"{self.title}: {raw.name}")

    def fill_forms(self, recipe: Recipe) -> None:
        """Show the parameters of a recipe in the forms of its steps."""
        for name, params in recipe.steps:
            if (panel := self._panel_of(name)) is not None:
                panel.forms[name].set(params)

    def _panel_of(self, name: str) -> StepPanel | None:
        return next((panel for panel in self.panels.values() if name in panel.names), None)

    def _home_of(self, name: str) -> Home | None:
        panel = self._panel_of(name)
        return None if panel is None else Home(panel.result_key(name), panel.stack_name, panel.wants_more())

    def _on_delivered(self, made: list[tuple[Group, Result]]) -> None:
        parent = find(self.viewer, self._running_on)
        if parent is None:
            show_info(f"{self.title}: the scan was removed while the recipe ran; the result is discarded.")
            return
        parent = put_groups(self.viewer, parent, made, self._mark)
        self.chooser.refresh()
        self.chooser.choose(parent)
        for warning in made[-1][1].warnings if made else ():
            show_info(spoken(warning))
        self.done.emit(parent)

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        self.runner.background.abandon()
        self.chooser.changed.disconnect(self.refresh)


def _with_suffix(path: str, suffix: str) -> Path:
    return Path(path) if Path(path).suffix else Path(path + suffix)


def _history_text() -> QPlainTextEdit:
    text = QPlainTextEdit()
    text.setReadOnly(True)
    text.setMinimumHeight(170)
    text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
    text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
    return text
