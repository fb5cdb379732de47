"""Maps mixed in colour as layers that follow the panel, and volumes in 3D, against values counted by hand."""

from __future__ import annotations

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtGui import QColor

import napari_xanes as nx
from napari_xanes._core.draw import figure as drawn_figure
from napari_xanes._core.draw.color import COLOR_NAMES, SAFE_COLORS
from napari_xanes._widgets.layers.layers import about, add_stack, put_result
from napari_xanes._widgets.view import figure as _figure_panel
from napari_xanes._widgets.view import mix_panel as _mix_panel
from napari_xanes._widgets.view.canvas_legend import show_legend
from napari_xanes._widgets.view.dock import XanesView
from napari_xanes._widgets.view.layers import mix_layers
from napari_xanes._widgets.view.mix_row import LimitsEdit

ENERGY = np.linspace(8300, 8400, 11)
ORANGE, BLUE = (np.array(QColor(code).getRgb()[:3]) for code in SAFE_COLORS[:2])


def put_maps(viewer, *, shape=(4, 5), names=("NiO", "Ni"), name="scan", **more):
    """Add a stack with maps of fractions, the first of which rises to the right, and what else is given."""
    rising = np.broadcast_to(np.linspace(0, 1, shape[-1], dtype=np.float32), shape)
    parts = [rising if i == 0 else (1 - rising) / (len(names) - 1) for i in range(len(names))]
    fractions = {f"fraction_{n}": part.copy() for n, part in zip(names, parts, strict=True)}
    info = {key: {"kind": "fraction", "reference": key.partition("_")[2]} for key in fractions}
    info |= {key: {"kind": key.partition("_")[0], "reference": key.partition("_")[2]} for key in more}
    stack = nx.EnergyStack(
        np.ones((11, *shape), np.float32), ENERGY, "optical_density", name=name, pixel_size_um=0.1
    )
    layer = add_stack(viewer, stack)
    result = nx.Result(
        maps=fractions | more,
        info=info,
        labels={"clusters": (rising > 0.5).astype(np.uint8) + 1} if len(shape) == 3 else {},
        energy=ENERGY,
        history=stack.history,
        source=stack.source,
        pixel_size_um=0.1,
        name=name,
    )
    put_result(viewer, layer, "recipe", result)
    return layer


@pytest.fixture
def view(viewer, qtbot):
    dock = XanesView(viewer)
    qtbot.addWidget(dock)
    yield dock
    dock.close_down()


def layer_of(viewer, name):
    return next(one for one in viewer.layers if about(one).get("map") == name)


def the_mix(viewer):
    (layer,) = mix_layers(viewer, None)
    return layer


def chosen(view):
    return [row.map.layer().name for row in view.mix.rows]


# -- colour mix -----------------------------------------------------------------------------------


def test_without_a_window_there_is_no_legend_on_the_canvas(viewer):
    assert show_legend(viewer) is None


@pytest.mark.viewer
def test_the_legend_is_on_the_canvas_while_a_mix_is_seen(window):
    put_maps(window)
    dock, view = window.window.add_plugin_dock_widget("napari-xanes", "XANES view")
    legend = show_legend(window)
    assert not legend.isVisible()
    view.mix.start.click()
    assert legend.isVisible() and set(legend.legend.names) == {"NiO", "Ni"}
    canvas = legend.parentWidget()
    assert canvas.rect().contains(legend.geometry()) and legend.x() > canvas.width() / 3
    view.mix.rows[0].color.set_color("#ff0000")
    view.mix.mix()
    assert "#ff0000" in legend.legend.colors
    window.window.remove_dock_widget(dock)
    assert legend.isVisible(), "the mix stays when the dock is closed"
    layer_of(window, "fraction_Ni").visible = True
    window.layers.move(window.layers.index(layer_of(window, "fraction_Ni")), -1)
    assert not legend.isVisible(), "another map lies over it"
    layer_of(window, "fraction_Ni").visible = False
    assert legend.isVisible()
    the_mix(window).visible = False
    assert not legend.isVisible()
    the_mix(window).visible = True
    window.layers.remove(the_mix(window))
    assert not legend.isVisible()


