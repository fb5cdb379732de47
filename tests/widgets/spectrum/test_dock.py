"""Live spectra: right to the last bit, following the mouse, shapes, labels, slider, windows and fit."""

from __future__ import annotations

import csv
import threading
import time

import h5py
import numpy as np
import pytest
from mouse import canvas_mouse, double_click_at, drag_line, move_over
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import QApplication, QFileDialog, QLineEdit

import napari_xanes as nx
from napari_xanes._core.base.params import make_params
from napari_xanes._core.engine import judge
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.layers import about, add_stack, put_result, results_of
from napari_xanes._widgets.spectrum.colors import PINS
from napari_xanes._widgets.spectrum.dock import XanesSpectrum
from napari_xanes._widgets.spectrum.reading import CURSOR, MEAN
from napari_xanes._widgets.window.workflow import XanesWorkflow

SPOT = (23, 43)
"""A pixel of the scan with much of the element."""


@pytest.fixture
def density(scan):
    mu = nx.optical_density(nx.flat_field(scan.data[:], scan.flat[:], scan.dark[:]))
    return nx.EnergyStack(mu, scan.energy, "optical_density", pixel_size_um=0.5, name="scan")


@pytest.fixture
def dock(viewer, qtbot):
    spectrum = XanesSpectrum(viewer)
    qtbot.addWidget(spectrum)
    yield spectrum
    spectrum.close_down()


def hover(dock, qtbot, y, x, *plane):
    layer = dock.stack_layer()
    position = layer.data_to_world((0, *plane, y, x))
    move_over(dock.viewer, position, "Shift")
    qtbot.waitUntil(lambda: not dock.waiting())


def settle(dock, qtbot):
    qtbot.waitUntil(lambda: not dock.waiting(), timeout=2000)


def curve(dock, name):
    return dock.plot.drawn()[name].y


def automatic(dock):
    chosen = dock.model.normalization(dock.stack_layer()).normalization
    return {key: getattr(chosen, key) for key in ("e0", "pre_edge", "post_edge")}


def test_with_nothing_open_it_says_so(dock, viewer, density, qtbot):
    assert "Open a XANES stack" in dock.tools.message.text()
    add_stack(viewer, density)
    settle(dock, qtbot)
    assert MEAN in dock.plot.drawn()


def test_the_pixel_under_the_cursor(dock, viewer, density, qtbot):
    add_stack(viewer, density)
    hover(dock, qtbot, 20, 31)
    np.testing.assert_array_equal(curve(dock, CURSOR), density.data[:, 20, 31])
    assert dock.tools.message.text() == "scan: pixel 20, 31"
    position = dock.stack_layer().data_to_world((0, 40, 5))
    move_over(viewer, position)
    qtbot.wait(40)
    assert dock.tools.message.text() == "scan: pixel 20, 31", "without Shift nothing moves"
    hover(dock, qtbot, 500, 5)
    assert dock.tools.message.text() == "scan: pixel 20, 31", "outside the image nothing moves"


def test_of_a_lazy_file_as_optical_density(dock, viewer, scan, density, qtbot):
    add_stack(viewer, scan)
    hover(dock, qtbot, 12, 40)
    np.testing.assert_array_equal(curve(dock, CURSOR), scan.data[:, 12, 40])
    dock.tools.quantity.setCurrentText("optical density")
    hover(dock, qtbot, 12, 40)
    np.testing.assert_allclose(curve(dock, CURSOR), density.data[:, 12, 40], rtol=1e-5)


def test_a_double_click_pins(dock, viewer, density, qtbot):
    layer = add_stack(viewer, density)
    for y, x in ((10, 12), (30, 33)):
        double_click_at(viewer, layer.data_to_world((5, y, x)))
    assert viewer.layers.selection.active is layer
    np.testing.assert_array_equal(curve(dock, "pin 1"), density.data[:, 10, 12])
    np.testing.assert_array_equal(curve(dock, "pin 2"), density.data[:, 30, 33])
    colors = {dock.plot.drawn()[f"pin {k}"].color for k in (1, 2)}
    assert len(colors) == 2
    viewer.layers[PINS].data = viewer.layers[PINS].data[:1]
    settle(dock, qtbot)
    assert "pin 2" not in dock.plot.drawn()
    dock.tools.unpin.click()
    assert PINS not in viewer.layers and MEAN in dock.plot.drawn()


