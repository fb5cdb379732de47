"""Layers and stacks: the metadata contract, updates in place, geometry, several scans at once."""

from __future__ import annotations

import json
from dataclasses import replace
from threading import Event, get_ident

import numpy as np
import pytest
from napari.layers._layer_actions import _duplicate_layer
from qtpy.QtCore import QTimer

from napari_xanes._core.base.errors import InputError
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.engine import computed
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.layers.layers import (
    about,
    add_stack,
    find,
    is_stale,
    lineage,
    put_result,
    results_of,
    show_maps,
    stack_layers,
    stack_of,
)
from napari_xanes._widgets.layers.on_demand import live_with
from napari_xanes._widgets.layers.reopened import result_tuples
from napari_xanes._widgets.layers.session import changed_together, later
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.layers.tuples import glimpse, stack_tuple
from napari_xanes._widgets.layers.written import result_from_tuples
from napari_xanes._widgets.window.energy_text import show_energy

ENERGY = np.array([8300.0, 8320.5, 8333.25, 8350.0, 8400.0])


def make_stack(shape=(5, 6, 7), *, name="Ni scan", seed=0, **kw):
    data = np.random.default_rng(seed).random(shape, dtype=np.float32)
    kw = {"signal": "counts", "pixel_size_um": 0.05, "source": {"path": f"/data/{name}.h5"}, **kw}
    return EnergyStack(data, ENERGY, name=name, **kw)


def step(do, **params):
    return {"do": do, "params": params, "found": {}}


def run(stack, do="normalize", *, signal="normalized", kinds=("thickness", "edge_step"), seed=1, **params):
    """Return a result as the runner would, with a new stack and the maps of some kinds."""
    data = np.random.default_rng(seed).random(stack.shape, dtype=np.float32)
    history = (*stack.history, step(do, **params))
    named = {kind if ":" not in kind else kind.replace(":", "_"): kind for kind in kinds}
    return Result(
        maps={name: data[i % len(data)] + i for i, name in enumerate(named)},
        info={
            name: {"kind": kind.split(":")[0], "unit": "", "reference": kind.partition(":")[2] or None}
            for name, kind in named.items()
        },
        energy=stack.energy,
        history=history,
        source=stack.source,
        pixel_size_um=stack.pixel_size_um,
        name=stack.name,
        stack=stack.replace(data=data, signal=signal, history=history, flat=None),
    )


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_stack_comes_back_with_its_flats(viewer):
    stack = make_stack(flat=np.ones((5, 6, 7)), dark=np.zeros((6, 7)))
    layer = add_stack(viewer, stack)
    again = stack_of(layer)
    assert again.data is stack.data
    assert again.flat is stack.flat and again.dark is stack.dark
    assert layer.data is stack.data, "no second copy"


def test_the_metadata_can_be_written_as_json_and_say_what_the_contract_asks(viewer):
    layer = add_stack(viewer, make_stack())
    put_result(viewer, layer, "fit", run(make_stack(), "fit", kinds=("fraction:NiO",)))
    said = json.loads(json.dumps(about(layer)))
    assert said["schema"] == 1 and said["kind"] == "stack" and said["signal"] == "counts"
    assert said["energy"] == ENERGY.tolist()
    assert {"history", "source"} <= said.keys()
    fraction = json.loads(json.dumps(about(viewer.layers[-1])))
    assert fraction["kind"] == "fraction" and fraction["reference"] == "NiO"
    assert fraction["history"][-1]["do"] == "fit"


def test_geometry_shows_the_pixel_size_and_is_copied_to_maps(viewer):
    layer = add_stack(viewer, make_stack())
    assert tuple(layer.scale) == (1, 0.05, 0.05)
    layer.translate = (0, 3, 4)
    put_result(viewer, layer, "normalize", run(make_stack()), stack_name="normalised")
    for made in viewer.layers:
        assert tuple(made.scale)[-2:] == (0.05, 0.05)
        assert tuple(made.translate)[-2:] == (3, 4)
        assert [str(unit) for unit in made.units][-2:] == ["micrometer", "micrometer"]
        assert made.axis_labels[-2:] == ("y", "x")


def test_data_replaced_by_the_user_are_what_the_next_step_gets(viewer):
    layer = add_stack(viewer, make_stack())
    layer.data = layer.data[:, 1:4, 2:6]
    assert stack_of(layer).shape == (5, 3, 4)


