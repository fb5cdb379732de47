"""Run and Cancel, with progress: the row of widgets under everything that takes time."""

from __future__ import annotations

from typing import Any

from qtpy.QtCore import Signal
from qtpy.QtWidgets import QHBoxLayout, QLabel, QProgressBar, QPushButton, QVBoxLayout, QWidget

from napari_xanes._widgets.jobs.worker import Background, remaining_text
from napari_xanes._widgets.parts.dock import LASTING


class Runner(QWidget):
    """Run and Cancel buttons, a progress bar and the background job behind them."""

    run_clicked = Signal()

    def __init__(self, text: str = "Run", tooltip: str = "", *, cancel_always: bool = True) -> None:
        super().__init__()
        self._tooltip = f"<p>{tooltip}</p>" if tooltip else ""
        self._cancel_always = cancel_always
        self.background = Background(self)
        self.background.setProperty(LASTING, True)
        self.run = QPushButton(text)
        self.run.setToolTip(self._tooltip)
        self.cancel = QPushButton("Cancel")
        self.bar = QProgressBar()
        self.bar.setTextVisible(False)
        self.bar.setFixedHeight(8)
        self.status = QLabel()
        self.status.setWordWrap(True)
        buttons = QHBoxLayout()
        buttons.addWidget(self.run)
        buttons.addWidget(self.cancel)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.setSpacing(4)
        layout.addLayout(buttons)
        layout.addWidget(self.bar)
        layout.addWidget(self.status)
        self.run.clicked.connect(self.run_clicked)
        self.cancel.clicked.connect(self._on_cancel)
        self.background.progressed.connect(self._on_progress)
        self.background.ended.connect(self._idle)
        self._ready = True
        self._idle()

    def set_ready(self, ready: bool, why: str = "") -> None:
        """Say whether Run makes sense now, and if not, why."""
        self._ready = ready
        self.run.setToolTip(self._tooltip if ready or not why else f"<p>{why}</p>")
        self.run.setEnabled(ready and not self.background.running)

    def start(self, job: Any, title: str) -> None:
        """Start a job and show its progress."""
        self.background.start(job, title)
        self.run.setEnabled(False)
        self.cancel.setEnabled(True)
        self.cancel.setVisible(True)
        self.bar.setRange(0, 0)
        self.bar.setVisible(True)
        self.status.setText("Starting")
        self.status.setVisible(True)

    def _on_cancel(self) -> None:
        self.cancel.setEnabled(False)
        self.status.setText("Cancelling")
        self.background.cancel()

    def _on_progress(self, done: int, total: int, text: str, remaining: float) -> None:
        if not self.cancel.isEnabled():
            return
        self.bar.setRange(0, 1000 if total > 0 else 0)
        self.bar.setValue(round(1000 * done / total) if total > 0 else 0)
        count = f"{done} of {total}" if total > 0 else ""
        self.status.setText(", ".join(part for part in (text, count, remaining_text(remaining)) if part))

    def _idle(self) -> None:
        self.run.setEnabled(self._ready)
        self.cancel.setEnabled(False)
        self.cancel.setVisible(self._cancel_always)
        self.bar.setVisible(False)
        self.status.setVisible(False)
