"""The reader as napari calls it: what it takes, what it leaves to others, and what it says."""

from __future__ import annotations

import h5py
import npe2
import numpy as np
import pytest
import tifffile
from napari.components import ViewerModel
from napari.layers import Layer
from npe2.io_utils import read

import napari_xanes as nx
from napari_xanes._core.runs import result_zarr
from napari_xanes._reader import get_reader
from napari_xanes._widgets.layers.masked import data_of
from napari_xanes._writer import write_result

ENERGY = np.linspace(8300, 8400, 21)


@pytest.fixture(autouse=True)
def plugins():
    """The plugins that are installed, this one among them."""
    npe2.PluginManager.instance().discover()


def write_hdf5(path):
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["img_xanes"] = rng.integers(500, 900, (21, 30, 40)).astype(np.uint16)
        file["img_bkg"] = np.full((21, 30, 40), 1000, np.uint16)
        file["img_dark"] = np.full((3, 30, 40), 100, np.uint16)
        file["X_eng"] = ENERGY / 1000
    return path


def open_with(path):
    paths = [str(p) for p in path] if isinstance(path, list) else [str(path)]
    return read(paths, stack=len(paths) > 1, plugin_name="napari-xanes")


def test_a_scan_in_hdf5_becomes_a_lazy_stack_layer(tmp_path):
    ((data, kw, kind),) = open_with(write_hdf5(tmp_path / "scan.h5"))
    assert kind == "image" and not isinstance(data, np.ndarray) and data.shape == (21, 30, 40)
    said = kw["metadata"]["xanes"]
    assert said["signal"] == "counts" and said["kind"] == "stack"
    np.testing.assert_allclose(said["energy"], ENERGY)
    assert kw["metadata"]["xanes_stack"].flat.shape == (21, 30, 40)
    low, high = kw["contrast_limits"]
    assert 500 <= low < high <= 900


def test_napari_shows_the_lazy_stack(tmp_path):
    viewer = ViewerModel()
    for data, kw, _ in open_with(write_hdf5(tmp_path / "scan.h5")):
        layer = viewer.add_image(data, **kw)
    assert viewer.dims.ndim == 3 and layer.axis_labels == ("energy", "y", "x")
    viewer.dims.set_current_step(0, 20)
    assert layer.get_value((20, 4, 5)) == data[20, 4, 5]


def test_a_tiff_stack_with_a_list_of_energies_beside_it(tmp_path):
    images = np.random.default_rng(1).random((21, 30, 40), dtype=np.float32)
    tifffile.imwrite(tmp_path / "scan.tif", images, photometric="minisblack")
    np.savetxt(tmp_path / "scan_energy.txt", ENERGY)
    ((data, kw, _),) = open_with(tmp_path / "scan.tif")
    np.testing.assert_array_equal(np.asarray(data[7]), images[7])
    assert kw["name"] == "scan"


def test_a_folder_and_a_list_of_files(tmp_path):
    folder = tmp_path / "frames"
    folder.mkdir()
    for i in range(21):
        tifffile.imwrite(folder / f"frame_{i + 1}.tif", np.full((30, 40), i, np.uint16))
    np.savetxt(folder / "energies.txt", ENERGY)
    ((data, _, _),) = open_with(folder)
    assert [int(data[i, 0, 0]) for i in (0, 9, 20)] == [0, 9, 20]
    files = sorted(folder.glob("*.tif"), key=lambda p: int(p.stem.split("_")[1]))
    ((data, _, _),) = open_with(files)
    assert data.shape == (21, 30, 40)


def test_what_is_no_scan_is_left_to_others(tmp_path):
    tifffile.imwrite(tmp_path / "photo.tif", np.zeros((30, 40), np.uint8))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.png").write_bytes(b"no scan")
    (tmp_path / "array.zarr").mkdir()
    for name in ("photo.tif", "photos", "array.zarr", "notes.txt"):
        assert get_reader(str(tmp_path / name)) is None
    assert get_reader([]) is None
    assert get_reader([str(tmp_path / "photo.tif"), str(tmp_path / "notes.txt")]) is None


def test_what_cannot_be_found_is_said_in_a_sentence_that_shows_the_way(tmp_path):
    tifffile.imwrite(tmp_path / "scan.tif", np.ones((5, 30, 40), np.uint16), photometric="minisblack")
    with pytest.raises(nx.XanesError, match=r"no energies were found for scan.*Import XANES stack\.\.\."):
        open_with(tmp_path / "scan.tif")
    (tmp_path / "text.h5").write_text("this is not HDF5")
    with pytest.raises(nx.XanesError, match=r"text\.h5"):
        open_with(tmp_path / "text.h5")


