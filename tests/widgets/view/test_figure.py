"""What is saved as a figure is what is seen: under an applied mask, faded only if so ticked."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

from napari_xanes._core.draw import figure
from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.view.dock import XanesView


@pytest.fixture
def view(fitted, viewer, qtbot):
    dock = XanesView(viewer)
    qtbot.addWidget(dock)
    yield dock
    dock.close_down()


def saved(view, qtbot, monkeypatch, path):
    """Return what is drawn into a figure, and how."""
    taken = []
    monkeypatch.setattr(figure, "save_figure", lambda path, maps, **how: taken.append((maps, how)))
    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *asked: (str(path), ""))
    assert view.figure.save.isEnabled()
    qtbot.mouseClick(view.figure.save, Qt.MouseButton.LeftButton)
    qtbot.waitUntil(lambda: bool(taken) and not view.figure.background.running, timeout=10_000)
    return taken[0]


def test_a_figure_shows_nothing_that_the_mask_hides(view, fitted, viewer, qtbot, monkeypatch, tmp_path):
    whole, _ = saved(view, qtbot, monkeypatch, tmp_path / "whole.png")
    fitted.masks.set_limits(0.3, None)
    fitted.masks.keep_preview()
    fitted.masks.use.apply.click()
    inside = next(one for one in viewer.layers if about(one).get("kind") == "mask").data.astype(bool)
    maps, _ = saved(view, qtbot, monkeypatch, tmp_path / "masked.png")
    for name in ("fraction_Ni_reduced", "sigma_Ni_reduced", "error"):
        before, after = whole.maps[name], maps.maps[name]
        assert np.isnan(after[~inside]).all() and np.isfinite(before[~inside]).any(), name
        np.testing.assert_array_equal(after[inside], before[inside])
    fitted.masks.use.remove.click()
    maps, _ = saved(view, qtbot, monkeypatch, tmp_path / "again.png")
    np.testing.assert_array_equal(maps.maps["error"], whole.maps["error"])


def test_a_figure_fades_only_if_the_mix_does(view, qtbot, monkeypatch, tmp_path):
    _, how = saved(view, qtbot, monkeypatch, tmp_path / "plain.png")
    assert how["sigma_limit"] is None
    view.mix.fade.setChecked(True)
    view.mix.fade_limit.setValue(0.2)
    _, how = saved(view, qtbot, monkeypatch, tmp_path / "faded.png")
    assert how["sigma_limit"] == pytest.approx(0.2)