def test_shapes_are_followed(dock, viewer, density, qtbot):
    layer = add_stack(viewer, density)
    scale = tuple(layer.scale)[-2:]
    shapes = viewer.add_shapes(
        [[[10, 10], [10, 19], [19, 19], [19, 10]]], name="ROI", scale=scale, units=tuple(layer.units)[-2:]
    )
    settle(dock, qtbot)
    expected = density.data[:, 10:20, 10:20].mean(axis=(1, 2))
    np.testing.assert_allclose(curve(dock, "ROI 1"), expected, rtol=1e-5)
    shapes.data = [np.array([[30, 30], [30, 34], [34, 34], [34, 30]])]
    settle(dock, qtbot)
    expected = density.data[:, 30:35, 30:35].mean(axis=(1, 2))
    np.testing.assert_allclose(curve(dock, "ROI 1"), expected, rtol=1e-5)
    shapes.add_ellipses([[20, 20], [8, 5]])
    shapes.add_lines([[5, 5], [5, 15]])
    settle(dock, qtbot)
    y, x = np.mgrid[: density.data.shape[1], : density.data.shape[2]]
    inside = ((y - 20) / 8) ** 2 + ((x - 20) / 5) ** 2 <= 0.95
    expected = density.data[:, inside].mean(axis=1)
    np.testing.assert_allclose(curve(dock, "ROI 2"), expected, rtol=0.02)
    np.testing.assert_allclose(curve(dock, "ROI 3"), density.data[:, 5, 5:16].mean(axis=1), rtol=1e-5)
    shapes.visible = False
    settle(dock, qtbot)
    assert MEAN in dock.plot.drawn() and "ROI 1" not in dock.plot.drawn()


def test_labels_are_followed_while_painted(dock, viewer, density, qtbot):
    layer = add_stack(viewer, density)
    labels = viewer.add_labels(
        np.zeros(density.data.shape[1:], np.uint8),
        name="mask",
        scale=tuple(layer.scale)[-2:],
        units=tuple(layer.units)[-2:],
    )
    labels.brush_size = 7
    labels.paint((20, 20), 1)
    labels.paint((40, 40), 3)
    settle(dock, qtbot)
    for label in (1, 3):
        expected = density.data[:, labels.data == label].mean(axis=1)
        np.testing.assert_allclose(curve(dock, f"mask {label}"), expected, rtol=1e-5)
    color = dock.plot.drawn()["mask 1"].color
    assert color == "#" + "".join(f"{round(255 * c):02x}" for c in labels.get_color(1)[:3])
    before = curve(dock, "mask 1").copy()
    labels.paint((25, 20), 1)
    settle(dock, qtbot)
    assert not np.array_equal(curve(dock, "mask 1"), before)
    np.testing.assert_allclose(
        curve(dock, "mask 1"), density.data[:, labels.data == 1].mean(axis=1), rtol=1e-5
    )


def test_the_line_and_the_slider_go_together(dock, viewer, density):
    add_stack(viewer, density)
    viewer.dims.set_current_step(0, 9)
    assert dock.plot.energy_line.value() == pytest.approx(density.energy[9])
    dock.plot.energy_dragged.emit(float(density.energy[17] + 0.1))
    assert viewer.dims.current_step[0] == 17


def test_normalised_spectra_and_their_derivative(dock, viewer, density, qtbot):
    add_stack(viewer, density)
    hover(dock, qtbot, *SPOT)
    dock.tools.quantity.setCurrentText("normalised")
    spectrum = density.data[:, SPOT[0], SPOT[1]].astype(float)
    chosen = automatic(dock)
    assert chosen["e0"] == pytest.approx(8333, abs=2)
    found = nx.normalize_edge(spectrum, density.energy, **chosen)
    np.testing.assert_allclose(curve(dock, CURSOR), found.normalized, rtol=1e-6)
    dock.tools.derivative.setChecked(True)
    np.testing.assert_allclose(curve(dock, CURSOR), np.gradient(found.normalized, density.energy))


