"""Buttons, sentences and rows as the panels use them."""

from __future__ import annotations

from qtpy.QtWidgets import (
    QApplication,
    QComboBox,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QPushButton,
    QWidget,
)

OWN = "own_tooltip"
"""Property of a button: what its tooltip says while it can be pressed."""


def make_button(text: str, tooltip: str) -> QPushButton:
    """Return a button; a tooltip as rich text wraps."""
    button = QPushButton(text)
    button.setToolTip(f"<p>{tooltip}</p>")
    return button


def allow(button: QPushButton, why_not: str = "") -> None:
    """Enable a button, or grey it and have its tooltip say why."""
    if button.property(OWN) is None:
        button.setProperty(OWN, button.toolTip())
    button.setEnabled(not why_not)
    button.setToolTip(f"<p>{why_not}</p>" if why_not else button.property(OWN))


def make_words() -> QLabel:
    """Return a place for a sentence."""
    label = QLabel()
    label.setWordWrap(True)
    return label


def in_line(*parts: QWidget) -> QWidget:
    """Return widgets side by side; texts and choices take the room there is."""
    line = QWidget()
    layout = QHBoxLayout(line)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setSpacing(4)
    for part in parts:
        layout.addWidget(part, 1 if isinstance(part, QLineEdit | QComboBox) else 0)
    return line


def with_label(text: str, part: QWidget) -> QWidget:
    """Return a widget behind its name."""
    widget = QWidget()
    layout = QFormLayout(widget)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.setFieldGrowthPolicy(QFormLayout.FieldGrowthPolicy.AllNonFixedFieldsGrow)
    layout.addRow(text, part)
    return widget


def to_clipboard(text: str) -> None:
    """Put a text on the clipboard; there is none while the program starts or ends."""
    clipboard = QApplication.clipboard()
    if clipboard is not None:
        clipboard.setText(text)
