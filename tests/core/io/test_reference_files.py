"""References in files of their own kinds: SPEC, KEK 9809, Athena projects, NXxas and beamline columns."""

from __future__ import annotations

import gzip
import json

import h5py
import numpy as np
import pytest

from napari_xanes import DataFileError, read_references

E = np.linspace(8250, 8550, 121)


def mu(e0, energy=E):
    return 0.5 + np.arctan((energy - e0) / 1.5) / np.pi


def scan(number, energy, e0, over="Energy"):
    rows = "\n".join(f"{a / 1000:.7f} 1e5 {b:.9f}" for a, b in zip(energy, mu(e0, energy), strict=True))
    return f"#S {number} escan\n#L {over}  I0  mu\n{rows}\n\n"


@pytest.mark.parametrize("second", [E, E + 1.25])
def test_scans_of_a_spec_file_stay_apart(tmp_path, second):
    path = tmp_path / "refs.spec"
    path.write_text(
        "#F refs\n"
        + scan(1, E, 8333)
        + scan(2, second, 8340)
        + scan(3, E, 8340, "samy")
        + "#S 4 escan\n#L Energy  mu\n"
    )
    found = read_references(path)
    assert [r.name for r in found] == ["refs scan 1", "refs scan 2"]
    np.testing.assert_allclose(found[0].mu, mu(8333), atol=1e-8)
    np.testing.assert_allclose(found[1].energy, second, atol=1e-3)
    assert "scan 3 (over samy), 4 (empty) is no scan of energies and was left out" in found[0].notes
    (one,) = read_references(f"{path}:2")
    np.testing.assert_array_equal(one.mu, found[1].mu)


def test_a_spec_file_without_energies_is_refused(tmp_path):
    (tmp_path / "a.spec").write_text(scan(7, E, 8333, "samx"))
    with pytest.raises(DataFileError, match=r"holds 1 scans and none is over energy: scan 7 \(over samx\)"):
        read_references(tmp_path / "a.spec")


def perl_groups(path):
    """Read the arrays and settings of a project with as little as possible."""
    groups = []
    for line in gzip.decompress(path.read_bytes()).decode().splitlines():
        name, _, rest = line.partition(" = (")
        words = [word.strip("'") for word in rest.rstrip(");\n").split("','")] if rest else []
        if name == "@args":
            flat = rest.replace("'", "").split(",")
            at = flat.index("bkg_eshift"), flat.index("label")
            groups.append({"shift": float(flat[at[0] + 1]), "label": flat[at[1] + 1]})
        elif name in ("@x", "@y"):
            groups[-1][name[1]] = np.array([float(word) for word in words])
    return groups


@pytest.mark.parametrize(("name", "count"), [("Fe.prj", 5), ("FeO.prj", 1), ("MnO_bv.prj", 1)])
def test_athena_projects(whole_data, name, count):
    path = whole_data / "formats" / "athena" / name
    found, truth = read_references(path), perl_groups(path)
    assert len(found) == len(truth) == count
    for one, group in zip(found, truth, strict=True):
        assert one.name == group["label"]
        energy, first = np.unique(group["x"] + group["shift"], return_index=True)
        np.testing.assert_allclose(one.energy, energy, rtol=0, atol=1e-9)
        np.testing.assert_array_equal(one.mu, group["y"][first])
        assert any("shifted" in note for note in one.notes) == bool(group["shift"])
    (last,) = read_references(f"{path}:{found[-1].name}")
    np.testing.assert_array_equal(last.mu, found[-1].mu)
    with pytest.raises(DataFileError, match=f"has no spectrum 'gold'; it has {found[0].name}"):
        read_references(f"{path}:gold")