def test_fractions_are_chosen_and_their_mix_has_the_colours_of_the_rows(view, viewer):
    put_maps(viewer, thickness=np.ones((4, 5), np.float32))
    assert sorted(chosen(view)) == ["Ni fraction (scan)", "NiO fraction (scan)"]
    nio = next(row for row in view.mix.rows if row.map.layer().name.startswith("NiO"))
    ni = next(row for row in view.mix.rows if row is not nio)
    nio.color.set_color(SAFE_COLORS[0])
    ni.color.set_color(SAFE_COLORS[1])
    view.mix.start.click()
    mix = the_mix(viewer)
    assert mix.name == "scan colour mix" and mix.rgb and mix.visible
    assert [one.name for one in viewer.layers if one.visible] == [mix.name]
    np.testing.assert_array_equal(mix.data[0, -1], [*ORANGE, 255])
    np.testing.assert_array_equal(mix.data[0, 0], [*BLUE, 255])
    np.testing.assert_allclose(mix.data[0, 2, :3], (ORANGE + BLUE) / 2, atol=1)
    np.testing.assert_allclose(mix.scale, (0.1, 0.1))


def test_the_mix_follows_limits_colours_and_values(view, viewer, qtbot):
    put_maps(viewer)
    view.mix.mix()
    nio = next(row for row in view.mix.rows if row.map.layer().name.startswith("NiO"))
    nio.color.set_color("#ff0000")
    view.mix.rows[1 - view.mix.rows.index(nio)].color.set_color("#0000ff")
    nio.limits.high.setValue(0.5)
    qtbot.waitUntil(lambda: the_mix(viewer).data[0, 2, 0] == 255)
    np.testing.assert_array_equal(the_mix(viewer).data[0, 2], [255, 0, 128, 255])
    layer_of(viewer, "fraction_Ni").data = np.full((4, 5), np.nan, np.float32)
    qtbot.waitUntil(lambda: the_mix(viewer).data[0, 2, 2] == 0)
    np.testing.assert_array_equal(the_mix(viewer).data[0, 2], [255, 0, 0, 255])


@pytest.mark.parametrize(
    ("limits", "texts"),
    [
        ((8341.37, 8345.421), ["8341.37", "8345.421"]),
        ((12345.6, 12361.251), ["12345.6", "12361.25"]),
        ((-0.5, 0.25), ["-0.5", "0.25"]),
        ((1e-06, 3.25e-05), ["0.000001", "0.0000325"]),
        ((0, 1), ["0", "1"]),
    ],
)
def test_limits_are_shown_to_the_digits_they_have_and_survive_return(view, limits, texts, qtbot):
    edit = LimitsEdit("", "")
    qtbot.addWidget(edit)
    edit.set_value(limits)
    edit.show()
    for box, text, value in zip((edit.low, edit.high), texts, limits, strict=True):
        assert box.text() == text
        qtbot.keyClick(box, Qt.Key.Key_Return)
        assert (box.text(), box.value()) == (text, pytest.approx(value, rel=1e-9))
    edit.set_value((8300, 8400))
    edit.low.selectAll()
    qtbot.keyClicks(edit.low, "8341.42")
    qtbot.keyClick(edit.low, Qt.Key.Key_Return)
    assert edit.low.text() == "8341.42" and edit.value() == (8341.42, 8400)
    room = edit.low.lineEdit().width()
    assert edit.low.fontMetrics().horizontalAdvance("12345.67") <= room


def test_a_mix_that_was_removed_does_not_come_back_by_itself(view, viewer, qtbot):
    put_maps(viewer)
    view.mix.mix()
    viewer.layers.remove(the_mix(viewer))
    view.mix.rows[0].limits.high.setValue(0.5)
    qtbot.wait(50)
    assert mix_layers(viewer, None) == []


