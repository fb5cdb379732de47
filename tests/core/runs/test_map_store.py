"""Maps of volumes that are written while they are computed: the same bits, in memory that does not grow with them."""

from __future__ import annotations

import tracemalloc

import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.engine import slabs
from napari_xanes._core.runs import batch, result_zarr
from napari_xanes._core.runs.map_store import maps_beside

E = 30


def write_scan(folder, shape, name="scan", times=1):
    made = nx.simulate_volume(shape, n_energies=E, seed=5, n_particles=12)
    data = np.concatenate([made.stack.data] * times, axis=1)
    data[4, 10:12, 5:9, 6:8] = np.nan
    with h5py.File(folder / f"{name}.h5", "w") as file:
        file["img_xanes"], file["X_eng"] = data, made.stack.energy
    paths = []
    for one in made.references:
        paths.append(str(folder / f"{one.name}.txt"))
        np.savetxt(paths[-1], np.stack([one.energy, one.mu], axis=1))
    return folder / f"{name}.h5", paths


def make_recipe(references, *before, maps=(), **fit):
    steps = [*before, {"do": "normalize"}, {"do": "fit", "references": references, **fit}]
    output = {"maps": list(maps)}
    return nx.Recipe.from_dict(
        {"schema": 1, "input": {"signal": "optical_density"}, "step": steps, "output": output}
    )


@pytest.mark.parametrize("height", [3, 16])
@pytest.mark.parametrize("solver", ["direct", "admm"])
def test_results_are_the_same_as_h5_to_the_last_bit(tmp_path, monkeypatch, height, solver):
    monkeypatch.setattr(slabs, "slab_height", lambda *_: height)
    monkeypatch.setattr(result_zarr, "CHUNK", {2: (64, 64), 3: (8, 16, 16)})
    scan, references = write_scan(tmp_path, (26, 20, 24))
    recipe = make_recipe(references, {"do": "align"}, solver=solver)
    made = {}
    for kind in ("h5", "zarr"):
        (job,) = batch.plan(recipe, [scan], tmp_path / kind, results=kind)
        batch.run_job(recipe, job)
        assert {one.name for one in (tmp_path / kind).iterdir()} == {f"scan.{kind}", "scan.toml"}
        made[kind] = nx.load_result(job.target)
    assert made["zarr"].maps.keys() == made["h5"].maps.keys()
    for name, data in made["h5"].maps.items():
        assert np.asarray(made["zarr"].maps[name]).tobytes() == data.tobytes(), name
    assert made["zarr"].info == made["h5"].info
    assert [e.to_json() for e in made["zarr"].history] == [e.to_json() for e in made["h5"].history]


@pytest.mark.parametrize(
    "steps",
    [
        [
            {"do": "normalize"},
            {"do": "peak", "window": [8325, 8365], "smoothing": 0.1},
            {"do": "edge_position"},
        ],
        [
            {"do": "normalize"},
            {"do": "white_line", "window": [8330, 8360]},
            {"do": "mask", "of": "thickness", "above": 0.2},
        ],
    ],
    ids=["maps", "mask"],
)
def test_steps_that_count_and_look_back_find_the_same(tmp_path, steps):
    scan, _ = write_scan(tmp_path, (20, 20, 24))
    recipe = nx.Recipe.from_dict({"schema": 1, "input": {"signal": "optical_density"}, "step": steps})
    expected = nx.run_recipe(recipe, scan)
    with maps_beside(tmp_path / "scan.zarr") as sink:
        result = nx.run_recipe(recipe, scan, sink=sink)
        assert [e.to_json() for e in result.history] == [e.to_json() for e in expected.history]
        for name, data in expected.maps.items():
            assert np.asarray(result.maps[name]).tobytes() == data.tobytes(), name
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".h5", ".txt", ".txt"]


def test_memory_does_not_grow_with_the_volume(tmp_path, monkeypatch):
    """Of a job without alignment, which looks at whole volumes."""
    monkeypatch.setattr(slabs, "SLAB_BYTES", 2**20)
    monkeypatch.setattr(slabs, "MOST_BYTES", 2**20)
    peaks = {}
    for planes in (64, 192):
        scan, _ = write_scan(tmp_path, (32, 32, 32), f"scan{planes}", times=planes // 32)
        steps = [{"do": "normalize"}, {"do": "white_line", "window": [8330, 8360]}]
        recipe = nx.Recipe.from_dict({"schema": 1, "input": {"signal": "optical_density"}, "step": steps})
        (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr")
        if planes == 64:
            batch.run_job(recipe, job)  # what is loaded once does not count
            (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr", overwrite=True)
        tracemalloc.start()
        result = batch.run_job(recipe, job)
        peaks[planes] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        of_maps = sum(one.nbytes for one in result.maps.values())
    assert peaks[192] - peaks[64] < 0.2 * of_maps * (1 - 64 / 192)


def test_what_stands_there_is_replaced_or_refused_as_files_are(tmp_path):
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe = make_recipe(references)
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr")
    batch.run_job(recipe, job)
    (again,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr", resume=True)
    assert again.done
    with pytest.raises(nx.DataFileError, match="exists already; give --resume"):
        batch.plan(recipe, [scan], tmp_path / "out", results="zarr")
    (again,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr", overwrite=True)
    assert not again.done
    (tmp_path / "foreign/scan.zarr").mkdir(parents=True)
    with pytest.raises(nx.DataFileError, match="no result of this program"):
        batch.plan(recipe, [scan], tmp_path / "foreign", results="zarr", overwrite=True)
    with pytest.raises(nx.InputError, match="results is 'tiff'"):
        batch.plan(recipe, [scan], tmp_path / "out", results="tiff")


def test_a_run_that_is_stopped_leaves_nothing(tmp_path):
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe = make_recipe(references)
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr")

    def stop(done, total, text):
        if text == "Computing maps" and done > total / 2:
            raise nx.Cancelled

    with pytest.raises(nx.Cancelled):
        batch.run_job(recipe, job, progress=stop)
    assert not list((tmp_path / "out").iterdir())
