"""Forms show what was typed in an earlier session, and nothing that belongs to another scan."""

from __future__ import annotations

import json
import logging
from typing import get_args

import pytest

from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._widgets.forms.form import ParamsForm
from napari_xanes._widgets.forms.remembered import FILE_NAME, lasts, remember
from napari_xanes._widgets.window.workflow import AlignDock, FitDock, RankDock


@pytest.fixture
def file(settings_file):
    """Where is kept what was typed."""
    return settings_file.parent / FILE_NAME


@pytest.fixture
def open_form(qtbot):
    """Open the form of a step as a new session does."""

    def make(step: str) -> ParamsForm:
        form = ParamsForm(STEPS[step].params, step, step=step)
        qtbot.addWidget(form)
        return form

    return make


def type_in(form: ParamsForm, **values) -> None:
    for name, value in values.items():
        form.editors[name].set_value(value)
    form.keep()


def kept(file) -> dict:
    return json.loads(file.read_text())["steps"]


def test_the_next_window_shows_what_was_typed(open_form, file):
    type_in(open_form("fit"), constraint="nonnegative", background=(0, 1), significance=0.01)
    shown = open_form("fit").values()
    assert shown["constraint"] == "nonnegative"
    assert shown["background"] == (0, 1)
    assert shown["significance"] == 0.01
    assert kept(file) == {"fit": {"constraint": "nonnegative", "background": [0, 1], "significance": 0.01}}


def test_it_is_written_without_being_asked(open_form, file, qtbot):
    form = open_form("bin")
    form.editors["factor"].set_value(4)
    qtbot.waitUntil(file.exists)
    assert kept(file) == {"bin": {"factor": 4}}


def test_nothing_is_lost_when_the_window_is_closed_at_once(open_form, file):
    form = open_form("bin")
    form.show()
    form.editors["factor"].set_value(4)
    form.close()
    assert kept(file) == {"bin": {"factor": 4}}


def test_what_belongs_to_one_scan_is_not_kept(open_form, file):
    type_in(
        open_form("fit"),
        references=("a.txt", "b.txt"),
        names=("a",),
        energy_range=(8300.0, 8400.0),
        exclude=((8300.0, 8310.0),),
        shift_limit=3.0,
    )
    type_in(
        open_form("align"), reference=7, roi=(0, 20, 0, 20), exclude=(3,), drift="drift.csv", mask="m.tif"
    )
    type_in(open_form("normalize"), e0=8333.0, pre_edge=(8200.0, 8310.0))
    type_in(open_form("merge_energies"), tolerance=0.5)
    type_in(open_form("cluster"), maps=("thickness",))
    assert not file.exists()


def test_a_frame_is_kept_by_its_word_only(open_form):
    type_in(open_form("align"), reference="previous")
    assert open_form("align").values()["reference"] == "previous"


def test_automatic_values_stay_automatic(open_form, file):
    form = open_form("normalize")
    form.show_chosen({"e0": 8333.0, "gate": 0.1})
    form.keep()
    assert not file.exists()
    type_in(form, gate=0.2)
    type_in(form, gate=None)
    assert kept(file) == {}


def test_values_of_a_recipe_are_shown_and_not_kept(open_form, file):
    form = open_form("cluster")
    form.editors["n_clusters"].set_value(5)
    form.set(STEPS["cluster"].params(n_clusters=7))
    form.keep()
    assert form.values()["n_clusters"] == 7
    assert kept(file) == {"cluster": {"n_clusters": 5}}


def test_defaults_sets_all_back_and_forgets(open_form, file):
    remember("cluster", {"seed": 5})
    form = open_form("fit")
    assert form.defaults.isHidden()
    type_in(form, constraint="nonnegative", shift_limit=3.0, references=("a.txt",))
    assert not form.defaults.isHidden()
    assert STEPS["fit"].params.model_fields["shift_limit"].title in form.defaults.toolTip()
    form.defaults.click()
    assert form.defaults.isHidden()
    assert form.different() == []
    assert form.values()["references"] == ("a.txt",)  # has no default
    form.keep()
    assert kept(file) == {"cluster": {"seed": 5}}
    assert open_form("fit").values()["constraint"] == "none"


def test_a_value_that_is_set_back_by_hand_is_forgotten(open_form, file):
    form = open_form("cluster")
    type_in(form, n_clusters=6, seed=2)
    type_in(form, n_clusters=4)
    assert kept(file) == {"cluster": {"seed": 2}}