def test_projects_unpacked_and_as_json(tmp_path, whole_data):
    packed = whole_data / "formats" / "athena" / "Fe.prj"
    plain = tmp_path / "plain.prj"
    plain.write_bytes(gzip.decompress(packed.read_bytes()))
    truth = perl_groups(packed)
    project = {"_____header1": "# Athena project file", "_____order": ["b", "a"]}
    for key, group in zip("ab", truth, strict=False):
        project[key] = {
            "args": {"label": group["label"], "bkg_eshift": group["shift"]},
            "x": [repr(v) for v in group["x"].tolist()],
            "y": group["y"].tolist(),
        }
    (tmp_path / "json.prj").write_text(json.dumps(project))
    for one, other in zip(read_references(plain), read_references(packed), strict=True):
        np.testing.assert_array_equal(one.mu, other.mu)
    found = read_references(tmp_path / "json.prj")
    assert [r.name for r in found] == [truth[1]["label"], truth[0]["label"]]
    np.testing.assert_allclose(found[1].energy[0], truth[0]["x"].min() + truth[0]["shift"])
    (tmp_path / "cut.prj").write_bytes(packed.read_bytes()[:3])
    with pytest.raises(DataFileError, match=r"cut\.prj"):
        read_references(tmp_path / "cut.prj")


@pytest.mark.parametrize("name", ["generic.h5", "Fe_XDIFiles.h5", "KEK_PFdata.h5"])
def test_nxxas_entries(whole_data, name):
    path = whole_data / "formats" / "nxxas" / name
    found = read_references(path)
    with h5py.File(path) as file:
        assert [r.name for r in found] == list(file)
        for one in found:
            np.testing.assert_array_equal(one.energy, file[one.name]["energy"][()])
            np.testing.assert_array_equal(one.mu, file[one.name]["intensity"][()])


def test_an_hdf5_file_that_is_no_nxxas_is_refused(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["entry/energy"] = E
    with pytest.raises(DataFileError, match="without an entry of the definition NXxas"):
        read_references(tmp_path / "a.h5")


def test_kek_counts_and_energies(whole_data):
    """The same scan stands in NXxas, with the energies of a misprinted d-spacing, 3.1551 for 3.13551."""
    (found,) = read_references(whole_data / "formats" / "columns" / "PF9A_2022.dat")
    with h5py.File(whole_data / "formats" / "nxxas" / "KEK_PFdata.h5") as file:
        entry = file["fe010"]
        np.testing.assert_allclose(found.energy * 3.13551, entry["energy"][()] * 3.1551, rtol=1e-7)
        ratio = entry["instrument/ifluor/data"][()] / entry["instrument/i0/data"][()]
    np.testing.assert_allclose(found.mu, ratio, rtol=1e-12)
    assert found.energy[0] == pytest.approx(6606.20, abs=0.1)  # the table of blocks in the header
    (gold,) = read_references(whole_data / "formats" / "columns" / "PFBL12C_2005.dat")
    assert gold.energy[0] == pytest.approx(12049.0, abs=0.1) and "up to 16.7 eV" in " ".join(gold.notes)


@pytest.mark.parametrize(
    ("name", "formula", "first"),
    [
        ("APS13ID_2008.dat", "ln(I0/I1)", (9509.0, np.log(101896.7 / 167180.2))),
        ("SSRL1_2006.dat", "ln(I0/I1)", (25285.0, np.log(147360.797 / 131905.5))),
        ("NSLS_XDAC_2011.dat", "ln(I0/It)", (6912.0019, np.log(4484 / 3516))),
        ("APS9BM_2006.dat", "(mca1+mca2+mca3+mca4+mca5+mca6+mca7+mca8)/i0", (2460.0, 114 / 136182)),
    ],
)
def test_beamline_columns(whole_data, name, formula, first):
    (found,) = read_references(whole_data / "formats" / "columns" / name)
    assert f"absorption is {formula}" in " ".join(found.notes)
    np.testing.assert_allclose((found.energy[0], found.mu[0]), first, rtol=1e-9)


@pytest.mark.parametrize(
    ("name", "chosen"),
    [
        ("APS20ID_2018.dat", "XMAP4:AsKa_Sum/PreKB-I0"),
        ("SLS_PHOENIX_2023.dat", "AlKa_sum_cps/I0_KEITHLEY1"),
        ("CLSHXMA.dat", "ln(Detector1/Detector2)"),
        ("APS12BM_2019.dat", "flatot/i0"),
    ],
)
def test_beamline_columns_that_leave_a_choice(whole_data, name, chosen):
    path = whole_data / "formats" / "columns" / name
    with pytest.raises(DataFileError, match=r"name (a column|the one you mean)"):
        read_references(path)
    (found,) = read_references(f"{path}:{chosen}")
    assert found.energy.size > 100