def test_a_mix_that_the_user_hid_stays_hidden_when_it_follows(view, viewer, qtbot):
    put_maps(viewer)
    view.mix.mix()
    the_mix(viewer).visible = False
    before = the_mix(viewer).data
    view.mix.rows[0].limits.high.setValue(0.5)
    qtbot.waitUntil(lambda: the_mix(viewer).data is not before)
    assert not the_mix(viewer).visible


def test_pixels_invalid_in_all_maps_are_transparent(view, viewer):
    put_maps(viewer)
    for name in ("fraction_NiO", "fraction_Ni"):
        layer = layer_of(viewer, name)
        data = layer.data.copy()
        data[1, 1] = np.nan
        layer.data = data
    view.mix.mix()
    assert the_mix(viewer).data[1, 1, 3] == 0 and (the_mix(viewer).data[..., 3] == 0).sum() == 1


def test_thickness_is_the_light(view, viewer):
    thickness = np.tile(np.float32([[0.0], [1.0], [2.0], [4.0]]), 5)
    put_maps(viewer, thickness=thickness)
    assert view.mix.light.layer() == layer_of(viewer, "thickness")
    view.mix.bright.setChecked(True)
    view.mix.light_limits.set_value((0, 4))
    view.mix.mix()
    light = the_mix(viewer).data[..., :3].astype(float)
    np.testing.assert_array_equal(light[0], 0)
    np.testing.assert_allclose(light[1], light[3] / 4, atol=1)
    np.testing.assert_allclose(light[2], light[3] / 2, atol=1)


def test_what_is_uncertain_is_transparent(view, viewer):
    sigma = np.tile(np.float32([[0.0], [0.1], [0.2], [np.nan]]), 5)
    put_maps(viewer, sigma_NiO=sigma, sigma_Ni=np.zeros((4, 5), np.float32))
    assert view.mix.fade.isEnabled()
    view.mix.fade.setChecked(True)
    view.mix.fade_limit.setValue(0.2)
    view.mix.mix()
    np.testing.assert_allclose(the_mix(viewer).data[:, 0, 3], [255, 128, 0, 0], atol=1)


def test_sigma_is_not_offered_where_there_is_none(view, viewer):
    put_maps(viewer)
    assert not view.mix.fade.isEnabled()


def test_rows_are_added_up_to_seven_in_colours_of_their_own(view, viewer):
    put_maps(viewer, names=("a", "b", "c", "d", "e", "f", "g", "h"))
    assert len(view.mix.rows) == 7 and not view.mix.add.isEnabled()
    assert len({row.color.color() for row in view.mix.rows}) == 7
    view.mix.rows[0].remove.click()
    assert len(view.mix.rows) == 6
    view.mix.add.click()
    assert len(set(chosen(view))) == 7 and len({row.color.color() for row in view.mix.rows}) == 7


def test_the_choice_of_the_user_stays_when_layers_come(view, viewer):
    put_maps(viewer, names=("a", "b", "c"))
    view.mix.rows[1].remove.click()
    kept = chosen(view)
    view.mix.rows[0].limits.set_value((0.1, 0.7))
    viewer.add_image(np.zeros((4, 5)))
    assert chosen(view) == kept and view.mix.rows[0].limits.value() == (0.1, 0.7)


def test_a_mix_whose_maps_are_gone_stays_as_it_is_and_follows_them_when_they_are_back(view, viewer, qtbot):
    """As where their step is taken back and done again."""
    put_maps(viewer, thickness=np.ones((4, 5), np.float32), edge_step=np.ones((4, 5), np.float32))
    view.mix.mix()
    data, fractions = the_mix(viewer).data, [layer_of(viewer, f"fraction_{name}") for name in ("NiO", "Ni")]
    for layer in fractions:
        viewer.layers.remove(layer)
    qtbot.wait(100)
    assert the_mix(viewer).data is data and set(about(the_mix(viewer))["mix"]["names"]) == {"NiO", "Ni"}
    assert len(set(chosen(view))) == len(chosen(view)), "no map is mixed with itself"
    viewer.layers.extend(fractions)
    fractions[0].data = np.zeros((4, 5), np.float32)
    qtbot.waitUntil(lambda: the_mix(viewer).data is not data)
    assert sorted(chosen(view)) == ["Ni fraction (scan)", "NiO fraction (scan)"]


