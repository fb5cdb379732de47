"""Files appear whole or not at all, and only what is a file is read."""

from __future__ import annotations

import csv
import os
import stat
import subprocess
import sys
import time
from contextlib import suppress

import h5py
import numpy as np
import pytest
import tifffile

import napari_xanes as nx
from napari_xanes._core.base import files
from napari_xanes._core.base.csv_cells import csv_text, write_csv
from napari_xanes._core.base.files import (
    check_folder,
    checked_path,
    read_bytes,
    shown,
    whole_file,
    write_text,
)
from napari_xanes._core.base.hdf5_file import whole_hdf5
from napari_xanes._core.io.mask_file import read_mask, write_mask
from napari_xanes._core.io.spectra_file import write_spectra

DRIFT = nx.Drift(np.stack([np.eye(3)] * 4), np.ones(4), 0)
RECIPE = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "crop", "roi": [0, 9, 0, 9]}] * 9})
ENERGY = np.array([8300.0, 8301.0])

WRITERS = {
    "recipe.toml": RECIPE.save,
    "drift.json": DRIFT.save,
    "mask.tif": lambda path: write_mask(path, np.ones((9, 8), bool)),
    "spectra.csv": lambda path: write_spectra(path, ENERGY, {"a": np.ones(2)}),
    "table.csv": lambda path: write_csv(path, [["a"], [1]]),
    "script.py": lambda path: write_text(path, "import napari_xanes"),
    "maps.h5": lambda path: nx.save_result(nx.Result({}, {}, ENERGY, (), {}), path),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("stage", ["fsync", "replace"])
def test_what_stood_there_stays_until_the_new_file_is_whole(tmp_path, monkeypatch, name, stage):
    (tmp_path / name).write_bytes(b"before")

    def fail(*args):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, stage, fail)
        with pytest.raises(nx.DataFileError, match=f"{name} could not be written: No space left") as caught:
            WRITERS[name](tmp_path / name)
    assert "\n" not in str(caught.value)
    assert (tmp_path / name).read_bytes() == b"before" and os.listdir(tmp_path) == [name]
    WRITERS[name](tmp_path / name)
    assert (tmp_path / name).read_bytes() != b"before" and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("name", WRITERS)
def test_a_folder_is_never_replaced_by_a_file(tmp_path, name):
    (tmp_path / name).mkdir()
    with pytest.raises(nx.DataFileError, match="is a folder"):
        WRITERS[name](tmp_path / name)
    assert (tmp_path / name).is_dir() and os.listdir(tmp_path) == [name]


def test_temporary_names_cannot_be_foreseen_and_links_there_are_not_followed(tmp_path, monkeypatch):
    victim = tmp_path / "victim"
    victim.write_text("x")
    monkeypatch.setattr(files, "token_hex", lambda n: "0")
    with whole_file(tmp_path / "a") as part:
        name = part.name
    os.symlink(victim, tmp_path / name)
    with pytest.raises(nx.DataFileError, match="File exists"), whole_file(tmp_path / "a") as part:
        part.write_text("y")
    assert victim.read_text() == "x"
    monkeypatch.undo()
    names = set()
    for _ in range(2):
        with whole_file(tmp_path / "b") as part:
            names.add(part.name)
    assert len(names) == 2


