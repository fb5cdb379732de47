"""Which columns are energy and absorption: what is declared, what the curves show, and what is asked."""

from __future__ import annotations

import numpy as np
import pytest

from napari_xanes import DataFileError, InputError, read_references, read_stack
from napari_xanes._core.io.column_names import column_names
from napari_xanes._core.io.column_roles import role_of
from napari_xanes._core.io.curve_shape import edge_shape

E = np.linspace(7000, 7300, 61)
MU = 0.2 + 1 / (1 + np.exp(-(E - 7112) / 2))
I0 = 1e5 * (1 + 0.001 * (E - 7000))


def write(tmp_path, header, *columns, name="r.dat"):
    np.savetxt(tmp_path / name, np.column_stack(columns), header=header, comments="")
    return tmp_path / name


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *(
            (n, "energy")
            for n in ("Energy", "Mono Energy (alt) *", "energy eV", "E", "mononrg", "ZapEnergy", "keV")
        ),
        *((n, "angle") for n in ("angle degrees", "theta", "Bragg", "mono_bragg")),
        *(
            (n, "mu")
            for n in ("mu", "xmu", "mutrans", "avg_mufluor", "norm", "flat", "mu01", "normalized mu(E)")
        ),
        *((n, "i0") for n in ("I0", "io", "Mon", "PreKB-I0", "I0_KEITHLEY1", "I0_eh1")),
        *((n, "it") for n in ("It", "I1", "I", "itrans", "transmission")),
        *(
            (n, "fluorescence")
            for n in ("sca1", "FF3", "ifluor2", "xmap_roi00", "Ifch1", "Lytle", "fla07", "If")
        ),
        *(
            (n, "other")
            for n in ("sigma", "time", "IDgap", "ring current", "i2", "Iref", "Ifslow1", "nbkg", "H")
        ),
        *((n, "unknown") for n in ("NiO", "mcs3", "Det1", "LiFe(II)PO4", "samy2")),
    ],
)
def test_roles_of_names(name, role):
    assert role_of(name) == role


@pytest.mark.parametrize(
    ("header", "names"),
    [
        (("energy mu sigma", "-----------"), ("energy", "mu", "sigma")),
        (("#L energy  i0  Counter 3",), ("energy", "i0", "Counter 3")),
        (("#C 1_Energy (keV) 2_sec 3_i0",), ("Energy (keV)", "sec", "i0")),
        (("; P1 = {Energy} --> a", "; D1 = {I0} --> b", "; D2 = {I1}", "; P1 D1 D2"), ("Energy", "I0", "I1")),
        (("Data:", "Requested Energy", "I0", "I1", ""), ("Requested Energy", "I0", "I1")),
        (('#(1)\t"$(AbsEnergyName)"\t"$(D1)"\t"k"', "#(2) remark"), ("AbsEnergyName", "D1", "k")),
        (("Energy_c1  I0_c2  AlKa_c3",), ("Energy", "I0", "AlKa")),
        (("Energy I0 It", "made in May"), ("made", "in", "May")),
        (("E0 = 7112", "a prose of many more words"), ()),
    ],
)
def test_names_of_columns_in_headers(header, names):
    assert column_names(header, 3) == names


@pytest.mark.parametrize(
    ("header", "columns", "scale", "note"),
    [
        (" Energy I0 I", (I0, I0 * np.exp(-MU)), 1, "ln(I0/I)"),
        ("energy i0 sca1 sca2 sca3", (I0, *(I0 * MU * k for k in (1, 2, 3))), 6, "(sca1+sca2+sca3)/i0"),
        ("energy mon ifluor1 ifluor2", (I0, I0 * MU, I0 * MU), 2, "(ifluor1+ifluor2)/mon"),
        ("energy I0 It FF1 FF2", (I0, I0 * np.exp(-MU), I0 * 0, I0 * 0), 1, "ln(I0/It)"),
        ("energy I0 It FF1 FF2", (I0, I0 * 0.9, I0 * MU, I0 * MU), 2, "(FF1+FF2)/I0"),
        ("energy norm nbkg flat fbkg", (MU, 0 * E, MU + 0.01 * (E > 7112), 0 * E), 1, "absorption is norm"),
        ("energy i0 i1 avg_mufluor", (I0, 0.9 * I0, MU), 1, ""),
        ("energy xmu bkg pre_edge i0", (MU, MU, MU, I0), 1, ""),
    ],
)
def test_absorption_of_counts_and_exports(tmp_path, header, columns, scale, note):
    (found,) = read_references(write(tmp_path, header, E, *columns))
    assert found.name == "r"
    np.testing.assert_allclose(found.mu, scale * MU, rtol=1e-6)
    assert note in " ".join(found.notes)


def test_every_other_reading_is_said(tmp_path):
    (found,) = read_references(write(tmp_path, "energy I0 It If", E, I0, I0 * np.exp(-MU), I0 * MU))
    assert "the file also has If/I0" in found.notes


