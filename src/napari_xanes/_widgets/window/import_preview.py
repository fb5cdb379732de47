"""What the import dialog shows of a scan before it is opened."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from qtpy.QtCore import Qt
from qtpy.QtGui import QImage, QPixmap
from qtpy.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from napari_xanes._widgets.parts.plot import SmallPlot
from napari_xanes._widgets.window.glimpse import Glimpse

PICTURE = 128
"""Side of a picture, on the screen."""


class ImportPreview(QWidget):
    """Three frames with their energies, and the mean spectrum below."""

    def __init__(self, viewer: Any) -> None:
        super().__init__()
        self.pictures = [QLabel() for _ in range(3)]
        self.captions = [QLabel() for _ in range(3)]
        row = QHBoxLayout()
        row.setSpacing(6)
        for picture, caption in zip(self.pictures, self.captions, strict=True):
            picture.setFixedSize(PICTURE, PICTURE)
            for label in (picture, caption):
                label.setAlignment(Qt.AlignmentFlag.AlignCenter)
            column = QVBoxLayout()
            column.addWidget(picture)
            column.addWidget(caption)
            row.addLayout(column)
        self.plot = SmallPlot(viewer, "energy (eV)")
        self.quantity = QLabel()
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(row)
        layout.addWidget(self.quantity)
        layout.addWidget(self.plot)

    def show_glimpse(self, seen: Glimpse | None) -> None:
        """Show what was seen of a scan; nothing for None."""
        frames = seen.frames if seen else []
        for i, (picture, caption) in enumerate(zip(self.pictures, self.captions, strict=True)):
            there = seen is not None and i < len(frames)
            picture.setPixmap(_grey(frames[i]) if there else QPixmap())
            caption.setText(f"{seen.shown[i]:.1f} eV" if seen is not None and there else "")
        self.plot.clear()
        several = seen is not None and seen.energy.size > 1
        self.plot.setVisible(several)
        self.quantity.setVisible(several)
        self.setVisible(seen is not None)
        self.quantity.setText(f"Mean spectrum, {seen.quantity}" if seen else "")
        if seen is not None:
            self.plot.plot(seen.energy, seen.mean, pen=self.palette().windowText().color())

    def cleanup(self) -> None:
        """Let the plot go; it listens to the viewer."""
        self.plot.cleanup()


def _grey(frame: NDArray[Any]) -> QPixmap:
    """Return a frame in grey from its darkest to its brightest hundredth; what is invalid is red."""
    known = np.isfinite(frame)
    low, high = np.quantile(frame[known], (0.01, 0.99)) if known.any() else (0.0, 1.0)
    grey = (255 * ((np.nan_to_num(frame) - low) / max(high - low, 1e-30)).clip(0, 1)).astype(np.uint8)
    rgb = np.ascontiguousarray(np.where(known[..., None], grey[..., None], np.array([170, 0, 0], np.uint8)))
    height, width = frame.shape
    image = QImage(rgb.tobytes(), width, height, 3 * width, QImage.Format.Format_RGB888).copy()
    keep = Qt.AspectRatioMode.KeepAspectRatio
    return QPixmap.fromImage(image).scaled(PICTURE, PICTURE, keep, Qt.TransformationMode.SmoothTransformation)