def test_windows_follow_the_form_and_the_form_the_windows(viewer, density, qtbot, monkeypatch):
    workflow = XanesWorkflow(viewer)
    dock = XanesSpectrum(viewer)
    for one in (workflow, dock):
        qtbot.addWidget(one)
    add_stack(viewer, density)
    settle(dock, qtbot)
    editors = workflow.panels["normalize"].forms["normalize"].editors
    assert editors["pre_edge"].value() is None
    mean = dock.model.reading.spectra[MEAN].mean.values
    automatic = nx.normalize_edge(mean, density.energy)
    assert dock.plot.windows["pre_edge"].getRegion() == pytest.approx(automatic.pre_edge)
    looked, summarize = [], judge.summarize
    monkeypatch.setattr(judge, "summarize", lambda *args: looked.append(1) or summarize(*args))
    dock.plot.windows["pre_edge"].setRegion((8230.0, 8290.0))
    assert editors["pre_edge"].value() == (8230.0, 8290.0)
    line = dock.plot.drawn()["pre-edge line"]
    qtbot.waitUntil(lambda: not dock.waiting())
    assert not looked, "what does not depend on the windows is not worked out again while they are dragged"
    line = dock.plot.drawn()["pre-edge line"]
    expected = nx.normalize_edge(mean, density.energy, e0=automatic.e0, pre_edge=(8230.0, 8290.0)).pre_line
    assert np.interp(8250, line.x, line.y) == pytest.approx(
        expected[0] + expected[1] * (8250 - automatic.e0), abs=1e-6
    )
    editors["post_edge"].set_value((8420.0, 8550.0))
    qtbot.waitUntil(lambda: not dock.waiting())
    assert dock.plot.windows["post_edge"].getRegion() == pytest.approx((8420.0, 8550.0))
    dock.plot.e0_dragged.emit(8336.5)
    assert editors["e0"].value() == 8336.5
    workflow.panels["fit"].forms["fit"].editors["exclude"].set_value(((8340.0, 8345.0),))
    dock.redraw()
    assert [region.getRegion() for region in dock.plot.excluded] == [(8340.0, 8345.0)]
    dock.close_down()
    workflow.close_down()


def fit_stack(viewer, density, references):
    """Normalise and fit in the viewer, as the panels do."""
    layer = add_stack(viewer, density)
    result = run_steps(density, [("normalize", STEPS["normalize"].params())], keep_stack=True, in_memory=True)
    normal = put_result(viewer, layer, "normalize", result, stack_name="normalised")
    params = make_params(STEPS["fit"].params, {"references": references, "constraint": "nonnegative"}, "fit")
    fit = run_steps(result.stack, [("fit", params)], in_memory=True)
    put_result(viewer, normal, "fit", fit)
    return layer, normal


def test_after_a_fit_the_curve_is_fitted_live(dock, viewer, density, references, qtbot):
    _, normal = fit_stack(viewer, density, references)
    viewer.layers.selection.active = normal
    dock.tools.fit.setChecked(True)
    hover(dock, qtbot, *SPOT)
    given = automatic(dock)
    edge = nx.normalize_edge(density.data[:, SPOT[0], SPOT[1]].astype(float), density.energy, **given)
    expected = nx.fit_references(
        edge.normalized,
        density.energy,
        nx.read_references(*references),
        constraint="nonnegative",
        normalization=edge,
    )
    np.testing.assert_allclose(dock.picture.fit.fractions, expected.fractions, atol=1e-6)
    np.testing.assert_allclose(dock.picture.fit.sigma, expected.sigma, rtol=0.3)  # the stack tells its noise
    names = list(dock.plot.drawn())
    assert any(f"{expected.fractions[0]:.3f} ± {dock.picture.fit.sigma[0]:.3f}" in name for name in names)
    residual = dock.plot.drawn()["residual"].y
    np.testing.assert_allclose(residual, curve(dock, CURSOR) - curve(dock, "fit"))
    before = dock.picture.fit.fractions
    hover(dock, qtbot, SPOT[0] + 3, SPOT[1])
    assert not np.array_equal(dock.picture.fit.fractions, before)
    viewer.layers.selection.active = next(one for one in viewer.layers if about(one).get("map"))
    hover(dock, qtbot, *SPOT)
    np.testing.assert_allclose(dock.picture.fit.fractions, expected.fractions, atol=1e-6)


