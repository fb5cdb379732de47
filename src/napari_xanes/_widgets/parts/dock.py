"""What every dock of this plugin does when it is opened and closed.

Closing a dock in napari does not close the widget inside: it only loses its parent and would go on
listening to the viewer.  A `Dock` notices, calls its `cleanup` and has Qt delete it; left to Python, it might be
deleted in the thread of a running step, which crashes.
"""

from __future__ import annotations

import re
from typing import Any

from napari.utils.notifications import show_info
from qtpy.QtCore import QCoreApplication, QEvent, QObject, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QFrame,
    QLabel,
    QMainWindow,
    QScrollArea,
    QSizePolicy,
    QSpacerItem,
    QTabBar,
    QVBoxLayout,
    QWidget,
)

OF_NAPARI = re.compile(r"^XANES | \((napari-xanes|XANES)\)$")
"""What the name of a dock has besides what it is: ours in front, and what napari adds."""
LASTING = "lasting"
"""Property of background work (with `running`, `title` and the signal `ended`) that outlives a dock that is closed."""
_leaving: set[QWidget] = set()
IN_DOCK = QEvent.Type(QEvent.registerEventType())
"""What a widget posts to itself when it was put into a dock."""
NARROW = 330
"""px; what is in a dock must fit into this width, so that the picture has room on a small screen."""


class Dock(QScrollArea):
    """A scrollable column that cleans up after itself when its dock is closed."""

    def __init__(self) -> None:
        super().__init__()
        self._docked = self._settled = False
        self._clean = False
        self.setWidgetResizable(True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setMinimumWidth(NARROW)
        self.body = QWidget()
        self.column = QVBoxLayout(self.body)
        self.column.setContentsMargins(6, 6, 6, 6)
        self._filled = False
        self.setWidget(self.body)

    def event(self, event: QEvent | None) -> bool:
        """Notice being taken out of the dock."""
        if event is not None and event.type() == QEvent.Type.ParentChange:
            if self._docked and self.parent() is None:
                self._leave()
            self._docked = self.parent() is not None
            if self._docked:
                # for when napari has made the dock, before the window grows to hold one below the other
                QCoreApplication.postEvent(self, QEvent(IN_DOCK))
        if event is not None and event.type() == IN_DOCK:
            self._settle()
        if event is not None and event.type() == QEvent.Type.Polish:
            self._fill_up()
        return super().event(event)

    def _fill_up(self) -> None:
        """Leave what room there is below, if nothing takes it; an aligned layout would cut texts that wrap."""
        if not self._filled and not self.column.expandingDirections() & Qt.Orientation.Vertical:
            policy = QSizePolicy.Policy
            self.column.addSpacerItem(QSpacerItem(0, 0, policy.Minimum, policy.Expanding))
        self._filled = True

    def _settle(self) -> None:
        """Take its place among the docks, under a short name."""
        dock = self.parent()
        while dock is not None and not isinstance(dock, QDockWidget):
            dock = dock.parent()
        if not self._clean and dock is not None:
            _shorten_title(dock)
            window = dock.parent()
            if isinstance(window, QMainWindow) and not dock.isFloating() and not self._settled:
                self.take_place(window, dock)
            self._settled = True

    def take_place(self, window: QMainWindow, dock: QDockWidget) -> None:
        """Become a tab beside the last of this plugin's docks in the same area, in front of it; below it is little room."""
        if window.tabifiedDockWidgets(dock):
            return
        area = window.dockWidgetArea(dock)
        others = [
            one
            for one in window.findChildren(QDockWidget)
            if one is not dock and not one.isFloating() and not one.isHidden() and one.findChild(Dock)
        ]
        for other in [one for one in others if window.dockWidgetArea(one) == area][-1:]:
            window.tabifyDockWidget(other, dock)
            dock.show()
            dock.raise_()
            for bar in window.findChildren(QTabBar, options=Qt.FindChildOption.FindDirectChildrenOnly):
                # Names are read whole; arrows lead to those that find no room.
                bar.setElideMode(Qt.TextElideMode.ElideNone)

    def _leave(self) -> None:
        """Go away: at once, or out of sight as soon as a run that is under way has put its result into the layers."""
        work = self._work()
        if not work or self._clean:
            self.close_down()
            self.deleteLater()
            return
        _leaving.add(self)
        self.hand_over()
        for one in work:
            one.ended.connect(self._left)
        show_info(
            f"{', '.join(one.title for one in work)}: goes on; the result will appear among the layers."
        )

    def _work(self) -> list[Any]:
        """Return the runs that are under way."""
        lasting: list[Any] = [one for one in self.findChildren(QObject) if one.property(LASTING)]
        return [one for one in lasting if one.running]

    def _left(self) -> None:
        if self._work():
            return
        _leaving.discard(self)
        QTimer.singleShot(0, self._gone)

    def _gone(self) -> None:
        self.close_down()
        self.deleteLater()

    def close_down(self) -> None:
        """Clean up, once."""
        if not self._clean:
            self._clean = True
            self.cleanup()

    def hand_over(self) -> None:
        """Be no longer what others look at: only the run that is under way is left."""

    def cleanup(self) -> None:
        """Stop work and disconnect from the viewer."""


def short_title(name: str) -> str:
    """Return the name of a dock without that of the plugin."""
    short = OF_NAPARI.sub("", name)
    return short[:1].upper() + short[1:]


def _shorten_title(dock: QDockWidget) -> None:
    """Leave in the title and on the tab of a dock only what it is; napari goes on knowing it by its name."""
    name, short = dock.windowTitle(), short_title(dock.windowTitle())
    dock.setWindowTitle(short)
    bar = dock.titleBarWidget()
    for label in [] if bar is None else bar.findChildren(QLabel):
        if label.text() == name:
            label.setText(short)
