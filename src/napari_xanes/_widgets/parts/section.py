"""A numbered step that folds away; folded or not, the line of its title says what came out.

superqt's collapsible fixes the height of its content, which cuts sentences that wrap in a narrow dock.
"""

from __future__ import annotations

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel


class FoldedSection(QWidget):
    """A title to click on, and a panel under it that is shown or not."""

    def __init__(self, number: int, title: str, panel: QWidget) -> None:
        super().__init__()
        self._title = f"{number}  {title}"
        self.panel = panel
        self.button = QPushButton()
        self.button.setCheckable(True)
        self.button.setStyleSheet("QPushButton {text-align: left; font-weight: bold; padding: 5px;}")
        self.button.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)
        self.headline = QElidingLabel()
        self.headline.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        line = QHBoxLayout()
        line.setSpacing(8)
        line.addWidget(self.button)
        line.addWidget(self.headline, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(line)
        layout.addWidget(panel)
        panel.setContentsMargins(10, 0, 0, 6)
        self.button.toggled.connect(self.unfold)
        self.unfold(False)

    def unfold(self, open_: bool) -> None:
        """Show or hide the panel."""
        self.button.setChecked(open_)
        self.button.setText(f"{'▾' if open_ else '▸'} {self._title}")
        self.panel.setVisible(open_)

    def is_open(self) -> bool:
        """Whether the panel is shown."""
        return self.button.isChecked()

    def say(self, text: str) -> None:
        """Show a result behind the title."""
        self.headline.setText(text)
        self.headline.setToolTip(text)
