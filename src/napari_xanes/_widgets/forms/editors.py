"""Editors of single parameters: each shows one value of a given type and says when it changes.

An editor has ``value()``, ``set_value(value)`` and the signal ``changed``.  Which editor a parameter gets is decided in `choice`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from qtpy.QtCore import QEvent, QObject, Qt, Signal
from qtpy.QtWidgets import (
    QAbstractSpinBox,
    QCheckBox,
    QGridLayout,
    QHBoxLayout,
    QLabel,
    QSizePolicy,
    QWidget,
)
from superqt import QElidingLabel

from napari_xanes._core.base.words import frame_text
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo
from napari_xanes._widgets.parts.number_box import NumberBox, short_text

DECIMALS = {"eV": 2, "px": 2, "um": 4}
LARGEST = 1e9
LONGEST = 14
"""Letters that there is room for behind a box "auto"; numbers in a longer text are rounded."""
NUMBER = re.compile(r"\d+(?:\.\d+)?")


def narrow(native: QWidget) -> None:
    """Let an input be as narrow as the dock asks for, whatever its text."""
    native.setMinimumWidth(44)
    if isinstance(native, QAbstractSpinBox):
        native.setStyleSheet("min-width: 40px; padding: 1px 3px;")  # napari's style asks for 90
    native.setSizePolicy(QSizePolicy.Policy.Ignored, native.sizePolicy().verticalPolicy())


class Editor(QWidget):
    """Base of the editors."""

    changed = Signal()

    def value(self) -> Any:
        """Return what is shown."""
        raise TypeError(f"{type(self).__name__} shows no value")

    def set_value(self, value: Any) -> None:
        """Show a value."""
        raise TypeError(f"{type(self).__name__} takes no value")

    def as_text(self, value: Any) -> str:
        """Return a value in the words of this editor."""
        return str(value)

    def eventFilter(self, watched: QObject | None, event: QEvent | None) -> bool:
        """Let the wheel scroll the panel rather than change a number or a choice in passing."""
        wheel = event is not None and event.type() == QEvent.Type.Wheel
        if event and wheel and isinstance(watched, QWidget) and not watched.hasFocus():
            event.ignore()
            return True
        return super().eventFilter(watched, event)

    def _leave_wheel(self, native: QWidget) -> None:
        native.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        native.installEventFilter(self)
        narrow(native)

    def _row(self, *parts: QWidget, stretch: int | None = None) -> None:
        layout = QHBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for i, part in enumerate(parts):
            layout.addWidget(part, 1 if i == stretch else 0)


class MagicEditor(Editor):
    """Any single magicgui widget: a check box, a text."""

    def __init__(self, widget: Any) -> None:
        super().__init__()
        self.widget = widget
        self._row(widget.native, stretch=0)
        self._leave_wheel(widget.native)
        widget.changed.connect(lambda _: self.changed.emit())

    def value(self) -> Any:
        """Return what is shown; an empty text is None."""
        value = self.widget.value
        return None if value == "" else value

    def set_value(self, value: Any) -> None:
        """Show a value."""
        self.widget.value = "" if value is None else value


class ChoiceEditor(Editor):
    """One of some values, by their names.

    Parameters
    ----------
    names : mapping
        What each value is called, in the order of the list.
    more : callable, optional
        Returns what a value is called that is not among them.
    """

    def __init__(self, names: Mapping[Any, str], more: Callable[[Any], str] = str) -> None:
        super().__init__()
        self.more = more
        self.names = dict(names)
        self.combo = ElidingCombo()
        self.combo.addItems(list(self.names.values()))
        self._leave_wheel(self.combo)
        self._row(self.combo, stretch=0)
        self.combo.currentIndexChanged.connect(lambda _: self.changed.emit())

    def value(self) -> Any:
        """Return the value that is chosen."""
        return list(self.names)[self.combo.currentIndex()]

    def set_value(self, value: Any) -> None:
        """Choose a value; a recipe may hold more than the form offers, and lists."""
        value = _hashable(value)
        if value not in self.names:
            self.names[value] = self.more(value)
            self.combo.addItem(self.names[value])
        self.combo.setCurrentIndex(list(self.names).index(value))

    def as_text(self, value: Any) -> str:
        """Return the choice's name."""
        return str(self.names.get(_hashable(value), value))


def _hashable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


class NumberEditor(Editor):
    """A whole or floating number within limits.

    A value that is set and not edited is given back to the last bit, although fewer digits are shown.
    """

    def __init__(self, whole: bool, low: float, high: float, unit: str = "") -> None:
        super().__init__()
        self._decimals = 0 if whole else DECIMALS.get(unit, 4)
        self.box = NumberBox()
        top = min(high, 2**31 - 1 if whole else LARGEST)
        self.box.setRange(max(low, -top), top)
        self.box.setDecimals(self._decimals)
        self.box.setSingleStep(1 if whole or unit == "eV" else 0.1)
        self.box.setButtonSymbols(QAbstractSpinBox.ButtonSymbols.NoButtons)  # would take half of its width
        self.box.setAlignment(Qt.AlignmentFlag.AlignRight)
        self._leave_wheel(self.box)
        self._exact: float | None = None
        self._row(self.box, stretch=0)
        self.box.valueChanged.connect(lambda _: self.changed.emit())

    def value(self) -> float:
        """Return the number."""
        shown = self.box.value() if self._decimals else int(self.box.value())
        exact = self._exact
        return exact if exact is not None and round(exact, self._decimals) == shown else shown

    def set_value(self, value: float) -> None:
        """Show a number, held to the limits by the parameters' own check, not here."""
        self._exact = value
        self.box.setValue(round(value, self._decimals))  # which holds it to the limits

    def as_text(self, value: float) -> str:
        """Return the number with as many digits as are shown, without trailing zeros."""
        return short_text(value, self._decimals)


