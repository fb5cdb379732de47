"""The command line in a process of its own, whose lines are heard one by one as they come."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from qtpy.QtCore import QObject, QProcess, QProcessEnvironment, QTimer, Signal

PATIENCE_MS = 5000
"""ms that a process has to clean up before it is killed; nothing is half-written either way."""


class Child(QObject):
    """Runs ``napari-xanes`` with some words.

    Signals
    -------
    told(lines)
        Lines of the output, a list of str.
    ended(code, errors)
        The process is gone.
    """

    told = Signal(list)
    ended = Signal(int, str)

    def __init__(self) -> None:
        super().__init__()  # of no parent, which would take it along while the process runs
        self._rest, self._errors = "", ""
        self._process = QProcess(self)
        around = QProcessEnvironment.systemEnvironment()
        around.insert("PYTHONUTF8", "1")  # what is heard is read as such, on Windows too
        around.insert("NAPARI_XANES_ENDS_WITH_STDIN", "1")  # should the window be killed
        self._process.setProcessEnvironment(around)
        self._process.readyReadStandardOutput.connect(self._on_output)
        self._process.readyReadStandardError.connect(self._on_error)
        self._process.finished.connect(self._on_finished)
        self._process.errorOccurred.connect(self._on_fault)
        self._patience = QTimer(self)
        self._patience.setSingleShot(True)
        self._patience.setInterval(PATIENCE_MS)
        self._patience.timeout.connect(self._process.kill)

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process.state() != QProcess.ProcessState.NotRunning

    @property
    def number(self) -> int:
        """The number by which the system knows the process."""
        return int(self._process.processId())

    def start(self, words: Sequence[str]) -> None:
        """Run a command; one core is left to the window."""
        self._rest, self._errors = "", ""
        cores = ["--workers", str(max(1, (os.cpu_count() or 2) - 1))]
        self._process.start(sys.executable, ["-P", "-m", "napari_xanes", *words, *cores])

    def stop(self) -> None:
        """Have the process clean up and end."""
        if self.running:
            self._process.terminate()
            self._patience.start()

    def end_now(self) -> None:
        """End the process without hearing of it any more."""
        self._patience.stop()
        self.blockSignals(True)
        if self.running:
            self._process.terminate()
            if not self._process.waitForFinished(PATIENCE_MS // 5):
                self._process.kill()
                self._process.waitForFinished(PATIENCE_MS)

    def _on_output(self) -> None:
        text = self._rest + self._process.readAllStandardOutput().data().decode("utf-8", "replace")
        *lines, self._rest = text.split("\n")
        self.told.emit(lines)

    def _on_error(self) -> None:
        self._errors += self._process.readAllStandardError().data().decode("utf-8", "replace")

    def _on_fault(self, fault: QProcess.ProcessError) -> None:
        if fault == QProcess.ProcessError.FailedToStart:
            self.ended.emit(-1, f"error: {sys.executable} cannot be started: {self._process.errorString()}")

    def _on_finished(self, code: int, status: QProcess.ExitStatus) -> None:
        self._patience.stop()
        self._on_output()
        self._on_error()
        self.ended.emit(code, self._errors)