def test_remembered_values_under_more_settings_are_seen(open_form):
    type_in(open_form("fit"), solver="admm")
    form = open_form("fit")
    assert form.more.isChecked()
    assert not form.defaults.isHidden()


@pytest.mark.parametrize(
    "values",
    [
        {"n_clusters": 0},
        {"n_clusters": "many"},
        {"n_clusters": [1, 2]},
        {"n_clusters": {"a": 1}},
        {"gone": 3},
        {"energy_range": [1.0, 2.0]},
    ],
    ids=str,
)
def test_what_a_step_refuses_is_dropped_alone_and_told_once(open_form, file, caplog, values):
    file.write_text(json.dumps({"version": 1, "steps": {"cluster": {**values, "seed": 3}}}))
    caplog.set_level(logging.INFO, "napari_xanes._widgets.forms.remembered")
    form = open_form("cluster")
    open_form("cluster")
    assert form.values()["seed"] == 3
    assert form.values()["n_clusters"] == 4
    assert form.values()["energy_range"] is None
    (told,) = caplog.messages
    assert next(iter(values)) in told


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"version": 2, "steps": {"bin": {"factor": 3}}}', '{"version": 1}', "\xff"]
)
def test_a_file_that_is_not_ours_counts_as_empty(open_form, file, text):
    file.write_bytes(text.encode("latin-1"))
    assert open_form("bin").values()["factor"] == 2
    type_in(open_form("bin"), factor=5)
    assert kept(file) == {"bin": {"factor": 5}}


def test_a_folder_that_cannot_be_written_is_no_trouble(open_form, file, caplog):
    caplog.set_level(logging.INFO, "napari_xanes._widgets.forms.remembered")
    file.mkdir()
    form = open_form("bin")
    type_in(form, factor=5)
    assert form.values()["factor"] == 5
    assert any("cannot be remembered" in told for told in caplog.messages)


def test_two_docks_of_a_step_add_to_what_is_kept(viewer, qtbot, file):
    first, second = AlignDock(viewer), AlignDock(viewer)
    for dock in (first, second):
        qtbot.addWidget(dock)
    type_in(first.panel.forms["align"], on="gradient")
    second.panel.forms["align"].editors["interpolation"].set_value("linear")
    second.close_down()  # before the time has come
    first.close_down()
    third = AlignDock(viewer)
    qtbot.addWidget(third)
    shown = third.panel.forms["align"].values()
    third.close_down()
    assert (shown["on"], shown["interpolation"]) == ("gradient", "linear")
    assert kept(file) == {"align": {"on": "gradient", "interpolation": "linear"}}


def test_what_a_sample_suggests_leaves_the_rest_as_remembered(viewer, density, references, qtbot, file):
    from napari_xanes._widgets.layers.layers import add_stack

    remember("fit", {"constraint": "nonnegative"})
    source = {**density.source, "suggested": {"fit": {"references": list(references)}}}
    add_stack(viewer, density.replace(source=source))
    fit, rank = FitDock(viewer), RankDock(viewer)
    for dock in (fit, rank):
        qtbot.addWidget(dock)
    shown = fit.panel.forms["fit"].values()
    for dock in (fit, rank):
        dock.close_down()
    assert shown["references"] == references
    assert shown["constraint"] == "nonnegative"
    assert kept(file) == {"fit": {"constraint": "nonnegative"}}


@pytest.mark.parametrize("step", list(STEPS))
def test_every_choice_of_every_step_comes_back(step, open_form, file):
    """Each parameter alone is changed to something else that lasts, and is shown by the next window."""
    typed = {}
    for name, info in STEPS[step].params.model_fields.items():
        others = [other for other in others_of(info) if other != info.default and lasts(info, other)]
        if others and name in open_form(step).editors:
            typed[name] = others[0]
    remember(step, typed)
    shown = open_form(step).values()
    assert {name: shown[name] for name in typed} == typed


def others_of(info) -> list:
    words = [word for one in get_args(info.annotation) for word in get_args(one)] + list(
        get_args(info.annotation)
    )
    words = [word for word in words if isinstance(word, str)]
    numbers = [info.default + 1] if type(info.default) is int else []
    return [*words, *numbers, *([not info.default] if type(info.default) is bool else [])]
