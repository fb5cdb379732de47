"""The dock in which what was done can be read, changed, run again, and taken along as a recipe or a script."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_info
from qtpy.QtWidgets import QFileDialog, QLabel, QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError, XanesError
from napari_xanes._core.data.history import history_to_json
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.recipe.edited import HistorySteps
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.recipe.script import as_script
from napari_xanes._core.recipe.steps import STEPS, step_title
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.history.list import HistoryList
from napari_xanes._widgets.history.run import Plan, plan_run, put_run
from napari_xanes._widgets.history.script_view import ScriptView
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.groups import Made, run_groups
from napari_xanes._widgets.jobs.runner import Runner
from napari_xanes._widgets.layers.layers import about, find, lineage, stack_of
from napari_xanes._widgets.layers.painted import save_recipe
from napari_xanes._widgets.layers.reopened import alone, alone_text
from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.parts.buttons import in_line, make_button, make_words
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.parts.spoken import spoken

TITLE = "History"


class XanesHistory(Dock):
    """The steps done on a stack, to be changed and run again."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer = napari_viewer
        self.chooser = StackChooser(napari_viewer)
        self.list = HistoryList()
        self.form: ParamsForm | None = None
        self.form_title = QLabel()
        self.form_title.setStyleSheet("font-weight: bold; padding-top: 4px;")
        self.form_place = QVBoxLayout()
        self.note = make_words()
        self.runner = Runner("Re-run")
        self.discard = make_button("Discard changes", "Show the steps as they were done.")
        self.open = make_button("Open recipe...", "Put the steps of a recipe file in place of these.")
        self.save = make_button("Save recipe...", "These steps as a small text file, to run again.")
        self.python = make_button("Python", "The same as a Python script.")
        self.python.setCheckable(True)
        self.script = ScriptView()
        self.script.setVisible(False)
        form = QWidget()
        form.setLayout(self.form_place)
        self.form_place.setContentsMargins(0, 0, 0, 0)
        for part in (
            *(self.chooser, self.list, self.form_title, form, self.note, self.runner, self.discard),
            *(in_line(self.open, self.save, self.python), self.script),
        ):
            self.column.addWidget(part)
        self._shown: tuple[str | None, str] = (None, "")
        self._plan: Plan | None = None
        self._running_on: str | None = None
        self.list.chosen.connect(self._on_chosen)
        self.list.changed.connect(self.update_words)
        self.runner.run_clicked.connect(self.rerun)
        self.runner.background.delivered.connect(self._on_delivered)
        self.runner.background.cancelled.connect(self._on_cancelled)
        self.discard.clicked.connect(lambda: self.refresh(anew=True))
        self.open.clicked.connect(self._ask_open)
        self.save.clicked.connect(self._ask_save)
        self.python.toggled.connect(self._on_python)
        self.chooser.changed.connect(self.refresh)
        self._workflow: Any = None
        self.refresh()

    # -- what is shown --------------------------------------------------------------------------------

    def refresh(self, anew: bool = False) -> None:
        """Show the history of the chosen stack; what was changed stays while nothing else was done to it."""
        self._follow()
        made = self._made()
        history = () if made is None else made.history
        key = (self.chooser.layer_id(), json.dumps(history_to_json(history), sort_keys=True))
        if anew or key != self._shown:
            self._shown = key
            try:
                self.list.show_steps(HistorySteps(history), self.list.same_step(history))
            except InputError as error:  # of a file written by another version
                self.list.show_steps(HistorySteps())
                report_error(error, TITLE)
        self.update_words()

    def _follow(self) -> None:
        """Notice what is run in the workflow, once one is open."""
        workflow = workflow_of(self.viewer)
        if workflow is not None and workflow is not self._workflow:
            self._workflow = workflow
            workflow.chooser.changed.connect(self.refresh)

    def _made(self) -> Result | EnergyStack | None:
        layer = self.chooser.layer()
        if layer is None:
            found = alone(self.viewer)
            return None if found is None else found[0]
        try:
            return result_of(self.viewer, layer)
        except InputError:
            return stack_of(layer)

    def _on_chosen(self, index: int) -> None:
        """Unfold the form of the step that is chosen."""
        step = self.list.step()
        if self.form is not None:
            self.form_place.removeWidget(self.form)
            self.form.hide()
            self.form.deleteLater()
            self.form = None
        self.form_title.setVisible(step is not None)
        if step is not None:
            self.form_title.setText(f"{index + 1}  {step_title(step.name)}")
            self.form = ParamsForm(STEPS[step.name].params, step_title(step.name))
            self.form.set(step.params)
            self.form.setEnabled(not step.painted)
            self.form.changed.connect(self._on_edited)
            self.form_place.addWidget(self.form)
            if not self.form.editors:
                self.form_title.setText(f"{self.form_title.text()}: nothing to choose")
        self.update_words()

    def _on_edited(self) -> None:
        if self.form is None:
            return
        try:
            self.list.history.edit(self.list.index, self.form.values())
        except InputError as error:
            self.note.setText(str(error))
            self.note.setVisible(True)
            self.runner.set_ready(False)
            return
        self.list.retell()
        self.update_words()

    def first(self) -> int:
        """Return the step to re-run from: the one chosen, or one before it that was changed."""
        history = self.list.history
        change = history.first_change
        places = [i for i in (self.list.index, change) if i is not None and i >= 0]
        return min(places, default=0)

    def update_words(self) -> None:
        """Say what Re-run will do."""
        history, layer = self.list.history, self.chooser.layer()
        change, first = history.first_change, self.first()
        some = bool(history.steps or history.done)
        self.runner.run.setText(f"Re-run from step {first + 1}" if first < len(history.steps) else "Re-run")
        self.runner.set_ready(some and layer is not None, alone_text(self.viewer))
        self.discard.setVisible(change is not None)
        text = ""
        if layer is None:
            text = alone_text(self.viewer)
        elif not some:
            text = "No step has been run on this stack yet."
        elif change is not None:
            text = f"Changed from step {change + 1} on; the layers are still as before. Re-run to bring them up to date."
        elif self.list.index < 0 and some:
            text = "Choose a step to see and change its settings."
        self.note.setText(text)
        self.note.setVisible(bool(text))
        self.save.setEnabled(bool(history.taken()))
        self._show_script()

    # -- running again --------------------------------------------------------------------------------

    def rerun(self) -> None:
        """Run from the chosen or first changed step on."""
        layer = self.chooser.layer()
        if layer is None or self.runner.background.running:
            return
        try:
            plan = plan_run(self.viewer, layer, self.list.history, self.first())
        except XanesError as error:
            report_error(error, TITLE)
            return
        self._plan, self._running_on = plan, about(plan.layer)["id"]
        self.runner.start(
            lambda progress: run_groups(plan.stack, plan.groups, progress), f"{TITLE}: {plan.layer.name}"
        )

    def _on_delivered(self, made: Made) -> None:
        parent = find(self.viewer, self._running_on)
        if parent is None or self._plan is None:
            show_info(f"{TITLE}: the stack was removed while the steps ran; the result is discarded.")
            return
        last = put_run(self.viewer, self._plan, parent, made)
        for chooser in (self.chooser, *((self._workflow.chooser,) if self._followed() else ())):
            chooser.refresh()
            chooser.choose(last)
        self.refresh(anew=True)
        for _, result in made:
            for warning in result.history[-1].warnings if result.history else ():
                show_info(spoken(warning))

    def _on_cancelled(self) -> None:
        self.note.setText("Cancelled; the layers are as they were.")
        self.note.setVisible(True)

    def _followed(self) -> bool:
        return self._workflow is not None and workflow_of(self.viewer) is self._workflow

    # -- recipes and scripts --------------------------------------------------------------------------

    def recipe(self) -> Recipe:
        """Return the steps as they are in the list now, and how the scan is read."""
        made = self._made()
        start = Recipe(()) if made is None else Recipe.of(made)
        return Recipe(tuple(self.list.history.repeatable()), start.input)

    def save_recipe(self, path: str | Path) -> None:
        """Write the steps to a recipe file, and masks painted by hand beside it."""
        taken = [step for step in self.list.history.steps if step.on]
        steps = tuple((step.name, step.params) for step in taken)
        try:
            masks = save_recipe(
                self.viewer, Recipe(steps, self.recipe().input), [step.entry for step in taken], path
            )
        except (XanesError, OSError) as error:
            report_error(error, TITLE)
            return
        more = "".join(f", with the painted mask in {mask.name}" for mask in masks)
        show_info(f"recipe saved in {path}{more}")

    def open_recipe(self, path: str | Path) -> None:
        """Put the steps of a recipe file in place of those shown; nothing is run."""
        try:
            self.list.history.use(Recipe.load(path).steps)
        except XanesError as error:
            report_error(error, TITLE)
            return
        self.list.refresh(-1)
        self.update_words()

    def _on_python(self, on: bool) -> None:
        self.script.setVisible(on)
        self._show_script()

    def _show_script(self) -> None:
        layer = self.chooser.layer()
        if not self.python.isChecked():
            return
        if layer is None or not self.list.history.repeatable():
            self.script.show_script("")
            return
        root = stack_of(lineage(self.viewer, layer)[-1])
        scan = root.source.get("path") or f"{root.name or 'scan'}.h5"
        missing = [
            f"# Not in this script: the mask '{name}', painted by hand\n"
            for name in self.list.history.painted()
        ]
        self.script.show_script("".join(missing) + as_script(self.recipe(), scan, signal=root.signal))

    def _ask_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Open recipe", str(Path.cwd()), "Recipe (*.toml)")
        if path:
            self.open_recipe(path)

    def _ask_save(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save recipe", str(Path.cwd() / "recipe.toml"), "Recipe (*.toml)"
        )
        if path:
            self.save_recipe(path if Path(path).suffix else path + ".toml")

    def cleanup(self) -> None:
        """Stop work and disconnect from the viewer."""
        self.runner.background.abandon()
        if self._workflow is not None:
            with suppress(RuntimeError, TypeError):  # it may have been closed before
                self._workflow.chooser.changed.disconnect(self.refresh)
        self.chooser.cleanup()