def test_another_scan_starts_anew(view, viewer):
    put_maps(viewer)
    view.mix.rows[1].remove.click()
    other = put_maps(viewer, name="other", names=("a", "b", "c"))
    view.chooser.choose(other)
    assert [name.partition(" ")[0] for name in chosen(view)] and len(chosen(view)) == 3
    assert all(name.endswith("(other)") for name in chosen(view))


def test_one_map_is_no_mix(view, viewer):
    put_maps(viewer)
    view.mix.rows[0].remove.click()
    assert not view.mix.start.isEnabled() and view.mix.words.text() == _mix_panel.NEEDS


def test_maps_of_different_size_are_refused_in_a_sentence(view, viewer):
    put_maps(viewer)
    layer_of(viewer, "fraction_Ni").data = np.zeros((3, 5), np.float32)
    view.mix.mix()
    assert "differ in size" in view.mix.words.text() and mix_layers(viewer, None) == []


def test_maps_of_a_result_without_its_stack_are_mixed_in_one_layer(view, viewer, qtbot):
    viewer.layers.remove(put_maps(viewer))
    assert view.chooser.layer() is None and len(view.mix.rows) == 2
    view.mix.mix()
    before = the_mix(viewer).data
    view.mix.rows[0].limits.high.setValue(0.5)
    qtbot.waitUntil(lambda: the_mix(viewer).data is not before)


def test_a_result_without_its_stack_belongs_to_the_scan_of_its_name(view, viewer):
    viewer.layers.remove(put_maps(viewer))
    put_maps(viewer, name="other", names=("a", "b", "c"))
    assert len(view.mix.rows) == 3
    view.chooser.choose(add_stack(viewer, nx.EnergyStack(np.ones((11, 4, 5)), ENERGY, "counts", name="scan")))
    assert sorted(chosen(view)) == ["Ni fraction (scan)", "NiO fraction (scan)"]


def test_limits_that_do_not_rise_are_refused_and_the_mix_stays(view, viewer, qtbot):
    put_maps(viewer)
    view.mix.mix()
    before = the_mix(viewer).data
    view.mix.rows[0].limits.set_value((0.5, 0.5))
    qtbot.waitUntil(lambda: "do not rise" in view.mix.words.text())
    assert the_mix(viewer).data is before


def test_large_maps_are_mixed_in_the_background(view, viewer, qtbot, monkeypatch):
    monkeypatch.setattr(_mix_panel, "AT_ONCE", 3)
    put_maps(viewer)
    with qtbot.waitSignal(view.mix.mixed, timeout=10_000):
        view.mix.mix()
        assert view.mix.background.running and mix_layers(viewer, None) == []
        view.mix.mix()  # what is asked for meanwhile is done after
    qtbot.waitUntil(lambda: not view.mix.background.running)
    assert the_mix(viewer).visible


def test_the_legend_shows_the_colours_where_their_names_are(view, viewer):
    put_maps(viewer)
    legend = view.mix.legend
    shot = legend.grab().toImage()
    first, second = (QColor(row.color.color()) for row in view.mix.rows)
    for x, color in ((1, first), (shot.width() - 2, second)):
        got = shot.pixelColor(x, 8)
        assert np.abs(np.subtract(got.getRgb(), color.getRgb())).max() < 12
    assert legend.names == tuple(row.map.layer().name.partition(" ")[0] for row in view.mix.rows)