def test_contrast_limits_do_not_come_from_the_first_frame(viewer):
    data = np.zeros((5, 6, 7), np.float32)
    data[3:] = np.linspace(1, 2, 42).reshape(6, 7)
    layer = add_stack(viewer, make_stack().replace(data=data))
    low, high = layer.contrast_limits
    assert low == 0 and 1.9 < high <= 2


def test_limits_of_a_stack_without_any_valid_pixel(viewer):
    layer = add_stack(viewer, make_stack().replace(data=np.full((5, 6, 7), np.nan, np.float32)))
    assert tuple(layer.contrast_limits) == (0, 1)


def test_a_step_adds_its_stack_and_hides_the_one_before(viewer):
    raw = add_stack(viewer, make_stack())
    made = put_result(viewer, raw, "align", run(make_stack(), "align", kinds=()), stack_name="aligned")
    assert names(viewer) == ["Ni scan", "Ni scan aligned"]
    assert not raw.visible and made.visible
    assert lineage(viewer, made) == [made, raw]
    assert stack_of(made).history[-1]["do"] == "align"


def test_running_again_updates_in_place_and_keeps_what_the_user_set(viewer):
    raw = add_stack(viewer, make_stack())
    first = put_result(viewer, raw, "normalize", run(make_stack(), seed=1), stack_name="normalised")
    thickness = next(layer for layer in viewer.layers if about(layer)["kind"] == "thickness")
    thickness.name, thickness.colormap, thickness.contrast_limits = "my map", "green", (0.2, 0.4)
    thickness.visible = False
    old_id = about(first)["id"]
    second = put_result(
        viewer, raw, "normalize", run(make_stack(), seed=2, e0=8334.0), stack_name="normalised"
    )
    assert len(viewer.layers) == 4
    assert second is first and about(second)["id"] == old_id
    assert thickness.colormap.name == "green" and tuple(thickness.contrast_limits) == (0.2, 0.4)
    assert not thickness.visible
    np.testing.assert_array_equal(thickness.data, run(make_stack(), seed=2).maps["thickness"])
    assert about(thickness)["history"][-1]["params"] == {"e0": 8334.0}


def test_results_of_two_scans_stay_apart(viewer):
    one, two = add_stack(viewer, make_stack(name="one")), add_stack(viewer, make_stack(name="two"))
    for layer, seed in ((one, 1), (two, 2), (one, 3)):
        stack = stack_of(layer)
        put_result(viewer, layer, "normalize", run(stack, seed=seed), stack_name="normalised")
    assert len(viewer.layers) == 8
    mine = [layer for layer in viewer.layers if about(layer)["made_from"] == about(one)["id"]]
    assert {about(layer)["name"] for layer in mine} == {"one"}
    thickness = next(layer for layer in mine if about(layer)["kind"] == "thickness")
    np.testing.assert_array_equal(thickness.data, run(make_stack(), seed=3).maps["thickness"])


def test_usual_maps_are_shown_the_others_on_request(viewer):
    raw = add_stack(viewer, make_stack())
    kinds = ("fraction:NiO", "fraction:LiNiO2", "sigma:NiO", "error", "rms")
    put_result(viewer, raw, "fit", run(make_stack(), "fit", kinds=kinds))
    assert names(viewer) == [
        "Ni scan",
        "fit error (Ni scan)",
        "LiNiO2 fraction (Ni scan)",
        "NiO fraction (Ni scan)",
    ]
    assert [layer.visible for layer in viewer.layers] == [False, False, False, True]
    assert tuple(viewer.layers[-1].contrast_limits) == (0, 1)
    assert {layer.name for layer in show_maps(viewer, raw, "fit", more=True)} == {
        "NiO fraction σ (Ni scan)",
        "rms (Ni scan)",
    }


def test_volumes_over_energy_give_volumes(viewer):
    stack = make_stack((5, 4, 6, 7))
    raw = add_stack(viewer, stack)
    assert raw.axis_labels == ("energy", "z", "y", "x")
    put_result(viewer, raw, "normalize", run(stack), stack_name="normalised")
    assert viewer.layers[-1].data.shape == (4, 6, 7)
    assert viewer.layers[-1].axis_labels == ("z", "y", "x")


def test_what_an_earlier_version_of_a_stack_gave_is_stale(viewer):
    raw = add_stack(viewer, make_stack())
    norm = put_result(viewer, raw, "normalize", run(make_stack(), e0=8333.0), stack_name="normalised")
    put_result(viewer, norm, "fit", run(stack_of(norm), "fit", kinds=("fraction:NiO",)))
    fraction = viewer.layers[-1]
    assert not is_stale(viewer, fraction) and "fit" in results_of(norm)
    put_result(viewer, raw, "normalize", run(make_stack(), e0=8340.0), stack_name="normalised")
    assert is_stale(viewer, fraction) and results_of(norm) == {}
    put_result(viewer, raw, "normalize", run(make_stack(), e0=8333.0), stack_name="normalised")
    assert not is_stale(viewer, fraction) and "fit" in results_of(norm)


