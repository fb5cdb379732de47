"""What was done as a Python script, to be copied or saved."""

from __future__ import annotations

from pathlib import Path

from qtpy.QtGui import QFontDatabase
from qtpy.QtWidgets import QApplication, QFileDialog, QPlainTextEdit, QVBoxLayout, QWidget

from napari_xanes._core.base.files import write_text
from napari_xanes._widgets.parts.buttons import in_line, make_button
from napari_xanes._widgets.parts.notices import report_error


class ScriptView(QWidget):
    """The text, and buttons to copy and save it."""

    def __init__(self) -> None:
        super().__init__()
        self.text = QPlainTextEdit()
        self.text.setReadOnly(True)
        self.text.setMinimumHeight(230)
        self.text.setFont(QFontDatabase.systemFont(QFontDatabase.SystemFont.FixedFont))
        self.text.setLineWrapMode(QPlainTextEdit.LineWrapMode.NoWrap)
        self.copy = make_button("Copy", "Copy the script, to paste it into an editor or a notebook.")
        self.save = make_button("Save script...", "Write the script to a .py file.")
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.text)
        layout.addWidget(in_line(self.copy, self.save))
        self.copy.clicked.connect(self._on_copy)
        self.save.clicked.connect(self._ask)

    def show_script(self, script: str) -> None:
        """Show a script, keeping the place one looks at if it is the same."""
        if script != self.text.toPlainText():
            self.text.setPlainText(script)
        for button in (self.copy, self.save):
            button.setEnabled(bool(script))

    def _on_copy(self) -> None:
        clipboard = QApplication.clipboard()
        if clipboard is not None:
            clipboard.setText(self.text.toPlainText())

    def _ask(self) -> None:
        path, _ = QFileDialog.getSaveFileName(
            self, "Save script", str(Path.cwd() / "xanes.py"), "Python (*.py)"
        )
        if path:
            self.save_script(path if Path(path).suffix else path + ".py")

    def save_script(self, path: str | Path) -> None:
        """Write the script to a file."""
        try:
            write_text(path, self.text.toPlainText())
        except OSError as error:
            report_error(error, "History")
