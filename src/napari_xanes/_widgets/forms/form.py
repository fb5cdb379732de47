"""The form of a step, made from its Params class, and back.

Label, tooltip, unit, limits and default come from the `field` of each parameter; there is no code here for
any one step.  What the user typed stays until a recipe or another value is set; a form that is given the step's
name starts from what was typed before, see `remembered`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from pydantic.fields import FieldInfo
from qtpy.QtCore import QTimer, Signal
from qtpy.QtGui import QHideEvent
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QToolButton, QWidget

from napari_xanes._core.base.params import Params, make_params
from napari_xanes._widgets.forms.choice import SPECTRA, extra_of, make_editor
from napari_xanes._widgets.forms.editors import AutoEditor, Editor
from napari_xanes._widgets.forms.library import names_in, refusals_in
from napari_xanes._widgets.forms.list_editors import FilesEditor, NameEditor, NamesEditor
from napari_xanes._widgets.forms.remembered import forget, lasts, recall, remember
from napari_xanes._widgets.parts.spoken import spoken

KEEP_AFTER_MS = 300
"""So long after the last key what was typed is remembered."""
DEFAULTS_TOOLTIP = (
    "<p>Sets everything here back and forgets what you typed before. Not at the default now: {}.</p>"
)


class ParamsForm(QWidget):
    """Edits one Params class.

    Parameters
    ----------
    cls : type of Params
    title : str
        How an error names the form.
    hidden : sequence of str
        Parameters that are not shown and keep their default.
    defaults : mapping
        Where the form starts from other values than the parameters have by default.
    step : str
        Under which name it is remembered what the user types, and a button offers the defaults; empty: never.

    Attributes
    ----------
    carried : set of str
        Parameters that were chosen in an earlier session or for a scan of another element.
    """

    changed = Signal()

    def __init__(
        self,
        cls: type[Params],
        title: str = "",
        hidden: Sequence[str] = (),
        step: str = "",
        defaults: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.cls = cls
        self.title = title or cls.__name__
        self.step = step
        self.editors: dict[str, Editor] = {}
        self._defaults: dict[str, Any] = {}
        self._starts = dict(defaults or {})
        self._labels: dict[str, QLabel] = {}
        self.rows = layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        fields = cls.model_fields.items()
        shown = {n: i for n, i in fields if n not in hidden and extra_of(i).get("widget") != "hidden"}
        for name, info in shown.items():
            if not extra_of(info).get("rare"):
                self._add(layout, name, info)
        self._foot = layout.rowCount()
        self.more, self.defaults = _more_button(), _defaults_button()
        self.more.setVisible(len(self.editors) < len(shown))
        self.more.toggled.connect(self._show_rare)
        self.defaults.clicked.connect(self.set_defaults)
        layout.addRow(_foot(self.more, self.defaults))
        for name, info in shown.items():
            if extra_of(info).get("rare"):
                self._add(layout, name, info)
        self._show_rare(False)
        self._start()

    def _add(self, layout: QFormLayout, name: str, info: FieldInfo) -> None:
        editor = make_editor(info)
        if not info.is_required():
            editor.set_value(self._starts.get(name, info.get_default(call_default_factory=True)))
            self._defaults[name] = editor.value()
        text = (
            str(info.description).replace("Empty:", "Auto:")
            if isinstance(editor, AutoEditor)
            else info.description
        )
        tooltip = f"<p>{text}</p>"  # as rich text it wraps
        label = QLabel(_label(info))
        tooltip = spoken(tooltip)
        label.setToolTip(tooltip)
        editor.setToolTip(tooltip)
        editor.changed.connect(self.changed)
        self.editors[name] = editor
        if isinstance(editor, FilesEditor):
            editor.changed.connect(lambda: self._offer_spectra(editor))
            editor.title.setText(label.text())
            layout.addRow(editor)
        else:
            self._labels[name] = label
            layout.addRow(label, editor)

    def _show_rare(self, on: bool) -> None:
        self.more.setText(f"{'▾' if on else '▸'} More settings")
        for row in range(self._foot + 1, self.rows.rowCount()):
            self.rows.setRowVisible(row, on)

    def _start(self) -> None:
        """Show what is remembered, and listen to what is typed."""
        self._filling = False
        self._typed: set[str] = set()
        self.carried: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(KEEP_AFTER_MS)
        self._timer.timeout.connect(self.keep)
        remembered = recall(self.step, self.cls) if self.step else {}
        known = {name: value for name, value in remembered.items() if name in self.editors}
        for name, value in known.items():
            self.editors[name].set_value(value)
        self.carried |= known.keys()
        fields = self.cls.model_fields
        self.more.setChecked(any(extra_of(fields[name]).get("rare") for name in known))
        self._last = self.values()
        for name, editor in self.editors.items():
            editor.changed.connect(partial(self._on_edited, name))
        self._offer_defaults()

    def _on_edited(self, name: str) -> None:
        value = self.editors[name].value()
        if value != self._last[name]:
            self._last[name] = value
            self.carried.discard(name)
            if not self._filling:
                self._typed.add(name)
                self._timer.start()
            self._offer_defaults()

    def offer(self, kind: str, names: Sequence[str]) -> None:
        """Offer names, of spectra or of maps, where one is to be chosen."""
        for name, editor in self.editors.items():
            if (
                isinstance(editor, NameEditor | NamesEditor)
                and extra_of(self.cls.model_fields[name])["widget"] == kind
            ):
                editor.offer(names)

    def start_from(self, automatic: Callable[[str], Any]) -> None:
        """Have a box "auto" that is unticked before the step ran start from `automatic(name)`."""
        for name, editor in self.editors.items():
            if isinstance(editor, AutoEditor):
                editor.start = partial(automatic, name)

    def _offer_spectra(self, files: FilesEditor) -> None:
        self.offer(SPECTRA, names_in(files.value()))
        files.say(refusals_in(files.value()))

    def keep(self) -> None:
        """Remember what was typed; a value that is the default again is forgotten."""
        self._timer.stop()
        typed, self._typed = self._typed, set()
        if not self.step or not typed:
            return
        fields, different = self.cls.model_fields, self.different()
        lasting = {name: self._last[name] for name in typed if name in different}
        lasting = {name: value for name, value in lasting.items() if lasts(fields[name], value)}
        remember(self.step, lasting, typed - set(lasting))

    def hideEvent(self, event: QHideEvent | None) -> None:
        """Lose nothing when the window is closed."""
        self.keep()
        super().hideEvent(event)

    def different(self) -> list[str]:
        """Return the parameters that are not at their defaults."""
        return [name for name, default in self._defaults.items() if self.editors[name].value() != default]

    def set_defaults(self) -> None:
        """Set all back, and forget what was typed; what has no default stays."""
        self.fill(self._defaults)
        forget(self.step)

    def _offer_defaults(self) -> None:
        """Show the button while it has something to do."""
        different = self.different() if self.step else []
        for name, label in self._labels.items():  # those that differ are bold
            font = label.font()
            if font.bold() != (name in different):
                font.setBold(name in different)
                label.setFont(font)
        titles = ", ".join(str(self.cls.model_fields[name].title) for name in different)
        self.defaults.setToolTip(DEFAULTS_TOOLTIP.format(titles))
        self.defaults.setVisible(bool(different))
        self.rows.setRowVisible(self._foot, bool(different) or not self.more.isHidden())

    def labels(self) -> dict[str, QLabel]:
        """Return the labels by their texts; bold are those of values that are not the defaults."""
        return {label.text(): label for label in self._labels.values()}

    def carry_over(self) -> None:
        """Note that the scan is of another element now: what belongs to one is automatic again, the rest is carried over."""
        fields = self.cls.model_fields
        of_scan = [n for n in self.different() if str(extra_of(fields[n]).get("unit", "")).startswith("eV")]
        self.fill({name: self._defaults[name] for name in of_scan})
        self.carried = {n for n in self.different() if lasts(fields[n], self.values()[n])}

    def carried_text(self) -> str:
        """Return what was chosen for another scan and still holds, in words; empty if nothing was."""
        names = [name for name in self.different() if name in self.carried]
        return "; ".join(f"{self.cls.model_fields[n].title}: {self._in_words(n)}" for n in names)

    def _in_words(self, name: str) -> str:
        value = self.values()[name]
        if isinstance(value, bool):
            return "yes" if value else "no"
        editor = self.editors[name]
        return (editor.inner if isinstance(editor, AutoEditor) else editor).as_text(value)

    def values(self) -> dict[str, Any]:
        """Return what is shown, unchecked."""
        return {name: editor.value() for name, editor in self.editors.items()}

    def params(self) -> Params:
        """Return the parameters; raises InputError with a sentence on the first one that cannot be."""
        return make_params(self.cls, self.values(), self.title)

    def set(self, params: Params) -> None:
        """Show parameters."""
        self.fill({name: getattr(params, name) for name in self.editors})

    def fill(self, values: Mapping[str, Any]) -> None:
        """Show some values; they were not typed, so they are not remembered."""
        self.keep()
        self._filling = True
        try:
            for name, value in values.items():
                self.editors[name].set_value(value)
        finally:
            self._filling = False

    def show_chosen(self, values: Mapping[str, Any]) -> None:
        """Say what was chosen for the parameters left automatic, as a step's history has it."""
        for name, editor in self.editors.items():
            if isinstance(editor, AutoEditor):
                editor.show_chosen(values.get(name))

    def forget_chosen(self) -> None:
        """Clear what was chosen, because the data are other ones now."""
        self.show_chosen({})


def _more_button() -> QToolButton:
    """Return the button that shows the parameters that are rarely changed."""
    button = QToolButton()
    button.setCheckable(True)
    button.setAutoRaise(True)
    return button


def _defaults_button() -> QToolButton:
    """Return the button that sets all parameters back."""
    button = QToolButton()
    button.setAutoRaise(True)
    button.setText("↺ Defaults")
    return button


def _foot(left: QWidget, right: QWidget) -> QWidget:
    foot = QWidget()
    layout = QHBoxLayout(foot)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(left)
    layout.addStretch(1)
    layout.addWidget(right)
    return foot


def _label(info: FieldInfo) -> str:
    unit = str(extra_of(info).get("unit") or "").replace("um", "µm")
    return f"{info.title} ({unit})" if unit else str(info.title)
