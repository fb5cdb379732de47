"""The numbers and buttons of the alignment review."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import QSignalBlocker, Signal
from qtpy.QtWidgets import QCheckBox, QGridLayout, QHBoxLayout, QLabel, QPushButton, QWidget

from napari_xanes._widgets.parts.number_box import NumberBox

STEP, LARGE_STEP = 0.1, 1.0
"""px that an arrow key moves a frame, without and with Shift."""


class ReviewControls(QWidget):
    """Displacement of a frame, whether it is left out, and what can be done.

    Signals
    -------
    typed()
        A displacement was typed.
    """

    typed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.shift = [NumberBox() for _ in range(2)]
        self.exclude = QCheckBox("Leave this frame out")
        self.next_to_check = QPushButton("Next to check")
        self.next_to_check.setToolTip(
            "<p>The next frame that is doubtful, or whose drift stands out from the frames beside it.</p>"
        )
        self.reset = QPushButton("Undo changes of this frame")
        self.flicker = QPushButton("Before / after")
        self.flicker.setCheckable(True)
        self.flicker.setToolTip("<p>Switch between the frame as it was measured and as it is moved.</p>")
        tip = "<p>Move the frame (green) over the reference (magenta): type, press the arrow keys (0.1 px, with Shift 1 px), or drag it on the canvas while the layer 'alignment check' is selected.</p>"
        grid = QGridLayout(self)
        grid.setContentsMargins(0, 0, 0, 0)
        for k, (name, box) in enumerate(zip(("y", "x"), self.shift, strict=True)):
            box.setRange(-1e4, 1e4)
            box.setDecimals(2)
            box.setSingleStep(STEP)
            box.setToolTip(tip)
            box.valueChanged.connect(lambda _: self.typed.emit())
            grid.addWidget(QLabel(f"{name} (px)"), 0, 2 * k)
            grid.addWidget(box, 0, 2 * k + 1)
        grid.addWidget(self.exclude, 1, 0, 1, 4)
        grid.addWidget(self.reset, 2, 0, 1, 4)
        buttons = QHBoxLayout()
        for button in (self.next_to_check, self.flicker):
            buttons.addWidget(button)
        grid.addLayout(buttons, 3, 0, 1, 4)

    def values(self) -> NDArray[np.float64]:
        """Return the displacement (y, x) that is typed, px."""
        return np.array([box.value() for box in self.shift])

    def show_frame(self, shift: NDArray[np.float64], *, excluded: bool) -> None:
        """Show the displacement (y, x) of a frame, and whether it is left out."""
        for box, value in zip(self.shift, np.nan_to_num(shift), strict=True):
            with QSignalBlocker(box):
                box.setValue(float(value))
        with QSignalBlocker(self.exclude):
            self.exclude.setChecked(excluded)