def test_the_rights_of_files_are_the_usual_ones(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_writes_stays(tmp_path):
    code = (
        "import os, sys\nfrom napari_xanes._core.base.files import whole_file\n"
        "with whole_file(sys.argv[1]): os._exit(9)\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "a")], check=False)
    (dead,) = os.listdir(tmp_path)
    other = tmp_path / ".napari-xanes-0badf00d-1-00.part"  # of another machine
    other.touch()
    with whole_file(tmp_path / "b") as living:
        write_text(tmp_path / "c", "")
        assert living.exists() and other.exists() and not (tmp_path / dead).exists()


def test_what_is_no_file_is_not_read(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path, says in (
        (tmp_path / "fifo", "is a pipe or a device, expected a recipe file"),
        ("/dev/zero", "is a pipe or a device"),
        (tmp_path, "is a folder"),
        (tmp_path / "none", "there is no such recipe file"),
    ):
        with pytest.raises(nx.DataFileError, match=says):
            read_bytes(path, "recipe file")
        for read in (nx.Recipe.load, nx.Drift.load, read_mask, nx.load_result):
            with pytest.raises(nx.DataFileError):
                read(path)
    (tmp_path / "large").write_bytes(bytes(3000))
    with pytest.raises(nx.DataFileError, match="expected a list of at most"):
        read_bytes(tmp_path / "large", "list", 2000)


@pytest.mark.parametrize("path", [None, 3, b"x", "", "a\0b", "a" * 5000, "é" * 200, ["a"]])
def test_what_can_be_no_name_is_said(path):
    for read in (nx.Recipe.load, nx.Drift.load, read_mask, nx.load_result, checked_path):
        with pytest.raises(nx.InputError) as caught:
            read(path)
        assert "\n" not in str(caught.value)


def test_the_folder_that_one_is_in_can_be_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert checked_path(".", "folder").absolute() == tmp_path


def test_names_that_are_no_utf8_can_be_shown():
    name = os.fsdecode(b"caf\xe9.h5")
    assert shown(name) == "caf\\xe9.h5" and shown("café µ") == "café µ"


def test_a_folder_that_cannot_be_written_is_known_before(tmp_path, monkeypatch):
    check_folder(tmp_path / "new" / "newer")
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with pytest.raises(nx.DataFileError, match="is a file, expected a folder"):
        check_folder(tmp_path / "file" / "new")

    def refuse(*args):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(nx.DataFileError, match=r"nothing can be written in .*new: Permission denied"):
        check_folder(tmp_path / "new")


def test_a_disk_that_is_full_at_any_moment_is_one_sentence(tmp_path):
    """A limit for the size of files fails like a full disk, wherever in the file it strikes."""
    code = """if True:
        import resource, sys, numpy as np, napari_xanes as nx
        maps = {f"m{i}": np.random.default_rng(i).random((40, 44)) for i in range(9)}
        result = nx.Result(maps, {}, np.array([1.0, 2.0]), (), {})
        import napari_xanes._core.runs.result_file as file
        file.check_disk = lambda *a: None
        said = set()
        nx.save_result(result, sys.argv[1])
        import os; need = os.path.getsize(sys.argv[1])
        for most in (0, 1, 512, 4096, *range(need // 2, need, need // 20), need - 1):
            resource.setrlimit(resource.RLIMIT_FSIZE, (most, resource.RLIM_INFINITY))
            try: nx.save_result(result, sys.argv[1])
            except nx.DataFileError as error: said.add("one" if "could not be written: File too large" in str(error) else str(error))
            else: said.add(f"saved at {most}")
        print(said, len(os.listdir(os.path.dirname(sys.argv[1]))))
    """
    words = [sys.executable, "-c", code, str(tmp_path / "maps.h5")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "{'one'} 1\n", "")
    assert list(nx.load_result(tmp_path / "maps.h5").maps) == [f"m{i}" for i in range(9)]


def test_hdf5_files_are_those_that_the_library_writes_itself(tmp_path):
    values = np.arange(60.0).reshape(3, 4, 5)
    with whole_hdf5(tmp_path / "a.h5") as file:
        file["x"] = values
        file["x"].attrs["text"] = "µ"
    with h5py.File(tmp_path / "a.h5") as file:
        np.testing.assert_array_equal(file["x"][()], values)
        assert file["x"].attrs["text"] == "µ"
    with pytest.raises(KeyError), whole_hdf5(tmp_path / "a.h5") as file:
        file["nothing"]
    assert os.listdir(tmp_path) == ["a.h5"]


# -- what a mask, a recipe and a drift may hold ----------------------------------------------------


def test_damaged_masks_are_said_in_words(tmp_path):
    path = tmp_path / "m.tif"
    mask = np.zeros((24, 28), np.uint8)
    mask[4:20, 5:20] = 255
    tifffile.imwrite(path, mask, photometric="minisblack", compression="zlib")
    good, rng = path.read_bytes(), np.random.default_rng(0)
    for _ in range(300):
        bad = bytearray(good)
        for _ in range(rng.integers(1, 5)):
            bad[rng.integers(len(bad))] = rng.integers(256)
        path.write_bytes(bad[: rng.integers(1, len(bad))] if rng.random() < 0.1 else bad)
        try:
            read_mask(path)
        except nx.XanesError as error:
            assert "\n" not in str(error) and len(str(error)) < 600  # noqa: PT017 - either way is right


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 50_000,
        "schema = " + "9" * 10_000,
        "schema = 1\nschema = 1",
        "schema = 1\n[[step]]\ndo = 'x'\n" + "a." * 3000 + "b = 1",
        "\0",
        "schema = 1e400",
        "[[step]]\n" * 10,
    ],
)
def test_recipes_that_are_none_are_one_short_sentence(tmp_path, text):
    (tmp_path / "r.toml").write_text(text)
    with pytest.raises(nx.XanesError) as caught:
        nx.Recipe.load(tmp_path / "r.toml")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    "text",
    ["[]", "3", '{"napari_xanes_drift": 1}', "[" * 50_000, '{"napari_xanes_drift": 9}', "\x80", "1" * 9999]
    + [
        f'{{"napari_xanes_drift": 1, "ndim": {n}, "matrices": {m}, "confidence": {c}, "roi": null, "reference": 0, '
        '"method": "correlation", "transform": "translation"}'
        for n, m, c in (
            (10**9, [], []),
            (2, [[1]], [1]),
            (2, "[null]", "[]"),
            (2, '"x"', "[1]"),
            (2, [1e999], 1),
        )
    ],
)
def test_drifts_that_are_none_are_one_sentence(tmp_path, text):
    (tmp_path / "d.json").write_text(text, encoding="latin-1")
    with pytest.raises(nx.XanesError) as caught:
        nx.Drift.load(tmp_path / "d.json")
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


