"""From opening to maps with nothing but the buttons that are offered, held against truth: real files, default settings."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from qtpy.QtCore import Qt
from scipy.ndimage import shift

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import about, add_stack

SPECKLE = 0.03
"""Fraction of the pixels outside the sample that may have fractions."""


@pytest.fixture
def open_scan(viewer, workflow, qtbot, run_step):
    """Open a scan, run the steps that are named, and return its maps."""

    def run(scan, steps, references, beam=""):
        add_stack(viewer, scan)
        for key in steps:
            panel = workflow.panels[key]
            if key == "fit":
                panel.forms["fit"].editors["references"].add([str(one) for one in references])
            if key == "preprocess" and beam:
                qtbot.waitUntil(lambda: beam in panel.advice.text(), timeout=20_000)  # noqa: B023
                with qtbot.waitSignal(panel.done, timeout=60_000):
                    qtbot.mouseClick(panel.advice.button(f"Use {beam}"), Qt.MouseButton.LeftButton)
                qtbot.waitUntil(lambda: not panel.runner.background.running)  # noqa: B023
            else:
                run_step(panel)
        return {about(one)["map"]: np.asarray(one.data) for one in viewer.layers if about(one).get("map")}

    return run


def held_against(maps, truth_file, order, moved=(0.0, 0.0)):
    """Return the RMSE of the fractions in the sample, how much of it has them, and the share of speckle around it.

    `moved` is where the frame that others were aligned to shows the sample.
    """
    with h5py.File(truth_file) as file:
        truth, mask = file["fraction"][()], file["mask"][()].astype(bool)
        thickness = np.nan_to_num(file["thickness"][()])
    found = np.clip(np.stack([maps[f"fraction_{name}"] for name in order]), -1, 2)
    valid = shift(np.isfinite(found).all(axis=0).astype(float), np.negative(moved), order=1) > 0.99
    found = np.stack([shift(np.nan_to_num(one), np.negative(moved), order=1) for one in found])
    error = (found - truth)[:, mask & valid]
    outside = ~mask & (thickness < 0.02)
    return float(np.sqrt((error**2).mean())), float(valid[mask].mean()), float(valid[outside].mean())


def test_full_field_tiff_with_flats_in_files(open_scan, data_dir, whole_or_piece):
    """Attainable with lines before and after the edge: 0.0332."""
    folder = data_dir / "phantom_ni_2d"
    references = sorted((data_dir / "refs" / "ni").glob("*.txt"))
    steps = ("preprocess", "align", "normalize", "fit")
    maps = open_scan(nx.read_stack(folder / "xanes_raw.tif"), steps, references, "flat.tif and dark.tif")
    with h5py.File(folder / "truth.h5") as file:
        last = file["shifts"][-1]
    rmse, known, speckle = held_against(maps, folder / "truth.h5", ("ref_LiNiO2", "ref_NiO"), last)
    assert rmse < whole_or_piece(1.1 * 0.0332, 0.06)
    assert known > 0.95 and speckle < SPECKLE


def test_iron_with_a_library(open_scan, workflow, whole_data):
    """Its pre-edge is short and its post-edge curved.  Attainable with lines along: 0.0162."""
    folder = whole_data / "phantom_fe_4ref"
    names = ("LiFe(II)PO4", "Pyrite", "StainlessSteelNP", "Hematite_NP")
    scan, steps = nx.read_stack(folder / "absorbance.tif"), ("normalize", "fit")
    maps = open_scan(scan, steps, [folder / "refs_at_energies.txt"])
    rmse, known, speckle = held_against(maps, folder / "truth.h5", names)
    assert rmse < 1.1 * 0.0162
    assert known > 0.95 and speckle < SPECKLE
    assert "divided by the edge step" in workflow.panels["normalize"].warned.text(), (
        "what was chosen, and why"
    )


def test_measured_stxm_with_its_beam_beside_it(open_scan, workflow, whole_data, run_step):
    """Where there is most iron the spectra have the peaks of Fe(II) and Fe(III) at L3, and the first of L2.

    Where the rise at L3 is in the noise there is no peak to be mapped.
    """
    folder = whole_data / "stxm_fe_l"
    scan = nx.read_stack(folder / "stack_transmission.tif")
    maps = open_scan(scan, ("preprocess", "align", "normalize"), [], "i0_counts.txt")
    assert "Fe L3" in workflow.panels["normalize"].result.text()
    step = np.nan_to_num(maps["edge_step"])
    density = next(one for one in workflow.viewer.layers if about(one).get("role") == "aligned")
    rich = step > np.quantile(step, 0.95)
    mean = np.nanmean(np.asarray(density.data)[:, rich], axis=1)
    for low, high, peak in ((707.0, 708.8, 708.05), (708.8, 711.0, 709.46), (719.0, 723.0, 721.07)):
        window = (scan.energy >= low) & (scan.energy <= high)
        assert scan.energy[window][mean[window].argmax()] == pytest.approx(peak, abs=0.3)
    run_step(workflow.panels["maps"])
    layers = workflow.viewer.layers
    peak = next(np.asarray(one.data) for one in layers if about(one).get("map") == "peak_energy")
    spectra, before = np.asarray(density.data), scan.energy < 704
    rise = spectra[(scan.energy > 707.5) & (scan.energy < 710.5)].mean(axis=0) - spectra[before].mean(axis=0)
    noise = np.nanmedian(np.diff(spectra[before], axis=0).std(axis=0)) / np.sqrt(2)
    sigma = noise * np.hypot(1 / np.sqrt(before.sum()), 1 / np.sqrt(12))
    assert np.isfinite(peak)[rise < 2 * sigma].mean() < SPECKLE
    assert np.isfinite(peak)[(rise > 15 * sigma) & (step > 0)].mean() > 0.95
    known = peak[np.isfinite(peak)]
    assert ((known > 707.5) & (known < 710.5)).mean() > 0.9, "L3, of Fe(II) or Fe(III)"