class SeveralEditor(Editor):
    """Several numbers in a row or a block, given and taken as one tuple."""

    def __init__(self, parts: Sequence[NumberEditor], names: Sequence[str], columns: int) -> None:
        super().__init__()
        self.parts = list(parts)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        for i, (part, name) in enumerate(zip(self.parts, names, strict=True)):
            row, column = divmod(i, columns)
            if name:
                layout.addWidget(QLabel(name), row, 2 * column)
            layout.addWidget(part, row, 2 * column + 1)
            layout.setColumnStretch(2 * column + 1, 1)
            part.changed.connect(self.changed)

    def value(self) -> tuple[float, ...]:
        """Return the numbers."""
        return tuple(part.value() for part in self.parts)

    def set_value(self, value: Sequence[float]) -> None:
        """Show the numbers."""
        for part, number in zip(self.parts, value, strict=True):
            part.set_value(number)

    def as_text(self, value: Sequence[float]) -> str:
        """Return the numbers, two of them as a range."""
        texts = [part.as_text(number) for part, number in zip(self.parts, value, strict=True)]
        return " to ".join(texts) if len(texts) == 2 else ", ".join(texts)


class FrameEditor(Editor):
    """Either one of some words or the number of a frame, counted from 1 and shown so; -1 is the last frame."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__()
        self._words = list(words)
        choices = {
            "last": "last frame",
            **{word: f"{word} frame" for word in words},
            "number": "frame no.",
        }
        self.choice = ChoiceEditor(choices, frame_text)
        self.number = NumberEditor(True, 1, 1e6)
        self._row(self.choice, self.number, stretch=0)
        self.number.setVisible(False)
        self.choice.changed.connect(self._on_choice)
        self.number.changed.connect(self.changed)

    def _on_choice(self) -> None:
        self.number.setVisible(self.choice.value() == "number")
        self.changed.emit()

    def value(self) -> int | str:
        """Return the word, or the index of the frame counted from 0; from the end if negative."""
        choice: int | str = self.choice.value()
        if choice == "number":
            return int(self.number.value()) - 1
        return -1 if choice == "last" else choice

    def set_value(self, value: int | str) -> None:
        """Show a word or a frame."""
        if value == -1:
            self.choice.set_value("last")
        elif isinstance(value, str) or value < 0:
            self.choice.set_value(value)
        else:
            self.number.set_value(value + 1)
            self.choice.set_value("number")


class AutoEditor(Editor):
    """Any editor with an "auto" box before it: ticked, the value is None and what was chosen is shown.

    Attributes
    ----------
    start : callable or None
        Called when the box is unticked before anything was chosen: returns the value that would be, or None.
    """

    def __init__(self, inner: Editor) -> None:
        super().__init__()
        self.inner = inner
        self.start: Callable[[], Any] | None = None
        self._known = False
        self.auto = QCheckBox("auto")
        self.auto.setToolTip(
            "<p>Ticked: chosen automatically when the step runs. Untick to set it yourself.</p>"
        )
        self.auto.setChecked(True)
        self.chosen = QElidingLabel()
        self.chosen.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        layout = QGridLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.setColumnStretch(1, 1)
        layout.addWidget(self.auto, 0, 0)
        layout.addWidget(self.chosen, 0, 1)
        if isinstance(inner, SeveralEditor):
            layout.addWidget(inner, 1, 0, 1, 2)
        else:
            layout.addWidget(inner, 0, 1)
        inner.setVisible(False)
        self.auto.toggled.connect(self._on_auto)
        inner.changed.connect(self.changed)

    def _on_auto(self, auto: bool) -> None:
        if not auto and not self._known and self.start is not None and (value := self.start()) is not None:
            self.inner.blockSignals(True)
            self.inner.set_value(value)
            self.inner.blockSignals(False)
        self.chosen.setVisible(auto)
        self.inner.setVisible(not auto)
        self.changed.emit()

    def value(self) -> Any:
        """Return None while automatic."""
        return None if self.auto.isChecked() else self.inner.value()

    def set_value(self, value: Any) -> None:
        """Show a value; None ticks the box."""
        if value is not None:
            self.inner.set_value(value)
        known, self._known = self._known, True  # a value that is given needs no start
        self.auto.setChecked(value is None)
        self._known = known
        self.changed.emit()

    def show_chosen(self, value: Any) -> None:
        """Say what was chosen; unticking the box starts from there.  What the user typed stays."""
        if not self.auto.isChecked():
            return
        self._known = value is not None
        if value is None:
            self.chosen.setText("")
            return
        whole = self.inner.as_text(value)
        self.chosen.setText(whole if len(whole) <= LONGEST else _shorter(whole))
        self.chosen.setToolTip(whole)
        self.inner.set_value(value)


def _shorter(text: str) -> str:
    """Return a text with fewer significant digits, at least three and whole numbers; what differs stays different."""
    whole = short = text
    for digits in (6, 5, 4, 3):
        tried = NUMBER.sub(partial(_rounded, digits), whole)
        if len(set(NUMBER.findall(tried))) < len(set(NUMBER.findall(whole))):
            break
        short = tried
        if len(short) <= LONGEST:
            break
    return short


def _rounded(digits: int, number: re.Match[str]) -> str:
    value = float(number[0])
    if "." not in number[0]:
        return number[0]
    return f"{value:.0f}" if value >= 10 ** (digits - 1) else f"{value:.{digits}g}"