def make_result(tmp_path):
    stack = nx.read_stack(write_hdf5(tmp_path / "scan.h5"), pixel_size_um=0.04)
    table = {"schema": 1, "step": [{"do": "flat_field"}, {"do": "optical_density"}]}
    table["step"].append({"do": "normalize", "e0": 8350, "pre_edge": [8300, 8330], "post_edge": [8370, 8400]})
    return nx.run_recipe(nx.Recipe.from_dict(table), stack)


def test_a_result_file_restores_its_layers(tmp_path):
    result = make_result(tmp_path)
    nx.save_result(result, tmp_path / "maps.h5")
    (scan, _, _), *maps = open_with(tmp_path / "maps.h5")
    assert scan.shape == (21, 30, 40)
    layers = {kw["metadata"]["xanes"]["map"]: (data, kw) for data, kw, _ in maps}
    assert set(layers) == {"thickness", "edge_step"}
    data, kw = layers["thickness"]
    np.testing.assert_array_equal(data, result.maps["thickness"])
    assert kw["scale"] == (0.04, 0.04)
    assert [entry["do"] for entry in kw["metadata"]["xanes"]["history"]] == [
        "flat_field",
        "optical_density",
        "normalize",
    ]


def make_volumes():
    rng = np.random.default_rng(0)
    maps = {
        "thickness": 2 + rng.random((12, 40, 30), np.float32),
        "error": rng.random((12, 40, 30), np.float32),
    }
    info = {name: {"kind": name, "unit": "", "reference": None} for name in maps}
    return nx.Result(maps, info, ENERGY, (), {}, {"mask": np.ones((12, 40, 30), np.uint8)}, pixel_size_um=0.5)


def test_a_small_zarr_result_restores_its_layers_in_memory(tmp_path):
    result = make_volumes()
    nx.save_result(result, tmp_path / "maps.zarr")
    layers = {kw["name"]: (data, kw) for data, kw, _ in open_with(tmp_path / "maps.zarr")}
    data, kw = layers["thickness"]
    assert isinstance(data, np.ndarray) and data.tobytes() == result.maps["thickness"].tobytes()
    assert kw["scale"] == (0.5, 0.5, 0.5) and not kw["multiscale"]
    assert {"thickness", "fit error", "mask"} == set(layers)


def test_a_large_zarr_result_is_shown_without_being_read(tmp_path, monkeypatch):
    monkeypatch.setattr(result_zarr, "SMALL", 0)
    monkeypatch.setattr(result_zarr, "COARSE", {2: 2048, 3: 16})
    result = make_volumes()
    nx.save_result(result, tmp_path / "maps.zarr")
    viewer = ViewerModel()
    for data, kw, kind in open_with(tmp_path / "maps.zarr"):
        viewer.add_layer(Layer.create(data, kw, kind))
    layer = viewer.layers["thickness"]
    assert layer.multiscale and [one.shape for one in layer.data][::2] == [(12, 40, 30), (3, 10, 8)]
    low, high = layer.contrast_limits
    assert low < 2.5 < high < 4
    viewer.dims.ndisplay = 3
    assert layer.data_level == 2  # the whole volume turns as its coarsest copy
    assert data_of(layer)[5, 7, 9].compute() == result.maps["thickness"][5, 7, 9]


def test_layers_are_written_as_a_result_and_read_back(tmp_path):
    result = make_result(tmp_path)
    nx.save_result(result, tmp_path / "maps.h5")
    viewer = ViewerModel()
    for data, kw, _ in open_with(tmp_path / "maps.h5"):
        viewer.add_image(data, **kw)
    path = str(tmp_path / "again.h5")
    assert write_result(path, [layer.as_layer_data_tuple() for layer in viewer.layers]) == [path]
    again = nx.load_result(path)
    assert set(again.maps) == set(result.maps) and again.pixel_size_um == 0.04
    for name, data in result.maps.items():
        np.testing.assert_array_equal(again.maps[name], data)


def test_napari_saves_selected_map_layers_with_the_writer(tmp_path):
    nx.save_result(make_result(tmp_path), tmp_path / "maps.h5")
    viewer = ViewerModel()
    for data, kw, _ in open_with(tmp_path / "maps.h5"):
        viewer.add_image(data, **kw)
    assert viewer.layers.save(str(tmp_path / "saved.h5")) == [str(tmp_path / "saved.h5")]
    assert "thickness" in nx.load_result(tmp_path / "saved.h5").maps
    viewer.layers[-1].save(str(tmp_path / "one.tif"))
    assert tifffile.imread(tmp_path / "one.tif").shape == (30, 40), "single TIFFs stay napari's own"


def test_what_is_no_map_cannot_be_written(tmp_path):
    with pytest.raises(nx.InputError, match="none of these layers is a XANES map"):
        write_result(str(tmp_path / "x.h5"), [(np.zeros((4, 4)), {"metadata": {}}, "image")])
    assert not (tmp_path / "x.h5").exists()
