"""Reference spectra: the fifteen real layouts, counts, sorting, and values at the energies of a scan."""

from __future__ import annotations

import json

import numpy as np
import pytest

from napari_xanes import DataFileError, InputError, Reference, read_references
from napari_xanes._core.io import interpolate_reference


def test_all_real_files_as_stated(data_dir):
    expected = json.loads((data_dir / "refs" / "expected.json").read_text())
    assert len(expected) == 15
    for name, facts in expected.items():
        found = read_references(data_dir / "refs" / name)
        factor = 1000 if facts["energy_unit"] == "keV" else 1
        assert f"energies in {facts['energy_unit']}" in found[0].notes, name
        assert len(found) == facts["columns"] - 1 if "names" in facts else len(found) == 1, name
        for reference in found:
            assert reference.energy.size == facts["rows"], name
            assert reference.energy[0] == pytest.approx(facts["energy_first"] * factor, abs=1e-3), name
            assert reference.energy[-1] == pytest.approx(facts["energy_last"] * factor, abs=1e-3), name
        if "signal_max" in facts:
            assert found[0].mu[0] == pytest.approx(facts["signal_first"], rel=1e-6), name
            assert found[0].mu.max() == pytest.approx(facts["signal_max"], abs=1e-4), name
            assert found[0].name == (data_dir / "refs" / name).stem
        if "names" in facts:
            assert [r.name for r in found] == facts["names"]


def test_counts_become_absorption(data_dir):
    """The same FeO scan was also published as mu."""
    raw = read_references(data_dir / "refs" / "xas" / "feo_exafs_pnccat2001.dat")[0]
    published = read_references(data_dir / "refs" / "xas" / "feo_rt1.xdi")[0]
    assert "absorption is ln(I0/I1)" in raw.notes[0]
    np.testing.assert_allclose(raw.mu, published.mu, atol=1e-6)
    foil = read_references(data_dir / "refs" / "xas" / "fe.060")[0]
    assert "absorption is ln(I0/It)" in foil.notes[0]
    table = np.loadtxt(data_dir / "refs" / "xas" / "fe.060", skiprows=18)
    np.testing.assert_allclose(foil.mu, np.log(table[:, 1] / table[:, 2]))


def write(tmp_path, text, name="NiO.txt"):
    (tmp_path / name).write_text(text)
    return tmp_path / name


def test_any_order_is_sorted_and_equal_energies_averaged(tmp_path):
    found = read_references(write(tmp_path, "8400 3\n8200 1\n8300 2\n8300 4\n8500 nan\n"))[0]
    np.testing.assert_array_equal(found.energy, [8200, 8300, 8400])
    np.testing.assert_array_equal(found.mu, [1, 3, 3])
    assert any("1 of 5 rows" in note for note in found.notes)
    assert any("4 rows at 3 different energies" in note for note in found.notes)


@pytest.mark.parametrize(
    ("header", "names"),
    [
        ("energy,mu,sigma", ["NiO"]),
        ("energy,xmu,I0", ["NiO"]),
        ("energy,NiO,LiNiO2", ["NiO", "LiNiO2"]),
        ("index,energy,NiO", ["NiO"]),
        ("energy,sigma,NiO", ["NiO"]),
    ],
)
def test_only_spectra_are_taken(tmp_path, header, names):
    column = header.split(",").index("energy")
    rows = [[1, 2, 3], [4, 5, 6]]
    for row, energy in zip(rows, (8200, 8300), strict=True):
        row[column] = energy
    text = "\n".join([header, *(",".join(map(str, row)) for row in rows)])
    found = read_references(write(tmp_path, text))
    assert [r.name for r in found] == names
    np.testing.assert_array_equal(found[0].energy, [8200, 8300])
    wanted = next(i for i, n in enumerate(header.split(",")) if n in ("mu", "xmu", "NiO"))
    np.testing.assert_array_equal(found[0].mu, [row[wanted] for row in rows])


def test_fluorescence_counts_are_divided_by_the_beam(tmp_path):
    found = read_references(write(tmp_path, "energy I0 If\n8200 10 1\n8300 20 8\n"))[0]
    np.testing.assert_allclose(found.mu, [0.1, 0.4])
    assert "If/I0" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("8200\n8300\n", DataFileError, r"NiO\.txt has one column"),
        ("8200 1 9 9\n8300 2 9 9\n", DataFileError, r"NiO\.txt has 4 columns without names"),
        (
            "energy,I0,sigma\n8200,1,2\n8300,1,2\n",
            DataFileError,
            r"NiO\.txt has the columns energy, I0, sigma",
        ),
        ("8200 1\n8300 nan\n", DataFileError, r"NiO\.txt has 1 rows with numbers"),
        ("8.2 1\n8300 2\n", InputError, r"NiO\.txt go from 8.2 to 8300"),
        ("energy,I0,It\n8200,1,0\n8300,1,-1\n", DataFileError, r"NiO\.txt has 0 rows with numbers"),
    ],
)
def test_faults_are_named(tmp_path, text, error, said):
    with pytest.raises(error, match=said):
        read_references(write(tmp_path, text))


def test_several_files_and_a_given_unit(tmp_path):
    a, b = write(tmp_path, "70 1\n80 2\n", "a.txt"), write(tmp_path, "75 1\n90 2\n", "b.txt")
    found = read_references(a, b, energy_unit="eV")
    assert [(r.name, r.energy[0]) for r in found] == [("a", 70.0), ("b", 75.0)]
    with pytest.raises(InputError, match="no reference file"):
        read_references()


@pytest.fixture
def nickel():
    return Reference("NiO", [8200, 8300, 8400], [0.0, 1.0, 0.5])


def test_interpolation_is_linear(nickel):
    np.testing.assert_allclose(interpolate_reference(nickel, [8200, 8250, 8375, 8400]), [0, 0.5, 0.625, 0.5])


def test_nothing_is_extrapolated_unasked(nickel):
    energy = [8100, 8150, 8250, 8500]
    with pytest.raises(
        InputError, match=r"'NiO' covers 8200.00 to 8400.00 eV, but 3 of the 4 .* 8100.00 to 8500.00"
    ):
        interpolate_reference(nickel, energy)
    np.testing.assert_allclose(interpolate_reference(nickel, energy, extrapolate="hold"), [0, 0, 0.5, 0.5])
    with pytest.raises(InputError, match="extrapolate is 'linear'"):
        interpolate_reference(nickel, energy, extrapolate="linear")


@pytest.mark.parametrize(
    ("energy", "mu", "said"),
    [
        ([8200], [1], "at least 2"),
        ([8200, 8300], [1, 2, 3], r"energies \(2,\) and values \(3,\)"),
        ([8300, 8200], [1, 2], "do not ascend"),
        ([8200, 8300], [1, np.nan], "not finite"),
    ],
)
def test_a_reference_is_checked(energy, mu, said):
    with pytest.raises(InputError, match=said):
        Reference("NiO", energy, mu)
