"""What a result file gives back is what was written, or a sentence: damage, links and foreign files are refused."""

from __future__ import annotations

import shutil
import subprocess
import sys

import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import _reader
from napari_xanes._core.runs.result_file import check_result, is_result_file
from napari_xanes._core.runs.result_seal import CHECKSUMS, SEALED


def make_result(**changes):
    rng = np.random.default_rng(3)
    energy = np.array([8300.0, 8333.25, 8400.0])
    maps = {"thickness": rng.normal(size=(6, 7)).astype(np.float32), "fraction_a": rng.random((6, 7))}
    values = {
        "maps": maps,
        "info": {name: {"kind": name.split("_")[0], "unit": "", "reference": None} for name in maps},
        "energy": energy,
        "history": ({"do": "optical_density", "params": {}, "found": {}},),
        "source": {"path": "/data/scan.h5"},
        "labels": {"sample": np.ones((6, 7), np.int32)},
        "pixel_size_um": 0.04,
        "name": "scan µ",
        "extra": {
            "drift": nx.Drift(np.tile(np.eye(3), (3, 1, 1)), np.ones(3)),
            "references": [nx.Reference("a", energy, np.array([0.0, 1.5, 1.0]))],
            "made_from": {"recipe": {}},
        },
        "tables": {"particles": {"label": np.array([1, 2]), "material": np.array(["a", "µ"])}},
    }
    return nx.Result(**(values | changes))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The result as it was saved, to be copied."""
    path = tmp_path_factory.mktemp("result") / "r.h5"
    nx.save_result(make_result(), path)
    return path


@pytest.fixture
def path(tmp_path, written):
    return shutil.copy(written, tmp_path / "r.h5")


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path, path):
    """In a process of its own: the HDF5 library may die of what it reads."""
    code = """if True:
        import sys, numpy as np, napari_xanes as nx
        path = sys.argv[1]
        good, truth = open(path, "rb").read(), nx.load_result(path)
        rng, seen, bad = np.random.default_rng(0), {"refused": 0, "same": 0}, path + "_bad.h5"
        for _ in range(300):
            raw = bytearray(good); raw[rng.integers(len(raw))] ^= 1 << rng.integers(8); open(bad, "wb").write(raw)
            try: found = nx.load_result(bad)
            except nx.XanesError as error: seen["refused"] += 1; assert "\\n" not in str(error)
            else:
                seen["same"] += 1
                for name, data in (truth.maps | truth.labels).items():
                    assert (found.maps | found.labels)[name].tobytes() == data.tobytes(), name
                for name in ("info", "history", "source", "pixel_size_um", "name", "energy"):
                    assert str(getattr(found, name)) == str(getattr(truth, name)), name
        print(seen)
    """
    words = [sys.executable, "-c", code, str(path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "refused" in done.stdout


@pytest.mark.parametrize(
    "where",
    ["entry/maps/thickness/data", "entry/energy", "entry/labels/sample/data", "entry/tables/particles/0"],
)
def test_changed_values_are_refused_by_name(path, where):
    with h5py.File(path, "r+") as file:
        file[where][...] = file[where][()] * 2 + 1
    with pytest.raises(nx.DataFileError, match=f"/{where} is damaged or was changed"):
        nx.load_result(path)
    assert where in check_result(path)


def test_damage_is_known_before_the_hdf5_library_sees_it(path, monkeypatch):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 1
    path.write_bytes(raw)
    monkeypatch.setattr(h5py, "File", None)
    with pytest.raises(nx.DataFileError, match="its bytes are not those that were written"):
        nx.load_result(path)
    assert "its bytes are not those" in check_result(path)


def test_a_map_that_is_renamed_or_removed_is_refused(path):
    with h5py.File(path, "r+") as file:
        file["entry/maps/thickness"].attrs["name"] = "edge_step"
    with pytest.raises(nx.DataFileError, match="/entry/maps/thickness is damaged or was changed"):
        nx.load_result(path)
    with h5py.File(path, "r+") as file:
        del file["entry/maps/thickness"]
    with pytest.raises(nx.DataFileError, match="/entry/maps/thickness is damaged or was changed"):
        nx.load_result(path)


def test_what_other_programs_add_is_left_alone(path):
    with h5py.File(path, "r+") as file:
        file["notes"] = "mine"
    assert list(nx.load_result(path).maps) == ["thickness", "fraction_a"] and check_result(path) == ""


def test_results_without_checksums_still_open(path):
    with h5py.File(path, "r+") as file:
        del file[CHECKSUMS]
    with pytest.raises(nx.DataFileError, match="its checksums are lost"):
        nx.load_result(path)
    with h5py.File(path, "r+") as file:
        del file.attrs[SEALED]
    assert list(nx.load_result(path).maps) == ["thickness", "fraction_a"]


def external(file):
    del file["entry/title"]
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plan.set_external(b"/etc/passwd", 0, 200)
    text = h5py.h5t.C_S1.copy()
    text.set_size(200)
    h5py.h5d.create(file["entry"].id, b"title", text, h5py.h5s.create(h5py.h5s.SCALAR), plan)


def external_link(file):
    file["entry/maps/stolen"] = h5py.ExternalLink("other.h5", "/x")


def soft_link(file):
    file["entry/maps/again"] = h5py.SoftLink("/entry/maps/thickness")


def hard_link(file):
    file["entry/maps/loop"] = file["entry"]


def virtual(file):
    layout = h5py.VirtualLayout((6, 7), "f4")
    layout[:] = h5py.VirtualSource("other.h5", "x", (6, 7))
    del file["entry/maps/thickness/data"]
    file["entry/maps/thickness"].create_virtual_dataset("data", layout)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("change", [external, external_link, soft_link, hard_link, virtual])
def test_nothing_outside_of_the_file_is_read(path, change, sealed):
    with h5py.File(path, "r+") as file:
        change(file)
        if not sealed:
            del file.attrs[SEALED], file[CHECKSUMS]
    with pytest.raises(nx.DataFileError, match="results of this program never hold"):
        nx.load_result(path)


def _schema_text(f):
    f.attrs["napari_xanes_schema"] = "1"


def _schema_empty(f):
    f.attrs["napari_xanes_schema"] = h5py.Empty("i4")


def _maps_number(f):
    del f["entry/maps"]
    f["entry/maps"] = 3.0


def _drift_more(f):
    f["entry/extra/drift/x"] = 1


def _huge(f):
    del f["entry/maps/thickness/data"]
    f["entry/maps/thickness"].create_dataset("data", (200_000, 200_000), "f8", chunks=(1000, 1000))


def _history_numbers(f):
    del f["entry/process/history"]
    f["entry/process/history"] = np.arange(3)


def _positions(f):
    f["entry/maps/thickness"].attrs["position"] = "x"
    f.create_group("entry/maps/n").attrs["position"] = 1


def _complex(f):
    del f["entry/maps/thickness/data"]
    f["entry/maps/thickness/data"] = np.ones((6, 7), complex)


def _texts(f):
    del f["entry/energy"]
    f["entry/energy"] = ["a", "b"]


def _size(f):
    del f["entry/pixel_size"]
    f["entry/pixel_size"] = np.inf


FOREIGN = (
    _schema_text,
    _schema_empty,
    _maps_number,
    _drift_more,
    _huge,
    _history_numbers,
    _positions,
    _complex,
)


@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("change", [*FOREIGN, _texts, _size])
def test_what_is_written_like_a_result_but_is_none_is_one_sentence(path, change, sealed):
    with h5py.File(path, "r+") as file:
        change(file)
        if not sealed:
            file.attrs.pop(SEALED), file.pop(CHECKSUMS)
    for read in (nx.load_result, lambda p: _reader.read(str(p))):
        with pytest.raises(nx.XanesError) as caught:
            read(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 600
    assert is_result_file(path) in (True, False)


def test_a_map_that_does_not_fit_into_memory_is_refused_by_name(tmp_path, monkeypatch):
    large = nx.Result({"thickness": np.ones((600, 600))}, {}, np.array([1.0, 2.0]), (), {})
    nx.save_result(large, tmp_path / "large.h5")
    monkeypatch.setattr("napari_xanes._core.base.memory.free_memory", lambda: 2**20)
    with pytest.raises(
        nx.ResourceError, match=r"/entry/maps/thickness/data \(600, 600\) of .* GiB of memory"
    ):
        nx.load_result(tmp_path / "large.h5")


def test_cut_files_are_one_sentence(tmp_path, path):
    raw = path.read_bytes()
    for size in range(0, len(raw), 997):
        (tmp_path / "cut.h5").write_bytes(raw[:size])
        with pytest.raises(nx.DataFileError):
            nx.load_result(tmp_path / "cut.h5")


# -- NeXus -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(6, 7), (3, 6, 7)])
@pytest.mark.parametrize("size", [None, 0.04])
def test_every_group_follows_nexus(tmp_path, shape, size):
    stack = nx.EnergyStack(
        np.ones((3, *shape), np.float32), [1.0, 2.0, 3.0], "normalized", pixel_size_um=size, name="s"
    )
    maps = {"thickness": np.ones(shape), "error": np.ones(shape, np.float32)}
    labels = {"sample": np.ones(shape, np.int32)}
    result = make_result(maps=maps, labels=labels, info={}, stack=stack, pixel_size_um=size)
    nx.save_result(result, tmp_path / "r.h5")
    plotted = []

    def check(name, item):
        assert not isinstance(item, h5py.Group) or str(item.attrs["NX_class"]).startswith("NX"), name
        if isinstance(item, h5py.Group) and item.attrs["NX_class"] == "NXdata":
            signal = item[item.attrs["signal"]]
            axes = list(item.attrs["axes"])
            assert len(axes) == signal.ndim, name
            for axis, length in zip(axes, signal.shape, strict=True):
                assert item[axis].shape == (length,) and item[axis].attrs["units"], (name, axis)
            plotted.append(name)

    with h5py.File(tmp_path / "r.h5") as file:
        file.visititems(check)
        group = file
        while "default" in group.attrs:
            group = group[group.attrs["default"]]
        assert group.attrs["NX_class"] == "NXdata" and group.name == "/entry/maps/thickness"
        assert file["entry/stack"].attrs["signal"] == "data"
        assert list(file["entry/stack"].attrs["axes"]) == ["energy", *("z", "y", "x")[-len(shape) :]]
    assert {"entry/stack", "entry/maps/error", "entry/labels/sample", "entry/extra/references/0"} <= set(
        plotted
    )
    found = nx.load_result(tmp_path / "r.h5").stack
    np.testing.assert_array_equal(found.data, stack.data)
    shutil.rmtree(tmp_path)