def test_the_whole_result_of_a_scan_has_the_maps_of_all_steps(viewer):
    raw = add_stack(viewer, make_stack())
    norm = put_result(viewer, raw, "normalize", run(make_stack()), stack_name="normalised")
    put_result(viewer, norm, "fit", run(stack_of(norm), "fit", kinds=("fraction:NiO", "rms")))
    result = result_of(viewer, norm)
    assert set(result.maps) == {"thickness", "edge_step", "fraction_NiO", "rms"}
    assert [entry["do"] for entry in result.history] == ["normalize", "fit"]
    with pytest.raises(InputError, match="Other scan: no step has been run"):
        result_of(viewer, add_stack(viewer, make_stack(name="Other scan")))


def test_a_result_goes_to_layers_and_back(viewer):
    result = run(make_stack(), "fit", kinds=("fraction:NiO", "error"))
    tuples = result_tuples(result)
    assert [kw["metadata"]["xanes"]["kind"] for _, kw, _ in tuples] == ["stack", "error", "fraction"]
    again = result_from_tuples(tuples)
    assert set(again.maps) == {"fraction_NiO", "error"}
    assert again.info == result.info and again.history == result.history
    np.testing.assert_array_equal(again.energy, result.energy)


def test_what_was_cropped_and_binned_lies_where_it_was(viewer):
    layer = add_stack(viewer, make_stack((5, 20, 30), signal="optical_density"))
    layer.translate = (0.0, 3.0, 4.0)
    steps = [("crop", {"roi": [2, 18, 4, 28]}), ("bin", {"factor": 2})]
    recipe = Recipe.from_dict({"schema": 1, "step": [{"do": do, **params} for do, params in steps]})
    result = run_steps(stack_of(layer), recipe.steps, keep_stack=True)
    made = put_result(viewer, layer, "recipe", result, stack_name="processed")
    assert made.data.shape == (5, 8, 12)
    for corner in ((0, 0), (7, 11)):
        there = made.data_to_world((0, *corner))
        y, x = (2 * np.array(corner) + 0.5) + (2, 4)  # the middle of the four pixels that became one
        np.testing.assert_allclose(there, layer.data_to_world((0, y, x)))
    np.testing.assert_allclose(made.scale, (1, 0.1, 0.1))


def test_labels_go_to_layers_and_back(viewer):
    labels = np.zeros((6, 7), np.uint8)
    labels[2:4, 3:] = 2
    many = np.arange(42, dtype=np.uint16).reshape(6, 7) * 5
    result = replace(
        run(make_stack(), "cluster", kinds=()), stack=None, labels={"clusters": labels, "parts": many}
    )
    layer = add_stack(viewer, make_stack())
    put_result(viewer, layer, "cluster", result)
    made = {about(one)["labels"]: one for one in viewer.layers if about(one).get("labels")}
    assert made["clusters"].scale == pytest.approx([0.05, 0.05])
    assert all(made["parts"].get_color(label)[3] == 1 for label in (5, 105, 205))
    again = result_from_tuples([one.as_layer_data_tuple() for one in made.values()])
    np.testing.assert_array_equal(again.labels["clusters"], labels)
    assert again.maps == {} and again.history == result.history


def test_maps_are_seen_rather_than_the_labels_that_came_with_them(viewer):
    result = run(make_stack(), "fit", kinds=("fraction:NiO",))
    layer = add_stack(viewer, make_stack())
    put_result(viewer, layer, "recipe", replace(result, labels={"mask": np.eye(6, 7, dtype=np.uint8)}))
    assert [about(one).get("map") for one in viewer.layers if one.visible] == ["fraction_NiO"]


def test_layers_that_are_no_maps_or_of_two_scans_are_refused():
    with pytest.raises(InputError, match="none of these layers is a XANES map"):
        result_from_tuples([stack_tuple(make_stack()), (np.zeros((3, 3)), {"metadata": {}}, "image")])
    both = result_tuples(run(make_stack(name="one"))) + result_tuples(run(make_stack(name="two")))
    with pytest.raises(InputError, match="come from 2 scans"):
        result_from_tuples(both)


