"""Opening scans: energies from everywhere, order, duplicates, flats, what the values are, and the way back."""

from __future__ import annotations

import json
import tracemalloc

import h5py
import numpy as np
import pytest
import tifffile

from napari_xanes import DataFileError, InputError, read_stack
from napari_xanes._core.io import inspect_stack
from napari_xanes._core.io.energies import natural_key
from napari_xanes._core.recipe.input_params import InputParams

N = 5
RAW = np.random.default_rng(11).integers(200, 5000, (N, 7, 9)).astype(np.uint16)
EV = np.array([8300.0, 8310.0, 8320.0, 8330.0, 8340.0])


@pytest.fixture
def scan(tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", RAW)
    return tmp_path / "scan.tif"


def reopened(stack):
    keywords = {key: stack.source[key] for key in InputParams.model_fields}
    return read_stack(stack.source["path"], **keywords)


# -- energies -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "energy",
    [EV, EV / 1000, list(EV), EV[:, None], "8300:8340:10", "8.3:8.34:0.01", " 8300 : 8345 : 10 "],
    ids=["array", "keV", "list", "column", "range", "range-keV", "range-not-hit"],
)
def test_given_energies(scan, energy):
    stack = read_stack(scan, energy=energy)
    np.testing.assert_allclose(stack.energy, EV, rtol=1e-12)
    np.testing.assert_array_equal(stack.data[:], RAW)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("energy.txt", "8300\n8310\n8320\n8330\n8340\n"),
        ("Energies_keV.csv", "\ufeffindex,energy\r\n1,8.30\r\n2,8.31\r\n3,8.32\r\n4,8.33\r\n5,8.34\r\n"),
        ("scan.txt", "# position of mono\n8300\n8310\n8320\n8330\n8340\n"),
        ("the energy list.dat", "1 8300\n2 8310\n3 8320\n4 8330\n5 8340\n"),
    ],
)
def test_energies_beside_the_images(scan, name, text):
    (scan.parent / name).write_bytes(text.encode())
    (scan.parent / "notes.txt").write_text("1\n2\n3\n4\n5\n")
    stack = read_stack(scan)
    np.testing.assert_allclose(stack.energy, EV)
    assert name in stack.source["energy_source"]
    np.testing.assert_allclose(read_stack(scan, energy=name).energy, EV)


def test_each_scan_takes_the_list_named_like_it(scan):
    tifffile.imwrite(scan.parent / "other.tif", RAW)
    np.savetxt(scan.parent / "scan_energy.txt", EV)
    np.savetxt(scan.parent / "other_energy.txt", EV + 1)
    np.testing.assert_allclose(read_stack(scan).energy, EV)
    np.testing.assert_allclose(read_stack(scan.parent / "other.tif").energy, EV + 1)


def test_energies_of_another_hdf5_file(scan):
    with h5py.File(scan.parent / "log.h5", "w") as file:
        file["scan/mono"] = EV / 1000
    stack = read_stack(scan, energy=f"{scan.parent / 'log.h5'}:/scan/mono")
    np.testing.assert_allclose(stack.energy, EV)
    np.testing.assert_array_equal(reopened(stack).energy, stack.energy)


@pytest.mark.parametrize(
    ("files", "energy", "said"),
    [
        ({}, None, "no energies were found for scan"),
        (
            {"energy.txt": "8300\n8310\n"},
            None,
            r"scan has 5 images but energy\.txt beside it holds 2 energies",
        ),
        (
            {"energy.txt": "8300\n8310\n"},
            "energy.txt",
            r"scan has 5 images but .*energy\.txt holds 2 energies",
        ),
        ({"energy.txt": "a\nb\n"}, None, r"energy\.txt holds no line of numbers"),
        ({"energy.txt": "8300\n8310\nx\n8330\n8340\n"}, None, r"energy\.txt, line 3 reads 'x'"),
        ({"energy.txt": "8300\n8310\nnan\n8330\n8340\n"}, None, r"energy 3 of 5 of .*energy\.txt is nan"),
        ({"energy.txt": "8300\n8310\n0\n8330\n8340\n"}, None, r"energy 3 of 5 of .*energy\.txt is 0"),
        ({"energy.txt": "8300\n8310\n8.32\n8330\n8340\n"}, None, "as if eV and keV were mixed"),
        (
            {"a_energy.txt": "11\n12\n13\n14\n15\n", "b_energy.txt": "12\n13\n14\n15\n16\n"},
            None,
            "could be those of a_energy",
        ),
        ({}, "8300:8340:1", "scan has 5 images but the range 8300:8340:1 holds 41 energies"),
        ({}, "8300:8340:-1", "expected start:stop:step with a step that leads"),
        ({}, "8300:8340:0", "expected start:stop:step with a step that leads"),
        ({}, "energies.txt", "energy is 'energies.txt', but there is no such file"),
        ({}, [1, 2], "scan has 5 images but the given energies holds 2"),
        ({}, ["a"] * 5, "not a number|expected real numbers"),
        ({}, np.ones((2, 5)), r"energy has shape \(2, 5\)"),
        ({"energy.txt": ""}, "energy.txt", r"energy\.txt is empty"),
        (
            {"energy.txt": "1\n2\n3\n4\n5\n"},
            None,
            r"energy\.txt holds the numbers 1 to 5, which count the images",
        ),
    ],
)
def test_wrong_energies_are_refused(scan, files, energy, said):
    for name, text in files.items():
        (scan.parent / name).write_text(text)
    with pytest.raises((DataFileError, InputError), match=said):
        read_stack(scan, energy=energy)


