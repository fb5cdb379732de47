"""What a step proposes before it runs, and what it says after, each followed by a click."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QFileDialog

import napari_xanes as nx
from napari_xanes._core.io.companions import find_companions
from napari_xanes._core.runs.pipeline import run_steps
from napari_xanes._widgets.layers.layers import about, add_stack, stack_layers, stack_of

FE = ("Hematite FeXANES.e", "Ferrihydrite 2L_Kim FeXANES.e")


@pytest.fixture
def click(qtbot):
    """Click a button that a panel's advice shows."""

    def press(advice, text):
        qtbot.mouseClick(advice.button(text), Qt.MouseButton.LeftButton)

    return press


def wait_for(qtbot, panel, press):
    with qtbot.waitSignal(panel.done, timeout=30_000):
        press()
    qtbot.waitUntil(lambda: not panel.runner.background.running)


def without_beam(folder, scan):
    """A scan of counts as text and TIFF files beside one another, as many beamlines write it."""
    import tifffile

    tifffile.imwrite(folder / "scan.tif", np.asarray(scan.data[:]), photometric="minisblack")
    tifffile.imwrite(folder / "flat.tif", np.asarray(scan.flat[:]), photometric="minisblack")
    tifffile.imwrite(folder / "dark.tif", np.asarray(scan.dark[:]), photometric="minisblack")
    np.savetxt(folder / "scan_energy.txt", scan.energy)
    return nx.read_stack(folder / "scan.tif")


def test_flats_and_darks_in_files_beside_the_scan_are_used_in_one_click(
    workflow, viewer, scan, tmp_path, qtbot, click
):
    raw = add_stack(viewer, without_beam(tmp_path, scan))
    panel = workflow.panels["preprocess"]
    assert not panel.runner.run.isEnabled() and "no flats" in panel.plan.text()
    qtbot.waitUntil(lambda: "flat.tif and dark.tif" in panel.advice.text(), timeout=10_000)
    assert "beside the scan, 41 images of the same size" in panel.advice.text()
    wait_for(qtbot, panel, lambda: click(panel.advice, "Use flat.tif and dark.tif"))
    made = workflow.chooser.layer()
    expected = nx.optical_density(nx.flat_field(scan.data[:], scan.flat[:], scan.dark[:]))
    np.testing.assert_allclose(np.asarray(made.data), expected, rtol=1e-5, atol=1e-6)
    recipe = nx.Recipe.of(stack_of(raw))
    assert recipe.input.flat == str(tmp_path / "flat.tif") and recipe.input.dark == str(tmp_path / "dark.tif")


def test_a_beam_spectrum_is_proposed_with_how_it_compares_and_one_can_be_named(
    workflow, viewer, data_dir, qtbot, click, monkeypatch
):
    folder = data_dir / "stxm_fe_l"
    if not (folder / "i0_counts.txt").exists():
        pytest.skip("the piece of the measured scan has no beam spectrum")
    stack = nx.read_stack(folder / "stack_transmission.tif")
    best, *others = find_companions(stack)
    assert best.title == "i0_counts.txt" and best.match == pytest.approx(1, abs=0.06)
    assert all(abs(np.log(one.match)) > 0.5 for one in others), "counted otherwise"
    add_stack(viewer, stack)
    panel = workflow.panels["preprocess"]
    qtbot.waitUntil(lambda: "i0_counts.txt" in panel.advice.text(), timeout=20_000)
    monkeypatch.setattr(QFileDialog, "getOpenFileName", lambda *_: (str(folder / "i0_counts.txt"), ""))
    wait_for(qtbot, panel, lambda: click(panel.advice, "I0 or flats from a file..."))
    i0 = np.loadtxt(folder / "i0_counts.txt")
    i0 = i0 if i0.ndim == 1 else i0[:, -1]
    expected = -np.log(stack.data[:] / i0[:, None, None])
    np.testing.assert_allclose(np.asarray(workflow.chooser.layer().data), expected, atol=1e-4)


