"""Files of spectra that are dropped on the window go where they belong."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from qtpy.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.session import workflow_of

pytestmark = pytest.mark.viewer


def drop(window, qtbot, *paths):
    """Drop files on the canvas, from within the event loop as a user does."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    move, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(50, 50), move, mime, left, none)
    done = []

    def send():
        window.window._qt_viewer.dropEvent(event)  # Qt gives it no event that is not of a drag of its own
        done.append(True)

    QTimer.singleShot(0, send)
    qtbot.waitUntil(lambda: bool(done), timeout=20_000)


def test_references_go_to_the_fit_and_i0_to_the_scan_without_flats(window, scan, references, tmp_path, qtbot):
    beam = np.asarray(scan.flat[:], float).mean(axis=(1, 2))
    np.savetxt(tmp_path / "i0.txt", np.stack([scan.energy, beam], 1))
    tifffile.imwrite(tmp_path / "counts.tif", np.asarray(scan.data[:]), photometric="minisblack")
    np.savetxt(tmp_path / "counts_energy.txt", scan.energy)
    add_stack(window, nx.read_stack(tmp_path / "counts.tif"))
    drop(window, qtbot, *references)
    qtbot.waitUntil(lambda: workflow_of(window) is not None, timeout=20_000)
    editor = workflow_of(window).panels["fit"].forms["fit"].editors["references"]
    qtbot.waitUntil(lambda: editor.value() == references, timeout=10_000)
    assert workflow_of(window).sections["fit"].is_open()
    drop(window, qtbot, tmp_path / "i0.txt")
    density = lambda: [one for one in window.layers if about(one).get("signal") == "optical_density"]  # noqa: E731
    qtbot.waitUntil(lambda: bool(density()), timeout=20_000)
    expected = -np.log(np.asarray(scan.data[20], float) / beam[20])
    np.testing.assert_allclose(np.asarray(density()[0].data[20]), expected, rtol=1e-4, atol=1e-4)
    qtbot.waitUntil(lambda: not workflow_of(window).panels["preprocess"].runner.background.running)
    assert editor.value() == references, "an I0 is no reference"