# -- tables ----------------------------------------------------------------------------------------


def test_no_cell_is_a_formula(tmp_path):
    bad = ["=cmd|'/C calc'!A0", "@SUM(1+1)", "+1+1", "-2+3", "\t=1", "a"]
    write_csv(tmp_path / "t.csv", [bad, [-1.5, "-1.5e-3", np.float32(-2), None, "-inf", "=1"]])
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        head, row = csv.reader(file)
    assert head == [f"'{cell}" for cell in bad[:-1]] + ["a"]
    assert row == ["-1.5", "-1.5e-3", "-2.0", "", "-inf", "'=1"]
    assert csv_text([["a", 1]], delimiter="\t", lineterminator="\n") == "a\t1\n"


def test_names_of_spectra_that_look_like_formulas_come_back(tmp_path):
    write_spectra(tmp_path / "s.csv", ENERGY, {"=a": np.array([1.0, 2]), "b": np.array([3.0, 4])})
    assert "'=a" in (tmp_path / "s.csv").read_text()
    assert [r.name for r in nx.read_references(tmp_path / "s.csv")] == ["=a", "b"]


@pytest.mark.parametrize(
    "text",
    [
        b"8333\n" * 3_000_000,
        b"\n" * 20_000_000 + b"8333 1\n8334 2\n",
        b"energy " + b"_" * 40_000 + b"\n8333 1\n8334 2\n",
        b"1_" * 20_000 + b"\n8333 1\n8334 2\n",
        b"a" * 10_000_000 + b"\n8333 1\n8334 2\n",
        b"# " + b"=" * 1_000_000 + b"x\n8333 1\n8334 2\n",
    ],
    ids=["rows", "blank", "underscores", "numbered", "line", "rule"],
)
def test_texts_that_are_no_spectrum_take_no_time(tmp_path, text):
    (tmp_path / "long.txt").write_bytes(text)
    started = time.process_time()
    with suppress(nx.XanesError):
        nx.read_references(tmp_path / "long.txt")
    assert time.process_time() - started < 4