def test_any_order_is_sorted_with_its_images_and_flats(scan):
    order = [3, 0, 4, 1, 2]
    tifffile.imwrite(scan.parent / "flat.tif", RAW + 1000)
    stack = read_stack(scan, energy=EV[order], flat="flat.tif")
    back = np.argsort(order)
    np.testing.assert_array_equal(stack.energy, EV)
    np.testing.assert_array_equal(stack.data[:], RAW[back])
    np.testing.assert_array_equal(stack.flat[:], RAW[back] + 1000)
    np.testing.assert_array_equal(stack.read(1, slice(2, 4)), RAW[back][1, 2:4])
    assert stack.warnings == ("the energies do not ascend in the file; images were sorted by energy",)
    falling = read_stack(scan, energy="8340:8300:-10")
    np.testing.assert_array_equal(falling.data[:], RAW[::-1])
    assert "descend" in falling.warnings[0]


def test_images_of_equal_energy_are_averaged_and_counted(scan):
    tifffile.imwrite(scan.parent / "flat.tif", RAW * 2)
    stack = read_stack(scan, energy=[8310, 8300, 8310, 8310, 8320], flat="flat.tif")
    expected = np.stack([RAW[1], RAW[[0, 2, 3]].astype(float).mean(axis=0), RAW[4]])
    np.testing.assert_array_equal(stack.energy, [8300, 8310, 8320])
    np.testing.assert_allclose(stack.data[:], expected, rtol=1e-6)
    np.testing.assert_allclose(stack.flat[:], expected * 2, rtol=1e-6)
    assert "5 images were taken at 3 different energies" in stack.warnings[1]
    assert "8310.00 eV (3 images)" in stack.warnings[1]
    np.testing.assert_allclose(read_stack(scan, energy=EV).data[:], RAW)


# -- flats, darks, beam spectrum ----------------------------------------------------------------------


def test_flats_and_darks_of_other_files(scan):
    tifffile.imwrite(scan.parent / "flat.tif", RAW[0])
    with h5py.File(scan.parent / "dark.h5", "w") as file:
        file["a/dark"], file["a/other"] = RAW[:2], RAW[:3]
    stack = read_stack(
        scan, energy=EV, flat=scan.parent / "flat.tif", dark=f"{scan.parent / 'dark.h5'}:/a/dark"
    )
    np.testing.assert_array_equal(np.squeeze(stack.flat[:]), RAW[0])
    np.testing.assert_array_equal(stack.dark[:], RAW[:2])


def test_beam_spectrum(scan):
    np.savetxt(scan.parent / "i0.txt", np.column_stack([[8345, 8295], [500.0, 1000.0]]))
    stack = read_stack(scan, energy=EV[::-1], flat="i0.txt")
    np.testing.assert_allclose(stack.flat, np.interp(EV, [8295, 8345], [1000, 500]))
    np.savetxt(scan.parent / "one.txt", [5.0, 4.0, 3.0, 2.0, 1.0])
    np.testing.assert_array_equal(read_stack(scan, energy=EV[::-1], flat="one.txt").flat, [1, 2, 3, 4, 5])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "8305 1\n8400 2\n",
            r"i0\.txt covers 8305.00 to 8400.00 eV, but 1 of the 5 energies lie outside, 8300.00",
        ),
        ("1\n2\n3\n", r"i0\.txt has 3 values but scan has 5 images"),
        ("8290 1\n8400 nan\n", r"row 2 of 2 of the beam spectrum .*i0\.txt is 8400.0 nan"),
    ],
)
def test_wrong_beam_spectra_are_refused(scan, text, said):
    (scan.parent / "i0.txt").write_text(text)
    with pytest.raises((InputError, DataFileError), match=said):
        read_stack(scan, energy=EV, flat="i0.txt")


