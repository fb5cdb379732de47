"""What a run may replace, what stands beside a result, and what happens when a scan, a disk or a name is bad."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest
import tifffile

import napari_xanes as nx
from napari_xanes._core.runs import batch
from napari_xanes._core.runs.beside import UNDER_WAY

ENERGY = np.linspace(8223, 8578, 31)
STEP = 1 / (1 + np.exp(-(ENERGY - 8340) / 3))
STEPS = [{"do": "normalize", "e0": 8340.0, "pre_edge": [8223, 8312], "post_edge": [8392, 8578]}]


def make_recipe(**changes):
    table = {"schema": 1, "input": {"signal": "optical_density"}, "step": STEPS}
    return nx.Recipe.from_dict(table | changes)


@pytest.fixture
def scan(tmp_path):
    rng = np.random.default_rng(0)
    od = (0.1 + STEP[:, None, None] * rng.random((20, 24)) + rng.normal(0, 0.01, (31, 20, 24))).astype("f4")
    tifffile.imwrite(tmp_path / "scan.tif", od, photometric="minisblack")
    np.savetxt(tmp_path / "energies.txt", ENERGY)
    return tmp_path / "scan.tif"


def run(scan, out, recipe=None, *, export=(), **options):
    recipe = recipe or make_recipe()
    (job,) = batch.plan(recipe, [scan], out, export=export, **options)
    if job.done:
        batch.export_again(recipe, job, export)
        return None
    return batch.run_job(recipe, job, export=export)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_overwrite_replaces_results_and_nothing_else(scan, tmp_path):
    out = tmp_path / "out"
    for name in ("scan.h5", "scan.toml"):
        out.mkdir(exist_ok=True)
        (out / name).write_text("mine")
        with pytest.raises(nx.DataFileError, match=f"{name} is no"):
            run(scan, out, overwrite=True)
        assert (out / name).read_text() == "mine"
        shutil.rmtree(out)
    run(scan, out)
    run(scan, out, overwrite=True)
    assert names(out) == ["scan.h5", "scan.toml"]


def test_the_recipe_in_use_is_never_replaced(scan, tmp_path):
    run(scan, tmp_path / "out")
    recipe_file = tmp_path / "out" / "scan.toml"
    before = recipe_file.read_bytes()
    for path in (recipe_file, tmp_path / "link.toml"):
        if path != recipe_file:
            path.symlink_to(recipe_file)
        with pytest.raises(nx.DataFileError, match="is the recipe in use"):
            run(scan, tmp_path / "out", overwrite=True, recipe_file=path)
    assert recipe_file.read_bytes() == before


def test_exports_of_an_earlier_recipe_do_not_stay(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out, export=("tiff", "csv"))
    assert {"thickness.tif", "edge_step.tif", "statistics.csv"} <= set(names(out / "scan_maps"))
    other = make_recipe(output={"maps": ["thickness"]})
    run(scan, out, other, export=("tiff",), overwrite=True)
    assert names(out / "scan_maps") == ["thickness.tif"]
    run(scan, out, other, overwrite=True)
    assert names(out) == ["scan.h5", "scan.toml"]


def test_resume_completes_exports(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out, export=("tiff",))
    whole = {path.name: path.read_bytes() for path in (out / "scan_maps").iterdir()}
    (out / "scan_maps" / "thickness.tif").unlink()
    assert run(scan, out, export=("tiff",), resume=True) is None
    assert {path.name: path.read_bytes() for path in (out / "scan_maps").iterdir()} == whole
    run(scan, out, export=("csv",), resume=True)
    assert names(out / "scan_maps") == sorted([*whole, "statistics.csv"])
    listed = nx.load_result(out / "scan.h5").extra["exports"]
    assert listed["formats"] == ["tiff", "csv"] and sorted(listed["files"]) == names(out / "scan_maps")
    for name, (size, _) in listed["files"].items():
        assert (out / "scan_maps" / name).stat().st_size == size


@pytest.mark.parametrize("options", [{}, {"overwrite": True}, {"resume": True}])
def test_files_of_others_in_the_folder_of_exports_are_not_replaced(scan, tmp_path, options):
    out = tmp_path / "out"
    (out / "scan_maps").mkdir(parents=True)
    (out / "scan_maps" / "statistics.csv").write_text("mine")
    with pytest.raises(nx.DataFileError, match=r"statistics.csv was not written by this program"):
        run(scan, out, export=("csv",), **options)
    assert (out / "scan_maps" / "statistics.csv").read_text() == "mine" and names(out) == ["scan_maps"]


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_nothing_is_written_through_a_link_that_stands_in_the_folder(scan, tmp_path, kind):
    """A result, its recipe and its exports take the place of links, or are refused; what links lead to stays."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    run(scan, elsewhere, results=kind, export=["csv"])
    (elsewhere / "scan_maps/mine.txt").write_text("mine")
    before = {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}
    out.mkdir()
    for name in (f"scan.{kind}", "scan.toml"):
        (out / name).symlink_to(elsewhere / name)
    run(scan, out, results=kind, overwrite=True, export=["csv"])
    assert not any(path.is_symlink() for path in out.iterdir())
    shutil.rmtree(out / "scan_maps")
    for options in ({"overwrite": True}, {"resume": True}):
        (out / "scan_maps").symlink_to(elsewhere / "scan_maps")
        with pytest.raises(nx.DataFileError, match="scan_maps is a link, expected a folder of this program"):
            run(scan, out, results=kind, export=["csv", "tiff"], **options)
        (out / "scan_maps").unlink()
    assert before == {path: path.read_bytes() for path in elsewhere.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", ["...tif", "..tif", "a\\..\\b.tif", "=cmd.tif", " .tif", "-o.tif"])
def test_odd_names_of_scans_stay_in_the_folder(scan, tmp_path, name):
    (tmp_path / "in").mkdir()
    shutil.copy(scan, tmp_path / "in" / name)
    shutil.copy(tmp_path / "energies.txt", tmp_path / "in")
    before = {path for path in tmp_path.rglob("*") if tmp_path / "out" not in path.parents}
    run(tmp_path / "in" / name, tmp_path / "out", export=["csv"])
    after = {path for path in tmp_path.rglob("*") if tmp_path / "out" not in path.parents}
    assert after - before == {tmp_path / "out"} and len(names(tmp_path / "out")) == 3


def test_an_export_that_was_changed_by_hand_is_not_replaced(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out, export=("csv",))
    (out / "scan_maps" / "statistics.csv").write_text("edited")
    for options in ({"overwrite": True}, {"resume": True}):
        with pytest.raises(nx.DataFileError, match="or was changed since"):
            run(scan, out, export=("csv",), **options)
    assert (out / "scan_maps" / "statistics.csv").read_text() == "edited"


@pytest.mark.parametrize("stage", ["write_text", "save_made", "all_in_place"])
def test_exports_of_a_run_that_was_killed_are_known_again(scan, tmp_path, monkeypatch, stage):
    out = tmp_path / "out"

    class Killed(BaseException):
        pass

    def kill(*args, **kwargs):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(batch, stage, kill)
        with pytest.raises(Killed):
            run(scan, out, export=("tiff",))
    assert (out / "scan_maps" / UNDER_WAY).exists() and (out / "scan_maps" / "thickness.tif").exists()
    run(scan, out, export=("tiff",), resume=True)
    assert UNDER_WAY not in names(out / "scan_maps") or stage == "all_in_place"
    run(scan, out, make_recipe(output={"maps": ["thickness"]}), export=("tiff",), overwrite=True)
    assert names(out / "scan_maps") == ["thickness.tif"]


def test_exports_of_results_without_a_list_are_known_by_their_names(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out, export=("tiff",))
    result = nx.load_result(out / "scan.h5")
    result.extra.pop("exports")
    nx.save_result(result, out / "scan.h5")
    run(scan, out, make_recipe(output={"maps": ["thickness"]}), export=("tiff",), overwrite=True)
    assert names(out / "scan_maps") == ["thickness.tif"]


def test_a_list_of_exports_cannot_name_files_elsewhere(scan, tmp_path):
    out, victim = tmp_path / "out", tmp_path / "out" / "victim.tif"
    run(scan, out, export=("tiff",))
    victim.write_text("x")
    result = nx.load_result(out / "scan.h5")
    result.extra["exports"]["files"]["../victim.tif"] = [1, "0"]
    nx.save_result(result, out / "scan.h5")
    (out / "scan_maps" / UNDER_WAY).write_text(json.dumps({"../victim.tif": [[1, "0"]]}))
    run(scan, out, overwrite=True)
    assert victim.read_text() == "x"


def test_a_scan_that_changes_while_it_is_read_is_refused(scan, tmp_path):
    raw = bytearray(scan.read_bytes())
    changed = []

    def progress(done, total, text):
        if text.startswith("Computing") and not changed:
            raw[-500:] = bytes(500)
            scan.write_bytes(raw)
            os.utime(scan, ns=(1, 1))
            changed.append(text)

    (job,) = batch.plan(make_recipe(), [scan], tmp_path / "out")
    with pytest.raises(nx.DataFileError, match=r"scan.tif was changed while it was read"):
        batch.run_job(make_recipe(), job, export=("tiff",), workers=1, progress=progress)
    assert changed and not (tmp_path / "out").exists()


def test_done_is_only_what_is_whole(scan, tmp_path):
    out = tmp_path / "out"
    run(scan, out)
    raw = bytearray((out / "scan.h5").read_bytes())
    raw[len(raw) // 2] ^= 1
    (out / "scan.h5").write_bytes(raw)
    with pytest.raises(nx.DataFileError):
        run(scan, out, resume=True)
    assert isinstance(run(scan, out, overwrite=True), nx.Result)


def test_a_name_too_long_is_told_before_and_the_others_are_done(scan, tmp_path):
    long = scan.with_name("a" * 251 + ".tif")
    shutil.copy(scan, long)
    first, second = batch.plan(make_recipe(), [long, scan], tmp_path / "out")
    assert "is too long a name" in first.fault and not second.fault


@pytest.mark.skipif(os.name == "nt" or os.fsencode("é") != b"\xc3\xa9", reason="names are bytes")
def test_a_name_that_is_no_utf8_is_no_hindrance(scan, tmp_path):
    odd = scan.with_name(os.fsdecode(b"caf\xe9.tif"))
    try:
        shutil.copy(scan, odd)
    except OSError:
        pytest.skip("not on this file system")
    run(odd, tmp_path / "out", export=("tiff", "csv"))
    (target,) = (tmp_path / "out").glob("*.h5")
    assert nx.load_result(target).name == "caf\\xe9"
    assert run(odd, tmp_path / "out", export=("tiff", "csv"), resume=True) is None


def test_a_folder_that_cannot_be_written_is_told_before_any_work(scan, tmp_path, monkeypatch):
    def refuse(*args):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("napari_xanes._core.base.files.os.open", refuse)
    with pytest.raises(nx.DataFileError, match="Read-only file system"):
        batch.plan(make_recipe(), [scan], tmp_path / "out")


def test_a_result_never_replaces_its_scan_by_a_link(scan, tmp_path):
    run(scan, tmp_path / "a")
    (tmp_path / "b").mkdir()
    os.link(tmp_path / "a" / "scan.h5", tmp_path / "b" / "scan.h5")
    with pytest.raises(nx.InputError, match="would replace its own scan"):
        batch.plan(make_recipe(), [tmp_path / "a" / "scan.h5"], tmp_path / "b", overwrite=True)