def test_a_scan_without_flats_takes_its_beam_from_the_empty_part_in_one_click(
    workflow, viewer, tmp_path, qtbot, click
):
    add_stack(viewer, nx.read_stack(nx.simulate_stxm((48, 56), seed=4).save(tmp_path)))
    panel = workflow.panels["preprocess"]
    wait_for(qtbot, panel, lambda: click(panel.advice, "I0 from an empty region"))
    stack = workflow.chooser.layer()
    assert about(stack)["signal"] == "optical_density"
    assert [entry["do"] for entry in about(stack)["history"]] == ["internal_i0", "optical_density"]
    assert panel.runner.run.isEnabled(), "it can be run again"


def test_references_that_end_before_the_scan_are_said_so_with_two_ways(
    workflow, viewer, density, references, tmp_path, click
):
    narrow = []
    for file in references:
        (one,) = nx.read_references(file)
        narrow.append(tmp_path / f"{one.name}.txt")
        covered = density.energy[3:-3]
        np.savetxt(narrow[-1], np.stack([covered, np.interp(covered, one.energy, one.mu)], 1))
    add_stack(viewer, density)
    form, panel = workflow.panels["fit"].forms["fit"], workflow.panels["fit"]
    form.editors["references"].set_value([str(one) for one in narrow])
    assert "6 of the 41 energies of the scan lie outside" in panel.advice.text()
    fitted = f"Fit {density.energy[3]:.1f} to {density.energy[-4]:.1f} eV"
    click(panel.advice, fitted)
    assert form.values()["energy_range"] == pytest.approx((density.energy[3], density.energy[-4]))
    assert panel.advice.text() == ""
    form.editors["energy_range"].set_value(None)
    click(panel.advice, "Hold their end values")
    assert form.values()["extrapolate"] == "hold" and panel.advice.text() == ""


def test_references_of_another_element_are_told_before_the_run(
    workflow, viewer, density, references, data_dir, click
):
    add_stack(viewer, density)
    panel = workflow.panels["fit"]
    editor = panel.forms["fit"].editors["references"]
    iron = [str(data_dir / "refs" / "fe" / name) for name in FE[:1]]
    editor.set_value(iron)
    assert "(Fe K)" in panel.advice.text() and "Choose references of the element" in panel.advice.text()
    editor.add(references)
    click(panel.advice, "Leave out Hematite FeXANES")
    assert panel.forms["fit"].values()["names"] == ("Ni_oxidised", "Ni_reduced") and panel.advice.text() == ""


def test_an_edge_outside_of_the_scan_is_told_of_spectra_that_reach_into_it(
    workflow, viewer, density, references, tmp_path
):
    """As those of a lighter element do, measured far beyond its edge."""
    energy = np.arange(7600.0, 8900.0, 2)
    np.savetxt(tmp_path / "cobalt.txt", np.stack([energy, 1 / (1 + np.exp(-(energy - 7712) / 2))], 1))
    add_stack(viewer, density)
    panel = workflow.panels["fit"]
    panel.forms["fit"].editors["references"].set_value([str(tmp_path / "cobalt.txt"), *references])
    assert panel.advice.text().startswith("cobalt: 7600 to 8898 eV, edge at 7712 eV (Co K), while the scan")


def test_how_many_references_are_fitted_and_what_noise_then_does_is_told_before_the_run(
    workflow, viewer, density, references, tmp_path
):
    one, other = nx.read_references(*references)
    energy, parts = density.energy, np.linspace(0, 1, 7)[:, None]
    mixed = (1 - parts) * np.interp(energy, one.energy, one.mu) + parts * np.interp(
        energy, other.energy, other.mu
    )
    mixed += np.random.default_rng(1).normal(0, 0.02, mixed.shape)
    names = " ".join(f"mix{i}" for i in range(7))
    np.savetxt(tmp_path / "library.txt", np.vstack([energy, mixed]).T, header=f"energy {names}")
    add_stack(viewer, density)
    panel, editors = workflow.panels["fit"], workflow.panels["fit"].forms["fit"].editors
    editors["references"].set_value([str(tmp_path / "library.txt")])
    assert "with 7 references" in panel.plan.text()
    assert panel.advice.text().startswith("7 references at once") and "noise of 1 %" in panel.advice.text()
    editors["names"].set_value(("mix0", "mix6"))
    assert "with 2 references" in panel.plan.text() and panel.advice.text() == ""


