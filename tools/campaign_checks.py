"""What campaigns hold runs against: results whole or not there, the same bits, refusals of one sentence."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.process import BaseProcess
from pathlib import Path

import h5py
import numpy as np

import napari_xanes as nx

RUN = [sys.executable, "-m", "napari_xanes", "run"]
RECIPE = """schema = 1
[[step]]
do = "flat_field"
[[step]]
do = "optical_density"
[[step]]
do = "align"
[[step]]
do = "normalize"
e0 = 8333.0
pre_edge = [8222.0, 8312.0]
post_edge = [8392.0, 8578.0]
"""


class Failed(Exception):
    """A campaign found what must not be."""


def check(right: bool, what: str) -> None:
    """Say what must not be."""
    if not right:
        raise Failed(what)


def prepare(folder: Path, shape: tuple[int, int] = (96, 112)) -> tuple[Path, Path]:
    """Return a scan and a recipe."""
    scan = nx.simulate(shape, n_energies=31, n_particles=6, max_drift=2).save(folder)
    recipe = folder / "recipe.toml"
    recipe.write_text(RECIPE)
    return scan, recipe


def one_sentence(done: subprocess.CompletedProcess[str]) -> None:
    """Check that a run that was refused says why in one line, and did not die."""
    check(done.returncode in (0, 1), f"died: {done.returncode} {done.stderr[-300:]}")
    said = [line for line in done.stderr.splitlines() if line.startswith("error")]
    check(done.returncode == 0 or len(said) == 1, f"no one sentence: {done.stderr[-300:]!r}")
    check("Traceback" not in done.stderr, f"a traceback: {done.stderr[-300:]}")


def only_whole(out: Path) -> None:
    """Check that what stands under its name in a folder is whole."""
    for path in out.rglob("*") if out.exists() else ():
        if path.suffix == ".h5":
            nx.load_result(path)
        elif path.suffix == ".toml":
            nx.Recipe.load(path)
        elif path.is_file() and ".napari-xanes-" not in str(path):
            check(path.stat().st_size > 0, f"{path} is empty")


def same(one: Path, other: Path) -> None:
    """Check that two results hold the same maps, to the last bit."""
    maps, others = nx.load_result(one).maps, nx.load_result(other).maps
    check(maps.keys() == others.keys(), f"other maps: {sorted(maps)} and {sorted(others)}")
    for name, values in maps.items():
        check(np.asarray(values).tobytes() == np.asarray(others[name]).tobytes(), f"{name} differs")


VOLUMES = """schema = 1
input.signal = "optical_density"
[[step]]
do = "normalize"
[[step]]
do = "fit"
references = ["Ni_reduced.txt", "Ni_oxidised.txt"]
"""


def prepare_volumes(folder: Path, steps: str = "", planes: int = 40) -> tuple[Path, Path]:
    """Return a scan of small volumes and a recipe, with more steps before its own."""
    made = nx.simulate_volume((planes, 20, 24), n_energies=31, seed=5, n_particles=12)
    with h5py.File(folder / "scan.h5", "w") as file:
        file["img_xanes"], file["X_eng"] = made.stack.data, made.stack.energy
    for one in made.references:
        np.savetxt(folder / f"{one.name}.txt", np.stack([one.energy, one.mu], axis=1))
    (folder / "recipe.toml").write_text(VOLUMES.replace("[[step]]", f"{steps}[[step]]", 1))
    return folder / "scan.h5", folder / "recipe.toml"


def forked(words: Sequence[str], *, slabs: int | None = None) -> BaseProcess:
    """Begin a command in a process of its own, forked from one in which all that it loads is loaded already."""
    forks = get_context("forkserver")
    forks.set_forkserver_preload(["campaign_forks"])
    run = forks.Process(target=command, args=(list(words), slabs))
    run.start()
    return run


def command(words: list[str], slabs: int | None) -> None:
    """Do a command, with slabs of so many planes, without a word."""
    from napari_xanes import cli
    from napari_xanes._core.engine import slabs as engine

    with open(os.devnull, "w") as null:
        for stream in (1, 2):
            os.dup2(null.fileno(), stream)
    if slabs is not None:
        engine.slab_height = lambda *_: slabs
    sys.argv = ["napari-xanes", *words]
    cli.main()


@contextmanager
def small_disk(folder: Path, kilobytes: int) -> Iterator[Path]:
    """Give a disk of a size, where that is allowed."""
    place = folder / "disk"
    place.mkdir(exist_ok=True)
    options = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if subprocess.run(options, capture_output=True, check=False).returncode:
        raise PermissionError
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)