@pytest.mark.parametrize(
    ("header", "columns", "asked"),
    [
        ("energy  mcs3  mcs4  IDgap", (I0, I0 * np.exp(-MU), 12 + 0 * E), r"r\.dat:ln\(mcs3/mcs4\)"),
        ("energy I0 sca1 roi1", (I0, I0 * MU, I0 * MU), "could be sca1/I0 or roi1/I0"),
        ("energy i0 mu01 flatot", (I0, 1.5 - MU, I0 * MU), "does not rise at an edge, while flatot/i0 does"),
        ("samx mon It", (I0, I0), "r.dat has the columns samx, mon, It, none of which is energy"),
        ("theta mu sigma", (MU, MU), "names no d-spacing"),
    ],
)
def test_what_is_open_is_asked(tmp_path, header, columns, asked):
    with pytest.raises(DataFileError, match=asked):
        read_references(write(tmp_path, header, E, *columns))


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("ln(mcs3/mcs4)", MU),
        ("mcs5/mcs3", 2 * MU),
        ("(mcs5 + mcs5)/mcs3", 4 * MU),
        ("column 2", I0),
        ("mcs3", I0),
    ],
)
def test_a_column_or_formula_is_named_after_the_file(tmp_path, formula, expected):
    path = write(tmp_path, "energy mcs3 mcs4 mcs5", E, I0, I0 * np.exp(-MU), 2 * I0 * MU)
    (found,) = read_references(f"{path}:{formula}")
    np.testing.assert_allclose(found.mu, expected, rtol=1e-9)
    with pytest.raises(DataFileError, match=r"'mcs9' is neither a column of .*energy, mcs3, mcs4, mcs5"):
        read_references(f"{path}:mcs9")


def test_spectra_of_groups_are_named_by_them(tmp_path):
    header = "energy NiO.norm NiO.flat LiNiO2.norm LiNiO2.flat"
    found = read_references(write(tmp_path, header, E, MU, 0 * E, 2 * MU, 0 * E))
    assert [r.name for r in found] == ["NiO", "LiNiO2"]
    np.testing.assert_allclose(found[1].mu, 2 * MU)


def test_angles_become_energies_by_the_d_spacing(tmp_path):
    angle = np.degrees(np.arcsin(12398.419843320026 / E / (2 * 3.13555)))
    header = "# XDI/1.0\n# Mono.d_spacing: 3.13555\n# Column.1: angle degrees\n# Column.2: mutrans\n# ---"
    (found,) = read_references(write(tmp_path, header, angle, MU))
    np.testing.assert_allclose(found.energy, E, atol=1e-6)
    assert "from the angle" in " ".join(found.notes)


def test_curves_without_an_edge_are_remarked(tmp_path):
    rng = np.random.default_rng(3)
    for mu, said in (
        (1.4 - MU, "falls at its edge"),
        (rng.normal(1, 0.1, E.size), "no edge"),
        (E / 7000, "no edge"),
        (MU + 0.01 * rng.normal(size=E.size), ""),
    ):
        (found,) = read_references(write(tmp_path, "energy mu", E, mu))
        notes = " ".join(found.notes)
        assert said in notes and bool(said) == ("edge" in notes)


def test_no_real_reference_is_suspected(data_dir):
    paths = [p for p in (data_dir / "refs").rglob("*") if p.suffix in (".e", ".nor", ".xdi", ".xmu", ".060")]
    assert len(paths) > 8
    for path in paths:
        assert {edge_shape(r.energy, r.mu) for r in read_references(path)} == {"rises"}, path


def test_beam_spectrum_is_the_column_named_i0(tmp_path):
    import h5py

    energy, beam = np.linspace(8250, 8550, 31), 2000 * (1 + 0.2 * np.sin(np.arange(31) / 5))
    with h5py.File(tmp_path / "c.h5", "w") as file:
        file["img"] = np.random.default_rng(0).poisson(1000, (31, 8, 9)).astype("u2")
        file["energy"] = energy
    write(tmp_path, "energy time I0", energy, np.arange(31), beam, name="i0.txt")
    np.testing.assert_allclose(np.asarray(read_stack(tmp_path / "c.h5", flat="i0.txt").flat), beam)
    write(tmp_path, "energy izt beam", energy, np.arange(31), beam, name="i0.txt")
    with pytest.raises(
        InputError, match=r"cannot be told \(izt, beam\); name it after the file, as in i0\.txt:izt"
    ):
        read_stack(tmp_path / "c.h5", flat="i0.txt")
    np.testing.assert_allclose(np.asarray(read_stack(tmp_path / "c.h5", flat="i0.txt:beam").flat), beam)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8222,75 1,5\n8223 2\n8223,25 3,5\n", [[8222.75, 1.5], [8223, 2], [8223.25, 3.5]]),
        ("; a remark\n;---\n8222 1\n8223 2\n\x1a", [[8222, 1], [8223, 2]]),
        (";1;2\n8223;3;4\n", [[np.nan, 1, 2], [8223, 3, 4]]),
        ("Offsets:\n1.5 2.5\nData:\nenergy\nmu\n\n8222 1\n8223 2\n", [[8222, 1], [8223, 2]]),
    ],
)
def test_layouts_of_rows(tmp_path, text, expected):
    from napari_xanes._core.io.table import read_table

    (tmp_path / "a.txt").write_bytes(text.encode())
    np.testing.assert_array_equal(read_table(tmp_path / "a.txt").values, expected)
