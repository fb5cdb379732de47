"""The import dialog: it offers what the file holds, shows what the reader makes of it, and adds only what works."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from qtpy.QtWidgets import QDialogButtonBox

from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.window.import_dialog import ImportDialog


@pytest.fixture
def dialog(qtbot):
    made = ImportDialog(ViewerModel())
    qtbot.addWidget(made)
    yield made
    made.reject()


@pytest.fixture
def two_stacks(tmp_path):
    """A file in which neither images nor energies can be told."""
    path = tmp_path / "two.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        for name in ("a", "b"):
            file[f"{name}/values"] = rng.random((11, 12, 14), dtype=np.float32) + 1
        file["a/list"] = np.linspace(8300, 8400, 11)
        file["b/list"] = np.linspace(7100, 7200, 11)
    return path


def answer(qtbot, dialog, **places):
    with qtbot.waitSignal(dialog.checked, timeout=10_000):
        for name, value in places.items():
            if name == "path":
                dialog.path.setText(str(value))
            else:
                dialog.places[name].set_value(value)


def ok(dialog):
    return dialog.buttons.button(QDialogButtonBox.StandardButton.Ok)


def test_a_scan_that_reads_by_itself(qtbot, dialog, scan_file):
    assert not ok(dialog).isEnabled()
    answer(qtbot, dialog, path=scan_file)
    assert dialog.verdict.text().startswith(
        "41 energies, 8223.0 to 8578.0 eV, 64 x 72 px, counts, 41 flats, 5 darks"
    )
    dialog.accept()
    (layer,) = dialog.viewer.layers
    assert about(layer)["signal"] == "counts"


def test_datasets_and_energies_are_asked_for(qtbot, dialog, two_stacks):
    answer(qtbot, dialog, path=two_stacks)
    assert "several stacks" in dialog.verdict.text() and not ok(dialog).isEnabled()
    images = dialog.places["images"].combo
    assert [images.itemText(i) for i in range(images.count())] == [
        "detected automatically",
        "/a/values  11 x 12 x 14",
        "/b/values  11 x 12 x 14",
    ]
    answer(qtbot, dialog, images="/b/values", energy="/a/list")
    assert "8300.0 to 8400.0 eV" in dialog.verdict.text()
    answer(qtbot, dialog, energy="9000:9020:2")
    assert "9000.0 to 9020.0 eV" in dialog.verdict.text()
    answer(qtbot, dialog, energy="9000:9020:1")
    assert "11 images but" in dialog.verdict.text() and not ok(dialog).isEnabled()
    assert dialog.stack is None


def test_energies_from_a_file_and_the_signal_said(qtbot, dialog, tmp_path):
    images = np.random.default_rng(1).random((5, 12, 14), dtype=np.float32)
    tifffile.imwrite(tmp_path / "scan.tif", images, photometric="minisblack")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    np.savetxt(elsewhere / "numbers.txt", [8.3, 8.31, 8.32, 8.33, 8.34])
    answer(qtbot, dialog, path=tmp_path / "scan.tif")
    assert "no energies were found" in dialog.verdict.text()
    assert not dialog.places["images"].isEnabled()
    dialog.form.editors["signal"].set_value("optical_density")
    dialog.form.editors["pixel_size_um"].set_value(0.025)
    answer(qtbot, dialog, energy=str(elsewhere / "numbers.txt"))
    assert "8300.0 to 8340.0 eV" in dialog.verdict.text() and "optical density" in dialog.verdict.text()
    dialog.accept()
    (layer,) = dialog.viewer.layers
    assert tuple(layer.scale) == (1, 0.025, 0.025)


def test_cancel_and_missing_files_add_nothing(qtbot, dialog, tmp_path):
    answer(qtbot, dialog, path=tmp_path / "missing.h5")
    assert "there is no such file" in dialog.verdict.text()
    dialog.reject()
    assert list(dialog.viewer.layers) == []
