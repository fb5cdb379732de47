"""A numbered step that folds away; folded or not, the line of its title says what came out.

What is in it is made when it is unfolded for the first time, or asked for.

superqt's collapsible fixes the height of its content, which cuts sentences that wrap in a narrow dock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from html import escape
from typing import Generic, TypeVar

from qtpy.QtWidgets import QHBoxLayout, QPushButton, QSizePolicy, QVBoxLayout, QWidget
from superqt import QElidingLabel

T = TypeVar("T")


class Lazy(Mapping[str, T], Generic[T]):
    """Things by their names, each made when it is first asked for.

    Parameters
    ----------
    makers : mapping of str to callable
    made : callable
        Called with the name and the thing as soon as it is there.
    """

    def __init__(self, makers: Mapping[str, Callable[[], T]], made: Callable[[str, T], None]) -> None:
        self._makers, self._tell = dict(makers), made
        self._made: dict[str, T] = {}

    def __getitem__(self, key: str) -> T:
        if key not in self._made:
            self._made[key] = self._makers[key]()
            self._tell(key, self._made[key])
        return self._made[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)

    def there(self) -> dict[str, T]:
        """Return what was made so far."""
        return dict(self._made)

    def missing(self) -> list[str]:
        """Return the names of what was not."""
        return [key for key in self._makers if key not in self._made]


class FoldedSection(QWidget):
    """A title to click on, and a panel under it that is shown or not.

    Parameters
    ----------
    panel : callable
        Returns what is in it, once it is asked for.
    """

    def __init__(self, number: int, title: str, panel: Callable[[], QWidget]) -> None:
        super().__init__()
        self._title = f"{number}  {title}"
        self._panel = panel
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
        self.noted = QElidingLabel()
        self.noted.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.noted.setWordWrap(True)
        self.noted.setEllipsesWidth(20)  # else the dots would often stand in a third line
        self.noted.hide()
        below = QHBoxLayout()
        below.addSpacing(10)
        below.addWidget(self.noted)
        layout.addLayout(below)
        self._held: QWidget | None = None
        self.button.toggled.connect(self.unfold)
        self.unfold(False)

    @property
    def panel(self) -> QWidget:
        """What is in it."""
        return self._panel()

    def hold(self, panel: QWidget) -> None:
        """Take in what is in it, as it was made."""
        panel.setContentsMargins(10, 0, 0, 6)
        panel.setVisible(self.is_open())
        layout = self.layout()
        if layout is not None:
            layout.addWidget(panel)
        self._held = panel

    def unfold(self, open_: bool) -> None:
        """Show or hide the panel."""
        self.button.setChecked(open_)
        self.button.setText(f"{'▾' if open_ else '▸'} {self._title}")
        if open_:
            self.panel.setVisible(True)
        elif self._held is not None:
            self._held.setVisible(False)

    def is_open(self) -> bool:
        """Whether the panel is shown."""
        return self.button.isChecked()

    def say(self, text: str, notes: Sequence[str] = ()) -> None:
        """Show a result behind the title, and the first of some notes on it below; all of them are in its tooltip."""
        self.headline.setText(text)
        self.headline.setToolTip(text)
        count = f"{len(notes)} notes: " if len(notes) > 1 else "Note: "
        self.noted.ensurePolished()  # else it is measured in another font than it is drawn in
        self.noted.setFixedHeight(2 * self.noted.fontMetrics().height())
        self.noted.setText(count + notes[0] if notes else "")
        self.noted.setToolTip("".join(f"<p>{escape(one)}</p>" for one in notes))
        self.noted.setVisible(bool(notes))