def test_the_fit_follows_the_form_before_and_after_it_is_run(viewer, density, references, qtbot):
    workflow = XanesWorkflow(viewer)
    dock = XanesSpectrum(viewer)
    for one in (workflow, dock):
        qtbot.addWidget(one)
    _, normal = fit_stack(viewer, density, references)
    viewer.layers.selection.active = normal
    editors = workflow.panels["fit"].forms["fit"].editors
    editors["references"].set_value(references)
    dock.tools.fit.setChecked(True)
    hover(dock, qtbot, *SPOT)
    given = automatic(dock)
    spectrum = nx.normalize_edge(
        density.data[:, SPOT[0], SPOT[1]].astype(float), density.energy, **given
    ).normalized
    known = nx.read_references(*references)
    for settings in (
        {"constraint": "sum_to_one"},
        {"constraint": "none", "exclude": ((8340.0, 8350.0),)},
        {"background": (0, 1), "exclude": ()},
    ):
        for name, value in settings.items():
            editors[name].set_value(value)
        settle(dock, qtbot)
        given = {key: editors[key].value() for key in ("constraint", "background", "exclude")}
        expected = nx.fit_references(spectrum, density.energy, known, **given)
        np.testing.assert_allclose(
            dock.picture.fit.fractions, expected.fractions, atol=1e-6, err_msg=str(settings)
        )
    editors["references"].set_value(references[:1])
    settle(dock, qtbot)
    assert len(dock.picture.fit.names) == 1, "other references need no run to be seen"
    for one in (dock, workflow):
        one.close_down()


def test_regions_are_told_in_numbers(dock, viewer, density, references, qtbot):
    _, normal = fit_stack(viewer, density, references)
    viewer.layers.selection.active = normal
    dock.tools.table.setChecked(True)
    dock.tools.new_region.click()
    regions = viewer.layers.selection.active
    assert regions.mode == "add_rectangle" and regions.scale.tolist() == [0.5, 0.5]
    y, x = SPOT
    regions.add_rectangles([[y - 2.5, x - 2.5], [y + 2.5, x + 2.5]])
    labels = viewer.add_labels(np.zeros((64, 72), np.uint8), scale=(0.5, 0.5), name="painted")
    labels.paint(SPOT, 3)
    settle(dock, qtbot)
    rows = {row.name: row for row in dock.table.rows}
    inside = density.data[:, y - 2 : y + 3, x - 2 : x + 3].reshape(41, -1)
    assert rows["regions 1"].pixels == inside.shape[1] == 25
    assert rows["painted 3"].pixels == (labels.data == 3).sum()
    given = automatic(dock)
    edge = nx.normalize_edge(inside.mean(axis=1).astype(float), density.energy, **given)
    assert rows["regions 1"].thickness == pytest.approx(float(edge.thickness), rel=1e-5)
    mapped = next(one.data for one in viewer.layers if one.name.startswith("thickness"))
    assert mapped[y - 2 : y + 3, x - 2 : x + 3].mean() == pytest.approx(float(edge.thickness), rel=1e-3)
    fit = nx.fit_references(
        edge.normalized,
        density.energy,
        nx.read_references(*references),
        constraint="nonnegative",
        normalization=edge,
    )
    for name, fraction, sigma in zip(fit.names, fit.fractions, fit.sigma, strict=True):
        found, spread = rows["regions 1"].fractions[name]
        assert found == pytest.approx(fraction, rel=1e-4)
        assert spread == pytest.approx(sigma, rel=0.3)  # the stack tells its noise
    before = rows["regions 1"].thickness
    regions.data = [regions.data[0] + [0, 3]]
    settle(dock, qtbot)
    assert dock.table.rows[0].thickness != before, "the table follows"
    lines = dock.table.as_text("\t").splitlines()
    assert len(lines) == 3 and len(lines[1].split("\t")) == 3 + 2 * len(fit.names)


