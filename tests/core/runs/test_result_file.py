"""Results in files: everything comes back, nothing half-written stays."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
import tomllib
from pathlib import Path

import h5py
import numpy as np
import pytest
import tifffile

from napari_xanes import (
    DataFileError,
    EnergyStack,
    InputError,
    Recipe,
    Reference,
    Result,
    load_result,
    save_result,
)
from napari_xanes._core.data.drift import Drift
from napari_xanes._core.runs.export import export_maps
from napari_xanes._core.runs.result_file import MARK, is_result_file, read_fact
from napari_xanes._core.runs.result_layout import unique_keys


def make_result(shape=(5, 7), **changes):
    rng = np.random.default_rng(3)
    energy = np.array([8300.0, 8333.25, 8400.0])
    maps = {
        "thickness": rng.normal(size=shape).astype(np.float32),
        "fraction_Ni(II)/NiO": rng.normal(size=shape),
        "fraction_Ni(II)_NiO": rng.normal(size=shape).astype(np.float32),
        "error": rng.normal(size=shape).astype(np.float32),
    }
    maps["error"].flat[3] = np.nan
    values = {
        "maps": maps,
        "info": {name: {"kind": name.split("_")[0], "unit": "", "reference": None} for name in maps},
        "energy": energy,
        "history": (
            {"do": "optical_density", "params": {}, "found": {"warnings": ["a sentence"]}},
            {"do": "normalize", "params": {"e0": 8333.1, "pre_edge": [8300, 8310]}, "found": {"e0": 8333.1}},
        ),
        "source": {"path": "/data/scan 1.h5", "size": 12, "images": "img"},
        "labels": {"sample": (rng.random(shape) > 0.5).astype(np.int32)},
        "pixel_size_um": 0.04,
        "name": "scan 1, µ",
        "extra": {
            "drift": Drift(np.tile(np.eye(3), (3, 1, 1)), np.array([1.0, 0.5, 0.9]), -1),
            "references": [Reference("Ni(II)/NiO", energy, np.array([0.0, 1.5, 1.0]))],
        },
        "tables": {
            "particles": {
                "label": np.array([1, 2]),
                "material": np.array(["Ni(II)/NiO", "µ"]),
                "profile": rng.random((2, 3)),
            },
            "empty": {"label": np.zeros(0, int)},
        },
        "warnings": ("a sentence",),
    }
    return Result(**(values | changes))


def assert_same(found, expected):
    assert list(found.maps) == list(expected.maps) and list(found.labels) == list(expected.labels)
    for name, data in (expected.maps | expected.labels).items():
        got = (found.maps | found.labels)[name]
        assert got.dtype == data.dtype and got.tobytes() == data.tobytes(), name
    for name in ("info", "history", "source", "pixel_size_um", "name", "warnings"):
        assert getattr(found, name) == getattr(expected, name), name
    np.testing.assert_array_equal(found.energy, expected.energy)
    assert found.tables.keys() == expected.tables.keys()
    for name, columns in expected.tables.items():
        assert list(found.tables[name]) == list(columns)
        for column, values in columns.items():
            np.testing.assert_array_equal(found.tables[name][column], values)


@pytest.mark.parametrize("shape", [(5, 7), (2, 5, 7)])
def test_what_is_saved_is_loaded(tmp_path, shape):
    result = make_result(shape)
    save_result(result, tmp_path / "maps.h5")
    found = load_result(tmp_path / "maps.h5")
    assert_same(found, result)
    for name in ("matrices", "shifts", "confidence"):
        np.testing.assert_array_equal(
            getattr(found.extra["drift"], name), getattr(result.extra["drift"], name)
        )
    (reference,) = found.extra["references"]
    assert reference.name == "Ni(II)/NiO"
    np.testing.assert_array_equal(reference.mu, [0.0, 1.5, 1.0])


def test_a_bare_result_is_loaded_too(tmp_path):
    bare = Result({}, {}, np.array([1.0, 2.0]), (), {})
    save_result(bare, tmp_path / "bare.h5")
    found = load_result(tmp_path / "bare.h5")
    assert_same(found, bare)
    assert found.extra == {} and found.stack is None


def test_the_stack_comes_back(tmp_path):
    rng = np.random.default_rng(0)
    stack = EnergyStack(
        rng.normal(size=(3, 5, 7)).astype(np.float32),
        [8300.0, 8333.0, 8400.0],
        "normalized",
        thickness=rng.random((5, 7)).astype(np.float32),
        name="s",
        history=({"do": "normalize", "params": {}, "found": {}},),
    )
    save_result(make_result(stack=stack), tmp_path / "maps.h5")
    found = load_result(tmp_path / "maps.h5").stack
    assert found.signal == "normalized" and found.history == stack.history and found.flat is None
    np.testing.assert_array_equal(found.data, stack.data)
    np.testing.assert_array_equal(found.thickness, stack.thickness)


def test_plain_extras_of_any_length_survive(tmp_path):
    files = {f"/data/{i:05d}.tif": [i, i] for i in range(5000)}
    save_result(make_result(extra={"made_from": files}), tmp_path / "maps.h5")
    assert read_fact(tmp_path / "maps.h5", "made_from") == files
    assert load_result(tmp_path / "maps.h5").extra["made_from"] == files
    assert read_fact(tmp_path / "maps.h5", "other") is None
    assert read_fact(tmp_path / "none.h5", "made_from") is None


def test_layout_is_nexus(tmp_path):
    save_result(make_result(), tmp_path / "maps.h5")
    with h5py.File(tmp_path / "maps.h5") as file:
        entry = file[file.attrs["default"]]
        assert entry.attrs["NX_class"] == "NXentry"
        process = entry["process"]
        assert process.attrs["NX_class"] == "NXprocess"
        assert "[[step]]" in process["recipe"].asstr()[()] and "8333.1" in process["recipe"].asstr()[()]
        assert json.loads(process["history"][()])[1]["found"] == {"e0": 8333.1}
        data = entry[entry.attrs["default"]]
        data = data[data.attrs["default"]]
        assert data.attrs["NX_class"] == "NXdata" and data.attrs["signal"] == "data"
        assert list(data.attrs["axes"]) == ["y", "x"]
        assert data["x"].attrs["units"] == "um"
        np.testing.assert_allclose(data["x"][:3], [0, 0.04, 0.08])
        assert entry["energy"].attrs["units"] == "eV"


def test_only_h5_is_written(tmp_path):
    with pytest.raises(InputError, match=r"maps\.tif.*end in \.h5 or \.zarr, not '\.tif'"):
        save_result(make_result(), tmp_path / "maps.tif")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fault", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_failed_write_leaves_what_was_there(tmp_path, monkeypatch, fault):
    path = tmp_path / "maps.h5"
    path.write_bytes(b"before")

    def fail(*args, **kwargs):
        raise fault

    monkeypatch.setattr("napari_xanes._core.runs.result_layout._write_extra", fail)
    with pytest.raises(DataFileError if isinstance(fault, OSError) else KeyboardInterrupt) as caught:
        save_result(make_result(), path)
    if isinstance(fault, OSError):
        assert (
            str(caught.value)
            == f"{path} could not be written: No space left on device; nothing was left there."
        )
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["maps.h5"]


def test_what_is_not_a_result_is_refused(tmp_path):
    path = tmp_path / "maps.h5"
    with pytest.raises(DataFileError, match="no such result file"):
        load_result(path)
    path.write_text("not HDF5")
    with pytest.raises(DataFileError, match=r"maps\.h5 is not a readable result file"):
        load_result(path)
    assert not is_result_file(path)
    with h5py.File(path, "w") as file:
        file["img_xanes"] = np.zeros((2, 3, 4))
    with pytest.raises(DataFileError, match=r"maps\.h5 is HDF5 but not a result"):
        load_result(path)
    assert not is_result_file(path)


def test_newer_and_damaged_results_are_refused(tmp_path):
    path = tmp_path / "maps.h5"
    save_result(make_result(), path)
    assert is_result_file(path)
    with h5py.File(path, "a") as file:
        file.attrs[MARK] = 99
    with pytest.raises(DataFileError, match=r"newer version \(schema 99, this one reads 1\)"):
        load_result(path)
    with h5py.File(path, "a") as file:
        file.attrs[MARK] = 1
        del file["entry/process"]
    with pytest.raises(DataFileError, match=r"maps\.h5 is damaged: its checksums are lost"):
        load_result(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataFileError, match=r"maps\.h5 is not a readable result file"):
        load_result(path)


def test_names_become_parts_of_paths():
    names = [
        "fraction_a/b",
        "fraction_a_b",
        "Fraction_A_B",
        "..",
        "",
        "n\n",
        "NUL",
        "é" * 300,
        "é" * 301,
        "a. ",
    ]
    keys = unique_keys(names)
    assert list(keys) == names
    assert keys["fraction_a/b"] == "fraction_a_b" and keys["fraction_a_b"] == "fraction_a_b_2"
    assert len({k.lower() for k in keys.values()}) == len(names)
    assert all(len(os.fsencode(f"{k}.tif")) < 255 for k in keys.values()) and keys["NUL"] == "_NUL"
    assert all(k and "/" not in k and not k.startswith(".") and k.isprintable() for k in keys.values())


def test_export(tmp_path):
    result = make_result()
    paths = export_maps(result, tmp_path / "out", ["tiff", "csv"])
    assert sorted(p.name for p in paths) == sorted(os.listdir(tmp_path / "out"))
    with tifffile.TiffFile(tmp_path / "out" / "fraction_Ni(II)_NiO.tif") as file:
        data = file.asarray()
        assert data.dtype == np.float32
        np.testing.assert_array_equal(data, result.maps["fraction_Ni(II)/NiO"].astype(np.float32))
        about = json.loads(file.pages[0].description)
        assert about["map"] == "fraction_Ni(II)/NiO" and about["kind"] == "fraction"
        assert Recipe.from_dict(tomllib.loads(about["recipe"])).steps[1][1].e0 == 8333.1
        across, per = file.pages[0].tags["XResolution"].value
        assert across / per == pytest.approx(1e4 / 0.04)
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "out" / "sample.tif"), result.labels["sample"])
    with open(tmp_path / "out" / "statistics.csv", newline="", encoding="utf-8") as file:
        rows = {row["map"]: row for row in csv.DictReader(file)}
    assert rows["error"]["pixels"] == "35" and rows["error"]["invalid"] == "1"
    assert float(rows["error"]["mean"]) == pytest.approx(np.nanmean(result.maps["error"]), rel=1e-5)
    with open(tmp_path / "out" / "drift.csv", newline="", encoding="utf-8") as file:
        drift = list(csv.DictReader(file))
    assert float(drift[1]["energy_eV"]) == 8333.25
    with open(tmp_path / "out" / "particles.csv", newline="", encoding="utf-8") as file:
        particles = list(csv.DictReader(file))
    assert [p["material"] for p in particles] == ["Ni(II)/NiO", "µ"]
    assert float(particles[1]["profile_3"]) == result.tables["particles"]["profile"][1, 2]
    assert float(drift[1]["dx_px"]) == pytest.approx(result.extra["drift"].shifts[1, 1])


def test_maps_on_the_disk_are_exported_like_those_in_memory(tmp_path):
    result = make_result()
    save_result(result, tmp_path / "r.zarr")
    for name, one in (("a", result), ("b", load_result(tmp_path / "r.zarr"))):
        export_maps(one, tmp_path / name, ["tiff", "csv"])
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


@pytest.mark.parametrize("name", ["../x", "/x", "..", "a/../../x", "..\\x", "~/x", "x" * 300])
def test_no_name_in_a_result_leads_out_of_the_folder(tmp_path, name):
    """Of a map, label, table, reference, scan, source; what stands in them comes back."""
    out, image = tmp_path / "a" / "out", np.ones((6, 7), np.float32)
    energy = np.array([8300.0, 8333.25, 8400.0])
    result = Result(
        maps={name: image},
        info={name: {"kind": "thickness", "unit": name, "reference": name}},
        energy=energy,
        history=(),
        source={"path": name},
        labels={f"{name}/": image.astype(np.int32)},
        tables={name: {name: np.array([1, 2])}},
        name=name,
        extra={"references": [Reference(name, energy, np.array([0.0, 1.0, 1.0]))]},
    )
    for suffix in (".h5", ".zarr"):
        save_result(result, out / f"r{suffix}")
        back = load_result(out / f"r{suffix}")
        np.testing.assert_array_equal(np.asarray(back.maps[name]), image)
        export_maps(back, out / f"maps{suffix}", ["tiff", "csv"])
    assert [path.name for path in tmp_path.rglob("*") if path.is_file() and out not in path.parents] == []
    assert not Path("/x.tif").exists()
    assert len(list((out / "maps.h5").iterdir())) == 4


def test_a_name_that_cannot_stand_in_a_file_is_one_sentence(tmp_path):
    result = dataclasses.replace(make_result(), maps={"a\0b": np.ones((5, 7))}, info={})
    with pytest.raises(InputError, match="cannot stand in a file"):
        save_result(result, tmp_path / "r.h5")
    assert not list(tmp_path.iterdir())


def test_unknown_export_is_named(tmp_path):
    with pytest.raises(InputError, match="export format is 'png', expected one of tiff, csv"):
        export_maps(make_result(), tmp_path / "out", ["tiff", "png"])
    assert not (tmp_path / "out").exists()
