"""Where two readings are possible it is asked; what is taken without being declared is said."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
import scipy.io

from napari_xanes import DataFileError, InputError, read_references, read_stack
from napari_xanes._reader import ASKABLE


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(name, items, **attrs):
    with h5py.File(name, "w") as file:
        for key, value in items.items():
            file[key] = value
        for key, given in attrs.items():
            file[key].attrs.update(given)
    return name


# -- two readings ---------------------------------------------------------------------------------------

CUBE = np.random.default_rng(3).random((9, 9, 12)).astype("f4")
NINE = np.linspace(8300, 8400, 9)


def write_cube(kind, stored):
    if kind == "npz":
        np.savez("cube.npz", img=stored, energy=NINE)
    elif kind == "npy":
        np.save("cube.npy", stored)
        np.savetxt("cube_energy.txt", NINE)
    elif kind == "mat":
        scipy.io.savemat("cube.mat", {"img": stored, "energy": NINE})
    else:
        write("cube.h5", {"img": stored, "energy": NINE})
    return f"cube.{kind}"


@pytest.mark.parametrize("kind", ["h5", "npz", "npy", "mat"])
def test_axes_of_the_same_length_are_asked_about(here, kind):
    path = write_cube(kind, CUBE)
    with pytest.raises(
        DataFileError, match=r"axes 0 and 1 of .*\(9, 9, 12\).* say axis=0 or axis=1\."
    ) as refusal:
        read_stack(path)
    assert ASKABLE.search(str(refusal.value)), "the import dialog asks"
    np.testing.assert_array_equal(read_stack(path, axis=0).data[:], CUBE)
    np.testing.assert_array_equal(read_stack(path, axis=1).data[:], CUBE.transpose(1, 0, 2))
    with pytest.raises(DataFileError, match="say axis=0 or axis=1"):
        read_stack(path, energy=NINE)


def test_definitions_with_energy_first_are_not_asked_about(here):
    for name in ("exchange/data", "img_xanes", "SpecNormalized/spectroscopy_normalized_aligned"):
        write("cube.h5", {name: CUBE, "energy": NINE})
        np.testing.assert_array_equal(read_stack("cube.h5").data[:], CUBE)


@pytest.mark.parametrize("kind", ["h5", "npy"])
def test_energies_that_fit_another_axis_turn_it_and_that_is_said(here, kind):
    stored = np.random.default_rng(4).random((7, 8, 9)).astype("f4")
    path = write_cube(kind, stored)
    stack = read_stack(path)
    np.testing.assert_array_equal(stack.data[:], stored.transpose(2, 0, 1))
    assert any("axis 2 of" in text and "only its length" in text for text in stack.warnings)


# -- energies under other names, and what only looks like some ------------------------------------------------


def test_a_declared_unit_of_energy_rules_over_the_name(here):
    write("a.h5", {"exchange/data": CUBE, "exchange/theta": NINE / 1000, "sr/ring_energy": np.full(9, 3.0)})
    with pytest.raises(DataFileError, match=r"as long as the images are /exchange/theta \(8\.3 to 8\.4\)"):
        read_stack("a.h5")
    with h5py.File("a.h5", "a") as file:
        file["exchange/theta"].attrs["units"] = "keV"
    np.testing.assert_allclose(read_stack("a.h5").energy, NINE)


def test_a_declared_axis_of_angles_is_no_energy(here):
    with h5py.File("a.nxs", "w") as file:
        data = file.create_group("entry/data")
        data.attrs.update(NX_class="NXdata", signal="data", axes=["rotation_angle", "y", "x"])
        data["data"], data["rotation_angle"] = CUBE, np.linspace(8.3, 8.4, 9)
        data["rotation_angle"].attrs["units"] = "deg"
    with pytest.raises(DataFileError, match="no energies were found"):
        read_stack("a.nxs")
    with pytest.raises(DataFileError, match="is in deg, and not in eV, keV or J"):
        read_stack("a.nxs", energy="/entry/data/rotation_angle")


def test_wavelengths_become_energies_and_that_is_said(here):
    write("a.h5", {"img": CUBE, "wavelength": 1.2398419843320026 / NINE * 1000}, wavelength={"units": "nm"})
    stack = read_stack("a.h5", axis=0)
    np.testing.assert_allclose(stack.energy, NINE)
    assert "computed from wavelengths" in stack.warnings[-1] or any(
        "wavelengths" in t for t in stack.warnings
    )


@pytest.mark.parametrize("name", ["energy_loss", "kinetic_energy", "threshold_energy"])
def test_energies_that_are_not_those_of_photons_are_not_taken(here, name):
    write("a.h5", {"img": np.random.default_rng(2).random((9, 7, 12)), name: np.linspace(280, 320, 9)})
    with pytest.raises(DataFileError, match=f"as long as the images are /{name}"):
        read_stack("a.h5")


def test_another_stack_of_the_same_shape_is_named(here):
    stack = np.random.default_rng(2).random((9, 7, 12))
    write("a.h5", {"data": stack, "data_2": stack * 2, "energy": NINE})
    said = read_stack("a.h5", signal="optical_density").warnings
    assert said == ("/data was opened by its name; there are also /data_2: choose with images=",)


@pytest.mark.parametrize(
    ("style", "energies"),
    [
        ("Ni_{whole}_{after:02d}", [8300.25, 8310.5, 8333.75, 8341.2]),
        ("Ni_{whole}_{n:03d}", [8300.0, 8310.0, 8333.0, 8341.0]),
        ("Ni_{whole}K_{n:03d}", None),
        ("Ni_{n:03d}_{whole}mA", None),
    ],
)
def test_numbers_in_names_without_a_unit(here, style, energies):
    for n, ev in enumerate([8300.25, 8310.5, 8333.75, 8341.2]):
        name = style.format(whole=int(ev), after=round(ev % 1 * 100), n=n)
        np.save(f"{name}.npy", np.full((5, 6), n / 10) + np.arange(6) / 100)
    if energies is None:
        with pytest.raises(DataFileError, match="no energies were found"):
            read_stack(here)
        return
    stack = read_stack(here, signal="optical_density")
    np.testing.assert_allclose(stack.energy, energies)
    np.testing.assert_allclose(stack.data[:, 0, 0], np.arange(4) / 10)


# -- the size of a pixel ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "unit", "size", "said"),
    [
        ("/entry/pixel_size", "nm", 0.065, ""),
        ("/entry/instrument/detector/x_pixel_size", "um", 65.0, "a detector behind a lens"),
        ("/entry/x_pixel_size", "", None, "without a unit, so it is not used"),
        ("/SpecNormalized/x_pixel_size", "", 65.0, "taken for micrometres as MISTRAL has them"),
    ],
)
def test_a_pixel_size_is_taken_with_its_unit_and_else_said(here, name, unit, size, said):
    write(
        "a.h5", {"img": np.random.default_rng(5).random((9, 7, 12)), "energy": NINE, name: np.array([65.0])}
    )
    with h5py.File("a.h5", "a") as file:
        if unit:
            file[name].attrs["units"] = unit
    stack = read_stack("a.h5", signal="optical_density")
    assert stack.pixel_size_um == size
    assert [said in text for text in stack.warnings] == ([True] if said else [])


def test_of_several_flats_the_others_are_named(here):
    counts = np.random.default_rng(6).poisson(900, (9, 7, 12)).astype("u2")
    write("a.h5", {"img": counts, "energy": NINE, "refs/flat_1": counts[:3] + 500, "refs/flat_2": counts[:3]})
    said = read_stack("a.h5").warnings
    assert any("/refs/flat_1 was taken for the flats; there are also /refs/flat_2" in text for text in said)


def test_a_scan_that_was_stopped_is_told_by_the_frames_it_has(here):
    step = np.array([0.2, 0.2, 0.3, 0.8, 1.0, 1.0, 1.0, 0, 0])[:, None, None]
    thick = np.random.default_rng(7).random((7, 12)) * 0.9
    write("a.h5", {"img": (step * thick).astype("f4"), "energy": NINE})
    assert read_stack("a.h5").signal == "optical_density"


# -- columns ----------------------------------------------------------------------------------------------

EV = np.linspace(8250, 8550, 61)
MU = 0.2 + 1 / (1 + np.exp(-(EV - 8333) / 2)) + 0.02 * np.sin(EV / 7)
DEGREES = np.degrees(np.arcsin(12398.42 / EV / 6.2711))


def table(name, head, *columns):
    np.savetxt(name, np.stack(columns, 1), fmt="%.6f", header=head, comments="")
    return name


def test_a_list_of_unnamed_columns_is_asked_about_where_two_could_be_energies(here):
    np.save("s.npy", np.random.default_rng(8).random((61, 5, 6)))
    table("s_energies.txt", "", DEGREES, EV / 1000)
    with pytest.raises(DataFileError, match=r"column 1 and column 2 of .* energy=s_energies\.txt:column 1"):
        read_stack("s.npy")
    np.testing.assert_allclose(read_stack("s.npy", energy="s_energies.txt:column 2").energy, EV)
    table("s_energies.txt", "", 1e5 + np.random.default_rng(9).normal(0, 50, 61), EV)
    np.testing.assert_allclose(read_stack("s.npy").energy, EV)


@pytest.mark.parametrize(
    "head", ["# n bragg_deg E_keV", "# point  theta  Energy[keV]", "#no;angle (deg);keV"]
)
def test_the_column_named_as_energy_is_taken_from_a_list_with_angles(here, head):
    np.save("s.npy", np.random.default_rng(8).random((61, 5, 6)))
    table("s_energies.txt", head, np.arange(61.0), DEGREES, EV / 1000)
    np.testing.assert_allclose(read_stack("s.npy").energy, EV, atol=0.01)


def test_wavelengths_of_a_reference_are_converted_if_they_have_a_unit(here):
    with pytest.raises(DataFileError, match="none of which is energy by its name"):
        read_references(table("r.dat", "# wavelength mu", 12398.42 / EV, MU))
    for head, factor in (("# lambda (A)  mu", 1.0), ("Wavelength_nm mu", 0.1), ("mu wavelength[pm]", 100.0)):
        columns = (12398.41984 / EV * factor, MU)
        (found,) = read_references(table("r.dat", head, *(columns[::-1] if head[0] == "m" else columns)))
        np.testing.assert_allclose(found.energy, EV, atol=0.05)
        assert "energies from the wavelengths" in found.notes[0]


@pytest.mark.parametrize("name", ["E-E0 (eV)", "Energy - E0", "relative energy", "delta_E", "dE [eV]"])
@pytest.mark.parametrize("mu", ["mu", "norm", "NiO"])
def test_energies_relative_to_an_edge_are_refused(here, name, mu):
    rising = np.linspace(0.1, 1.2, 61)  # in order over an edge, taken for keV
    with pytest.raises(
        DataFileError,
        match="energies relative to the edge, and no photon energies; add the energy of the edge",
    ):
        read_references(table("r.csv", f"{name},{mu}", EV - 8333, rising))


def test_ion_chambers_counted_from_0_are_asked_about_with_the_right_formula(here):
    i0 = np.linspace(1e5, 2e5, 61)
    name = table("r.dat", "energy ion_chamber_0 ion_chamber_1", EV, i0, i0 * np.exp(-MU))
    with pytest.raises(DataFileError, match=r"r\.dat:ln\(ion_chamber_0/ion_chamber_1\)\."):
        read_references(name)
    (found,) = read_references(f"{name}:ln(ion_chamber_0/ion_chamber_1)")
    np.testing.assert_allclose(found.mu, MU, atol=1e-4)
    with pytest.raises(DataFileError, match="cannot be told"):
        read_references(table("r.dat", "energy IC1 IC2", EV, i0, i0 * np.exp(-MU)))


def test_angles_without_a_name_are_asked_about(here):
    with pytest.raises(DataFileError, match="its first one may be an angle; name the columns"):
        read_references(table("r.dat", "# Si(111) D= 3.13555 A", DEGREES, MU))


@pytest.mark.parametrize("order", [(MU, EV), (np.arange(1.0, 62), EV, MU)])
def test_energies_that_are_not_the_first_column_are_found_and_that_is_said(here, order):
    name = table("r.dat", "", *order)
    (found,) = read_references(name if len(order) == 2 else f"{name}:column 3")
    np.testing.assert_allclose(found.energy, EV)
    np.testing.assert_allclose(found.mu, MU, atol=1e-6)
    assert any("energies are those of column 2" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("8.3330D+03 1.5D-01\n8.3340D+03 2.5D-01\n", [0.15, 0.25]),
        ("8333 0.15 ; begin of the scan\n8334 0.25  # end\n", [0.15, 0.25]),
        ("8333\t0,15\n8334\t0,25\n", [0.15, 0.25]),
    ],
)
def test_numbers_in_other_writings(here, text, values):
    (here / "r.dat").write_text("# energy mu\n" + text)
    (found,) = read_references("r.dat")
    assert found.energy.tolist() == [8333, 8334] and found.mu.tolist() == values


@pytest.mark.parametrize(
    "head", ["Energy(eV)\tI0(cnts)\tIT(cnts)", "E_keV I0_counts I1_counts", "Energy [keV];I0 [V];It [V]"]
)
def test_units_behind_names_do_not_hide_what_a_column_is(here, head):
    beam = 1e5 + 100 * np.sin(EV)
    separator = next((s for s in "\t;" if s in head), " ")
    rows = [
        separator.join(f"{v:.6f}" for v in row)
        for row in zip(EV / (1000 if "keV" in head else 1), beam, beam * np.exp(-MU), strict=True)
    ]
    (here / "r.dat").write_text("\n".join([head, *rows]))
    (found,) = read_references("r.dat")
    np.testing.assert_allclose(found.mu, MU, atol=1e-4)
    np.testing.assert_allclose(found.energy, EV, atol=1e-3)


def test_the_columns_of_a_fio_file_are_named_one_a_line(here):
    beam = 1e5 + 100 * np.sin(EV)
    names = "".join(
        f" Col {i} {name} DOUBLE\n" for i, name in enumerate(("ENERGY", "SAMPLE_TIME", "I0", "I1"), 1)
    )
    table(
        "r.fio",
        f"!\n! Comments\n%c\nNi foil, 1 scan\n!\n%p\nD1 = 3.2\n%d\n{names.rstrip()}",
        EV,
        EV * 0 + 0.1,
        beam,
        beam * np.exp(-MU),
    )
    (found,) = read_references("r.fio")
    np.testing.assert_allclose(found.mu, MU, atol=1e-4)


def test_the_example_that_a_refusal_gives_for_a_scan_of_spec_works(here):
    beam = 1e5 + 100 * np.sin(EV)
    scan = "#S {} ascan energy\n#L Energy  Monitor  Detector\n"
    rows = "\n".join(
        f"{e / 1000:.6f} {i:.3f} {i * np.exp(-m):.3f}" for e, i, m in zip(EV, beam, MU, strict=True)
    )
    (here / "r.spec").write_text("#F r\n" + "\n\n".join(scan.format(k) + rows for k in (1, 2)))
    with pytest.raises(DataFileError, match=r"as in r\.spec:1:ln\(Monitor/Detector\)"):
        read_references("r.spec")
    (found,) = read_references("r.spec:1:ln(Monitor/Detector)")
    np.testing.assert_allclose(found.mu, MU, atol=1e-4)


@pytest.mark.parametrize(("unit", "size"), [(" nm", 0.065), ("", None)])
def test_the_pixel_size_of_an_edf_header_needs_a_unit(here, unit, size):
    edfimage = pytest.importorskip("fabio.edfimage")
    image = np.random.default_rng(1).random((5, 6)).astype("f4")
    for i, energy in enumerate((8330, 8340, 8350)):
        header = {"energy": str(energy), "pixel_size": f"65{unit}"}
        edfimage.EdfImage(data=image + i, header=header).write(f"a_{i}.edf")
    stack = read_stack(here, signal="optical_density")
    assert stack.pixel_size_um == size
    assert any("pixel_size of the header is 65 without a unit" in text for text in stack.warnings) == (
        size is None
    )


def test_of_two_lists_named_energies_the_other_is_named_if_it_differs(here):
    write(
        "a.h5",
        {"img": CUBE[:, :8], "energy": NINE, "energy_calibrated": NINE + 0.7, "energy_kev": NINE / 1000},
    )
    stack = read_stack("a.h5")
    np.testing.assert_array_equal(stack.energy, NINE)
    (said,) = [text for text in stack.warnings if "choose with energy=" in text]
    assert "/energy; /energy_calibrated differ" in said
    np.testing.assert_array_equal(read_stack("a.h5", energy="energy_calibrated").energy, NINE + 0.7)


@pytest.mark.parametrize("kind", ["h5", "npy"])
def test_volumes_of_one_plane_are_images(here, kind):
    images = CUBE[:, :8]
    path = write_cube(kind, images[:, None])
    np.testing.assert_array_equal(read_stack(path).data[:], images)


def test_few_images_in_each_file_may_be_repeats(here):
    for i, energy in enumerate(NINE):
        write(f"s_{i}.h5", {"img": CUBE[:3], "energy": energy})
    stack = read_stack(here)
    assert stack.shape == (9, 3, 9, 12)
    assert any(
        "each file holds 3 images, taken for the planes of a volume; if they are repeats" in w
        for w in stack.warnings
    )


def test_a_unit_in_words_is_a_unit(here):
    for unit in ("electron volts", "Electron-Volt", "kilo electron volts", "kilo_electronvolt"):
        factor = 1e-3 if unit[0] == "k" else 1.0
        write("a.h5", {"img": CUBE[:, :8], "energy": NINE * factor, "i0": NINE}, energy={"units": unit})
        np.testing.assert_allclose(read_stack("a.h5").energy, NINE)


# -- energies in rare units, and written as texts --------------------------------------------------------

STACK = np.random.default_rng(5).random((5, 6, 7)).astype("f4")
FIVE = np.array([8300.0, 8320.0, 8333.5, 8350.25, 8400.0])


@pytest.mark.parametrize(
    ("unit", "factor", "told"),
    [("MeV", 1e-6, "MeV"), ("meV", 1e3, "meV"), ("mev", 1e-6, "MeV"), ("MEV", 1e3, "meV")],
)
def test_mega_and_millielectronvolts_are_converted_where_declared(here, unit, factor, told):
    write("a.h5", {"img": STACK, "energy": FIVE * factor}, energy={"units": unit})
    write("b.h5", {"img": STACK, f"energy_{unit}": FIVE * factor})
    np.savetxt("c_energy.csv", FIVE * factor, "%.10g", header=f"Energy ({unit})", comments="")
    np.save("c.npy", STACK)
    for name in ("a.h5", "b.h5", "c.npy"):
        stack = read_stack(name)
        np.testing.assert_allclose(stack.energy, FIVE, rtol=1e-12)
        assert stack.source["file_energy_unit"] == told
    np.savetxt("ref.csv", np.c_[FIVE * factor, [0, 0, 0.5, 1, 1]], "%.10g", ",", header=f"Energy [{unit}],mu")
    np.testing.assert_allclose(read_references("ref.csv")[0].energy, FIVE, rtol=1e-9)


@pytest.mark.parametrize(("unit", "factor"), [("MeV", 1.0), ("meV", 1e-3), ("MeV", 1e3), ("meV", 1e-6)])
def test_a_rare_unit_that_cannot_be_is_asked_about(here, unit, factor):
    write("a.h5", {"img": STACK, "energy": FIVE * factor}, energy={"units": unit})
    with pytest.raises(InputError, match=f"declared as {unit}, which .* cannot be .*; give energy_unit"):
        read_stack("a.h5")
    if factor in (1.0, 1e-3):
        read = read_stack("a.h5", energy_unit="eV" if factor == 1 else "keV")
        np.testing.assert_allclose(read.energy, FIVE)


def test_a_number_in_each_file_may_have_a_rare_unit(here):
    for i, energy in enumerate(FIVE):
        write(f"s_{i}.h5", {"img": STACK[i], "energy": energy * 1e3}, energy={"units": "meV"})
    np.testing.assert_array_equal(read_stack(here).energy, FIVE)


@pytest.mark.parametrize("header", ["", "Energy"])
def test_a_rare_unit_in_the_name_of_a_file_means_nothing(here, header):
    np.save("s.npy", STACK)
    np.savetxt("sample_MEV_list.txt", FIVE, "%.2f", header=header, comments="")
    np.testing.assert_array_equal(read_stack("s.npy", energy="sample_MEV_list.txt").energy, FIVE)


def test_texts_of_numpy_in_rare_units(here):
    joules = [f"{energy * 1.602176634e-19:.12e} J" for energy in FIVE]
    for texts in (joules, [f"{energy * 1e-6:.9f} mev" for energy in FIVE]):
        np.savez("c.npz", img=STACK, energy=np.array(texts))
        np.testing.assert_allclose(read_stack("c.npz").energy, FIVE, rtol=1e-9)
    np.savez("c.npz", img=STACK, energy=np.array([f"{energy} mev" for energy in FIVE]))
    with pytest.raises(
        InputError, match="energies of energy are declared as mev, which 8300 to 8400 cannot be"
    ):
        read_stack("c.npz")


@pytest.mark.parametrize("kind", ["O", "S"])
@pytest.mark.parametrize("write_one", ["{:.2f}", "{:.2f} eV", "{:.2f}eV", "0{:.2f}", "{:.2f} ,"])
def test_energies_as_texts(here, kind, write_one):
    if write_one.endswith(","):
        texts = [f"{energy:.2f}".replace(".", ",") for energy in FIVE]
    else:
        texts = [write_one.format(energy) for energy in FIVE]
    held = np.array(texts, dtype=h5py.string_dtype() if kind == "O" else "S")
    write("a.h5", {"img": STACK, "energy": held})
    write("b.h5", {"entry/img": STACK})
    with h5py.File("b.h5", "a") as file:
        file["entry"].attrs["energies"] = held
    np.savez("c.npz", img=STACK, energy=np.array(texts))
    for name in ("a.h5", "b.h5", "c.npz"):
        np.testing.assert_array_equal(read_stack(name).energy, FIVE)
    np.testing.assert_array_equal(read_stack("a.h5", energy="energy").energy, FIVE)
    (here / "s").mkdir()
    for i, one in enumerate(held):
        write(f"s/s_{i}.h5", {"img": STACK[i], "energy": one})
    np.testing.assert_array_equal(read_stack("s").energy, FIVE)


@pytest.mark.parametrize(
    "texts", [["8,300.0", "8,320.0", "8333.5", "8350", "8400"], ["8.3 keV", *["8333 eV"] * 4]]
)
def test_texts_that_are_no_numbers_of_one_unit_are_asked_about(here, texts):
    write("a.h5", {"img": STACK, "energy": np.array(texts, "S")})
    with pytest.raises(DataFileError, match=r"/energy holds texts such as '8.*expected numbers in one unit"):
        read_stack("a.h5")


def test_a_unit_behind_every_number_of_a_list(here):
    np.save("a.npy", STACK)
    for write_one in ("{:.2f} eV", '"{:.2f}eV"', "{:.2f} eV;1", "{:.2f} eV, 300.5"):
        (here / "a_energy.csv").write_text("\n".join(write_one.format(energy) for energy in FIVE))
        np.testing.assert_array_equal(read_stack("a.npy").energy, FIVE)
    (here / "a_energy.csv").write_text("\n".join(f"{energy / 1000:.5f} keV" for energy in FIVE))
    np.testing.assert_allclose(read_stack("a.npy").energy, FIVE)
    (here / "a_energy.csv").write_text("8.3 keV\n8320 eV\n8333 eV\n8350 eV\n8400 eV\n")
    with pytest.raises(DataFileError, match="energies in eV and keV; write all of them in one unit"):
        read_stack("a.npy")