def test_what_is_left_out_is_dragged(viewer, density, references, qtbot):
    workflow, dock = XanesWorkflow(viewer), XanesSpectrum(viewer)
    for one in (workflow, dock):
        qtbot.addWidget(one)
    add_stack(viewer, density)
    settle(dock, qtbot)
    editor = workflow.panels["fit"].forms["fit"].editors["exclude"]
    editor.set_value(((8340.0, 8342.0), (8360.0, 8370.0)))
    settle(dock, qtbot)
    assert [region.getRegion() for region in dock.plot.excluded] == [(8340, 8342), (8360, 8370)]
    dock.plot.excluded[1].setRegion((8355.0, 8371.5))
    assert editor.value() == ((8340, 8342), (8355, 8371.5))
    editor.set_value(())
    settle(dock, qtbot)
    assert not dock.plot.excluded
    line = editor.findChild(QLineEdit)
    for typed, drawn in (("8350", []), (" to 8355", [(8350, 8355)]), (", x", [])):  # also while it is typed
        qtbot.keyClicks(line, typed)
        qtbot.keyClick(line, Qt.Key.Key_Return)
        settle(dock, qtbot)
        assert [region.getRegion() for region in dock.plot.excluded] == drawn
    for one in (dock, workflow):
        one.close_down()


def test_references_are_overlaid(dock, viewer, density, references, qtbot):
    fit_stack(viewer, density, references)
    settle(dock, qtbot)
    dock.tools.references.setChecked(True)
    names = {one.name for one in nx.read_references(*references)}
    assert names <= set(dock.plot.drawn())
    for y, x in (SPOT, (30, 33)):
        dock.pin(dock.stack_layer().data_to_world((0, y, x)))
    settle(dock, qtbot)
    colors = [dock.plot.drawn()[name].color for name in ("pin 1", "pin 2", *names)]
    assert len(set(colors)) == len(colors), "no reference looks like a pin"


def test_curves_are_saved_and_copied(dock, viewer, density, tmp_path, qtbot):
    add_stack(viewer, density)
    hover(dock, qtbot, *SPOT)
    dock.tools.windows.setChecked(False)
    dock.export.save(tmp_path / "curves.csv")
    with open(tmp_path / "curves.csv", newline="", encoding="utf-8") as file:
        head, *rows = list(csv.reader(file))
    column = head.index(CURSOR)
    np.testing.assert_allclose([float(row[0]) for row in rows], density.energy)
    np.testing.assert_allclose(
        [float(row[column]) for row in rows], density.data[:, SPOT[0], SPOT[1]], rtol=1e-6
    )
    dock.export.copy()
    assert QApplication.clipboard().text().startswith("energy_eV\t")
    for kind in ("png", "svg"):
        dock.export.save(tmp_path / f"plot.{kind}")
        assert (tmp_path / f"plot.{kind}").stat().st_size > 1000


def test_volumes_use_the_shown_plane(dock, viewer, qtbot):
    rng = np.random.default_rng(0)
    data = rng.random((8, 5, 20, 24)).astype(np.float32)
    stack = nx.EnergyStack(data, 8300 + 10.0 * np.arange(8), "normalized", name="volume")
    layer = add_stack(viewer, stack)
    viewer.dims.set_current_step(1, 3)
    hover(dock, qtbot, 7, 9, 3)
    np.testing.assert_array_equal(curve(dock, CURSOR), data[:, 3, 7, 9])
    viewer.add_shapes([[[2, 2], [2, 6], [6, 6], [6, 2]]], name="ROI", scale=tuple(layer.scale)[-2:])
    settle(dock, qtbot)
    np.testing.assert_allclose(curve(dock, "ROI 1"), data[:, 3, 2:7, 2:7].mean(axis=(1, 2)), rtol=1e-5)
    viewer.dims.set_current_step(1, 1)
    settle(dock, qtbot)
    np.testing.assert_allclose(curve(dock, "ROI 1"), data[:, 1, 2:7, 2:7].mean(axis=(1, 2)), rtol=1e-5)