@pytest.mark.parametrize(
    ("what", "said"),
    [("flat", r"flat .*bad\.tif has shape \(1, 7, 8\)"), ("dark", r"dark .*bad\.tif has shape \(1, 7, 8\)")],
)
def test_flats_of_another_shape_are_refused(scan, what, said):
    tifffile.imwrite(scan.parent / "bad.tif", RAW[0, :, :8])
    with pytest.raises(InputError, match=said + r" but the images of scan have \(7, 9\)"):
        read_stack(scan, energy=EV, **{what: "bad.tif"})
    with pytest.raises(DataFileError, match=f"{what} is 'none.tif', but there is no such file"):
        read_stack(scan, energy=EV, **{what: "none.tif"})


def test_a_number_of_flats_that_does_not_match_is_said(scan):
    tifffile.imwrite(scan.parent / "flat.tif", RAW[:4], photometric="minisblack")
    stack = read_stack(scan, energy=EV, flat="flat.tif")
    assert any("4 flats" in text and "5 images" in text for text in stack.warnings)


# -- what the values are ------------------------------------------------------------------------------


def absorbing_stack(seed=2, n=12, noise=0.003):
    """Optical density of a blob on empty ground with a step at the middle energy."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[0:30, 0:40]
    blob = np.clip(1.2 - ((y - 15) / 10) ** 2 - ((x - 18) / 12) ** 2, 0, None)
    step = 0.2 + 0.8 * (np.arange(n) >= n // 2)
    return (blob * step[:, None, None] + rng.normal(0, noise, (n, 30, 40))).astype(np.float32)


@pytest.mark.parametrize(
    ("make", "signal"),
    [
        (lambda od: od, "optical_density"),
        (lambda od: od + 0.3, "optical_density"),
        (lambda od: np.exp(-od), "transmission"),
        (lambda od: np.exp(-od - 0.2), "transmission"),
        (lambda od: 3000 * np.exp(-od), "counts"),
        (lambda od: (3000 * np.exp(-od)).astype(np.uint16), "counts"),
    ],
    ids=["density", "density-support", "transmission", "transmission-support", "counts", "integers"],
)
def test_the_signal_is_told_from_the_values(tmp_path, make, signal):
    data = make(absorbing_stack())
    tifffile.imwrite(tmp_path / "a.tif", data)
    stack = read_stack(tmp_path / "a.tif", energy="8300:8311:1")
    assert stack.signal == signal
    assert read_stack(tmp_path / "a.tif", energy="8300:8311:1", signal="normalized").signal == "normalized"


def test_doubt_is_said_with_the_remedy(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.exp(0.5 * absorbing_stack()) / 1.8)  # rises, but is near 1
    stack = read_stack(tmp_path / "a.tif", energy="8300:8311:1")
    assert stack.signal == "optical_density", "no transmission rises across an edge"
    assert len(stack.warnings) == 1 and "say signal='" in stack.warnings[0]


def test_counts_of_any_scale_are_told_by_their_flats(tmp_path):
    transmission = np.exp(-absorbing_stack())
    tifffile.imwrite(tmp_path / "a.tif", 1.7 * transmission)
    tifffile.imwrite(tmp_path / "flat.tif", np.full((30, 40), 1.7, np.float32))
    tifffile.imwrite(tmp_path / "counts.tif", np.full((30, 40), 3000.0, np.float32))
    scaled = read_stack(tmp_path / "a.tif", energy="8300:8311:1", flat="flat.tif")
    assert scaled.signal == "counts" and scaled.flat is not None and not scaled.warnings
    tifffile.imwrite(tmp_path / "b.tif", absorbing_stack())
    divided = read_stack(tmp_path / "b.tif", energy="8300:8311:1", flat="counts.tif")
    assert divided.signal == "optical_density" and divided.flat is None
    assert "counts.tif are not applied again" in divided.warnings[0]


def test_a_lost_frame_does_no_harm_but_an_empty_scan_is_refused(tmp_path):
    data = absorbing_stack()
    data[[0, 1, 2, 5, 6, 9, 10, 11]] = np.nan
    tifffile.imwrite(tmp_path / "a.tif", data)
    assert read_stack(tmp_path / "a.tif", energy="8300:8311:1").signal in ("optical_density", "transmission")
    tifffile.imwrite(tmp_path / "a.tif", np.full_like(data, np.nan))
    with pytest.raises(DataFileError, match="a holds no valid number in any of its 12 frames"):
        read_stack(tmp_path / "a.tif", energy="8300:8311:1")
    tifffile.imwrite(tmp_path / "a.tif", np.full_like(data, 7))
    with pytest.raises(DataFileError, match="every value of a is 7"):
        read_stack(tmp_path / "a.tif", energy="8300:8311:1")


# -- folders, lists and paths -------------------------------------------------------------------------


def test_names_with_digits_that_are_no_numbers_are_sorted_too(tmp_path):
    for name in ("b²1.tif", "b²10.tif", "b²2.tif"):
        tifffile.imwrite(tmp_path / name, RAW[0])
    stack = read_stack(tmp_path, energy=[8300, 8301, 8302])
    assert stack.shape == (3, 7, 9)
    assert sorted(["b²10", "b²2"], key=natural_key) == ["b²2", "b²10"]


def test_a_path_of_an_unknown_user_is_refused():
    with pytest.raises(InputError, match="user who is not known"):
        read_stack("~no-such-user-here/scan.tif")


def test_a_folder_in_natural_order(tmp_path):
    frames = np.random.default_rng(1).integers(0, 9999, (12, 7, 9)).astype(np.uint16)
    for i, frame in enumerate(frames):
        tifffile.imwrite(tmp_path / f"im {i + 1}.tif", frame, compression="zlib" if i % 2 else None)
    np.savetxt(tmp_path / "energy.txt", 8300 + np.arange(12.0))
    tifffile.imwrite(tmp_path / "flat 1.tif", frames[0])
    stack = read_stack(tmp_path)
    np.testing.assert_array_equal(stack.data[:], frames)
    np.testing.assert_array_equal(stack.data[10, 3:5], frames[10, 3:5])
    assert stack.source["flat"] == "flat 1.tif" and not stack.warnings and stack.name == tmp_path.name
    np.testing.assert_array_equal(reopened(stack).data[:], frames)
    listed = read_stack([tmp_path / f"im {i}.tif" for i in (3, 1)], energy=[8300, 8301])
    np.testing.assert_array_equal(listed.data[:], frames[[2, 0]])
    np.testing.assert_array_equal(reopened_list(listed).data[:], frames[[2, 0]])


def reopened_list(stack):
    assert isinstance(stack.source["path"], list)
    return read_stack(
        stack.source["path"], energy=stack.source["energy_values"], signal=stack.source["signal"]
    )


def test_folders_that_are_no_scan_are_refused(tmp_path):
    with pytest.raises(DataFileError, match=r"holds no files of images, expected .*TIFF.*HDF5/NeXus"):
        read_stack(tmp_path)
    for name, shape in (("a1.tif", (7, 9)), ("a2.tif", (7, 9)), ("a3.tif", (7, 8))):
        tifffile.imwrite(tmp_path / name, np.zeros(shape, np.uint16))
    with pytest.raises(DataFileError, match=r"a3\.tif has shape \(7, 8\) but a1\.tif has \(7, 9\)"):
        read_stack(tmp_path, energy="1000:1002:1")
    for name in ("b1.tif", "b2.tif", "b3.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((7, 9), np.uint16))
    with pytest.raises(DataFileError, match="holds 6 files but no clear series"):
        read_stack(tmp_path)
    with pytest.raises(DataFileError, match=r"a9\.tif: there is no such file"):
        read_stack([tmp_path / "a1.tif", tmp_path / "a9.tif"])
    with pytest.raises(InputError, match="list of files is empty"):
        read_stack([])
    with pytest.raises(DataFileError, match=r"none\.h5: there is no such file or folder"):
        read_stack(tmp_path / "none.h5")


def test_the_only_scan_of_a_folder_is_taken_and_said(tmp_path):
    """A truth, a mask and a spectrum lie beside it; of two scans none is chosen, nor of those within a file."""
    frames = np.random.default_rng(1).integers(1000, 9999, (5, 7, 9)).astype(np.uint16)
    for name, images in (
        ("scan", {"one": frames}),
        ("truth", {"amount": frames[:2], "fraction": frames[:2]}),
    ):
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            file["X_eng"] = EV
            file.update(images)
    tifffile.imwrite(tmp_path / "mask.tif", np.ones((7, 9), np.uint8))
    np.save(tmp_path / "spectrum.npy", np.stack([EV, EV], 1))
    stack = read_stack(tmp_path)
    np.testing.assert_array_equal(stack.data[:], frames)
    (said,) = [text for text in stack.warnings if "taken" in text]
    assert said.startswith(
        f"scan.h5 was taken, the only file in {tmp_path.name} with an image for each energy; left out: "
    )
    assert all(name in said for name in ("truth.h5", "mask.tif", "spectrum.npy"))
    np.testing.assert_array_equal(reopened(stack).data[:], frames)
    with h5py.File(tmp_path / "truth.h5", "a") as file:
        file["also"] = frames
    with pytest.raises(DataFileError, match="no clear series"):
        read_stack(tmp_path)
    (tmp_path / "truth.h5").write_bytes(b"\x89HDF\r\n\x1a\n damaged")
    assert read_stack(tmp_path).name == stack.name == "scan"
    with h5py.File(tmp_path / "scan.h5", "a") as file:
        file["two"] = frames
    with pytest.raises(DataFileError, match=r"holds several stacks: /one .*, /two"):
        read_stack(tmp_path)


@pytest.mark.parametrize(
    ("keywords", "said"),
    [
        ({"energy_unit": "meV"}, "energy_unit is 'meV'"),
        ({"signal": "absorbance"}, "signal is 'absorbance', expected one of counts"),
        ({"pixel_size_um": -1}, "pixel_size_um is -1"),
        ({"images": "img"}, r"scan\.tif is no HDF5/NeXus file"),
    ],
)
def test_wrong_options_are_refused(scan, keywords, said):
    with pytest.raises(InputError, match=said):
        read_stack(scan, energy=EV, **keywords)


# -- the way back, and what is said -------------------------------------------------------------------


def test_source_is_json_and_opens_the_same_again(scan):
    np.savetxt(scan.parent / "energy_keV.txt", EV[::-1] / 1000)
    tifffile.imwrite(scan.parent / "flat.tif", RAW + 5)
    stack = read_stack(scan, flat="flat.tif", dark="flat.tif")
    assert json.loads(json.dumps(stack.source)) == stack.source
    again = reopened(stack)
    assert again.source == stack.source and again.warnings == stack.warnings
    np.testing.assert_array_equal(again.data[:], stack.data[:])
    np.testing.assert_array_equal(again.flat[:], stack.flat[:])
    assert stack.source["path"] == str(scan) and stack.source["file_energy_unit"] == "keV"
    assert stack.source["size"] == scan.stat().st_size
    assert read_stack(scan, energy=EV).source["energy_values"] == EV.tolist()


def test_inspect_says_what_the_reader_sees(scan):
    lines = inspect_stack(read_stack(scan, energy=EV[::-1] / 1000))
    said = dict(lines)
    assert said["signal"] == "counts" and said["shape"] == "5 x 7 x 9" and said["dtype"] == "uint16"
    assert said["energies"] == "5" and said["unit"] == "keV"
    assert said["first energy"] == "8300.000 eV" and said["last energy"] == "8340.000 eV"
    assert said["flats"] == said["darks"] == "none"
    assert [value for key, value in lines if key == "warning"] == [
        "the energies descend in the file; images were sorted by energy"
    ]


def test_opening_takes_the_memory_of_a_few_frames(tmp_path):
    frame = np.random.default_rng(0).integers(0, 9999, (512, 512)).astype(np.uint16)
    path = tmp_path / "big.tif"
    with tifffile.TiffWriter(path) as file:
        for _ in range(60):
            file.write(frame, contiguous=True)
    tracemalloc.start()
    stack = read_stack(path, energy="8300:8359:1")
    stack.read(30, slice(0, 16))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert stack.data.nbytes == 60 * 512 * 512 * 2
    assert peak < 0.75 * stack.data.nbytes, "float64 samples of seven frames, not the 60 frames"
