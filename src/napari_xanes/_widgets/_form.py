"""The form of a step, made from its Params class, and back.

Label, tooltip, unit, limits and default come from the `field` of each parameter; there is no code here for
any one step.  What the user typed stays until a recipe or another value is set; a form that is given the step's
name starts from what was typed before, see `_remembered`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin

from magicgui import widgets
from pydantic.fields import FieldInfo
from qtpy.QtCore import QTimer, Signal
from qtpy.QtWidgets import QFormLayout, QHBoxLayout, QLabel, QToolButton, QWidget

from napari_xanes._core.params import Params, make_params
from napari_xanes._widgets._editors import (
    LARGEST,
    AutoEditor,
    Editor,
    FrameEditor,
    MagicEditor,
    NumberEditor,
    SeveralEditor,
)
from napari_xanes._widgets._list_editors import FilesEditor, NamesEditor, NumbersEditor, WindowsEditor
from napari_xanes._widgets._remembered import forget, lasts, recall, remember

FILE_HINTS = ("references", "files")
KEEP_AFTER_MS = 300
"""So long after the last key what was typed is remembered."""
DEFAULTS_TOOLTIP = (
    "<p>Sets everything here back and forgets what you typed before. Not at the default now: {}.</p>"
)
BACKGROUNDS: dict[tuple[int, ...], str] = {
    (): "none",
    (0,): "constant",
    (0, 1): "line",
    (0, 1, 2): "quadratic",
}


class ParamsForm(QWidget):
    """Edits one Params class.

    Parameters
    ----------
    cls : type of Params
    title : str
        How an error names the form.
    hidden : sequence of str
        Parameters that are not shown and keep their default.
    step : str
        Under which name it is remembered what the user types, and a button offers the defaults; empty: never.
    """

    changed = Signal()

    def __init__(
        self, cls: type[Params], title: str = "", hidden: Sequence[str] = (), step: str = ""
    ) -> None:
        super().__init__()
        self.cls = cls
        self.title = title or cls.__name__
        self.step = step
        self.editors: dict[str, Editor] = {}
        self._defaults: dict[str, Any] = {}
        layout = QFormLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(5)
        layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
        fields = cls.model_fields.items()
        shown = {n: i for n, i in fields if n not in hidden and _extra(i).get("widget") != "hidden"}
        for name, info in shown.items():
            if not _extra(info).get("rare"):
                self._add(layout, name, info)
        self._foot = layout.rowCount()
        self.more, self.defaults = _more_button(), _defaults_button()
        self.more.setVisible(len(self.editors) < len(shown))
        self.more.toggled.connect(self._show_rare)
        self.defaults.clicked.connect(self.set_defaults)
        layout.addRow(_foot(self.more, self.defaults))
        for name, info in shown.items():
            if _extra(info).get("rare"):
                self._add(layout, name, info)
        self._show_rare(False)
        self._start()

    def _add(self, layout: QFormLayout, name: str, info: FieldInfo) -> None:
        editor = make_editor(info)
        if not info.is_required():
            editor.set_value(info.get_default(call_default_factory=True))
            self._defaults[name] = editor.value()
        text = (
            str(info.description).replace("Empty:", "Auto:")
            if isinstance(editor, AutoEditor)
            else info.description
        )
        tooltip = f"<p>{text}</p>"  # as rich text it wraps
        label = QLabel(_label(info))
        label.setToolTip(tooltip)
        editor.setToolTip(tooltip)
        editor.changed.connect(self.changed)
        self.editors[name] = editor
        if isinstance(editor, FilesEditor):
            editor.title.setText(label.text())
            layout.addRow(editor)
        else:
            layout.addRow(label, editor)

    def _show_rare(self, on: bool) -> None:
        self.more.setText(f"{'▾' if on else '▸'} More settings")
        layout = self.layout()
        for row in range(self._foot + 1, layout.rowCount()):
            layout.setRowVisible(row, on)

    def _start(self) -> None:
        """Show what is remembered, and listen to what is typed."""
        self._filling = False
        self._typed: set[str] = set()
        self._timer = QTimer(self)
        self._timer.setSingleShot(True)
        self._timer.setInterval(KEEP_AFTER_MS)
        self._timer.timeout.connect(self.keep)
        remembered = recall(self.step, self.cls) if self.step else {}
        known = {name: value for name, value in remembered.items() if name in self.editors}
        for name, value in known.items():
            self.editors[name].set_value(value)
        fields = self.cls.model_fields
        self.more.setChecked(any(_extra(fields[name]).get("rare") for name in known))
        self._last = self.values()
        for name, editor in self.editors.items():
            editor.changed.connect(partial(self._on_edited, name))
        self._offer_defaults()

    def _on_edited(self, name: str) -> None:
        value = self.editors[name].value()
        if value != self._last[name]:
            self._last[name] = value
            if not self._filling:
                self._typed.add(name)
                self._timer.start()
            self._offer_defaults()

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

    def different(self) -> list[str]:
        """Return the parameters that are not at their defaults."""
        return [name for name, default in self._defaults.items() if self.editors[name].value() != default]

    def set_defaults(self) -> None:
        """Set all back, and forget what was typed; what has no default stays."""
        self.fill(self._defaults)
        self._typed.clear()
        forget(self.step)

    def _offer_defaults(self) -> None:
        """Show the button while it has something to do."""
        different = self.different() if self.step else []
        titles = ", ".join(str(self.cls.model_fields[name].title) for name in different)
        self.defaults.setToolTip(DEFAULTS_TOOLTIP.format(titles))
        self.defaults.setVisible(bool(different))
        self.layout().setRowVisible(self._foot, bool(different) or not self.more.isHidden())

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
        self._filling = True
        try:
            for name, value in values.items():
                self.editors[name].set_value(value)
        finally:
            self._filling = False

    def show_chosen(self, values: dict[str, Any]) -> None:
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
    unit = _extra(info).get("unit")
    return f"{info.title} ({unit})" if unit else str(info.title)


def _extra(info: FieldInfo) -> dict[str, Any]:
    return info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}


def make_editor(info: FieldInfo) -> Editor:
    """Return the editor for a parameter, by its type and its hint."""
    members = _members(info.annotation)
    optional = NoneType in members
    members = [m for m in members if m is not NoneType]
    editor = _editor_of(members, info)
    says_none = members == [str] or (
        isinstance(editor, MagicEditor) and None in getattr(editor.widget, "choices", ())
    )
    return AutoEditor(editor) if optional and not says_none else editor


def _members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, UnionType):
        return [m for member in get_args(annotation) for m in _members(member)]
    return [annotation]


def _editor_of(members: list[Any], info: FieldInfo) -> Editor:
    hint, unit = _extra(info).get("widget", ""), _extra(info).get("unit", "")
    words = [word for m in members if get_origin(m) is Literal for word in get_args(m)]
    if words and int in members:
        return FrameEditor(words)
    if words:
        names = {word: str(word).replace("_", " ") for word in words}
        if len(words) == 1 and NoneType in _members(info.annotation):
            names = {None: "no", **names}  # the word or nothing; there is no choosing for the user
            words = list(names)
        return MagicEditor(widgets.ComboBox(choices=[(names[w], w) for w in words]), names)
    kind = members[0]
    if kind is bool:
        return MagicEditor(widgets.CheckBox(text=""))
    if kind is str:
        return MagicEditor(widgets.LineEdit())
    if kind in (int, float):
        return NumberEditor(kind is int, *_limits(info), unit)
    if get_origin(kind) is tuple:
        return _tuple_editor(get_args(kind), hint, unit)
    raise TypeError(f"there is no editor for {info.title!r} of type {info.annotation}")


def _tuple_editor(items: tuple[Any, ...], hint: str, unit: str) -> Editor:
    if items == (str, ...):
        return FilesEditor() if hint in FILE_HINTS else NamesEditor("all")
    if items == (int, ...) and hint == "background":
        return MagicEditor(
            widgets.ComboBox(choices=[(text, orders) for orders, text in BACKGROUNDS.items()]),
            dict(BACKGROUNDS),
        )
    if len(items) == 2 and items[1] is Ellipsis:
        return NumbersEditor(items[0]) if items[0] in (int, float) else WindowsEditor()
    whole = items[0] is int
    parts = [NumberEditor(whole, 0 if whole else -LARGEST, LARGEST, unit) for _ in items]
    if hint == "roi" or len(items) == 4:
        return SeveralEditor(parts, ("y from", "to", "x from", "to"), 2)
    return SeveralEditor(parts, ("", *["to"] * (len(items) - 1)), len(items))


def _limits(info: FieldInfo) -> tuple[float, float]:
    low, high = -LARGEST, LARGEST
    for limit in info.metadata:
        low = getattr(limit, "ge", getattr(limit, "gt", low))
        high = getattr(limit, "le", getattr(limit, "lt", high))
    return low, high
