"""The panel of clusters and components: labels, their spectra, and references made of them."""

from __future__ import annotations

import numpy as np
import pytest
from napari.layers import Labels

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack, history_of, results_of
from napari_xanes._widgets.layers.reopened import result_tuples


@pytest.fixture
def panel(workflow):
    return workflow.panels["clusters"]


def clusters(viewer):
    return next((layer for layer in viewer.layers if about(layer).get("labels") == "clusters"), None)


def step_noise(layer):
    return history_of(layer)[-1].facts["step_noise"]


def set_count(panel, count):
    panel.forms["cluster"].editors["n_clusters"].set_value(count)


def test_clusters_are_those_of_the_function_each_in_its_colour(panel, viewer, normalised, run_step):
    set_count(panel, 3)
    run_step(panel)
    layer = clusters(viewer)
    energy = np.array(about(normalised)["energy"])
    inside = nx.pixels_with_step(normalised.data, energy, step_noise(normalised))
    expected = nx.cluster_spectra(normalised.data, 3, energy=energy, mask=inside)
    np.testing.assert_array_equal(layer.data, expected.labels)
    assert isinstance(layer, Labels) and layer.visible and about(layer)["kind"] == "clusters"
    assert len({tuple(layer.get_color(label)) for label in (1, 2, 3)}) == 3
    table = results_of(normalised)["cluster"].tables["cluster_spectra"]
    for k in range(3):
        np.testing.assert_allclose(table[f"cluster_{k + 1}"], expected.spectra[k], atol=1e-6)
    sizes = ", ".join(str((expected.labels == k).sum()) for k in (1, 2, 3))
    assert f"3 clusters of {sizes} pixels" in panel.result.text()


def test_clusters_part_the_sample_from_what_is_around_it(panel, viewer, density, run_step):
    """Of optical density, which follows the amount of material."""
    add_stack(viewer, density)
    assert "Normalise first" in panel.plan.text()
    set_count(panel, 2)
    run_step(panel)
    height = density.data[-5:].mean(axis=0) - density.data[:5].mean(axis=0)
    labels = clusters(viewer).data
    more, less = sorted((1, 2), key=lambda k: -height[labels == k].mean())
    assert height[labels == more].mean() > 5 * abs(height[labels == less].mean())


def test_another_number_updates_the_layer_in_place(panel, viewer, normalised, run_step):
    set_count(panel, 2)
    run_step(panel)
    layer = clusters(viewer)
    layer.name = "mine"
    set_count(panel, 5)
    run_step(panel)
    assert clusters(viewer) is layer and layer.name == "mine"
    assert set(np.unique(layer.data)) - {0} == {1, 2, 3, 4, 5}
    assert layer.get_color(5) is not None and layer.get_color(5)[3] == 1


def test_components_are_those_of_the_function(panel, viewer, normalised, run_step):
    panel.choose("decompose")
    run_step(panel)
    energy = np.array(about(normalised)["energy"])
    inside = nx.pixels_with_step(normalised.data, energy, step_noise(normalised))
    expected = nx.decompose(normalised.data, 3, energy=energy, mask=inside)
    shown = {about(layer)["map"]: layer for layer in viewer.layers if about(layer).get("map")}
    for k in range(3):
        np.testing.assert_allclose(shown[f"component_{k + 1}"].data, expected.maps[k], rtol=1e-4, atol=1e-3)
    assert "3 components explain" in panel.result.text()
    title = panel.spectra.getPlotItem().titleLabel.text
    assert title.startswith("component&nbsp;") and title.endswith("&nbsp;3"), "curves are named"
    assert not panel.use.isVisibleTo(panel)


def test_cluster_means_become_the_references_of_the_fit(
    panel, workflow, viewer, normalised, references, run_step, tmp_path
):
    fit = workflow.panels["fit"]
    fit.forms["fit"].editors["references"].set_value(references)
    fit.forms["fit"].editors["names"].set_value(("Ni",))
    assert not panel.use.isEnabled()
    set_count(panel, 2)
    run_step(panel)
    assert panel.use.isEnabled()
    path = tmp_path / "means.csv"
    panel.write_means(path)
    assert fit.forms["fit"].params().references == (str(path),)
    assert workflow.sections["fit"].is_open()
    run_step(fit)
    energy = np.array(about(normalised)["energy"])
    means = nx.read_references(path)
    expected = nx.fit_references(normalised.data, energy, means, significance=3, background=(0, 1))
    result = results_of(normalised)["fit"]
    found = result.maps["fraction_cluster_2"]
    known = np.isfinite(found) & np.isfinite(expected.fractions[1])
    assert known.sum() > 100
    np.testing.assert_array_equal(found[known], expected.fractions[1][known])
    labels = clusters(viewer).data
    mean = [np.nanmedian(result.maps["coefficient_cluster_1"][labels == k]) for k in (1, 2)]
    assert mean[0] == pytest.approx(1, abs=0.2) and mean[1] == pytest.approx(0, abs=0.2)


def test_a_file_that_cannot_be_written_is_one_sentence(
    panel, workflow, normalised, run_step, tmp_path, monkeypatch
):
    said = []
    monkeypatch.setattr("napari_xanes._widgets.parts.notices.show_error", said.append)
    run_step(panel)
    (tmp_path / "file").write_text("")
    panel.write_means(tmp_path / "file" / "means.csv")
    assert len(said) == 1 and "means.csv" in said[0]
    assert workflow.panels["fit"].forms["fit"].editors["references"].value() == ()


def test_clusters_are_saved_and_opened_as_labels(panel, workflow, viewer, normalised, run_step, tmp_path):
    run_step(panel)
    workflow.results.save_result(tmp_path / "maps.h5")
    opened = result_tuples(nx.load_result(tmp_path / "maps.h5"))
    ((data, kw, _),) = [one for one in opened if one[2] == "labels"]
    np.testing.assert_array_equal(data, clusters(viewer).data)
    assert kw["name"].startswith("clusters") and kw["metadata"]["xanes"]["kind"] == "clusters"
