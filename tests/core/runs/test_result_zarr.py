"""Results in Zarr stores: what was saved comes back, lazily, and other programs find an OME-Zarr image in every map."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest
import zarr

import napari_xanes as nx
from napari_xanes._core.data.history import Entry
from napari_xanes._core.runs import result_zarr
from napari_xanes._core.runs.result_file import check_result, is_result_file, read_fact
from napari_xanes._core.runs.result_zarr import held

ENERGY = np.linspace(8300, 8400, 5)


def make_result(shape=(5, 6, 7), **changes):
    rng = np.random.default_rng(0)
    maps = {"thickness": rng.random(shape, np.float32), "fraction_Ni/O: a": rng.random(shape, np.float32)}
    maps["thickness"][0, :2] = np.nan
    mask = (rng.random(shape) > 0.5).astype(np.uint8)
    given = {
        "maps": maps,
        "info": {
            "thickness": {"kind": "thickness", "unit": "", "reference": None},
            "fraction_Ni/O: a": {"kind": "fraction", "unit": "", "reference": "Ni/O: a"},
        },
        "labels": {"mask": mask},
        "energy": ENERGY,
        "history": (Entry("normalize", {"e0": 8333.0}, {"invalid_pixels": 3}, ("a doubt",)),),
        "source": {"path": "/data/scan.h5"},
        "tables": {"particles": {"label": np.arange(3), "name": np.array(["a", "µ", "c"])}},
        "pixel_size_um": 0.25,
        "name": "scan µ",
        "extra": {"drift": nx.Drift.from_shifts(rng.random((5, 2))), "made_from": {"recipe": [1, 2]}},
        "warnings": ("look",),
    }
    return nx.Result(**(given | changes))


@pytest.mark.parametrize("shape", [(40, 30), (20, 33, 300)], ids=["image", "volume"])
def test_what_is_saved_comes_back(tmp_path, shape):
    result = make_result(shape)
    nx.save_result(result, tmp_path / "scan.zarr")
    again = nx.load_result(tmp_path / "scan.zarr")
    for name, data in (result.maps | result.labels).items():
        got = (again.maps | again.labels)[name]
        assert not isinstance(got, np.ndarray) and got.shape == data.shape  # nothing was read
        assert np.asarray(got).tobytes() == data.tobytes()
    assert list(again.maps) == list(result.maps)
    assert again.info == result.info and again.history == result.history and again.source == result.source
    assert (again.name, again.pixel_size_um, again.warnings) == (result.name, 0.25, ("look",))
    assert again.tables["particles"]["name"].tolist() == ["a", "µ", "c"]
    np.testing.assert_array_equal(again.extra["drift"].shifts, result.extra["drift"].shifts)
    assert all(isinstance(one, np.ndarray) for one in held(again).maps.values())


def test_it_becomes_an_hdf5_file_again(tmp_path):
    result = make_result()
    nx.save_result(result, tmp_path / "scan.zarr")
    nx.save_result(nx.load_result(tmp_path / "scan.zarr"), tmp_path / "scan.h5")
    again = nx.load_result(tmp_path / "scan.h5")
    assert all(again.maps[name].tobytes() == data.tobytes() for name, data in result.maps.items())


@pytest.mark.parametrize("shape", [(50, 70), (40, 7, 50)], ids=["image", "volume"])
def test_each_map_is_an_image_of_ever_coarser_copies(tmp_path, monkeypatch, shape):
    """Against means over blocks that are computed here; axes, units and places as OME-Zarr 0.5 says them."""
    monkeypatch.setattr(result_zarr, "COARSE", {2: 20, 3: 20})
    monkeypatch.setattr(result_zarr, "CHUNK", {2: (16, 16), 3: (4, 16, 16)})
    result = make_result(shape)
    nx.save_result(result, tmp_path / "scan.zarr")
    group = zarr.open_group(tmp_path / "scan.zarr", mode="r")["maps/thickness"]
    (scales,) = group.attrs["ome"]["multiscales"]
    assert group.attrs["ome"]["version"] == "0.5"
    assert [axis["name"] for axis in scales["axes"]] == list("zyx"[-len(shape) :])
    assert all(axis["type"] == "space" and axis["unit"] == "micrometer" for axis in scales["axes"])
    data, factor = result.maps["thickness"].astype(float), 1
    for level in scales["datasets"]:
        array = group[level["path"]]
        assert array.metadata.zarr_format == 3
        np.testing.assert_allclose(array[:], data, rtol=1e-5)
        moves = {one["type"]: one[one["type"]] for one in level["coordinateTransformations"]}
        assert moves["scale"] == [0.25 * factor] * len(shape)
        assert moves.get("translation", [0.0] * len(shape)) == [0.25 * (factor - 1) / 2] * len(shape)
        for axis in range(data.ndim):  # the mean of two, or of the one that is left or valid
            n = data.shape[axis]
            data = np.pad(
                data, [(0, n % 2 if a == axis else 0) for a in range(data.ndim)], constant_values=np.nan
            )
        data = _halved(data)
        factor *= 2
    assert max(array.shape) <= 20 and factor > 4
    levels = nx.load_result(tmp_path / "scan.zarr").levels["thickness"]
    assert [one.shape for one in levels] == [group[level["path"]].shape for level in scales["datasets"]]


def _halved(data):
    parts = [data[tuple(slice(k, None, 2) for k in corner)] for corner in np.ndindex(*[2] * data.ndim)]
    valid = np.sum([np.isfinite(part) for part in parts], axis=0)
    total = np.sum([np.nan_to_num(part) for part in parts], axis=0)
    return np.where(valid > 0, total / np.maximum(valid, 1), np.nan)


def test_the_history_stands_where_other_programs_find_it(tmp_path):
    nx.save_result(make_result(), tmp_path / "scan.zarr")
    said = json.loads((tmp_path / "scan.zarr/zarr.json").read_text())["attributes"]["napari_xanes"]
    assert said["history"][0]["do"] == "normalize" and said["energy_ev"] == ENERGY.tolist()
    assert 'do = "normalize"' in said["recipe"] and said["source"] == {"path": "/data/scan.h5"}
    labels = zarr.open_group(tmp_path / "scan.zarr", mode="r")["labels"]
    assert labels.attrs["ome"]["labels"] == ["mask"] and "image-label" in labels["mask"].attrs["ome"]


def test_a_result_is_replaced_and_nothing_else_is(tmp_path):
    path = tmp_path / "scan.zarr"
    nx.save_result(make_result(), path)
    nx.save_result(make_result(name="second"), path)
    assert nx.load_result(path).name == "second"
    assert is_result_file(path) and check_result(path) == ""
    assert read_fact(path, "made_from") == {"recipe": [1, 2]}
    assert [one.name for one in tmp_path.iterdir()] == ["scan.zarr"]
    other = tmp_path / "other.zarr"
    zarr.create_group(store=str(other))
    assert not is_result_file(other) and read_fact(other, "made_from") is None
    with pytest.raises(nx.DataFileError, match="no result of this program and is not replaced"):
        nx.save_result(make_result(), other)
    with pytest.raises(nx.DataFileError, match="not a result of napari-xanes; open it as a scan"):
        nx.load_result(other)
    with pytest.raises(nx.DataFileError, match="there is no such result"):
        nx.load_result(tmp_path / "none.zarr")


def test_damage_is_told_when_it_is_read(tmp_path):
    nx.save_result(make_result(), tmp_path / "scan.zarr")
    (chunk,) = (tmp_path / "scan.zarr/maps/thickness/0").rglob("c/0/0/0")
    raw = bytearray(chunk.read_bytes())
    raw[len(raw) // 2] ^= 255
    chunk.write_bytes(raw)
    again = nx.load_result(tmp_path / "scan.zarr")
    with pytest.raises(ValueError, match="checksum"):
        np.asarray(again.maps["thickness"])
    (tmp_path / "scan.zarr/about/c/0").unlink()
    assert "not a readable result" in check_result(tmp_path / "scan.zarr")


def lose_a_chunk(store):
    next((store / "maps/thickness/0").rglob("c/0/0/0")).unlink()


def cut_a_chunk(store):
    chunk = next((store / "maps/thickness/0").rglob("c/0/0/0"))
    chunk.write_bytes(chunk.read_bytes()[:-9])


def swap_chunks(store):
    one, other = sorted((store / "maps").glob("*/0/c/0/0/0"))
    one.write_bytes(other.read_bytes())


def change_a_shape(store):
    about = store / "maps/thickness/0/zarr.json"
    about.write_text(about.read_text().replace("300", "290"))


def rename_a_map(store):
    about = store / "maps/thickness/zarr.json"
    about.write_text(about.read_text().replace("thickness", "thiccness"))


def lose_a_map(store):
    about = store / "zarr.json"
    text = json.loads(about.read_text())
    text["attributes"]["napari_xanes"]["maps"].remove("thickness")
    about.write_text(json.dumps(text))


@pytest.mark.parametrize(
    "damage", [lose_a_chunk, cut_a_chunk, swap_chunks, change_a_shape, rename_a_map, lose_a_map]
)
def test_a_part_that_is_lost_or_of_another_map_is_noticed_when_it_is_opened(tmp_path, damage):
    """What is lost would be read as pixels without an answer."""
    store = tmp_path / "scan.zarr"
    nx.save_result(make_result((20, 33, 300)), store)
    damage(store)
    with pytest.raises(
        nx.DataFileError, match=r"scan\.zarr(: maps/.+ is (missing|damaged)| lists other maps)"
    ):
        nx.load_result(store)
    assert check_result(store)


def test_a_link_in_a_result_is_not_followed(tmp_path):
    """It would read files of this machine into the maps of a stranger's result."""
    nx.save_result(make_result(), tmp_path / "a.zarr")
    chunk = next(path for path in (tmp_path / "a.zarr/maps").rglob("c/**/*") if path.is_file())
    chunk.rename(tmp_path / "chunk")
    chunk.symlink_to(tmp_path / "chunk")
    with pytest.raises(nx.DataFileError, match=r"a\.zarr holds links, which are not followed.* unlock it"):
        nx.load_result(tmp_path / "a.zarr")


