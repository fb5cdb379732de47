"""The titles of docks are short, on their tabs as well."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import QEvent, QPoint, Qt
from qtpy.QtGui import QHelpEvent
from qtpy.QtWidgets import QApplication, QDockWidget, QLabel, QTabBar, QTableWidget, QToolTip

from napari_xanes._widgets.parts.dock import Dock, short_title
from napari_xanes._widgets.parts.eliding_combo import ElidingCombo


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("XANES workflow (napari-xanes)", "Workflow"),
        ("XANES spectrum (XANES)", "Spectrum"),
        ("Alignment review (napari-xanes)", "Alignment review"),
    ],
)
def test_only_what_it_is_stays(name, short):
    assert short_title(name) == short


@pytest.mark.viewer
def test_titles_and_tabs_are_short(window, qtbot):
    window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    window.window.add_plugin_dock_widget("napari-xanes", "XANES view", tabify=True)
    qtbot.wait(300)
    main = window.window._qt_window
    docks = [one for one in main.findChildren(QDockWidget) if "napari-xanes" in getattr(one, "name", "")]
    assert sorted(one.windowTitle() for one in docks) == ["View", "Workflow"]
    for dock in docks:
        texts = [label.text() for label in dock.titleBarWidget().findChildren(QLabel)]
        assert dock.windowTitle() in texts and dock.name not in texts
    tabs = [bar.tabText(k) for bar in main.findChildren(QTabBar) for k in range(bar.count())]
    assert {"View", "Workflow"} <= {text.replace("&", "") for text in tabs}
    assert "XANES workflow (napari-xanes)" in window.window.dock_widgets, "napari knows it by its name"


@pytest.mark.viewer
def test_docks_of_the_menu_open_as_tabs_and_the_window_does_not_grow(window, qtbot):
    main = window.window._qt_window
    main.resize(1366, 768)
    window.add_labels(np.zeros((20, 30), np.uint8))  # whose controls are tall
    names = ("XANES spectrum", "XANES workflow", "Corrections", "XANES history", "Find references")
    for name in names:
        _, widget = window.window.add_plugin_dock_widget("napari-xanes", name)  # as napari's menu does
        qtbot.waitUntil(lambda w=widget: w.isVisible() and w.visibleRegion().boundingRect().height() > 150)
    assert (main.width(), main.height()) == (1366, 768)
    docks = [window.window.dock_widgets[f"{name} (napari-xanes)"].parent() for name in names[1:]]
    assert all(len(main.tabifiedDockWidgets(one)) == 3 for one in docks)


@pytest.mark.parametrize("table", [False, True])
def test_texts_that_wrap_are_seen_whole_and_stand_at_the_top(qtbot, table):
    """A text of many short lines is taller than a layout of its preferred width thinks."""
    dock = Dock()
    words = QLabel("what is left is too little to matter, or not shared by neighbouring pixels, though " * 6)
    words.setWordWrap(True)
    dock.column.addWidget(words)
    dock.column.addWidget(QLabel("below"))
    if table:
        dock.column.addWidget(QTableWidget())
    qtbot.addWidget(dock)
    dock.resize(330, 700)
    dock.show()
    qtbot.waitExposed(dock)
    assert words.height() >= words.heightForWidth(words.width())
    assert words.y() < 20 and words.height() < 300
    if table:
        assert dock.findChild(QTableWidget).height() > 250, "what can grow takes the room"


def test_a_choice_that_is_too_long_has_dots_in_the_middle_and_is_told_whole(qtbot):
    combo = ElidingCombo()
    qtbot.addWidget(combo)
    combo.setToolTip("<p>Which map.</p>")
    name = "LiFe(II)PO4 fraction (a scan with a long name)"
    combo.addItems(["thickness", name])
    combo.resize(150, 24)
    combo.show()
    qtbot.waitExposed(combo)
    assert combo.shown_text() == "thickness"
    qtbot.keyClick(combo, Qt.Key.Key_Down)
    drawn = combo.shown_text()
    assert "…" in drawn and drawn.startswith("LiFe") and drawn.endswith("ame)")
    assert combo.fontMetrics().horizontalAdvance(drawn) < combo.width() - 20
    place = QPoint(20, 10)
    QApplication.sendEvent(combo, QHelpEvent(QEvent.Type.ToolTip, place, combo.mapToGlobal(place)))
    assert name in QToolTip.text() and "Which map." in QToolTip.text()
    combo.addItem("Ni<b>O</b> & LiNiO2 fraction (a scan with a long name)")
    combo.setCurrentIndex(2)
    QApplication.sendEvent(combo, QHelpEvent(QEvent.Type.ToolTip, place, combo.mapToGlobal(place)))
    assert "Ni&lt;b&gt;O&lt;/b&gt; &amp; LiNiO2" in QToolTip.text(), "a name is no markup"
