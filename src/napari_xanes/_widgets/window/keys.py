"""The keys of the workflow, in one table: bound in the viewer, listed in a dialog and in docs/shortcuts.md.

napari shows only its own keys in its Preferences and leaves those of a plugin's manifest out, so they are bound
to the viewer itself, as long as a workflow is open in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from napari.utils.key_bindings import coerce_keybinding
from qtpy.QtWidgets import QDialog, QGridLayout, QLabel, QVBoxLayout, QWidget

from napari_xanes._widgets.layers.session import workflow_of
from napari_xanes._widgets.window import key_actions as actions

HOW = "Click on the image once, so that the keys go to it."


@dataclass(frozen=True)
class Shortcut:
    """A key, what it does in a plain line, and the action; without one, it is napari's own or the mouse's."""

    key: str
    text: str
    action: Callable[[Any], None] | None = None


SHORTCUTS = (
    Shortcut("Shift+S", "Open or close the spectrum dock", actions.toggle_spectrum),
    Shortcut("Shift+D", "Pin the spectrum of the pixel under the cursor", actions.pin_spectrum),
    Shortcut("Shift+G", "Draw a new region (rectangle) for its mean spectrum", actions.new_region),
    Shortcut("Shift+R", "Run the step that is open", actions.run_open_step),
    Shortcut("Shift+X", "Cancel the step that is running", actions.cancel_step),
    Shortcut("Shift+Z", "Undo the last step", actions.undo_step),
    Shortcut("Shift+B", "Show the stack before its last step, and after it again", actions.toggle_before),
    Shortcut("Shift+M", "Show or hide masks and other labels", actions.toggle_mask),
    Shortcut("Shift+N", "Show the next map", actions.next_map),
    Shortcut("Shift+C", "Open the colour mix of maps", actions.open_view),
    Shortcut("Left, Right", "Previous and next energy"),
    Shortcut("Shift + mouse", "Live spectrum of the pixel under the cursor"),
    Shortcut("Double click", "Pin the spectrum of a pixel"),
)


def bind_keys(viewer: Any) -> None:
    """Bind the keys in a viewer; one that the user has bound to something else stays the user's."""
    viewer = getattr(viewer, "__wrapped__", viewer)  # docks may be given napari's proxy of the viewer
    for one in SHORTCUTS:
        if one.action is not None and coerce_keybinding(one.key) not in viewer.keymap:
            viewer.bind_key(one.key, one.action)


def unbind_keys(viewer: Any) -> None:
    """Take the keys back when no workflow is open in the viewer any more."""
    viewer = getattr(viewer, "__wrapped__", viewer)
    if workflow_of(viewer) is not None:
        return
    for one in SHORTCUTS:
        if one.action is not None and viewer.keymap.get(coerce_keybinding(one.key)) is one.action:
            viewer.bind_key(one.key, None)


def as_markdown() -> str:
    """Return the table as it stands in the documentation."""
    rows = [f"| {one.key} | {one.text} |" for one in SHORTCUTS]
    return "\n".join(["| key | what it does |", "|---|---|", *rows])


class ShortcutsDialog(QDialog):
    """Lists the keys."""

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("XANES shortcuts")
        grid = QGridLayout()
        grid.setHorizontalSpacing(16)
        for row, one in enumerate(SHORTCUTS):
            key = QLabel(one.key)
            key.setStyleSheet("font-weight: bold;")
            grid.addWidget(key, row, 0)
            grid.addWidget(QLabel(one.text), row, 1)
        layout = QVBoxLayout(self)
        layout.addWidget(QLabel(HOW))
        layout.addLayout(grid)