def test_closing_leaves_nothing_behind(viewer, density, qtbot):
    layer = add_stack(viewer, density)
    labels = viewer.add_labels(np.ones(density.data.shape[1:], np.uint8))
    for _ in range(5):
        dock = XanesSpectrum(viewer)
        qtbot.addWidget(dock)
        dock.close_down()
    assert not [c for c in viewer.mouse_move_callbacks if "XanesSpectrum" in repr(c)]
    for emitter in (labels.events.paint, layer.events.data, viewer.dims.events.current_step):
        assert not [c for c in emitter.callbacks if "XanesSpectrum" in repr(c)]


@pytest.mark.viewer
def test_with_a_real_mouse(window, density, qtbot):
    layer = add_stack(window, density)
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    _, dock = window.window.add_plugin_dock_widget("napari-xanes", "XANES spectrum")
    kind = QEvent.Type
    near = density.data[:, SPOT[0] - 1 : SPOT[0] + 2, SPOT[1] - 1 : SPOT[1] + 2].reshape(
        len(density.data), -1
    )

    def under_the_mouse():  # to a pixel of the screen, once the picture is fitted into what the docks leave
        for x in (SPOT[1] - 2, SPOT[1]):
            canvas_mouse(
                window, kind.MouseMove, layer, SPOT[0], x, modifiers=Qt.KeyboardModifier.ShiftModifier
            )
        return CURSOR in dock.plot.drawn() and (near == curve(dock, CURSOR)[:, None]).all(axis=0).any()

    qtbot.waitUntil(under_the_mouse)

    labels = window.add_labels(
        np.zeros(density.data.shape[1:], np.uint8),
        scale=tuple(layer.scale)[-2:],
        units=tuple(layer.units)[-2:],
    )
    labels.mode, labels.brush_size = "paint", 5
    canvas_mouse(window, kind.MouseButtonPress, layer, 20, 20, buttons=True)
    for x in range(20, 32, 2):
        canvas_mouse(window, kind.MouseMove, layer, 20, x, buttons=True)
    canvas_mouse(window, kind.MouseButtonRelease, layer, 20, 30)
    qtbot.waitUntil(lambda: "Labels 1" in dock.plot.drawn(), timeout=3000)
    settle(dock, qtbot)
    assert (labels.data == 1).sum() > 30
    np.testing.assert_allclose(
        curve(dock, "Labels 1"), density.data[:, labels.data == 1].mean(axis=1), rtol=1e-5
    )

    editor = workflow.panels["normalize"].forms["normalize"].editors["pre_edge"]
    drag_line(dock.plot, dock.plot.windows["pre_edge"].lines[1], -33, qtbot)
    lo, hi = editor.value()
    assert dock.plot.windows["pre_edge"].getRegion() == pytest.approx((lo, hi), abs=0.01)


