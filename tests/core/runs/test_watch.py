"""Scans that come into a folder are run when they are whole."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import subprocess
import sys
import time
from functools import partial

import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes._core.runs import watch

RECIPE = 'schema = 1\ninput.signal = "optical_density"\n[[step]]\ndo = "peak"\nwindow = [8330, 8370]\n'


def write_scan(path, level=1.0):
    energy = np.linspace(8300, 8400, 21)
    line = level * np.exp(-(((energy - 8350) / 8) ** 2))
    with h5py.File(path, "w") as file:
        file["img_xanes"] = np.tile(line[:, None, None].astype(np.float32), (1, 6, 7))
        file["X_eng"] = energy


WRITER = """
import sys, h5py
with h5py.File(sys.argv[1], "w") as file:
    file["a"] = [0, 1, 2]
    file.flush()
    print(".", end="", flush=True)
    sys.stdin.read(1)
    file["b"] = [3, 4]
"""


def test_a_scan_is_whole_when_it_is_closed_and_settled(tmp_path, monkeypatch):
    clock = {"now": 0.0}
    monkeypatch.setattr(watch.time, "monotonic", lambda: clock["now"])
    (tmp_path / "in/maps").mkdir(parents=True)
    (tmp_path / "in/notes.txt").write_text("8300")
    scan = tmp_path / "in/scan.h5"
    watched = watch.Watch(tmp_path / "in", tmp_path / "in/maps", settle=10)
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(scan)], stdin=-1, stdout=-1)
    assert writer.stdout.read(1) == b"."
    for now in (0, 11, 22):
        clock["now"] = now
        assert watched.look() == [] and watched.is_waiting
    writer.communicate(b".")
    assert watched.look() == []  # closing has changed it
    clock["now"] = 31
    assert watched.look() == []
    clock["now"] = 33
    assert watched.look() == [scan]

    def fail(path):
        raise ValueError(path.name)

    one = watched.run(scan, fail, lambda error, path: f"{path.name}: {error}")
    assert one.state == "failed" and watched.look() == [] and not watched.is_waiting
    scan.write_bytes(scan.read_bytes() + b"more")
    assert watched.look() == [] and watched.is_waiting
    clock["now"] = 44
    assert watched.look() == [scan]

    def cancel(path):
        raise nx.Cancelled

    with pytest.raises(nx.Cancelled):
        watched.run(scan, cancel, lambda *_: "")
    watched.run(scan, lambda path: None, lambda *_: "")
    rows = read_table(tmp_path / "in/maps/watch.csv")
    assert [(row["scan"], row["state"], row["said"]) for row in rows] == [("scan.h5", "done", "")]


def test_scans_that_come_in_are_run_and_a_bad_one_is_survived(tmp_path):
    folder, out = tmp_path / "in", tmp_path / "maps"
    folder.mkdir()
    (tmp_path / "recipe.toml").write_text(RECIPE)
    write_scan(folder / "first.h5")
    (folder / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    words = [sys.executable, "-m", "napari_xanes", "watch", folder, tmp_path / "recipe.toml", "--out", out]
    words += ["--settle", "0.5", "--json"]
    running = subprocess.Popen(
        [*map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=partial(
            signal.signal, signal.SIGINT, signal.default_int_handler
        ),  # background jobs ignore it
    )
    try:
        wait_for(lambda: (out / "first.h5").exists())
        write_scan(tmp_path / "second.h5", level=2.0)
        shutil.move(tmp_path / "second.h5", folder / "second.h5")
        wait_for(lambda: "second.h5,done" in (out / "watch.csv").read_text())
    finally:
        running.send_signal(signal.SIGINT)
        told, errors = running.communicate(timeout=60)
    rows = [json.loads(line) for line in told.splitlines() if line.startswith("{")]
    second = [row for row in rows if row["scan"] == str(folder / "second.h5")]
    states = [row["state"] for row in second if "state" in row]
    assert states[:4] == ["being written", "whole", "running", "done"]
    assert [row["result"] for row in second if "result" in row] == [str(out / "second.h5")]
    parts = [row["part"] for row in second if "part" in row]
    assert len(parts) > 1 and all(0 <= part <= 1 for part in parts)
    (bad,) = [row for row in rows if row.get("state") == "failed"]
    assert bad["scan"] == str(folder / "bad.h5") and "damaged" in bad["said"]
    assert "watching" in told and told.splitlines()[-1].startswith("ended; what was being done")
    assert running.returncode == 0 and "bad.h5" in errors and errors.count("error: ") == 1
    states = {row["scan"]: row["state"] for row in read_table(out / "watch.csv")}
    assert states == {"first.h5": "done", "second.h5": "done", "bad.h5": "failed"}
    before = (out / "first.h5").stat().st_mtime_ns
    again = subprocess.run([*map(str, words), "--once"], capture_output=True, text=True, check=False)
    assert again.returncode == 0 and f"{folder / 'first.h5'}: done already" in again.stdout
    assert (out / "first.h5").stat().st_mtime_ns == before
    one, two = (nx.load_result(out / f"{name}.h5").maps["peak_height"] for name in ("first", "second"))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-5)


def read_table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def wait_for(true, seconds=120):
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until
        time.sleep(0.1)


def test_the_table_holds_no_formulas_and_replaces_no_other(tmp_path):
    write_scan(tmp_path / "=1+1.h5")
    watched = watch.Watch(tmp_path, tmp_path / "out", settle=0)
    watched.look()
    (scan,) = watched.look()
    watched.run(scan, lambda path: None, lambda error, path: "@" + str(error))
    assert (tmp_path / "out/watch.csv").read_text().splitlines()[1].startswith("'=1+1.h5,done")
    watch.Watch(tmp_path, tmp_path / "out", settle=0)
    (tmp_path / "out/watch.csv").write_text("mine")
    with pytest.raises(nx.DataFileError, match=r"watch\.csv was not written by this program"):
        watch.Watch(tmp_path, tmp_path / "out", settle=0)


def test_what_cannot_be_watched_is_said(tmp_path):
    with pytest.raises(nx.DataFileError, match="no such folder to watch"):
        watch.Watch(tmp_path / "none", tmp_path, 1)
