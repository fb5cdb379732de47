"""Energies in the names of files and the labels of images, and the order of the files of a scan."""

from __future__ import annotations

import re

import h5py
import numpy as np
import pytest
import tifffile

from napari_xanes import DataFileError, read_stack
from napari_xanes._core.io.names import energies_in

ENERGY = np.array([8300.25, 8325.0, 8333.25, 8333.5, 8350.0, 8400.0])
RNG = np.random.default_rng(5)
IMAGES = RNG.random((6, 8, 9)).astype(np.float32)


def save(folder, names, images=IMAGES):
    folder.mkdir(exist_ok=True)
    order = RNG.permutation(len(names))
    for i in order:
        tifffile.imwrite(folder / f"{names[i]}.tif", images[i], photometric="minisblack")
    return folder


def number(value, point="."):
    return f"{value:g}".replace(".", point)


NAMES = {
    "eV": [f"Ni_{number(e)}eV" for e in ENERGY],
    "eV-fixed": [f"smp_{e:08.2f}_eV" for e in ENERGY],
    "keV": [f"scan_{e / 1000:.5f}keV" for e in ENERGY],
    "index-and-keV": [f"scan_{i:03d}_{e / 1000:.5f}keV" for i, e in enumerate(ENERGY)],
    "underscore": [f"Ni_{e:.2f}eV".replace(".", "_") for e in ENERGY],
    "p": [f"Ni_{e:.2f}eV".replace(".", "p") for e in ENERGY],
    "p-keV": [f"{e / 1000:.5f}".replace(".", "p") + "keV" for e in ENERGY],
    "number-before": [f"run12_100_{number(e)}eV" for e in ENERGY],
    "no-unit": [f"Ni_{number(e)}" for e in ENERGY],
    "no-unit-keV": [f"Ni_{e / 1000:g}" for e in ENERGY],
}


@pytest.mark.parametrize("style", NAMES)
def test_energies_in_file_names(tmp_path, style):
    stack = read_stack(save(tmp_path / "scan", NAMES[style]), signal="optical_density")
    np.testing.assert_allclose(stack.energy, ENERGY, atol=1e-6)
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    assert any("proposed" in text for text in stack.warnings) == style.startswith("no-unit")


@pytest.mark.parametrize("style", NAMES)
@pytest.mark.parametrize("falling", [False, True])
def test_a_list_beside_and_names_agree_whatever_the_order(tmp_path, style, falling):
    folder = save(tmp_path / "scan", NAMES[style])
    np.savetxt(folder / "energies.txt", ENERGY[::-1] if falling else ENERGY)
    stack = read_stack(folder, signal="optical_density")
    np.testing.assert_allclose(stack.energy, ENERGY, atol=1e-6)
    np.testing.assert_array_equal(stack.data[:], IMAGES)


def test_a_calibrated_list_goes_before_the_names_and_another_one_is_asked_about(tmp_path):
    folder = save(tmp_path / "scan", NAMES["eV"])
    np.savetxt(folder / "energies.txt", ENERGY + 1.5)
    np.testing.assert_allclose(read_stack(folder, signal="optical_density").energy, ENERGY + 1.5)
    np.savetxt(folder / "energies.txt", ENERGY - 1200)
    with pytest.raises(
        DataFileError, match=r"energies in the file names.* are not those of .*energies\.txt.*say which"
    ):
        read_stack(folder)


@pytest.mark.parametrize(
    "names",
    [
        [f"img_{i}" for i in (1, 2, 3, 9, 10, 11)],
        [f"img_1.{i}" for i in (5, 6, 7, 8, 9, 10)],
        [f"run3_img{i:04d}" for i in range(6)],
        [f"img_{number(x)}" for x in (0.25, 0.5, 0.75, 1.0, 1.25, 10.5)],
    ],
)
def test_files_without_energies_in_their_names_are_in_the_order_of_people(tmp_path, names):
    folder = save(tmp_path / "scan", names)
    stack = read_stack(folder, energy=ENERGY, signal="optical_density")
    np.testing.assert_array_equal(stack.data[:], IMAGES)