def test_a_region_is_moved_and_stretched_by_numbers(dock, viewer, density, qtbot, tmp_path, monkeypatch):
    layer = add_stack(viewer, density)
    dock.tools.new_region.click()
    regions = viewer.layers["regions"]
    regions.add_rectangles([[[9.5, 19.5], [9.5, 24.5], [12.5, 24.5], [12.5, 19.5]]])
    dock.tools.table.setChecked(True)
    settle(dock, qtbot)
    boxes = dock.box.boxes
    assert {name: box.value() for name, box in boxes.items()} == {"y": 10, "x": 20, "height": 3, "width": 5}
    boxes["y"].setValue(30)
    boxes["width"].setValue(8)
    settle(dock, qtbot)
    expected = density.data[:, 30:33, 20:28].mean(axis=(1, 2))
    np.testing.assert_allclose(curve(dock, "regions 1"), expected, rtol=1e-5)
    assert dock.table.table.item(0, 1).text() == "24"

    regions.add_ellipses([[[0, 0], [0, 10], [10, 10], [10, 0]]])
    settle(dock, qtbot)
    assert boxes["y"].value() == 30, "the chosen region stays chosen"
    dock.table.table.selectRow(1)
    assert boxes["y"].value() == 0.5 and boxes["height"].value() == 10
    regions.selected_data = {1}
    regions.remove_selected()
    settle(dock, qtbot)
    assert boxes["y"].value() == 30 and dock.box.isVisibleTo(dock)
    viewer.layers.remove(regions)
    settle(dock, qtbot)
    assert not dock.box.isVisibleTo(dock)
    assert layer in viewer.layers

    monkeypatch.setattr(QFileDialog, "getSaveFileName", lambda *_: (str(tmp_path / "table"), ""))
    viewer.layers.selection.active = layer
    dock.tools.new_region.click()
    viewer.layers["regions"].add_rectangles([[[0, 0], [0, 9], [9, 9], [9, 0]]])
    settle(dock, qtbot)
    dock.table.save.click()
    with open(tmp_path / "table.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["region"] == "regions 1" and int(rows[0]["pixels"]) > 64


def test_of_labels_shown_alone_no_other_has_a_curve(dock, viewer, density, qtbot):
    layer = add_stack(viewer, density)
    regions = np.zeros(density.data.shape[1:], np.uint8)
    regions[10:20, 10:20], regions[30:40, 30:40] = 1, 2
    labels = viewer.add_labels(
        regions, name="parts", scale=tuple(layer.scale)[-2:], units=tuple(layer.units)[-2:]
    )
    settle(dock, qtbot)
    assert {"parts 1", "parts 2"} <= set(dock.plot.drawn())
    labels.selected_label, labels.show_selected_label = 2, True
    settle(dock, qtbot)
    assert "parts 2" in dock.plot.drawn() and "parts 1" not in dock.plot.drawn()
    labels.selected_label = 1
    settle(dock, qtbot)
    assert "parts 1" in dock.plot.drawn() and "parts 2" not in dock.plot.drawn()


def test_a_cluster_has_the_same_mean_here_and_in_its_panel(workflow, viewer, density, run_step, qtbot):
    data = density.data.copy()
    data[5:9, :12] = np.nan  # a border that drifts out of view
    add_stack(viewer, density.replace(data=data))
    panel = workflow.panels["clusters"]
    run_step(panel)
    table = results_of(panel.input_layer())["cluster"].tables["cluster_spectra"]
    dock = XanesSpectrum(viewer)
    qtbot.addWidget(dock)
    settle(dock, qtbot)
    names = [name for name in table if name.startswith("cluster_")]
    assert len(names) == 4, list(table)
    for name in names:
        drawn = f"clusters {name.split('_')[1]}"
        np.testing.assert_allclose(curve(dock, drawn), table[name], rtol=1e-4)
    dock.close_down()


def test_of_a_large_region_it_is_said_how_much_is_read(dock, viewer, qtbot):
    data = np.random.default_rng(0).random((5, 200, 220)).astype(np.float32)
    layer = add_stack(viewer, nx.EnergyStack(data, 8300 + 10.0 * np.arange(5), "normalized", name="wide"))
    viewer.add_labels(np.ones((200, 220), np.uint8), name="all", scale=layer.scale[1:])
    settle(dock, qtbot)
    assert "'all 1', 44000 px; mean of 14667 evenly spaced pixels" in dock.tools.message.text()


def test_the_window_lives_while_a_spectrum_is_unpacked(dock, viewer, qtbot, tmp_path, monkeypatch):
    """Of a file that is packed by the frame one pixel takes as long as all of them."""
    values = np.random.default_rng(0).integers(100, 4000, (9, 20, 30)).astype(np.uint16)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file.create_dataset("img_xanes", data=values, chunks=(1, 20, 30), compression="gzip")
        file["X_eng"] = np.linspace(8.3, 8.4, 9)
    viewer.layers.clear()
    layer = add_stack(viewer, nx.read_stack(tmp_path / "scan.h5"))
    viewer.layers.selection.active = layer
    settle(dock, qtbot)
    real, beats, threads = h5py.Dataset.__getitem__, [], set()

    def slow(dataset, key):
        threads.add(threading.get_ident())
        time.sleep(0.03)
        return real(dataset, key)

    timer = QTimer()
    timer.timeout.connect(lambda: beats.append(1))
    timer.start(10)
    monkeypatch.setattr(h5py.Dataset, "__getitem__", slow)
    hover(dock, qtbot, 7, 11)
    monkeypatch.undo()
    assert len(beats) >= 5 and threading.get_ident() not in threads
    np.testing.assert_allclose(curve(dock, CURSOR), values[:, 7, 11])
