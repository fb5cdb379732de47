"""Maps of volumes that are written while they are computed: the same bits, in memory that does not grow with them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tracemalloc
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import cloudpickle
import h5py
import numpy as np
import pytest
from zarr.storage import LocalStore

import napari_xanes as nx
from napari_xanes._core.base.files import write_text
from napari_xanes._core.engine import slabs
from napari_xanes._core.runs import batch, map_store, needs, result_zarr
from napari_xanes._core.runs.chunks import Packed
from napari_xanes._core.runs.map_store import MADE_FROM, MapStore, begun_folder, forget_begun, maps_beside
from napari_xanes._core.runs.pipeline import run_steps

E = 21


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


@pytest.mark.parametrize(
    ("kind", "height", "solver", "alike"),
    [("h5", 16, "direct", True), ("zarr", 3, "direct", True), ("zarr", 16, "admm", False)],
)
def test_results_are_the_same_as_in_memory_to_the_last_bit(
    tmp_path, monkeypatch, kind, height, solver, alike
):
    """Also where the maps are put in other chunks than the result has."""
    monkeypatch.setattr(slabs, "slab_height", lambda *_: height)
    for module in (result_zarr, map_store)[: 1 + alike]:
        monkeypatch.setattr(module, "CHUNK", {2: (64, 64), 3: (8, 16, 16)})
    scan, references = write_scan(tmp_path, (26, 20, 24))
    recipe = make_recipe(references, {"do": "align"}, solver=solver)
    expected = nx.run_recipe(recipe, scan)
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results=kind)
    given = batch.run_job(recipe, job)
    assert {one.name for one in (tmp_path / "out").iterdir()} == {f"scan.{kind}", "scan.toml"}
    check_same(given, expected)
    check_same(nx.load_result(job.target), expected)


def check_same(result, expected):
    assert result.maps.keys() == expected.maps.keys()
    for name, data in expected.maps.items():
        assert np.asarray(result.maps[name]).tobytes() == data.tobytes(), name
    assert result.info == expected.info
    assert [e.to_json() for e in result.history] == [e.to_json() for e in expected.history]


class SentStore(MapStore):
    """Has the work done by copies that were sent, as to another process."""

    def carry_out(self, work, progress, workers):
        for planes in (slice(8, 20), slice(0, 8)):
            store, sent = cloudpickle.loads(cloudpickle.dumps((self, work)))
            sent.into(store, planes, progress, workers)


FIRST = [
    {"do": "crop", "energy_range": [8200, 8560]},
    {"do": "denoise", "method": "median"},
    {"do": "normalize"},
]


@pytest.mark.parametrize(
    "steps",
    [
        [*FIRST, {"do": "peak", "window": [8325, 8365], "smoothing": 0.1}, {"do": "edge_position"}],
        [
            {"do": "normalize", "slope": "shared"},
            {"do": "white_line", "window": [8330, 8360]},
            {"do": "mask", "of": "thickness", "above": 0.2},
            {"do": "rank", "references": ["Ni_reduced.txt", "Ni_oxidised.txt"]},
        ],
        [
            {"do": "fit", "background": [0, 1], "references": ["Ni_reduced.txt", "Ni_oxidised.txt"]},
            {"do": "shift_map", "references": ["Ni_reduced.txt", "Ni_oxidised.txt"]},
        ],
    ],
    ids=["maps", "mask", "fit"],
)
def test_steps_that_count_and_look_back_find_the_same_where_others_work(tmp_path, steps):
    scan, _ = write_scan(tmp_path, (20, 20, 24))
    table = {"schema": 1, "input": {"signal": "optical_density"}, "step": steps}
    recipe = nx.Recipe.from_dict(table, folder=tmp_path)
    expected = nx.run_recipe(recipe, scan)
    with maps_beside(tmp_path / "scan.zarr", store=SentStore) as sink:
        result = run_steps(nx.read_stack(scan, signal="optical_density"), recipe.steps, sink=sink)
        assert sink.planes
        check_same(result, expected)
    assert sorted(one.suffix for one in tmp_path.iterdir()) == [".h5", ".txt", ".txt"]


@pytest.fixture
def moved(monkeypatch):
    """How many chunks are read and written of each array; an array of 20 x 20 x 24 voxels has twelve."""
    chunks = {2: (64, 64), 3: (8, 16, 16)}
    monkeypatch.setattr(result_zarr, "CHUNK", chunks)
    monkeypatch.setattr(map_store, "CHUNK", chunks)
    seen = {"get": Counter(), "set": Counter()}

    def counted(name, call):
        async def noted(self, key, *args, **kwargs):
            if "/c/" in key:
                seen[name][f"{self.root.name}/{key.split('/c/')[0]}"] += 1
            return await call(self, key, *args, **kwargs)

        return noted

    for name in seen:
        monkeypatch.setattr(LocalStore, name, counted(name, getattr(LocalStore, name)))
    return seen


CHUNKS = 12


@pytest.mark.parametrize(
    ("second", "times"),
    [
        ({"do": "white_line", "window": [8330, 8360]}, 1),
        ({"do": "edge_position"}, 1),
        ({"do": "peak", "window": [8325, 8365], "smoothing": 0.1}, 1),
        ({"do": "shift_map", "references": ["Ni_reduced.txt", "Ni_oxidised.txt"]}, 1),
        ({"do": "fit", "references": ["Ni_reduced.txt", "Ni_oxidised.txt"], "solver": "admm"}, 3),
    ],
    ids=lambda one: one["do"] if isinstance(one, dict) else "",
)
def test_what_is_counted_in_maps_reads_them_once(tmp_path, moved, second, times):
    """But for the diagnosis of a fit, which looks at pixels of what was divided by, and at those around them."""
    scan, _ = write_scan(tmp_path, (20, 20, 24))
    table = {"schema": 1, "input": {"signal": "optical_density"}, "step": [{"do": "normalize"}, second]}
    recipe = nx.Recipe.from_dict(table, folder=tmp_path)
    with maps_beside(tmp_path / "scan.zarr") as sink:
        run_steps(nx.read_stack(scan, signal="optical_density"), recipe.steps, sink=sink)
    read = moved["get"]
    assert read["1/0/invalid"] == CHUNKS and max(read.values()) == times * CHUNKS


@pytest.mark.parametrize("links", [True, False])
def test_maps_that_are_written_already_are_not_written_again(tmp_path, monkeypatch, moved, links):
    """Nor read, where files have a second name, and where they are copied; only amounts are made of two maps."""
    if not links:
        monkeypatch.setattr(os, "link", refused(os.link))
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe = make_recipe(references)
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr")
    result = batch.run_job(recipe, job)
    amounts = [name for name in result.maps if name.startswith("amount")]
    written = {key.removeprefix("new/maps/") for key in moved["set"] if key.startswith("new/maps/")}
    assert len(amounts) == 2 and written == {f"{name}/0" for name in amounts}
    read = moved["get"]
    assert not [key for key in read if key.startswith("new/")]
    assert read["1/0/thickness"] == 2 * CHUNKS  # for the diagnosis, and once for all amounts
    assert not {"1/1/sigma", "1/1/rms", "1/1/coefficients"} & read.keys()
    assert max(read.values()) <= 5 * CHUNKS  # of two fractions
    check_same(result, nx.run_recipe(recipe, scan))
    files = [path for path in job.target.rglob("*") if path.is_file()]
    assert {path.stat().st_nlink for path in files} == {1}


def refused(link):
    """Return what refuses to link any file but those that zarr writes."""

    def maybe(source, target):
        if Path(source).suffix != ".partial":
            raise PermissionError
        link(source, target)

    return maybe


def test_coarser_copies_of_what_is_linked_are_made_of_it(tmp_path, monkeypatch, moved):
    monkeypatch.setattr(result_zarr, "COARSE", {2: 2048, 3: 20})
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe = make_recipe(references, maps=["thickness"])
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr")
    result = batch.run_job(recipe, job)
    assert moved["get"]["new/maps/thickness/0"] == CHUNKS and "new/maps/thickness/0" not in moved["set"]
    nx.save_result(nx.run_recipe(recipe, scan), tmp_path / "whole.zarr")
    (level,) = (one.levels["thickness"][1] for one in (nx.load_result(tmp_path / "whole.zarr"),))
    assert np.asarray(result.levels["thickness"][1]).tobytes() == np.asarray(level).tobytes()


@pytest.mark.parametrize(
    "other",
    [
        {"chunks": (8, 8, 8)},
        {"dtype": "f8"},
        {"fill_value": 0.0},
        {"shape": (16, 16, 9)},
        {"compressors": None},
    ],
)
def test_chunks_that_are_packed_otherwise_are_not_taken(tmp_path, other):
    root = result_zarr.new_store(tmp_path / "maps")
    given = {"shape": (16, 16, 16), "chunks": (8, 16, 16), "dtype": "f4", "fill_value": np.nan}
    several = {"shape": (2, 16, 16, 16), "chunks": (1, 8, 16, 16)}
    root.create_array("made", **(given | result_zarr.packing() | several))[:] = 1
    packed = Packed(tmp_path / "maps/made", (1,))
    root.create_array("wanted", **(given | result_zarr.packing() | other))
    assert not packed.link_into(tmp_path / "maps/wanted")
    same = root.create_array("same", **(given | result_zarr.packing()))
    assert packed.link_into(tmp_path / "maps/same") and (same[:] == 1).all()


@pytest.mark.parametrize("maps", [[], ["fraction", "thickness", "error"], ["amount"]])
@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_the_disk_that_volumes_take_is_what_was_said(tmp_path, monkeypatch, kind, maps):
    """When the result is whole, and the maps that it was made of are there still; each file once."""
    scan, references = write_scan(tmp_path, (24, 64, 64))
    recipe = make_recipe(references, maps=maps)
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results=kind)
    said = needs.disk_needed(recipe, batch.open_scan(recipe, job), job.target)
    taken, save = [], batch.save_made

    def save_and_look(*args):
        save(*args)
        paths = [path for path in (tmp_path / "out").rglob("*") if {"maps", "scan.h5"} & {*path.parts}]
        taken.append(sum({one.st_ino: one.st_size for one in map(os.stat, paths)}.values()))

    monkeypatch.setattr(batch, "save_made", save_and_look)
    batch.run_job(recipe, job)
    assert 0.7 * said < taken[0] < 1.1 * said


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


def stop_at(stage, share):
    """Return a progress callback that cancels in a stage, and the stages that it saw."""
    seen = []

    def progress(done, total, text):
        if text and text not in seen:
            seen.append(text)
        if text == stage and done > share * total:
            raise nx.Cancelled

    return progress, seen


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_what_is_whole_is_not_made_again(tmp_path, monkeypatch, kind):
    monkeypatch.setattr(slabs, "slab_height", lambda *_: 4)
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe, out = make_recipe(references, {"do": "align"}), tmp_path / "out"
    expected = nx.run_recipe(recipe, scan)
    (job,) = batch.plan(recipe, [scan], out, results=kind)
    stages = []
    for share in (0.5, 0.5):  # of what is left
        progress, seen = stop_at("Computing maps", share)
        with pytest.raises(nx.Cancelled):
            batch.run_job(recipe, job, progress=progress)
        stages.append(seen)
        assert [one.suffix for one in out.iterdir()] == [".begun"]
        (job,) = batch.plan(recipe, [scan], out, results=kind, resume=True)
    planes = []
    monkeypatch.setattr(MapStore, "put", put_and_note(MapStore.put, planes))
    progress, seen = stop_at("", 1)
    check_same(batch.run_job(recipe, job, progress=progress), expected)
    assert len(stages[0]) > len(seen) == 1 and stages[1] == seen == ["Computing maps"]
    assert 0 < len(planes) < 20 and planes == list(range(planes[0], 20))
    check_same(nx.load_result(job.target), expected)
    assert {one.name for one in out.iterdir()} == {f"scan.{kind}", "scan.toml"}


@pytest.mark.parametrize("resume", [True, False])
def test_what_a_run_that_was_ended_has_left_needs_no_room_again(tmp_path, monkeypatch, resume):
    """On a disk on which the result fits once."""
    monkeypatch.setattr(slabs, "slab_height", lambda *_: 4)
    scan, references = write_scan(tmp_path, (20, 40, 48))
    recipe, out = make_recipe(references), tmp_path / "out"
    (job,) = batch.plan(recipe, [scan], out, results="h5")
    room = 1.1 * needs.disk_needed(recipe, batch.open_scan(recipe, job), job.target)

    def usage(place):
        return SimpleNamespace(free=room - sum(one.stat().st_size for one in out.rglob("*") if one.is_file()))

    monkeypatch.setattr("shutil.disk_usage", usage)
    with pytest.raises(nx.Cancelled):
        batch.run_job(recipe, job, progress=stop_at("Computing maps", 0.6)[0])
    assert usage(out).free < 0.9 * room, "the rest alone would fit"
    (job,) = batch.plan(recipe, [scan], out, results="h5", resume=resume)
    stack = batch.open_scan(recipe, job)
    needs.needs_of(recipe, stack, job.target)
    batch.run_job(recipe, job, stack=stack)
    room /= 2
    with pytest.raises(nx.ResourceError, match="MiB of disk"):
        needs.needs_of(recipe, stack, job.target)


def put_and_note(put, planes):
    def noted(self, slab, *rest):
        planes.extend(range(slab.start, slab.stop))
        put(self, slab, *rest)

    return noted


def test_only_the_same_is_gone_on_with(tmp_path):
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe, out = make_recipe(references), tmp_path / "out"
    (job,) = batch.plan(recipe, [scan], out, resume=True)
    with pytest.raises(nx.Cancelled):
        batch.run_job(recipe, job, progress=stop_at("Computing maps", 0.5)[0])
    other = make_recipe(references, constraint="sum_to_one")
    (job,) = batch.plan(other, [scan], out, resume=True)
    check_same(batch.run_job(other, job), nx.run_recipe(other, scan))
    with maps_beside(job.target) as store:
        store.once("drift", lambda: b"1")
        with (
            pytest.raises(nx.DataFileError, match="is being made by another run; wait"),
            maps_beside(job.target),
        ):
            pass
    assert {one.name for one in out.iterdir()} == {"scan.h5", "scan.toml"}
    (begun_folder(job.target) / "whole").mkdir(
        parents=True
    )  # as a run leaves it that is killed at its very end
    (job,) = batch.plan(other, [scan], out, resume=True)
    batch.export_again(other, job, ())
    assert job.done and {one.name for one in out.iterdir()} == {"scan.h5", "scan.toml"}


@pytest.mark.parametrize("resume", [True, False])
def test_what_links_in_a_begun_result_lead_to_is_left_alone(tmp_path, resume):
    """Its folder's name can be foreseen, so someone else may have put one there."""
    mine, target = tmp_path / "mine", tmp_path / "out/scan.h5"
    (mine / "deep").mkdir(parents=True)
    (mine / "deep/work.txt").write_text("work")
    folder = begun_folder(target)
    target.parent.mkdir()

    def begin():
        with maps_beside(target, resume=resume) as store:
            store.once("drift", lambda: b"1")

    folder.symlink_to(mine)
    for act in (begin, lambda: forget_begun(target)):
        with pytest.raises(nx.DataFileError, match="is a link, expected a folder"):
            act()
    folder.unlink()
    folder.mkdir()
    (folder / "lock").symlink_to(mine / "deep/work.txt")
    with pytest.raises(nx.DataFileError, match="is a link, expected a file"):
        begin()
    (folder / "lock").unlink()
    write_text(folder / MADE_FROM, json.dumps([nx.__version__, None]))
    (folder / "facts").symlink_to(mine / "deep")
    begin()
    assert [path.name for path in mine.rglob("*")] == ["deep", "work.txt"]
    assert (mine / "deep/work.txt").read_text() == "work"