def test_a_copy_of_a_layer_is_a_stack_too(viewer):
    layer = add_stack(viewer, make_stack(flat=np.ones((6, 7))))
    data, state, kind = layer.as_layer_data_tuple()
    copy = viewer.add_layer(type(layer).create(data.copy(), {**state, "name": "copy"}, kind))
    assert stack_of(copy).flat is stack_of(layer).flat
    ids = [about(one)["id"] for one in stack_layers(viewer)]
    assert len(set(ids)) == 2


def test_foreign_layers_are_left_alone(viewer):
    viewer.add_image(np.zeros((5, 5)))
    viewer.add_labels(np.zeros((5, 5), int))
    assert list(stack_layers(viewer)) == []
    assert find(viewer, None) is None


def test_the_shown_map_has_a_colour_bar_and_its_unit_on_the_canvas(viewer):
    raw = add_stack(viewer, make_stack())
    text = show_energy(viewer)
    put_result(viewer, raw, "normalize", run(make_stack(), "normalize", kinds=("thickness", "edge_step")))
    by_name = {about(layer)["map"]: layer for layer in viewer.layers if about(layer).get("map")}
    assert [name for name, layer in by_name.items() if layer.visible] == ["thickness"]
    assert by_name["thickness"].colorbar.visible and not by_name["edge_step"].colorbar.visible
    assert text.text.startswith("thickness")
    by_name["thickness"].visible, by_name["edge_step"].visible = False, True
    assert by_name["edge_step"].colorbar.visible and text.text.startswith("edge step")
    by_name["thickness"].visible = True  # two at once are told by their legend
    assert not any(layer.colorbar.visible for layer in by_name.values())
    for layer in by_name.values():
        layer.visible = False
    raw.visible = True
    assert "of 5)" in text.text


def test_layers_that_change_together_are_told_once(viewer, density, qtbot):
    chooser, told = StackChooser(viewer), []
    qtbot.addWidget(chooser)
    chooser.changed.connect(lambda: told.append(chooser.combo.count()))
    with changed_together(viewer):
        first = add_stack(viewer, density)
        add_stack(viewer, density)
        chooser.choose(first)
    assert told == [2] and chooser.layer() is first
    viewer.layers.remove(first)
    assert told == [2, 1]
    chooser.cleanup()


def test_what_follows_is_done_also_where_some_of_it_fails(viewer):
    done = []

    def change():
        with changed_together(viewer):
            later(viewer, "first", lambda: 1 // 0)
            later(viewer, "second", lambda: done.append("second"))
            later(viewer, "third", lambda: int("none"))

    with pytest.raises(ZeroDivisionError):
        change()
    with changed_together(viewer):
        assert done == ["second"]


def put_computed(viewer, read):
    """Put a stack that is computed on demand; nothing of it is kept yet but what its limits are from."""
    result = run(make_stack())
    data = result.stack.data
    view = computed.ComputedStack(lambda i, rows: read(i) or data[i, rows].copy(), data.shape)
    result = replace(result, stack=result.stack.replace(data=view))
    glimpse(result.stack)
    computed.looked_at.cache_clear()
    raw = add_stack(viewer, make_stack())
    return put_result(viewer, raw, "normalize", result, stack_name="normalised"), data


def test_a_plane_that_a_new_layer_shows_is_computed_while_the_window_lives(viewer, qapp):
    threads, here = [], get_ident()
    viewer.dims.ndim = 3
    put_computed(viewer, lambda i: threads.append(get_ident()))
    shown = threads[5:]  # after those for the limits
    assert shown and here not in shown


def test_a_stack_that_two_layers_show_is_shown_again_by_both(viewer, qtbot):
    """Where another plane was asked for while one was computed."""
    go_on, refreshed, waits = Event(), [], []
    layer, data = put_computed(viewer, lambda i: go_on.wait(30) and None if i in waits else None)
    viewer.layers.selection = {layer}
    _duplicate_layer(viewer.layers)
    copy = next(one for one in stack_layers(viewer) if one.data is layer.data and one is not layer)
    live_with(copy)  # as when a step is taken back in it
    assert copy.name.count("computed on demand") == 1 and copy.name != layer.name
    for one in (layer, copy):
        one.visible = True
        one.events.set_data.connect(lambda _, one=one: refreshed.append(one))
    waits.append(3)
    QTimer.singleShot(100, lambda: (layer.data[4], go_on.set()))
    np.testing.assert_array_equal(layer.data[3], data[3])
    assert go_on.is_set()
    qtbot.waitUntil(lambda: layer in refreshed and copy in refreshed)
