"""Files of spectra that are dropped on the window go where they belong."""

from __future__ import annotations

import gzip

import h5py
import numpy as np
import olefile
import pytest
import tifffile
from napari.settings import get_settings
from qtpy.QtCore import QMimeData, QPointF, Qt, QTimer, QUrl
from qtpy.QtGui import QDropEvent

import napari_xanes as nx
from napari_xanes._widgets.forms.library import spectra_in
from napari_xanes._widgets.layers.layers import about, add_stack
from napari_xanes._widgets.layers.session import workflow_of

pytestmark = pytest.mark.viewer


def drop(window, qtbot, *paths):
    """Drop files on the canvas, from within the event loop as a user does."""
    mime = QMimeData()
    mime.setUrls([QUrl.fromLocalFile(str(path)) for path in paths])
    move, left, none = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton, Qt.KeyboardModifier.NoModifier
    event = QDropEvent(QPointF(50, 50), move, mime, left, none)
    done = []

    def send():
        window.window._qt_viewer.dropEvent(event)  # Qt gives it no event that is not of a drag of its own
        done.append(True)

    QTimer.singleShot(0, send)
    qtbot.waitUntil(lambda: bool(done), timeout=20_000)


def test_references_go_to_the_fit_and_i0_to_the_scan_without_flats(window, scan, references, tmp_path, qtbot):
    beam = np.asarray(scan.flat[:], float).mean(axis=(1, 2))
    np.savetxt(tmp_path / "i0.txt", np.stack([scan.energy, beam], 1))
    tifffile.imwrite(tmp_path / "counts.tif", np.asarray(scan.data[:]), photometric="minisblack")
    np.savetxt(tmp_path / "counts_energy.txt", scan.energy)
    add_stack(window, nx.read_stack(tmp_path / "counts.tif"))
    drop(window, qtbot, *references)
    qtbot.waitUntil(lambda: workflow_of(window) is not None, timeout=20_000)
    editor = workflow_of(window).panels["fit"].forms["fit"].editors["references"]
    qtbot.waitUntil(lambda: editor.value() == references, timeout=10_000)
    assert workflow_of(window).sections["fit"].is_open()
    drop(window, qtbot, tmp_path / "i0.txt")
    density = lambda: [one for one in window.layers if about(one).get("signal") == "optical_density"]  # noqa: E731
    qtbot.waitUntil(lambda: bool(density()), timeout=20_000)
    expected = -np.log(np.asarray(scan.data[20], float) / beam[20])
    np.testing.assert_allclose(np.asarray(density()[0].data[20]), expected, rtol=1e-4, atol=1e-4)
    qtbot.waitUntil(lambda: not workflow_of(window).panels["preprocess"].runner.background.running)
    assert editor.value() == references, "an I0 is no reference"


# -- every small file of the field --------------------------------------------------------------------------


def zeiss(path):
    """Return the energy, the pixel size and the image of a Zeiss file, read with olefile alone."""
    with olefile.OleFileIO(path) as ole:
        number = lambda name, kind: np.frombuffer(ole.openstream(f"ImageInfo/{name}").read()[:4], kind)[0]  # noqa: E731
        image = np.frombuffer(ole.openstream("ImageData1/Image1").read(), "<u2")
        shape = number("ImageHeight", "<i4"), number("ImageWidth", "<i4")
        return number("Energy", "<f4"), number("PixelSize", "<f4"), image.reshape(shape)


def spectra_of(path):
    """Return the names of the spectra of a project or NXxas file, and how many energies each has."""
    if path.suffix == ".prj":
        lines = gzip.decompress(path.read_bytes()).decode().splitlines()
        labels = [line.split("'label','")[1].split("'")[0] for line in lines if line.startswith("@args")]
        sizes = [line.count("','") + 1 for line in lines if line.startswith("@x ")]
        return dict(zip(labels, sizes, strict=True))
    with h5py.File(path) as file:
        return {name: len(np.unique(entry["energy"][()])) for name, entry in file.items()}


CHOSEN = {
    "APS12BM_2019.dat": "ln(i0/i1)",
    "CLSHXMA.dat": "ln(Detector1/Detector2)",
    "APS20ID_2018.dat": "XMAP4:AsKa_Sum/PreKB-I0",
    "SLS_PHOENIX_2023.dat": "AlKa_sum_cps/I0_KEITHLEY1",
}
"""What is named behind files whose header leaves open which column is the absorption."""


def test_every_small_file_of_the_field_is_dropped(window, whole_data, qtbot, monkeypatch):
    home, said = whole_data / "formats", []
    monkeypatch.setattr("napari.utils.notifications.show_error", said.append)
    preferred = {f"*{suffix}": "napari-xanes" for suffix in (".hdr", ".h5")}  # else napari asks which reader
    monkeypatch.setattr(get_settings().plugins, "extension2reader", preferred)

    def opened(path):
        drop(window, qtbot, path)
        qtbot.waitUntil(lambda: len(window.layers) == 1, timeout=20_000)
        data, known = np.asarray(window.layers[0].data), about(window.layers[0])
        window.layers.clear()
        return data, known

    data, known = opened(home / "sdf" / "71214098.hdr")
    np.testing.assert_array_equal(data, tifffile.imread(whole_data / "stxm_fe_l" / "stack_transmission.tif"))
    np.testing.assert_allclose(
        known["energy"], np.loadtxt(whole_data / "stxm_fe_l" / "energy_eV.txt"), atol=0.01
    )
    assert known["pixel_size_um"] == 0.08
    for path in sorted((home / "xrm").glob("*.xrm")):
        (energy, size, image), (data, known) = zeiss(path), opened(path)
        np.testing.assert_array_equal(data[0], image)
        assert known["energy"] == pytest.approx([energy]) and known["pixel_size_um"] == pytest.approx(size)
    for path, words in (
        (home / "xrm" / "txrm_test_chip_tomo.txrm", "is a tomography series: 7 projections"),
        (
            next((home / "sdf").glob("*.xim")),
            "is an image of an SDF scan, which is not read here; open the header",
        ),
    ):
        drop(window, qtbot, path)
        qtbot.waitUntil(lambda: bool(said), timeout=20_000)
        assert words in said.pop() and not window.layers

    spectra = [path for place in ("athena", "nxxas", "columns") for path in sorted((home / place).iterdir())]
    assert len(spectra) == 16
    drop(window, qtbot, spectra[0])
    qtbot.waitUntil(lambda: workflow_of(window) is not None, timeout=20_000)
    editor = workflow_of(window).panels["fit"].forms["fit"].editors["references"]
    for path in spectra[1:]:
        drop(window, qtbot, path)
    qtbot.waitUntil(lambda: set(editor.value()) == {str(path) for path in spectra}, timeout=20_000)
    assert "Double-click the file" in editor.words.text() and "3 more" in editor.words.text()
    for i in range(editor.list.count()):
        item = editor.list.item(i)
        if item.text() in CHOSEN:
            item.setText(f"{item.text()}:{CHOSEN[item.text()]}")
    assert editor.words.isHidden()
    for path in spectra[:6]:
        found = {one.name: one.energy.size for one in spectra_in([str(path)])}
        assert found == spectra_of(path), path
    assert len(spectra_in(editor.value())) == sum(len(spectra_of(path)) for path in spectra[:6]) + 10