@pytest.mark.parametrize("n", [3, 4])
def test_legends_of_more_maps_are_drawn(view, viewer, n):
    put_maps(viewer, names=tuple("abcd"[:n]))
    shot = view.mix.legend.grab().toImage()
    colors = {shot.pixelColor(x, y).name() for x in range(shot.width()) for y in range(shot.height())}
    assert len(colors) > (100 if n == 3 else 4)
    assert len(view.mix.legend.names) == n


def test_closing_leaves_nothing_behind(viewer, qtbot):
    put_maps(viewer)
    layer = layer_of(viewer, "fraction_Ni")
    events = (viewer.layers.events.inserted, viewer.dims.events.ndisplay, layer.events.data)
    before = [len(event.callbacks) for event in events]
    dock = XanesView(viewer)
    qtbot.addWidget(dock)
    assert [len(event.callbacks) for event in events] > before
    dock.close_down()
    assert [len(event.callbacks) for event in events] == before


# -- figures --------------------------------------------------------------------------------------


def saved(view, qtbot, path, monkeypatch):
    """Save a figure and return what `save_figure` was given."""
    calls = []
    real = drawn_figure.save_figure
    monkeypatch.setattr(drawn_figure, "save_figure", lambda *a, **k: (calls.append((a, k)), real(*a, **k)))
    with qtbot.waitSignal(view.figure.background.delivered, timeout=60_000):
        view.figure.save_as(path)
    return calls[0]


def test_a_figure_of_the_maps_is_saved(view, viewer, tmp_path, qtbot, monkeypatch):
    put_maps(viewer, thickness=np.ones((4, 5), np.float32))
    view.mix.bright.setChecked(True)
    (_, result), how = saved(view, qtbot, tmp_path / "maps.svg", monkeypatch)
    assert how["names"][-1] == "thickness" and set(how["mix"]) == {"fraction_NiO", "fraction_Ni"}
    assert isinstance(result, nx.Result) and how["pixel_size_um"] == 0.1
    text = (tmp_path / "maps.svg").read_text()
    assert "mixed in colour" in text and "NiO" in text


def test_a_figure_of_a_volume_is_of_the_slice_that_is_shown(view, viewer, tmp_path, qtbot, monkeypatch):
    put_maps(viewer, shape=(6, 8, 5))
    viewer.dims.set_current_step(1, 4)
    _, how = saved(view, qtbot, tmp_path / "maps", monkeypatch)
    assert how["plane"] == 4 and (tmp_path / "maps.png").stat().st_size > 1000


