"""The reader on real scans and on phantoms written like them."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from napari_xanes import read_stack
from napari_xanes._core.io import inspect_stack


@pytest.mark.parametrize(
    ("path", "shape", "piece", "signal", "first", "last", "unit"),
    [
        ("phantom_ni_2d/ni_txm_raw.h5", (61, 200, 240), (61, 72, 72), "counts", 8221.997, 8576.998, "keV"),
        ("phantom_ni_2d/xanes_raw.tif", (61, 200, 240), (61, 72, 72), "counts", 8221.997, 8576.998, "keV"),
        (
            "phantom_ni_2d/fxi_export_crop.h5",
            (61, 48, 48),
            (61, 16, 16),
            "transmission",
            8221.997,
            8576.998,
            "keV",
        ),
        (
            "phantom_fe_4ref/absorbance.tif",
            (73, 155, 160),
            (73, 46, 46),
            "optical_density",
            7075.85,
            7196.25,
            "eV",
        ),
        ("phantom_ni_3d", (40, 48, 64, 64), (20, 20, 32, 32), "optical_density", 8232.002, 8576.998, "keV"),
        ("stxm_fe_l/stack_transmission.tif", (123, 150, 150), (123, 32, 32), "counts", 700.0, 730.353, "eV"),
    ],
)
def test_scans_are_what_they_are(data_dir, whole_or_piece, path, shape, piece, signal, first, last, unit):
    stack = read_stack(data_dir / path)
    assert stack.shape == whole_or_piece(shape, piece) and stack.signal == signal
    assert stack.energy[0] == pytest.approx(first, abs=0.01)
    if path == "phantom_ni_3d":
        last = whole_or_piece(last, 8537.003)
    assert stack.energy[-1] == pytest.approx(last, abs=0.01)
    assert dict(inspect_stack(stack))["unit"] == unit


def test_both_forms_of_the_raw_scan_hold_the_same(data_dir):
    folder = data_dir / "phantom_ni_2d"
    one = read_stack(folder / "ni_txm_raw.h5")
    two = read_stack(folder / "xanes_raw.tif", flat="flat.tif", dark="dark.tif")
    np.testing.assert_allclose(one.energy, two.energy, atol=6e-4)  # the text is rounded to 1 meV
    for name in ("data", "flat", "dark"):
        np.testing.assert_array_equal(getattr(one, name)[:], getattr(two, name)[:])


def test_a_divided_export_is_not_divided_again(data_dir):
    stack = read_stack(data_dir / "phantom_ni_2d" / "fxi_export_crop.h5")
    assert stack.flat is None and stack.dark is None and stack.pixel_size_um == pytest.approx(0.02)
    assert len(stack.warnings) == 1 and "not applied again" in stack.warnings[0]


def test_volumes_of_a_series_of_files(data_dir):
    stack = read_stack(data_dir / "phantom_ni_3d")
    index = sorted(path.name for path in (data_dir / "phantom_ni_3d").glob("recon*")).index(
        "recon_scan_30007.h5"
    )
    with h5py.File(data_dir / "phantom_ni_3d" / "recon_scan_30007.h5") as file:
        np.testing.assert_array_equal(stack.read(index, slice(3, 9)), file["img"][3:9])
        assert stack.energy[index] == pytest.approx(file["X_eng"][()] * 1000)


def test_beam_spectrum_of_the_stxm_scan(data_dir):
    folder = data_dir / "stxm_fe_l"
    stack = read_stack(folder / "stack_transmission.tif", flat=folder / "i0_counts.txt")
    np.testing.assert_allclose(stack.flat, np.loadtxt(folder / "i0_counts.txt")[:, 1])
    assert stack.signal == "counts"