@pytest.mark.parametrize(
    "names",
    [
        [f"run{r}_{i:04d}" for r in (1, 2) for i in range(3)],
        [f"run{r}_{e}eV" for r in (1, 2) for e in (8300, 8310, 8320)],
        [f"e{i:03d}_z{z}" for i in range(2) for z in range(3)],
    ],
)
def test_two_scans_in_one_folder_are_not_mixed(tmp_path, names):
    folder = save(tmp_path / "scan", names)
    with pytest.raises(DataFileError, match="several scans or parts, whose names begin with"):
        read_stack(folder, energy="8300:8305:1")


def test_repeats_are_averaged_and_flats_in_the_folder_go_with_their_energies(tmp_path):
    folder = tmp_path / "scan"
    counts = RNG.integers(300, 900, (6, 8, 9)).astype(np.uint16)
    flats = RNG.integers(1000, 1100, (2, 8, 9)).astype(np.uint16)
    names = [f"rep01_test_{e:07.1f}_eV_{k:03d}of003" for e in (8324.0, 8354.0) for k in (1, 2, 3)]
    save(folder, names, counts)
    bright = [
        f"rep01_{i:06d}_ref_test_{e:07.1f}_eV_{k:03d}of010"
        for i, e in enumerate((8324.0, 8354.0))
        for k in range(1, 11)
    ]
    save(folder, bright, np.repeat(flats, 10, axis=0))
    stack = read_stack(folder)
    np.testing.assert_array_equal(stack.energy, [8324, 8354])
    np.testing.assert_allclose(stack.data[:], counts.reshape(2, 3, 8, 9).mean(axis=1), rtol=1e-6)
    np.testing.assert_allclose(stack.flat[:], flats)
    assert stack.signal == "counts"
    again = read_stack(stack.source["path"], flat=stack.source["flat"])
    np.testing.assert_allclose(again.flat[:], flats)


def test_labels_of_images(tmp_path):
    texts = [f"{e:.2f} eV" for e in ENERGY]
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGES, imagej=True, metadata={"Labels": texts})
    assert_energies(path, "labels of its slices")
    tifffile.imwrite(path, IMAGES, imagej=True, metadata={"Energies": ",".join(f"{e:.2f}" for e in ENERGY)})
    assert_energies(path, "its property energies")
    path = tmp_path / "b.ome.tif"
    tifffile.imwrite(path, IMAGES, metadata={"axes": "CYX", "Channel": {"Name": texts}})
    assert_energies(path, "names of its channels")
    path = tmp_path / "c.tif"
    with tifffile.TiffWriter(path) as writer:
        for image, text in zip(IMAGES, texts, strict=True):
            writer.write(
                image, description=f"energy={text}", contiguous=False, metadata=None, photometric="minisblack"
            )
    assert_energies(path, "descriptions of its pages")


def assert_energies(path, where):
    stack = read_stack(path, signal="optical_density")
    np.testing.assert_allclose(stack.energy, ENERGY)
    np.testing.assert_array_equal(stack.data[:], IMAGES)
    assert where in stack.source["energy_reason"] + stack.source["energy_source"]


@pytest.mark.parametrize(
    "texts",
    [
        ["frame 1", "frame 2", "frame 3"],
        ["theta 13.1", "theta 13.2", "theta 13.3"],
        ["8300 eV", "8310 eV", "slice 3"],
        ["8300", "8301", "8302"],
        ["a 8300.5 b 300.1", "a 8310.5 b 301.1", "a 8340.5 b 303.2"][:2],
    ],
)
def test_labels_that_are_no_energies(texts):
    assert energies_in(texts, "labels") is None