def test_a_figure_of_an_unknown_kind_is_refused_in_a_sentence(view, viewer, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(_figure_panel, "report_error", lambda error, title: said.append(str(error)))
    put_maps(viewer)
    view.figure.save_as(tmp_path / "maps.gif")
    assert len(said) == 1 and ".gif" in said[0] and not view.figure.background.running


def test_without_maps_there_is_no_figure(view, viewer):
    assert not view.figure.save.isEnabled()
    put_maps(viewer)
    assert view.figure.save.isEnabled()


# -- volumes --------------------------------------------------------------------------------------


@pytest.fixture
def volumes(view, viewer):
    return put_maps(viewer, shape=(6, 8, 5), thickness=np.full((6, 8, 5), 2.0, np.float32))


def test_volumes_are_mixed_as_one_layer_a_map_that_add_up(view, viewer, volumes):
    view.mix.mix()
    layers = {layer.name: layer for layer in mix_layers(viewer, None)}
    assert set(layers) == {"scan colour mix: NiO", "scan colour mix: Ni"}
    nio = layers["scan colour mix: NiO"]
    lowest, *others = mix_layers(viewer, None)
    assert {one.blending for one in others} == {"additive"} and lowest.blending == "translucent_no_depth"
    assert nio.axis_labels == ("z", "y", "x")
    np.testing.assert_allclose(nio.data[2, 3], np.linspace(0, 1, 5), atol=1e-6)
    color = next(r.color.color() for r in view.mix.rows if r.map.layer().name.startswith("NiO"))
    np.testing.assert_allclose(nio.colormap.colors[-1][:3], QColor(color).getRgbF()[:3], atol=1e-3)
    assert nio.colormap.name in {f"black to {name}" for name in COLOR_NAMES.values()}, "no code of a colour"


def test_a_map_taken_out_takes_its_volume_along(view, viewer, qtbot):
    put_maps(viewer, shape=(6, 8, 5), names=("a", "b", "c"))
    view.mix.mix()
    assert len(mix_layers(viewer, None)) == 3
    gone = view.mix.rows[0].map.layer().name.partition(" ")[0]
    view.mix.rows[0].remove.click()
    qtbot.waitUntil(lambda: len(mix_layers(viewer, None)) == 2)
    assert not [one.name for one in mix_layers(viewer, None) if one.name.endswith(f": {gone}")]


def test_the_energy_stays_a_slider_in_three_dimensions(view, viewer, volumes):
    viewer.dims.order = (3, 0, 1, 2)
    view.volume.fractions.click()
    assert viewer.dims.ndisplay == 3 and viewer.dims.displayed == (1, 2, 3)
    assert viewer.dims.not_displayed == (0,)
    view.volume.flat.click()
    assert viewer.dims.ndisplay == 2 and not view.volume.flat.isEnabled()


def test_volumes_are_drawn_as_chosen_and_the_maps_stay_as_the_user_left_them(view, viewer, volumes):
    thickness = layer_of(viewer, "thickness")
    limits, rendering = list(thickness.contrast_limits), thickness.rendering
    view.volume.thickness.click()
    (light,) = [one for one in viewer.layers if one.visible]
    assert light.name == "scan volume: thickness"
    view.volume.drawn.setCurrentIndex(view.volume.drawn.findData("iso"))
    view.volume.level.setValue(60)
    assert light.rendering == "iso" and light.iso_threshold == pytest.approx(0.6)
    view.volume.drawn.setCurrentIndex(view.volume.drawn.findData("additive"))
    assert light.rendering == "additive" and light.contrast_limits[1] == pytest.approx(100**0.4)
    view.volume.flat.click()
    assert light.contrast_limits == [0, 1]
    assert list(thickness.contrast_limits) == limits and thickness.rendering == rendering


def test_clusters_are_shown_as_surfaces(view, viewer, volumes):
    view.volume.clusters.click()
    (labels,) = [one for one in viewer.layers if one.visible]
    assert about(labels)["kind"] == "clusters" and labels.rendering == "iso_categorical"
    assert viewer.dims.ndisplay == 3


def test_a_plane_cuts_all_volumes_where_the_slider_says(view, viewer, volumes):
    view.volume.fractions.click()
    view.volume.cut.setChecked(True)
    view.volume.axis.setCurrentText("y")
    view.volume.place.setValue(100)
    for layer in mix_layers(viewer, None):
        (plane,) = layer.experimental_clipping_planes
        assert plane.enabled and plane.normal == (0, 1, 0)
        assert plane.position[1] == pytest.approx(7 * 0.1)  # the last of 8 voxels of 0.1 um
    view.volume.turn.setChecked(True)
    assert mix_layers(viewer, None)[0].experimental_clipping_planes[0].normal == (0, -1, 0)
    view.volume.cut.setChecked(False)
    assert not mix_layers(viewer, None)[0].experimental_clipping_planes[0].enabled


def test_flat_scans_have_no_volumes(view, viewer):
    put_maps(viewer)
    assert not view.volume.fractions.isEnabled() and "(z, y, x)" in view.volume.words.text()
    assert isinstance(viewer, ViewerModel) and viewer.dims.ndisplay == 2


@pytest.mark.viewer
def test_a_plane_hides_half_of_a_volume_in_a_real_window(window, qtbot):
    put_maps(window, shape=(12, 14, 16), thickness=np.ones((12, 14, 16), np.float32))
    _, view = window.window.add_plugin_dock_widget("napari-xanes", "XANES view")
    view.volume.fractions.click()
    window.scene.camera.angles = (0, 0, 0)

    def lit():
        qtbot.wait(100)
        picture = window.screenshot(canvas_only=True, flash=False)[..., :3]
        return int((picture.max(axis=-1) > 40).sum())

    whole = lit()
    assert whole > 1000
    view.volume.cut.setChecked(True)
    view.volume.axis.setCurrentText("y")
    assert lit() == pytest.approx(whole / 2, rel=0.15)
    view.volume.cut.setChecked(False)
    assert lit() == pytest.approx(whole, rel=0.02)
    window.dims.set_current_step(0, 7)
    view.volume.flat.click()
    assert lit() > 1000 and window.dims.current_step[0] == 7


@pytest.mark.viewer
@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_mix_of_volumes_is_seen_in_both_themes(window, qtbot, theme):
    """Its colours add up, and would do so with a bright canvas behind them where a pin lies below."""
    window.theme = theme
    put_maps(window, shape=(12, 14, 16))
    window.add_points([[0.1, 0.1, 0.1]], size=0.1)
    _, view = window.window.add_plugin_dock_widget("napari-xanes", "XANES view")
    view.volume.fractions.click()
    window.scene.camera.angles = (0, 0, 0)
    qtbot.wait(200)
    picture = window.screenshot(canvas_only=True, flash=False)[..., :3].astype(int)
    y, x = (size // 2 for size in picture.shape[:2])
    across = picture[y - 5 : y + 5, x - 100 : x + 100].reshape(-1, 3)
    assert (np.ptp(across, axis=1) > 60).mean() > 0.4, "but for the middle, where they make grey"


@pytest.mark.viewer
def test_the_legend_of_volumes_says_what_is_drawn(window, qtbot):
    """Along a line of sight colours of what lies in front and behind add up, which no bar between two colours tells."""
    put_maps(window, shape=(6, 8, 5), names=("a", "b", "c"), thickness=np.ones((6, 8, 5), np.float32))
    _, view = window.window.add_plugin_dock_widget("napari-xanes", "XANES view")
    view.volume.fractions.click()
    qtbot.waitUntil(lambda: len(mix_layers(window, None)) == 3)
    legend = show_legend(window).legend
    assert window.dims.ndisplay == 3 and legend.isVisible()
    listed = legend.height()
    colors = dict(zip(legend.names, legend.colors, strict=True))
    assert (
        set(colors) == {"a", "b", "c"} and legend.grab().toImage().pixelColor(6, 9).name() in colors.values()
    )
    window.dims.ndisplay = 2
    assert legend.height() > listed, "in a slice every point of the triangle is a mixture"
    window.dims.ndisplay = 3
    assert legend.height() == listed
    layers = {one.name[-1]: one for one in mix_layers(window, None)}
    layers["b"].visible = False
    assert set(legend.names) == {"a", "c"}
    layers["a"].colormap = "red"
    assert dict(zip(legend.names, legend.colors, strict=True))["a"] == "#ff0000"
    layers["c"].visible = False
    assert legend.names == ("a",) and legend.isVisible()
    window.dims.ndisplay = 2
    layers["c"].visible = True
    window.dims.ndisplay = 3
    layers["a"].visible = layers["c"].visible = False
    assert not legend.isVisible()


@pytest.mark.viewer
def test_the_dock_opens_from_the_results_for_the_stack_of_the_workflow(window):
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    first = put_maps(window)
    put_maps(window, name="other")
    workflow.chooser.choose(first)
    workflow.results.view.click()
    (view,) = [one for one in window.window.dock_widgets.values() if isinstance(one, XanesView)]
    assert about(view.chooser.layer())["id"] == about(first)["id"]
    view.mix.start.click()
    assert the_mix(window).name == "scan colour mix"
