"""What all step panels have in common: forms, a sentence of what will be done, Run, progress, Cancel, the result.

A step's panel says which stack it takes, which steps it runs and how to put the result in words; that is all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from napari.layers import Layer
from napari.utils.notifications import show_info
from qtpy.QtCore import Signal
from qtpy.QtWidgets import QVBoxLayout, QWidget

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.params import Params
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.result import Result
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.forms.choice import MAPS
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.here import run_here
from napari_xanes._widgets.jobs.preview import Preview
from napari_xanes._widgets.jobs.runner import Runner
from napari_xanes._widgets.jobs.trial import Excerpts, Trial, seen_of, try_steps
from napari_xanes._widgets.layers.layers import (
    about,
    find,
    has_old_result,
    is_stale,
    lineage,
    put_result,
    results_of,
    stack_of,
)
from napari_xanes._widgets.layers.marks import mark_of
from napari_xanes._widgets.layers.reopened import no_stack_text
from napari_xanes._widgets.layers.session import changed_together
from napari_xanes._widgets.layers.together import known_maps
from napari_xanes._widgets.layers.tuples import More
from napari_xanes._widgets.layers.words import in_voxels, why_on_demand
from napari_xanes._widgets.parts.advice import Advice, Told, Way
from napari_xanes._widgets.parts.buttons import make_words
from napari_xanes._widgets.parts.notices import report_error
from napari_xanes._widgets.steps.automatic import automatic
from napari_xanes._widgets.steps.sections import what_is_missing
from napari_xanes._widgets.steps.warned import NOTE, warnings_of

Steps = Sequence[tuple[str, Params]]


class StepPanel(QWidget):
    """Base of the panels of single steps.

    Signals
    -------
    headline(text, notes)
        The result in a few words, and what is to be known of it, the gravest first, for the title of the collapsed panel.
    done(layer)
        The step's result was put into layers; `layer` is the stack to go on with.
    asked()
        What Run would do has changed.
    """

    title = ""
    key = ""
    """Names the panel, and the result that is kept with its stack."""
    names: tuple[str, ...] = ()
    """The steps, keys of `STEPS`."""
    also: tuple[str, ...] = ()
    """Steps without a form here that Run may carry out with them."""
    hidden: tuple[str, ...] = ()
    """Parameters that have no meaning in the window."""
    starts: Mapping[str, Any] = {}
    """Values that forms start from where those of the parameters suit no one who looks at maps."""
    stack_name = ""
    """What is added to the scan's name for the stack that comes out; empty if only maps do."""
    thinned_preview = True
    """Whether a preview may leave pixels out, as of steps that look at each pixel by itself."""

    headline = Signal(str, object)
    done = Signal(object)
    asked = Signal()

    def __init__(self, viewer: Any, chooser: StackChooser) -> None:
        super().__init__()
        self.viewer, self.chooser = viewer, chooser
        self._input_id: str | None = None
        self._span: tuple[float, float] | None = None
        self._running_on: str | None = None
        self._mark: int | None = None  # of the data that it runs on
        self._running_as, self.again = self.key, False  # whether it ran on the same stack before
        self.forms = {
            name: ParamsForm(STEPS[name].params, self.title, self.hidden, name, self.starts)
            for name in self.names
        }
        self.plan, self.result = make_words(), make_words()
        self.advice, self.warned = Advice(), Advice()
        self._excerpts = Excerpts()
        self.preview = Preview(viewer, self.key, self._what_to_try)
        self.preview.found.connect(self._show_chosen)
        self.runner = Runner()
        self.column = layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        for form in self.forms.values():
            form.setVisible(bool(form.editors))
            layout.addWidget(form)
            form.changed.connect(self.update_plan)
            form.start_from(partial(self.automatic, form.step))
        parts = (self.plan, self.advice, self.preview, self.runner, self.result, self.warned)
        for part in (*self.options(), *parts, *self.below()):
            layout.addWidget(part)
        self.runner.run_clicked.connect(self.run)
        self.runner.background.delivered.connect(self._on_delivered)
        self.runner.background.failed.connect(self._say)
        self.runner.background.cancelled.connect(lambda: self._say("Cancelled; the layers are as they were."))
        chooser.changed.connect(self.refresh)
        self.refresh()

    # -- what a step says of itself -------------------------------------------------------------------

    def options(self) -> list[QWidget]:
        """Return widgets beside the forms of the parameters."""
        return []

    def below(self) -> list[QWidget]:
        """Return widgets for what came out."""
        return []

    def chosen_steps(self) -> tuple[str, ...]:
        """Return the names of the steps that Run would carry out."""
        return self.names

    def take(self, line: list[Layer]) -> Layer | None:
        """Return the stack that the step works on: one of the chosen stack and those it was made from."""
        signal = about(line[0])["signal"]
        return line[0] if all(signal in STEPS[name].takes for name in self.chosen_steps()) else None

    def missing(self, line: list[Layer]) -> str:
        """Say what to do first if there is no such stack."""
        signal = about(line[0])["signal"]
        return next(filter(None, (what_is_missing(name, signal) for name in self.chosen_steps())), "")

    def lacks(self, layer: Layer) -> str:
        """Say what else is missing before Run makes sense; empty if nothing is."""
        return ""

    def will(self, layer: Layer) -> str:
        """Say what Run will do."""
        return ""

    def proposals(self, layer: Layer) -> list[Told]:
        """Return what is proposed before Run, with the reasons."""
        return []

    def steps(self, layer: Layer) -> Steps:
        """Return the steps that Run carries out on a layer."""
        return [(name, form.params()) for name, form in self.forms.items()]

    def keeps_stack(self) -> bool:
        """Whether the stack that comes out becomes a layer."""
        return bool(self.stack_name)

    def wants_more(self) -> More:
        """Whether all maps become layers, or of which kinds besides the usual ones."""
        return False

    def tell(self, result: Result) -> tuple[str, str]:
        """Return the result in a few words, and in a sentence."""
        return "done", "Done."

    def linked(self, result: Result, notes: list[Told]) -> list[Told]:
        """Return what the steps warned of, with buttons to where it is seen."""
        return notes

    def own(self, result: Result) -> Result:
        """Return what of the result belongs to this step and is shown."""
        return result

    def result_key(self, step: str = "") -> str:
        """Return under which the result of a step is kept with its stack; of the one that Run carries out now."""
        return self.key

    def automatic(self, step: str, name: str) -> Any:
        """Return what a parameter of a step would be, were it left automatic; None if that cannot be told."""
        layer = self.input_layer()
        return None if layer is None else automatic(stack_of(layer), step, name, self.forms[step].values())

    # -- how every step runs --------------------------------------------------------------------------

    def input_layer(self) -> Layer | None:
        """Return the layer that Run takes, or None while something is missing."""
        chosen = self.chooser.layer()
        return None if chosen is None else self.take(lineage(self.viewer, chosen))

    def refresh(self) -> None:
        """Follow the chosen stack: what will be done, and what was found on it before."""
        layer = self.input_layer()
        new_id = None if layer is None else about(layer)["id"]
        changed, self._input_id = new_id != self._input_id, new_id
        self._notice_element(layer)
        for form in self.forms.values():
            form.offer(MAPS, [] if layer is None else known_maps(self.viewer, layer))
        key = self.result_key()
        found = None if layer is None else results_of(layer).get(key)
        if found is not None:
            self._show(found)
        elif layer is not None and has_old_result(layer, key):
            self._say("Out of date: its stack has changed since. Run this step again.")
            self.headline.emit("out of date", ())
            self.result.setProperty("told", True)
        elif changed or self.result.property("told"):
            for form in self.forms.values():
                form.forget_chosen()
            self._say("")
        self.update_plan()

    def _notice_element(self, layer: Layer | None) -> None:
        """Note that the scan is of another element than the one before: their energies have nothing in common."""
        if layer is None:
            return
        energy = about(layer)["energy"]
        before, self._span = self._span, (energy[0], energy[-1])
        if before is not None and (before[0] > energy[-1] or before[1] < energy[0]):
            for form in self.forms.values():
                form.carry_over()

    def _carried_over(self) -> list[Told]:
        """Return which choices were made in an earlier session or for another element, and the way back."""
        told = []
        for name in self.chosen_steps():
            form = self.forms[name]
            if form.isVisibleTo(self) and (text := form.carried_text()):
                way = Way("Use the defaults", "Sets everything in the form back.", form.set_defaults)
                told.append(Told(f"Chosen before, for another scan: {text}.", (way,)))
        return told

    def update_plan(self) -> None:
        """Say what Run will do, or what is missing, and show it if a preview is wanted."""
        self.asked.emit()
        self.preview.later()
        chosen, layer = self.chooser.layer(), self.input_layer()
        lacking = "" if layer is None else self.lacks(layer)
        if layer is not None:
            text = lacking or self.will(layer)
            if any(is_stale(self.viewer, one) for one in lineage(self.viewer, layer)):
                text += f" Note: '{layer.name}' is older than what it is made from; run the step that makes it again."
        else:
            text = "" if chosen is None else self.missing(lineage(self.viewer, chosen))
        text = in_voxels(text, layer)
        self.plan.setText(text)
        self.plan.setVisible(bool(text))
        self.advice.tell([] if layer is None else [*self._carried_over(), *self.proposals(layer)])
        self.runner.set_ready(layer is not None and not lacking, text or no_stack_text(self.viewer))

    def run(self) -> None:
        """Start the step in the background."""
        layer = self.input_layer()
        if layer is None or self.runner.background.running:
            return
        try:
            steps = self.steps(layer)
            stack = stack_of(layer)
        except InputError as error:
            self._say(report_error(error, self.title))
            return
        self.preview.stop()
        keep = self.keeps_stack()

        def job(progress: Progress) -> Result:
            return run_here(stack, steps, keep=keep, progress=progress)

        self._running_on, self._running_as = about(layer)["id"], self.result_key()
        self._mark = mark_of(layer)
        self.again = self._running_as in results_of(layer)
        self._say("")
        self.runner.start(job, f"{self.title}: {layer.name}")

    def _on_delivered(self, result: Result) -> None:
        parent = find(self.viewer, self._running_on)
        if parent is None:
            show_info(f"{self.title}: the stack was removed while it ran; the result is discarded.")
            return
        made, more, name = self.own(result), self.wants_more(), self.stack_name if self.keeps_stack() else ""
        key, mark = self._running_as, self._mark
        with changed_together(self.viewer):
            last = put_result(self.viewer, parent, key, made, stack_name=name, more=more, mark=mark)
            self.chooser.refresh()
            if last is not parent:  # else what was chosen stays, which may be made of it
                self.chooser.choose(last)
        self.done.emit(self.chooser.layer())

    # -- trying it ------------------------------------------------------------------------------------

    def _what_to_try(self) -> Trial:
        layer = self.input_layer()
        if layer is None:
            raise InputError(self.plan.text() or no_stack_text(self.viewer))
        if lacking := self.lacks(layer):
            raise InputError(lacking)
        return self.trial(layer)

    def trial(self, layer: Layer) -> Trial:
        """Return what a preview tries; raises InputError with what is in the way."""
        seen = seen_of(self.viewer, layer, thinned=self.thinned_preview)
        return try_steps(layer, seen, self.steps(layer), self._excerpts, self.tell)

    def _show_chosen(self, result: Result) -> None:
        """Show what was chosen for values left automatic."""
        for entry in result.history:
            if entry.step in self.forms:
                self.forms[entry.step].show_chosen(entry.params)

    def _show(self, result: Result) -> None:
        self._show_chosen(result)
        layer = self.input_layer()
        short, sentence = (in_voxels(text, layer) for text in self.tell(result))
        why = "" if layer is None else why_on_demand(self.viewer, layer, self.stack_name)
        self._say(f"{sentence} The stack is {why}." if why else sentence)
        notes = self.linked(
            result, warnings_of(result.history, (*self.names, *self.also), self.forms, self.follow)
        )
        self.warned.tell(notes)
        self.result.setProperty("told", True)
        self.headline.emit(short, [one.sentence.removeprefix(NOTE) for one in notes])

    def _say(self, sentence: str) -> None:
        self.result.setText(sentence)
        self.result.setVisible(bool(sentence))
        self.result.setProperty("told", False)
        self.warned.tell([])
        if not sentence:
            self.headline.emit("", ())

    def follow(self, step: str, name: str, value: Any) -> None:
        """Set a parameter as a sentence advises, as if it were typed, and run the step again."""
        self.forms[step].editors[name].set_value(value)
        self.run()

    def cleanup(self) -> None:
        """Stop working and listening: the panel goes away."""
        for form in self.forms.values():
            form.keep()
        self.preview.cleanup()
        self.runner.background.abandon()
        self.chooser.changed.disconnect(self.refresh)
