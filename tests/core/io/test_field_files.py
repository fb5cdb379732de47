"""Every small file of the field opens, held in full against a reading that shares nothing with the program."""

from __future__ import annotations

import re

import numpy as np
import olefile
import pytest

from napari_xanes import DataFileError, read_references, read_stack

HELD_ELSEWHERE = {
    ".prj": "test_reference_files",
    ".h5": "test_reference_files",
    ".xim": "test_sdf",
    ".hdr": "test_sdf",
}
NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


def table(path):
    """Return the longest run of rows of as many numbers."""
    rows = [line.replace(",", " ").split() for line in path.read_text("latin-1").splitlines()]
    numbers = [row if row and all(NUMBER.fullmatch(word) for word in row) else [] for row in rows]
    width = max(
        sorted({len(row) for row in numbers}), key=lambda n: n * sum(len(row) == n for row in numbers)
    )
    return np.array([row for row in numbers if len(row) == width], float).T


def ln(first, second):
    return lambda t: np.log(t[first] / t[second])


def over(i0, *counts):
    return lambda t: sum(t[k] for k in counts) / t[i0]


COLUMNS = {
    "APS13ID_2008.dat": ("", 0, 1.0, ln(2, 3)),
    "SSRL1_2006.dat": ("", 1, 1.0, ln(3, 4)),
    "NSLS_XDAC_2011.dat": ("", 0, 1.0, ln(1, 2)),
    "APS12BM_2019.dat": (":ln(i0/i1)", 0, 1000.0, None),
    "CLSHXMA.dat": (":ln(Detector1/Detector2)", 2, 1.0, ln(4, 5)),
    "APS9BM_2006.dat": ("", None, 1.0, None),
    "APS20ID_2018.dat": (":XMAP4:AsKa_Sum/PreKB-I0", None, 1.0, None),
    "SLS_PHOENIX_2023.dat": (":AlKa_sum_cps/I0_KEITHLEY1", None, 1.0, None),
}
"""What is named after the file, the column and the unit of the energies, and the absorption by columns."""
ANGLES = {"PF9A_2022.dat": ("", 0, 3.13551, over(3, 4)), "PFBL12C_2005.dat": ("", 0, 3.13551, ln(3, 4))}
"""Files of angles in degrees: their column, and the d-spacing of the crystal in ångström."""


@pytest.mark.parametrize("name", [name for name, held in COLUMNS.items() if held[3] is not None])
def test_columns_in_full(whole_data, name):
    path = whole_data / "formats" / "columns" / name
    chosen, column, factor, absorption = COLUMNS[name]
    (found,) = read_references(f"{path}{chosen}")
    numbers = table(path)
    numbers = numbers[:, numbers[column] * factor > 1000]  # not the rows of the header
    energy, first = np.unique(numbers[column] * factor, return_index=True)
    np.testing.assert_allclose(found.energy, energy, atol=0.1)
    np.testing.assert_allclose(found.mu, absorption(numbers)[first], rtol=1e-9)


@pytest.mark.parametrize("name", ANGLES)
def test_angles_become_energies(whole_data, name):
    _, column, spacing, absorption = ANGLES[name]
    (found,) = read_references(whole_data / "formats" / "columns" / name)
    numbers = table(whole_data / "formats" / "columns" / name)
    energy, first = np.unique(
        12398.41984 / (2 * spacing * np.sin(np.radians(numbers[column]))), return_index=True
    )
    np.testing.assert_allclose(found.energy, energy, rtol=1e-6)
    np.testing.assert_allclose(found.mu, absorption(numbers)[first], rtol=1e-9)


@pytest.mark.parametrize("name", ["test_chip00.xrm", "test_chip01.xrm"])
def test_zeiss_images_in_full(whole_data, name):
    path = whole_data / "formats" / "xrm" / name
    with olefile.OleFileIO(path) as ole:
        height, width = (
            int.from_bytes(ole.openstream(f"ImageInfo/Image{w}").read()[:4], "little")
            for w in ("Height", "Width")
        )
        truth = np.frombuffer(ole.openstream("ImageData1/Image1").read(), "<u2").reshape(height, width)
        (energy,) = np.frombuffer(ole.openstream("ImageInfo/Energy").read()[:4], "<f4")
        (size,) = np.frombuffer(ole.openstream("ImageInfo/PixelSize").read()[:4], "<f4")
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.data[0], truth)
    assert stack.energy[0] == pytest.approx(energy) and stack.pixel_size_um == pytest.approx(size, rel=1e-6)


def test_a_series_over_angles_says_what_it_is(whole_data):
    with pytest.raises(DataFileError, match="tomography series: 7 projections"):
        read_stack(whole_data / "formats" / "xrm" / "txrm_test_chip_tomo.txrm")


def test_no_file_is_left_out(whole_data):
    """Files whose values are held against another reading in other modules are named by their suffix."""
    for path in sorted((whole_data / "formats").rglob("*")):
        if path.is_dir() or path.name == "README.md" or path.suffix in HELD_ELSEWHERE:
            continue
        if path.suffix in (".xrm", ".txrm"):
            continue
        assert path.name in COLUMNS or path.name in ANGLES, path
        chosen = COLUMNS.get(path.name, ("",))[0]
        (found,) = read_references(f"{path}{chosen}")
        assert found.energy.size > 100 and np.ptp(found.mu) > 0
