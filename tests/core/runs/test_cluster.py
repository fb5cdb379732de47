"""Recipes on a small cluster of processes: the same bits as here, whatever is lost on the way."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import dask
import distributed
import h5py
import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import cli
from napari_xanes._core.runs import batch, cluster, connect

DOCS = Path(__file__).parents[3] / "docs"
ADDRESS = re.compile(r"Scheduler at: +(tcp://\S+:\d+)\s")
BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)


@pytest.fixture(scope="module")
def connection():
    with connect.connected("local", 2) as one:
        yield one


@pytest.fixture
def client(connection):
    """A client of two workers: one that was killed before is replaced."""
    connection.wait_for_workers(2, timeout=60)
    return connection


@pytest.fixture(scope="module")
def scan(tmp_path_factory):
    """Volumes that drift, with the recipe of the tutorial of volumes."""
    folder = tmp_path_factory.mktemp("volumes")
    path = nx.simulate_volume((32, 20, 24), n_energies=21, seed=5, n_particles=12).save(folder)
    page = (DOCS / "tutorials" / "volumes.md").read_text(encoding="utf-8")
    (table,) = (text for kind, text in BLOCK.findall(page) if kind == "toml")
    (folder / "recipe.toml").write_text(table.replace("volumes/references", str(folder / "references")))
    return path, nx.Recipe.load(folder / "recipe.toml")


@pytest.fixture(scope="module")
def expected(scan):
    path, recipe = scan
    return nx.run_recipe(recipe, path)


def check_same(result, expected):
    assert result.maps.keys() == expected.maps.keys()
    for name, data in expected.maps.items():
        assert np.asarray(result.maps[name]).tobytes() == data.tobytes(), name
    for name, data in expected.tables["particles"].items():
        np.testing.assert_array_equal(result.tables["particles"][name], data)
    assert len(expected.tables["particles"]["label"]) > 1
    assert [e.to_json() for e in result.history] == [e.to_json() for e in expected.history]


def test_the_same_bits_though_a_worker_is_killed(client, scan, expected, tmp_path):
    path, recipe = scan
    killed = []

    def progress(done, total, text):
        if text == "Computing maps" and not killed:
            killed.append(next(iter(client.run(os.getpid).values())))
            os.kill(killed[0], signal.SIGKILL)

    result = nx.run_recipe(recipe, path, into=tmp_path / "scan.zarr", client=client, progress=progress)
    check_same(result, expected)
    assert killed
    assert {one.name for one in tmp_path.iterdir()} == {"scan.zarr", "scan.toml"}


def test_what_is_done_is_not_done_again_though_its_worker_is_lost(client, scan, tmp_path, monkeypatch):
    path, recipe = scan
    opened, deadline = cluster.open_result, time.monotonic() + 60

    def lose_workers(place):
        while client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks)):
            assert time.monotonic() < deadline, "a task that is done would be done again"
            time.sleep(0.05)
        for pid in client.run(os.getpid).values():
            os.kill(pid, signal.SIGKILL)
        return opened(place)

    monkeypatch.setattr(cluster, "open_result", lose_workers)
    nx.run_recipe(recipe, path, into=tmp_path / "scan.zarr", client=client)
    client.wait_for_workers(2, timeout=60)
    assert not client.run_on_scheduler(lambda dask_scheduler: len(dask_scheduler.tasks))
    assert {one.name for one in tmp_path.iterdir()} == {"scan.zarr", "scan.toml"}


def test_maps_are_not_read_by_way_of_the_scheduler(client, scan, tmp_path):
    path, recipe = scan
    get = distributed.Client.get

    def give(what):
        distributed.Client.get = what

    client.run(give, None)
    try:
        result = nx.run_recipe(recipe, path, into=tmp_path / "scan.zarr", client=client)
    finally:
        client.run(give, get)
    assert result.maps


def test_many_scans_at_once_and_one_that_is_damaged(client, scan, expected, tmp_path):
    path, recipe = scan
    copies = [tmp_path / f"scan{i}.h5" for i in range(2)]
    for copy in copies:
        copy.write_bytes(path.read_bytes())
    with h5py.File(copies[1], "r+") as file:
        del file["X_eng"]
    jobs = batch.plan(recipe, copies, tmp_path / "out")
    done = dict(cluster.run_jobs(client, recipe, jobs, progress=lambda job: lambda *_: None))
    assert [job.scan.name for job in done if isinstance(done[job], Exception)] == ["scan1.h5"]
    for job, result in done.items():
        if job.scan.name == "scan1.h5":
            assert isinstance(result, nx.XanesError) and "energ" in str(result)
        else:
            check_same(result, expected)
            check_same(nx.load_result(job.target), expected)


def test_what_is_cancelled_ends_and_is_gone_on_with(client, scan, expected, tmp_path):
    path, recipe = scan

    def stop(done, total, text):
        if text == "Computing maps":
            raise nx.Cancelled

    with pytest.raises(nx.Cancelled):
        nx.run_recipe(recipe, path, into=tmp_path / "scan.h5", client=client, progress=stop)
    stages = []
    result = nx.run_recipe(
        recipe,
        path,
        into=tmp_path / "scan.h5",
        client=client,
        resume=True,
        progress=lambda done, total, text: stages.append(text),
    )
    told, *stages = dict.fromkeys(stages)
    assert "of disk" in told and stages == ["Computing maps"]
    check_same(result, expected)


def test_what_cannot_be_done_is_refused_in_a_sentence(client, scan, tmp_path, monkeypatch):
    path, recipe = scan
    with pytest.raises(nx.InputError, match="give into, the name of a "):
        nx.run_recipe(recipe, path, client=client)
    with pytest.raises(nx.InputError, match="file or folder, not a stack"):
        nx.run_recipe(recipe, nx.read_stack(path), into=tmp_path / "scan.h5", client=client)
    with pytest.raises(nx.InputError, match="which ends in "):
        nx.run_recipe(recipe, path, into=tmp_path / "scan.tif")
    (tmp_path / "mine.h5").write_text("mine")
    with pytest.raises(nx.DataFileError, match="is no result of this program and is not replaced"):
        nx.run_recipe(recipe, path, into=tmp_path / "mine.h5")
    monkeypatch.setattr(connect, "PATIENCE", 1)
    with pytest.raises(nx.DataFileError, match="no scheduler answers at tcp"):
        connect.connected("tcp://127.0.0.1:9").__enter__()


def test_from_the_command_line(client, scan, expected, tmp_path, monkeypatch, capsys):
    path, recipe = scan
    recipe.save(tmp_path / "recipe.toml")
    words = ["run", tmp_path / "recipe.toml", path, tmp_path / "no_scan.h5", "--out", tmp_path / "out"]
    (tmp_path / "no_scan.h5").write_bytes(b"no scan")
    words += ["--results", "zarr", "--scheduler", client.scheduler.address, "--json"]
    monkeypatch.setattr(sys, "argv", ["napari-xanes", *map(str, words)])
    with pytest.raises(SystemExit, match="1"):
        cli.main()
    done = capsys.readouterr()
    said = done.out.splitlines()
    assert said[0] == f"asking for the scheduler at {client.scheduler.address}, 20 s at most"
    assert said[1] == "2 workers, 2 threads"
    assert "21 x 32 x 20 x 24, optical_density, about 1 MiB of disk" in done.out
    rows = [json.loads(line) for line in said if line.startswith("{")]
    ours = [row for row in rows if row["scan"] == str(path)]
    assert [row["state"] for row in ours if "state" in row] == ["running", "done"]
    assert {row["doing"] for row in ours if "doing" in row} >= {"Reading frames", "Computing maps"}
    assert ours[-1]["seconds"] > 0 and ours[-1]["said"] == " ".join(expected.warnings)
    assert [row["state"] for row in rows if row["scan"] != str(path) and "state" in row][-1] == "failed"
    assert f"{path}" not in done.err and "no_scan.h5" in done.err
    assert len([line for line in done.err.splitlines() if line.startswith("error")]) == 1
    assert f"[1/2] {tmp_path / 'out' / path.stem}.zarr: {len(expected.maps)} maps" in done.out
    check_same(nx.load_result(tmp_path / "out" / f"{path.stem}.zarr"), expected)


@pytest.fixture
def start(tmp_path):
    """Start programs, each with its words in a file, and end them after the test."""
    begun = []

    def start(*words, said):
        with open(tmp_path / said, "w") as file:
            begun.append(subprocess.Popen([sys.executable, "-m", *map(str, words)], stdout=file, stderr=file))
        return begun[-1]

    yield start
    for one in reversed(begun):  # workers end with their nannies
        one.terminate()
    for one in begun:
        try:
            one.wait(20)
        except subprocess.TimeoutExpired:  # a worker whose scheduler is gone may wait for it
            one.kill()
            one.wait()


def test_a_scheduler_that_is_lost_is_said_in_one_sentence(scan, tmp_path, start):
    """And that it has no workers, while it has none."""
    path, recipe = scan
    recipe.save(tmp_path / "recipe.toml")
    copy = shutil.copy(path, tmp_path / "another.h5")
    begun, words = tmp_path / "scheduler.txt", tmp_path / "run.txt"
    scheduler = start(
        *("dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"), said=begun.name
    )
    wait_until(lambda: ADDRESS.search(begun.read_text()))
    address = ADDRESS.search(begun.read_text())[1]
    run = start(
        *("napari_xanes", "run", tmp_path / "recipe.toml", path, copy, "--out", tmp_path / "out"),
        *("--results", "zarr", "--scheduler", address),
        said=words.name,
    )
    wait_until(lambda: f"waiting for workers; start some with dask worker {address}" in words.read_text())
    start(
        "dask", "worker", address, "--nworkers", "1", "--nthreads", "1", "--no-dashboard", said="worker.txt"
    )
    wait_until(lambda: "Measuring drift" in words.read_text())
    scheduler.kill()
    assert run.wait(60) == 1
    told = [line for line in words.read_text().splitlines() if not line.startswith((path.stem, "another"))]
    assert told[3:] == [
        "error: the scheduler has ended, or was told to cancel; --resume goes on from what is whole.",
        f"2 of 2 scans failed: {path.name}, another.h5",
    ]


def test_that_no_worker_is_left_is_said_while_it_is_waited_for_others(scan, expected, tmp_path, start):
    path, recipe = scan
    recipe.save(tmp_path / "recipe.toml")
    begun, words = tmp_path / "scheduler.txt", tmp_path / "run.txt"
    start(*("dask", "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"), said=begun.name)
    wait_until(lambda: ADDRESS.search(begun.read_text()))
    address = ADDRESS.search(begun.read_text())[1]
    alone = ("dask", "worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard")
    worker = start(*alone, said="worker.txt")
    run = start(
        *("napari_xanes", "run", tmp_path / "recipe.toml", path, "--out", tmp_path / "out"),
        *("--scheduler", address),
        said=words.name,
    )
    wait_until(lambda: "Measuring drift" in words.read_text())
    worker.kill()
    wait_until(lambda: f"{path.name}: Waiting for workers, as none is left" in words.read_text())
    start(*alone, said="another.txt")
    assert run.wait(60) == 0
    assert words.read_text().count("Waiting") == 1
    check_same(nx.load_result(tmp_path / "out" / f"{path.stem}.h5"), expected)


@pytest.mark.skipif(sys.platform == "win32", reason="files have no limit there")
def test_a_disk_that_is_too_small_is_refused_before_any_work(client, scan, tmp_path):
    path, recipe = scan

    def limit_files(most):  # defined here, as workers do not know this module
        import resource

        before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
        return before

    before = client.run(limit_files, 2**16)
    try:
        with pytest.raises(nx.ResourceError, match="MiB of disk, 0 MiB are free; make room"):
            nx.run_recipe(recipe, path, into=tmp_path / "out/scan.zarr", client=client)
    finally:
        client.run(limit_files, min(before.values()))
    assert not list(tmp_path.rglob("*.begun"))


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another thing there")
def test_ctrl_c_in_a_terminal_is_said_in_one_sentence(scan, tmp_path):
    """Which sends it to the processes on this machine, too, that work for the command."""
    path, recipe = scan
    recipe.save(tmp_path / "recipe.toml")
    words = tmp_path / "run.txt"
    command = ["run", tmp_path / "recipe.toml", path, "--out", tmp_path / "out", "--scheduler", "local"]
    with words.open("w") as file:
        run = subprocess.Popen(
            [sys.executable, "-m", "napari_xanes", *map(str, command), "--workers", "2"],
            stdout=file,
            stderr=file,
            start_new_session=True,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
        )
    try:
        wait_until(lambda: "Measuring drift" in words.read_text())
        os.killpg(run.pid, signal.SIGINT)
        assert run.wait(60) == 1
    finally:
        run.kill()
    told = [line for line in words.read_text().splitlines() if not line.startswith(f"{path.stem}")]
    assert told[0] == "2 workers, 2 threads" and told[1].startswith("error: interrupted") and len(told) == 2


@pytest.mark.parametrize(
    ("says", "told"),
    [(b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n", "is no scheduler"), (b"", "not within 2 s")],
)
def test_where_something_else_answers_than_a_scheduler_it_is_said(monkeypatch, says, told):
    monkeypatch.setattr(connect, "PATIENCE", 2)
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer():
            with suppress(OSError):
                while True:
                    kept.append(server.accept()[0])
                    kept[-1].sendall(says)

        kept = []
        threading.Thread(target=answer, daemon=True).start()
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(nx.DataFileError, match=told), connect.connected(address):
            pass
        assert kept
    for one in kept:
        one.close()


def wait_until(so, seconds=120):
    deadline = time.monotonic() + seconds
    while not so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("queue", "says"), [("SLURMCluster", "#SBATCH -p normal"), ("PBSCluster", "#PBS -q normal")]
)
def test_the_jobs_of_a_queue_are_what_the_page_says(queue, says):
    jobqueue = pytest.importorskip("dask_jobqueue")
    page = (DOCS / "large_data.md").read_text(encoding="utf-8")
    (text,) = (text for _, text in BLOCK.findall(page) if "SLURMCluster(" in text)
    made = text[text.index("SLURMCluster(") : text.index("cluster.scale")].replace("SLURMCluster", queue)
    own = {f"jobqueue.{queue.removesuffix('Cluster').lower()}.scheduler-options": {"dashboard_address": ":0"}}
    with (
        dask.config.set(own),
        eval(made, vars(jobqueue)) as cluster,
    ):  # another's dashboard may have the usual port
        script = cluster.job_script()
    assert says in script and "source /home/me/.venv/bin/activate" in script
    assert "--nworkers 16" in script and "--nthreads 1" in script and "12:00:00" in script


@pytest.mark.parametrize(("planes", "threads", "height"), [(2000, 160, 32), (2000, 4, 64), (40, 2, 16)])
def test_parts_are_as_high_as_reading_little_twice_takes(tmp_path, planes, threads, height):
    store = cluster.SharedStore(tmp_path, 1)
    store.begin((planes, 4, 5), [{"map": np.empty((0, 4, 5), np.float32)}])
    parts = store.parts(threads)
    assert [part.start for part in parts] == list(range(0, planes, height)) and parts[-1].stop == planes