KILLED = """
import os, signal, sys
import napari_xanes as nx
from napari_xanes._core.engine import slabs
from napari_xanes._core.runs import batch
slabs.slab_height = lambda *_: 2
recipe, scan, kind, calls = nx.Recipe.load(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
def progress(done, total, text):
    global calls
    calls -= text == "Computing maps"
    if calls < 0:
        os.kill(os.getpid(), signal.SIGKILL)
(job,) = batch.plan(recipe, [scan], sys.argv[5], results=kind, resume=True)
batch.run_job(recipe, job, workers=1, progress=progress)
"""


KILLED_LATE = """
import os, signal
from napari_xanes._core.runs import chunks, result_zarr
left, call = int(sys.argv[6]), {module}.{name}
def die(*args):
    global left
    left -= 1
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return call(*args)
{module}.{name} = die
"""


@pytest.mark.parametrize(("module", "name", "calls"), [("chunks", "_link", 9), ("result_zarr", "_stamps", 0)])
def test_a_run_that_is_killed_while_its_result_is_put_together_goes_on(
    tmp_path, monkeypatch, module, name, calls
):
    """When some of the links are there, and when all are and the result has no name yet."""
    scan, references = write_scan(tmp_path, (20, 20, 24))
    recipe = make_recipe(references)
    recipe.save(tmp_path / "recipe.toml")
    first, second = KILLED.split("def progress", 1)
    script = f"{first}{KILLED_LATE.format(module=module, name=name)}def progress{second}"
    words = [tmp_path / "recipe.toml", scan, "zarr", 10**9, tmp_path / "out", calls]
    done = subprocess.run([sys.executable, "-c", script, *map(str, words)], check=False)
    assert done.returncode == -signal.SIGKILL
    begun = {path: path.read_bytes() for path in tmp_path.rglob("*.begun/maps/**/c/**/*") if path.is_file()}
    assert begun and any(path.stat().st_nlink == 2 for path in begun)
    assert list((tmp_path / "out").glob("*.part")) and not (tmp_path / "out/scan.zarr").exists()
    planes = []
    monkeypatch.setattr(MapStore, "put", put_and_note(MapStore.put, planes))
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr", resume=True)
    check_same(batch.run_job(recipe, job), nx.run_recipe(recipe, scan))
    assert not planes
    assert {one.name for one in (tmp_path / "out").iterdir()} == {"scan.zarr", "scan.toml"}