def test_spectra_of_a_library_and_maps_are_ticked_in_lists(
    workflow, viewer, density, data_dir, qtbot, run_step
):
    library = str(data_dir / "phantom_fe_4ref" / "refs_at_energies.txt")
    form = workflow.panels["fit"].forms["fit"]
    form.editors["references"].set_value([library])
    names = form.editors["names"]
    texts = [names.list.item(i).text() for i in range(names.list.count())]
    assert texts == ["LiFe(II)PO4", "Pyrite", "StainlessSteelNP", "Hematite_NP"] and names.value() == ()
    names.list.item(2).setCheckState(Qt.CheckState.Unchecked)
    assert names.value() == ("LiFe(II)PO4", "Pyrite", "Hematite_NP")
    for i in (0, 1, 3):
        names.list.item(i).setCheckState(Qt.CheckState.Unchecked)
    assert len(names.value()) == 1, "a fit of none is none"
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    from napari_xanes._widgets.steps.particles import ParticlesPanel

    panel = ParticlesPanel(viewer, workflow.chooser)
    qtbot.addWidget(panel)
    for name in ("of", "profile", "split_by"):
        combo = panel.forms["particles"].editors[name].combo
        offered = [combo.itemData(i) for i in range(combo.count())]
        assert not combo.isEditable() and offered == [None, "thickness", "edge_step"], name
    panel.cleanup()


def test_warnings_stay_in_the_step_and_a_button_follows_them(
    workflow, viewer, density, qtbot, click, run_step
):
    """The post-edge line bends these spectra, which dividing by the step does not, so that is chosen and said."""
    bent = np.asarray(density.data) * (1 + 0.003 * (density.energy - 8333.0).clip(0))[:, None, None]
    add_stack(viewer, density.replace(data=bent.astype(np.float32)))
    panel = workflow.panels["normalize"]
    run_step(panel)
    assert about(workflow.chooser.layer())["history"][-1]["params"]["divide_by"] == "step"
    assert "would bend spectra" in panel.warned.text()
    wait_for(qtbot, panel, lambda: click(panel.warned, "Divide by: line"))
    assert "Divide by" in panel.warned.text() and "divide_by" not in panel.warned.text()
    assert "Divide by" in workflow.sections["normalize"].noted.text()
    history = workflow.results.text.toPlainText()
    assert "Divide by: step" in history and "divide_by" not in history, "in the words of the form there, too"
    workflow.panels["fit"].refresh()
    assert "Divide by" in panel.warned.text(), "it stays"
    wait_for(qtbot, panel, lambda: click(panel.warned, "Divide by: step"))
    assert panel.forms["normalize"].values()["divide_by"] == "step"
    assert "Divide by" not in panel.warned.text()
    assert len(list(stack_layers(viewer))) == 2, "run again in place"


def test_what_auto_would_choose_is_computed_while_the_window_lives(normalised, workflow, qtbot, monkeypatch):
    """All of the clustering is done for it, which takes half a second and loads scikit-learn the first time."""
    threads = []
    monkeypatch.setattr(
        "napari_xanes._widgets.steps.automatic.run_steps",
        lambda *a, **k: threads.append(threading.current_thread()) or run_steps(*a, **k),
    )
    editor = workflow.panels["clusters"].forms["cluster"].editors["energy_range"]
    qtbot.mouseClick(editor.auto, Qt.MouseButton.LeftButton)
    assert len(editor.value()) == 2
    assert threads and threading.main_thread() not in threads


def test_unticking_auto_starts_from_what_a_run_would_choose(workflow, viewer, density, run_step, qtbot):
    add_stack(viewer, density)
    panel = workflow.panels["normalize"]
    form, started = panel.forms["normalize"], {}
    for name in ("e0", "pre_edge", "post_edge"):
        editor = form.editors[name]
        qtbot.mouseClick(editor.auto, Qt.MouseButton.LeftButton)
        started[name] = editor.value()
        qtbot.mouseClick(editor.auto, Qt.MouseButton.LeftButton)
    run_step(panel)
    chosen = about(workflow.chooser.layer())["history"][-1]["params"]
    for name, value in started.items():
        assert value == pytest.approx(chosen[name], abs=1e-6), name
    editor = workflow.panels["fit"].forms["fit"].editors["energy_range"]
    qtbot.mouseClick(editor.auto, Qt.MouseButton.LeftButton)
    assert editor.value() == pytest.approx((density.energy[0], density.energy[-1]))
