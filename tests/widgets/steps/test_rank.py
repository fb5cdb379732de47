"""The dock that finds references: its table, its labels, and the way to the fit."""

from __future__ import annotations

import numpy as np
import pytest
from qtpy.QtCore import Qt

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack, results_of
from napari_xanes._widgets.window.workflow import RankDock


@pytest.fixture
def normalised(workflow, viewer, density, run_step):
    """The scan without its drift, which would ask for more references than there are."""
    add_stack(viewer, density)
    for key in ("align", "normalize"):
        run_step(workflow.panels[key])
    return workflow.chooser.layer()


@pytest.fixture
def library(references, tmp_path):
    """The references of the scan, and one of something that is not in it."""
    other = nx.read_references(references[0])[0]
    path = tmp_path / "other.txt"
    np.savetxt(path, np.column_stack([other.energy, np.where(other.energy > 8360, 1.0, 0.0)]))
    return (*references, str(path))


@pytest.fixture
def panel(viewer, workflow, normalised, qtbot):
    """The dock beside the workflow, on the sample without what is around it."""
    workflow.masks.set_limits(0.5, None)
    workflow.masks.keep_preview()
    workflow.masks.use.apply_mask()
    dock = RankDock(viewer)
    qtbot.addWidget(dock)
    yield dock.panel
    dock.close_down()


def rows(panel):
    return [
        [panel.table.item(row, column).text() for column in range(panel.table.columnCount())]
        for row in range(panel.table.rowCount())
    ]


def test_it_starts_from_the_stack_and_the_references_of_the_fit(
    viewer, workflow, normalised, references, qtbot
):
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    dock = RankDock(viewer)
    qtbot.addWidget(dock)
    assert dock.panel.input_layer() is normalised
    assert dock.panel.forms["rank"].editors["references"].value() == references
    assert "on every pixel with the element" in dock.panel.plan.text()
    dock.close_down()


def test_the_references_in_the_sample_are_found(panel, viewer, workflow, normalised, library, run_step):
    assert "Add the spectra of all compounds" in panel.plan.text()
    assert not panel.table.isVisibleTo(panel)
    panel.forms["rank"].editors["references"].set_value(library)
    run_step(panel)
    result = results_of(normalised)["rank"]
    table = result.tables["ranking"]
    truth = {one.name for one in nx.read_references(*library[:2])}
    (chosen,) = table["references"][(table["region"] == 0) & table["chosen"]]
    assert set(str(chosen).split(" + ")) <= truth and "other" not in chosen
    assert [row[1] for row in rows(panel)] == list(table["references"])
    assert {row[0] for row in rows(panel)} == {"all"}
    assert str(chosen) in panel.result.text()
    layer = next(one for one in viewer.layers if about(one).get("labels") == "combination")
    np.testing.assert_array_equal(layer.data, result.labels["combination"])
    assert list(layer.features["references"])[1:] == list(result.tables["combinations"]["references"])

    panel.take_to_fit()
    fit = workflow.panels["fit"].forms["fit"].params()
    assert fit.references == library and set(fit.names) == set(str(chosen).split(" + "))
    assert workflow.sections["fit"].is_open()


def test_more_references_are_a_click_away(panel, references, run_step, qtbot):
    """Where fewer were allowed than the library has."""
    form = panel.forms["rank"]
    form.editors["references"].set_value(references)
    form.editors["at_most"].set_value(1)
    run_step(panel)
    assert "so raise Max. references" in panel.result.text() and panel.table.rowCount() == 2
    with qtbot.waitSignal(panel.done, timeout=30_000):
        qtbot.mouseClick(panel.warned.button("Max. references: 2"), Qt.MouseButton.LeftButton)
    assert form.values()["at_most"] == 2 and len(panel.table.item(0, 1).text().split(" + ")) == 2
    assert not panel.warned.text()


def test_each_cluster_is_ranked_too(panel, workflow, normalised, references, run_step):
    workflow.panels["clusters"].forms["cluster"].editors["n_clusters"].set_value(2)
    run_step(workflow.panels["clusters"])
    panel.refresh()
    assert panel.each.isVisibleTo(panel)
    panel.forms["rank"].editors["references"].set_value(references)
    run_step(panel)
    assert {row[0] for row in rows(panel)} == {"all", "cluster 1", "cluster 2"}
    result = results_of(normalised)["rank"]
    assert [entry["do"] for entry in result.history] == [
        *("align", "normalize", "mask", "cluster", "element", "rank")
    ]
    np.testing.assert_array_equal(
        result.labels["clusters"], results_of(normalised)["cluster"].labels["clusters"]
    )
    panel.each.setChecked(False)
    run_step(panel)
    assert {row[0] for row in rows(panel)} == {"all"}


def test_without_a_workflow_it_says_how_to_open_one(panel, workflow, normalised, references, run_step):
    panel.forms["rank"].editors["references"].set_value(references)
    run_step(panel)
    workflow.close_down()
    panel.take_to_fit()
    assert "open Plugins > XANES > XANES workflow" in panel.result.text()
