"""The import dialog: it offers what the file holds, shows what the reader makes of it, and adds only what works."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from qtpy.QtCore import Qt
from qtpy.QtTest import QTest
from qtpy.QtWidgets import QDialogButtonBox

from napari_xanes._widgets.layers.layers import about
from napari_xanes._widgets.window.import_dialog import ImportDialog


@pytest.fixture
def dialog(qtbot):
    made = ImportDialog(ViewerModel())
    gone: list[bool] = []
    made.destroyed.connect(lambda: gone.append(True))
    made.show()
    yield made
    if not gone:  # it goes by itself when it is closed
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
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
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
    assert "Energies: ni_simulated.h5:/X_eng (recognised by name" in dialog.verdict.text()
    items = [dialog.tree.tree.topLevelItem(i) for i in range(dialog.tree.tree.topLevelItemCount())]
    assert {item.text(0): item.text(3) for item in items if item.text(3)} == {
        "img_xanes": "Images",
        "X_eng": "Energies",
        "img_bkg": "Flats",
        "img_dark": "Darks",
    }
    assert [caption.text() for caption in dialog.preview.captions] == ["8223.0 eV", "8351.9 eV", "8578.0 eV"]
    assert not any(picture.pixmap().isNull() for picture in dialog.preview.pictures)
    dialog.accept()
    (layer,) = dialog.viewer.layers
    assert about(layer)["signal"] == "counts"


def test_a_dataset_of_the_tree_is_said_to_be_the_images(qtbot, dialog, two_stacks):
    answer(qtbot, dialog, path=two_stacks)
    dialog.tree.choose("/b/values")
    assert dialog.tree.buttons["images"].isEnabled() and not dialog.tree.buttons["energy"].isEnabled()
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
        QTest.mouseClick(dialog.tree.buttons["images"], Qt.MouseButton.LeftButton)
    dialog.tree.choose("/b/list")
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
        QTest.mouseClick(dialog.tree.buttons["energy"], Qt.MouseButton.LeftButton)
    with h5py.File(two_stacks) as file:
        np.testing.assert_array_equal(dialog.stack.data[3], file["b/values"][3])
        np.testing.assert_array_equal(dialog.stack.energy, file["b/list"][:])


def test_flats_beside_the_scan_are_taken_with_a_click(qtbot, dialog, tmp_path):
    rng = np.random.default_rng(3)
    flat = rng.integers(9000, 11000, (12, 14)).astype(np.uint16)
    tifffile.imwrite(
        tmp_path / "scan.tif", (flat * np.linspace(0.9, 0.5, 5)[:, None, None]).astype(np.uint16)
    )
    tifffile.imwrite(tmp_path / "flat.tif", flat)
    np.savetxt(tmp_path / "scan.txt", [8300, 8310, 8320, 8330, 8340])
    answer(qtbot, dialog, path=tmp_path / "scan.tif")
    assert dialog.stack.flat is None
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
        QTest.mouseClick(dialog.advice.button("Use flat.tif"), Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(dialog.stack.flat[0], flat)
    assert "Flats:" in dialog.verdict.text() and dialog.advice.text() == ""


def test_the_order_of_axes_is_chosen(qtbot, dialog, tmp_path):
    images = np.random.default_rng(1).random((5, 5, 14)).astype(np.float32)
    np.save(tmp_path / "scan.npy", images.transpose(1, 2, 0))
    answer(qtbot, dialog, path=tmp_path / "scan.npy", energy="8300:8340:10")
    assert dialog.stack is None and "choose which under Order of axes" in dialog.verdict.text()
    assert dialog.preview.isHidden() and dialog.advice.text() == "Which axis is energy?"
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
        QTest.mouseClick(dialog.advice.button("y 5, x 14, energy 5"), Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(dialog.stack.data[:], images)
    assert dialog.axis.value() == "yxe" and dialog.advice.text() == ""
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
        dialog.axis.setCurrentIndex(dialog.axis.findText("energy 5, y 14, x 5"))
    np.testing.assert_array_equal(dialog.stack.data[:], images.transpose(1, 2, 0))


def test_arrays_of_other_formats_are_in_the_tree(qtbot, dialog, tmp_path):
    rng = np.random.default_rng(2)
    arrays = {"a": rng.random((5, 8, 9)), "b": rng.random((5, 8, 9)), "ev": np.linspace(8300, 8400, 5)}
    np.savez(tmp_path / "scan.npz", **arrays)
    answer(qtbot, dialog, path=tmp_path / "scan.npz")
    assert "several stacks" in dialog.verdict.text()
    with qtbot.waitSignal(dialog.checked, timeout=30_000):
        dialog.tree.choose("b")
        QTest.mouseClick(dialog.tree.buttons["images"], Qt.MouseButton.LeftButton)
    np.testing.assert_array_equal(dialog.stack.data[:], arrays["b"])


def test_an_element_is_named_that_is_no_dataset(qtbot, dialog, tmp_path):
    maps = np.random.default_rng(3).random((3, 5, 8, 9)).astype("f4")
    for i, energy in enumerate(np.linspace(7.1, 7.2, 5)):
        with h5py.File(tmp_path / f"scan2D_{i}.h5", "w") as file:
            file["xrfmap/detsum/xrf_fit"] = maps[:, i]
            file["xrfmap/detsum/xrf_fit_name"] = [b"Fe_K", b"Ni_K", b"S_K"]
            file.create_group("xrfmap/scan_metadata").attrs["instrument_mono_incident_energy"] = energy
    answer(qtbot, dialog, path=tmp_path)
    np.testing.assert_array_equal(dialog.stack.data[:], maps[0])
    answer(qtbot, dialog, images="S_K")
    np.testing.assert_array_equal(dialog.stack.data[:], maps[2])


def test_datasets_and_energies_are_asked_for(qtbot, dialog, two_stacks):
    answer(qtbot, dialog, path=two_stacks)
    assert "several stacks" in dialog.verdict.text() and not ok(dialog).isEnabled()
    images = dialog.places["images"].combo
    assert [images.itemText(i) for i in range(images.count())] == [
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
