"""Text files of numbers in the layouts that people and beamlines write."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from napari_xanes import DataFileError, InputError
from napari_xanes._core.io.table import read_table
from napari_xanes._core.io.units import sorted_groups, to_ev
from napari_xanes._core.io.written import numbers_of

EXPECTED = [[8.2, 0.5], [8.3, 1.5], [8.4, 2.5]]


@pytest.mark.parametrize(
    "raw",
    [
        b"8.2 0.5\n8.3 1.5\n8.4 2.5\n",
        b"8.2,0.5\r\n8.3,1.5\r\n8.4,2.5\r\n",
        b"\xef\xbb\xbfenergy,mu\n8.2,0.5\n8.3,1.5\n8.4,2.5",
        b"energy;mu\n8,2;0,5\n8,3;1,5\n8,4;2,5\n",
        b"8,2\t0,5\n8,3\t1,5\n8,4\t2,5\n",
        b"# E\tmu\n8.2\t0.5\n8.3\t1.5\n\n8.4\t2.5\n\n",
        b"made by \x95\nEnergy  mu\n  8.2  0.5\n  8.3  1.5\n# a remark\n  8.4  2.5\n",
        b"'8.2', '0.5'\n'8.3', '1.5'\n'8.4', '2.5',\n",
        "energy,mu\n8.2,0.5\n8.3,1.5\n8.4,2.5\n".encode("utf-16"),
        b"8.2 0.5\r8.3 1.5\r8.4 2.5\r",
    ],
    ids=["plain", "crlf", "bom", "semicolon", "decimal-comma", "tabs", "latin", "quoted", "utf16", "mac"],
)
def test_layouts_give_the_same_numbers(tmp_path, raw):
    (tmp_path / "a.txt").write_bytes(raw)
    np.testing.assert_array_equal(read_table(tmp_path / "a.txt").values, EXPECTED)


def test_missing_values_are_nan(tmp_path):
    (tmp_path / "a.csv").write_text("energy,mu,i0\n8200,,5\n8300,1.5,nan\n")
    np.testing.assert_array_equal(
        read_table(tmp_path / "a.csv").values, [[8200, np.nan, 5], [8300, 1.5, np.nan]]
    )


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("energy,mu,i0", ("energy", "mu", "i0")),
        ("#  energy  LiFe(II)PO4   i0", ("energy", "LiFe(II)PO4", "i0")),
        ("#Mono Energy *   Preset time * I0", ("Mono Energy", "Preset time", "I0")),
        ("# Column.1: energy eV\n# Column.2: mutrans\n# Column.3: i0\n# ---", ("energy eV", "mutrans", "i0")),
        ("a header of more words than columns", ()),
        ("#%Provider: Somebody, Other, Third", ()),
    ],
)
def test_names_of_columns(tmp_path, header, names):
    (tmp_path / "a.txt").write_text(header + "\n1 2 3\n4 5 6\n")
    assert read_table(tmp_path / "a.txt").names == names


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"", "a.txt is empty"),
        (b" \n\n", "a.txt is empty"),
        (b"no numbers\nat all\n", "a.txt holds no line of numbers"),
        (b"8200\n8201\nabc\n8203\n", "a.txt, line 3 reads 'abc', expected 1 number"),
        (b"1 2\n3 4\n5\n", "a.txt, line 3 reads '5', expected 2 numbers"),
        (b"\x00\x01\x02\xff", "a.txt is not a text file"),
    ],
)
def test_faults_are_named(tmp_path, raw, said):
    (tmp_path / "a.txt").write_bytes(raw)
    with pytest.raises(DataFileError, match=said):
        read_table(tmp_path / "a.txt")


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataFileError, match=r"none\.txt: there is no such file"):
        read_table(tmp_path / "none.txt")


@pytest.mark.parametrize(
    ("values", "unit", "expected", "told"),
    [
        ([8.2, 8.3], None, [8200, 8300], "keV"),
        ([8200, 8300], None, [8200, 8300], "eV"),
        ([280, 320], None, [280, 320], "eV"),
        ([0.28, 0.32], None, [280, 320], "keV"),
        ([87.0, 89.0], "eV", [87, 89], "eV"),
        ([87.0, 89.0], "keV", [87_000, 89_000], "keV"),
    ],
)
def test_unit_from_the_numbers(values, unit, expected, told):
    found = to_ev(np.array(values), "a.txt", unit)
    np.testing.assert_allclose(found.values, expected, rtol=1e-12)
    assert found.unit == told and not found.warnings


def test_doubtful_unit_is_said_unless_the_name_says_it():
    found = to_ev(np.array([72.0, 74.5]), "a.txt")
    assert found.unit == "keV" and "taken for keV; if they are eV" in found.warnings[0]
    assert to_ev(np.array([72.0, 74.5]), "a.txt", hint="energy_eV").unit == "eV"


@pytest.mark.parametrize(
    ("values", "unit", "said"),
    [
        ([8.2, 8300.0], None, "a.txt go from 8.2 to 8300, as if eV and keV were mixed"),
        ([8200.0, np.nan], None, "energy 2 of 2 of a.txt is nan"),
        ([0.0, 8200.0], None, "energy 1 of 2 of a.txt is 0.0"),
        ([-8200.0, 8200.0], None, "energy 1 of 2 of a.txt is -8200.0"),
        ([8200.0, 8300.0], "keV", "8200 to 8300, cannot be keV"),
        ([8.2, 8.3], "eV", "8.2 to 8.3, cannot be eV"),
    ],
)
def test_impossible_energies_are_refused(values, unit, said):
    with pytest.raises(InputError, match=said):
        to_ev(np.array(values), "a.txt", unit)


def test_equal_energies_are_grouped_in_order():
    assert sorted_groups(np.array([3.0, 1.0, 3.0, 2.0])) == [(1,), (3,), (0, 2)]


@pytest.mark.parametrize("line", ["1" * 200_000, "1" + " ; " * 100_000, "#" + "*" * 200_000 + "x"])
def test_odd_long_lines_hold_nothing_up(tmp_path, line):
    """In a time that grows with their square, they would take minutes."""
    (tmp_path / "a.txt").write_text(f"{line}\n8300 1\n8310 2\n")
    np.testing.assert_array_equal(read_table(tmp_path / "a.txt").values, [[8300, 1], [8310, 2]])


@pytest.mark.parametrize("text", ["," * 2**23, "8333 1\t" * 2**20, '"' * 2**23, ("1," * 9_999 + "\n") * 300])
def test_millions_of_cells_are_told_before_they_are_made(tmp_path, text):
    """They would take minutes, and 50 times the memory of the file."""
    (tmp_path / "a.txt").write_text(text)
    tracemalloc.start()
    with pytest.raises(DataFileError, match=r"no line of numbers|has \d+ values, expected a table"):
        read_table(tmp_path / "a.txt")
    assert tracemalloc.get_traced_memory()[1] < 8 * len(text)
    tracemalloc.stop()


@pytest.mark.parametrize("text", ["1" * 200_000, " " * 200_000 + "x", '"' + " " * 200_000])
def test_long_texts_are_no_numbers(text):
    assert numbers_of([text]) is None