@pytest.mark.parametrize("path", ["../0", "../../../b.zarr/maps/thickness/0", "/etc"])
def test_no_path_in_a_result_leads_out_of_it(tmp_path, path):
    for name in "ab":
        nx.save_result(make_result(), tmp_path / f"{name}.zarr")
    about = next((tmp_path / "a.zarr/maps").glob("*/zarr.json"))
    text = json.loads(about.read_text())
    text["attributes"]["ome"]["multiscales"][0]["datasets"][0]["path"] = path
    about.write_text(json.dumps(text))
    with pytest.raises(nx.DataFileError):
        nx.load_result(tmp_path / "a.zarr")


def put_about(store, change):
    """Change what stands beside the images of a result: an HDF5 file in an array of bytes."""
    group = zarr.open_group(store, mode="r+")
    with h5py.File(io.BytesIO(group["about"][:].tobytes()), "r+") as file:
        change(file)
        file.flush()
        raw = file.id.get_file_image()
    group.create_array("about", data=np.frombuffer(raw, np.uint8), overwrite=True)


def test_what_stands_beside_the_images_reads_no_other_file(tmp_path):
    """The title is said to lie in a file of the machine; what was changed otherwise is noticed by its checksum."""
    (tmp_path / "secret.txt").write_text("secret " * 9)

    def lead_out(file):
        entry, outside = file["entry"], h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        del entry["title"]
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(50)
        outside.set_external(str(tmp_path / "secret.txt").encode(), 0, 50)
        h5py.h5d.create(entry.id, b"title", kind, h5py.h5s.create(h5py.h5s.SCALAR), outside)

    def rename(file):
        file["entry/title"][()] = "another"

    for name, change, said in (("a", lead_out, "other files"), ("b", rename, "was changed")):
        nx.save_result(make_result(), tmp_path / f"{name}.zarr")
        put_about(tmp_path / f"{name}.zarr", change)
        with pytest.raises(nx.DataFileError, match=rf"{name}\.zarr/about.*{said}"):
            nx.load_result(tmp_path / f"{name}.zarr")


@pytest.mark.parametrize("name", ["../secret.txt", "maps/../../secret.txt", "/etc/passwd", "about/zarr.json"])
def test_no_name_in_a_result_is_looked_for_outside_of_it(tmp_path, monkeypatch, name):
    read = []
    monkeypatch.setattr(result_zarr, "_stamp", read.append)
    monkeypatch.setattr(result_zarr, "_stamps", lambda folder: {name: ""})
    (tmp_path / "secret.txt").write_text("secret")
    nx.save_result(make_result(), tmp_path / "a.zarr")
    with pytest.raises(nx.DataFileError, match="which lies outside of them"):
        nx.load_result(tmp_path / "a.zarr")
    assert not read


def test_a_result_with_its_stack_is_saved_otherwise(tmp_path):
    stack = nx.EnergyStack(np.ones((5, 6, 7), np.float32), ENERGY, "normalized")
    with pytest.raises(nx.InputError, match=r"a name that ends in \.h5"):
        nx.save_result(make_result(stack=stack), tmp_path / "scan.zarr")
