"""What the user should know of a step, each sentence with the buttons that follow it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from qtpy.QtWidgets import QPushButton, QVBoxLayout, QWidget

from napari_xanes._widgets.parts.buttons import make_words


@dataclass(frozen=True)
class Way:
    """A button: what it is called, what it does in a sentence, and that."""

    text: str
    tooltip: str
    follow: Callable[[], None]


@dataclass(frozen=True)
class Told:
    """A sentence, and the ways that it shows."""

    sentence: str
    ways: tuple[Way, ...] = ()


class Advice(QWidget):
    """Sentences below one another, their buttons under each."""

    def __init__(self) -> None:
        super().__init__()
        self._shown: tuple[tuple[str, tuple[str, ...]], ...] = ()
        self._told: Sequence[Told] = ()
        self._layout = QVBoxLayout(self)
        self._layout.setContentsMargins(0, 0, 0, 0)
        self._layout.setSpacing(4)
        self.setVisible(False)

    def tell(self, told: Sequence[Told]) -> None:
        """Show these sentences; widgets that stay the same are not made anew."""
        self._told = tuple(told)
        shown = tuple((one.sentence, tuple(way.text for way in one.ways)) for one in told)
        if shown == self._shown:
            return
        self._shown = shown
        while (item := self._layout.takeAt(0)) is not None:
            if (widget := item.widget()) is not None:
                widget.hide()
                widget.deleteLater()
        for i, one in enumerate(told):
            words = make_words()
            words.setText(one.sentence)
            self._layout.addWidget(words)
            for k, way in enumerate(one.ways):
                button = QPushButton(way.text)
                button.setToolTip(f"<p>{way.tooltip}</p>")
                button.clicked.connect(lambda _=False, i=i, k=k: self._told[i].ways[k].follow())
                self._layout.addWidget(button)
        self.setVisible(bool(told))

    def text(self) -> str:
        """Return all sentences."""
        return "\n".join(one.sentence for one in self._told)

    def button(self, text: str) -> QPushButton:
        """Return the button of a text; raises KeyError if there is none."""
        for button in self.findChildren(QPushButton):
            if button.text() == text and not button.isHidden():
                return button
        raise KeyError(text)