def test_a_run_that_is_killed_again_and_again_comes_to_the_same(tmp_path):
    """Killed in the midst of work, without any chance to clean up; tools/campaigns.py does it at any moment."""
    scan, references = write_scan(tmp_path, (20, 20, 24), times=2)
    recipe = make_recipe(references)
    recipe.save(tmp_path / "recipe.toml")
    rng = np.random.default_rng()
    before = scan.read_bytes()
    for _ in range(2):
        calls = int(rng.integers(150, 300))
        words = [tmp_path / "recipe.toml", scan, "zarr", calls, tmp_path / "out"]
        done = subprocess.run([sys.executable, "-c", KILLED, *map(str, words)], check=False)
        assert done.returncode == -signal.SIGKILL, calls
        assert [one.suffix for one in (tmp_path / "out").iterdir()] == [".begun"]
    assert any(tmp_path.rglob("whole/1-*"))
    (job,) = batch.plan(recipe, [scan], tmp_path / "out", results="zarr", resume=True)
    check_same(batch.run_job(recipe, job), nx.run_recipe(recipe, scan))
    assert scan.read_bytes() == before
    assert {one.name for one in (tmp_path / "out").iterdir()} == {"scan.zarr", "scan.toml"}


def test_the_command_line_says_what_becomes_of_a_run_that_was_killed(tmp_path):
    scan, references = write_scan(tmp_path, (20, 20, 24))
    make_recipe(references).save(tmp_path / "recipe.toml")
    words = [sys.executable, "-m", "napari_xanes", "run", tmp_path / "recipe.toml", scan, "--results", "zarr"]
    told = {
        "--resume": "  goes on from a run that was ended",
        "--overwrite": "  a run that was ended is made anew",
    }
    for number, (option, sentence) in enumerate(told.items()):
        out = tmp_path / f"out{number}"
        killed = [tmp_path / "recipe.toml", scan, "zarr", 3, out]
        done = subprocess.run([sys.executable, "-c", KILLED, *map(str, killed)], check=False)
        assert done.returncode == -signal.SIGKILL
        for times in (1, 0):  # when it is through, nothing is left
            run = [*map(str, words), "--out", str(out), option]
            done = subprocess.run(run, capture_output=True, text=True, check=True)
            assert [line.startswith(sentence) for line in done.stdout.splitlines()].count(True) == times