def test_lists_in_the_folder(tmp_path):
    path = tmp_path / "scan.tif"
    tifffile.imwrite(path, IMAGES, photometric="minisblack")
    np.savetxt(tmp_path / "notes.txt", ENERGY)
    stack = read_stack(path, signal="optical_density")
    assert "the only text file beside the images" in stack.source["energy_reason"] and stack.warnings
    np.savetxt(tmp_path / "other.txt", ENERGY + 1)
    with pytest.raises(DataFileError, match="no energies were found"):
        read_stack(path)
    np.savetxt(tmp_path / "Ni_eng_list.txt", ENERGY + 2)
    np.testing.assert_allclose(read_stack(path, signal="optical_density").energy, ENERGY + 2)


def test_a_list_of_another_scan_is_not_taken(tmp_path):
    for name in ("scanA", "scanB"):
        tifffile.imwrite(tmp_path / f"{name}.tif", IMAGES, photometric="minisblack")
    np.savetxt(tmp_path / "scanB_energies.txt", ENERGY)
    np.testing.assert_allclose(read_stack(tmp_path / "scanB.tif", signal="optical_density").energy, ENERGY)
    with pytest.raises(DataFileError, match="no energies were found for scanA"):
        read_stack(tmp_path / "scanA.tif")


@pytest.mark.parametrize("count", [3, 4])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "rowsperstrip": 6}])
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_three_or_four_grey_images_are_no_colours(tmp_path, count, kind, options):
    images = (IMAGES[:count] * 200 + 50).astype(kind)
    tifffile.imwrite(tmp_path / "scan.tif", images, **options)
    stack = read_stack(tmp_path / "scan.tif", energy=ENERGY[:count], signal="counts")
    np.testing.assert_array_equal(stack.data[:], images)
    np.testing.assert_array_equal(stack.data[1, 2:7], images[1, 2:7])


def test_pictures_in_colour_are_refused(tmp_path):
    picture = RNG.integers(0, 255, (8, 9, 3)).astype(np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", picture, photometric="rgb")
    tifffile.imwrite(
        tmp_path / "b.tif",
        picture.transpose(2, 0, 1),
        photometric="rgb",
        planarconfig="separate",
        metadata=None,
    )
    for name in ("a.tif", "b.tif"):
        with pytest.raises(DataFileError, match="holds colour images"):
            read_stack(tmp_path / name, energy=ENERGY[:3])


@pytest.mark.parametrize("other", ["open_circuit", "gap_open", "empty_cell", "half_empty"])
def test_open_and_empty_are_samples_too(tmp_path, other):
    images = RNG.integers(300, 900, (12, 8, 9)).astype(np.uint16)
    names = [f"{sample}_{number(e)}eV" for sample in ("charged", other) for e in ENERGY]
    with pytest.raises(DataFileError, match="12 files but no clear series"):
        read_stack(save(tmp_path / "scan", names, images))


@pytest.mark.parametrize("flat", ["open_beam_01", "emptybeam", "open-flats", "open", "empty", "empty_field"])
def test_the_open_beam_is_a_flat(tmp_path, flat):
    images = RNG.integers(300, 900, (7, 8, 9)).astype(np.uint16)
    stack = read_stack(save(tmp_path / "scan", [*(f"Ni_{number(e)}eV" for e in ENERGY), flat], images))
    np.testing.assert_array_equal(np.asarray(stack.flat).reshape(8, 9), images[6])


def test_energies_beside_the_folder_of_images_are_not_taken_and_it_is_said_where_they_are_looked_for(
    tmp_path,
):
    folder = tmp_path / "scan"
    folder.mkdir()
    for i in range(3):
        with h5py.File(folder / f"recon_{i}.h5", "w") as file:
            file["img"] = np.arange(120, dtype=np.float32).reshape(4, 5, 6) + i
    energies = tmp_path / "energy.txt"
    np.savetxt(energies, [8300.0, 8340.0, 8380.0])
    with pytest.raises(DataFileError, match=re.escape(f"a text file beside the images, in {folder}, with")):
        read_stack(folder)
    energies.rename(folder / energies.name)
    assert read_stack(folder, signal="optical_density").energy.tolist() == [8300.0, 8340.0, 8380.0]
