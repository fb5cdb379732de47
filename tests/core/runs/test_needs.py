"""What a job takes is told before it begins, and what cannot fit is refused with the setting that would."""

from __future__ import annotations

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import _progress
from napari_xanes._core.data.lazy import LazyArray
from napari_xanes._core.engine import slabs
from napari_xanes._core.runs import needs, unpack

GIB = 2**30


class Claimed(LazyArray):
    """Volumes that are never read."""

    def read_rows(self, index, rows):
        raise AssertionError("nothing is to be read")


def claimed(*shape, cheap=True):
    return nx.EnergyStack(
        Claimed(shape, np.float32, cheap_rows=cheap),
        np.linspace(8300, 8400, shape[0]),
        "optical_density",
        name="scan",
    )


def make_recipe(*steps, stack=False):
    steps = [{"do": name, **({"window": [8320, 8360]} if name == "peak" else {})} for name in steps]
    return nx.Recipe.from_dict({"schema": 1, "step": steps, "output": {"stack": stack}})


@pytest.fixture
def free(monkeypatch):
    def set_free(n_bytes):
        for module in (needs, slabs, unpack):
            monkeypatch.setattr(module, "free_memory", lambda: n_bytes)

    return set_free


@pytest.mark.parametrize("kind", ["h5", "zarr"])
def test_maps_of_volumes_are_on_the_disk_and_not_in_memory(tmp_path, free, kind):
    """1000^3 voxels: five maps of 4 GB, of which the slabs alone are held."""
    stack, recipe = claimed(40, 1000, 1000, 1000), make_recipe("normalize", "peak")
    free(16 * GIB)
    told = needs.needs_of(recipe, stack, tmp_path / f"scan.{kind}", workers=2)
    assert told.memory < 4 * GIB and "read in bands of rows" in told.sentence()
    assert told.disk >= 2 * 4 * 1000**3


def test_a_stack_that_does_not_fit_is_refused_with_the_way_that_does(tmp_path, free):
    free(4 * GIB)
    recipe = make_recipe("normalize", stack=True)
    with pytest.raises(nx.ResourceError, match=r"stack = false in \[output\] needs \d+ MiB"):
        needs.needs_of(recipe, claimed(100, 4000, 4000), tmp_path / "scan.h5", workers=2)


def test_threads_hold_whole_volumes_where_they_are_aligned(tmp_path, free):
    stack, recipe = claimed(40, 500, 1000, 1000), make_recipe("align", "normalize")
    one, four = (needs.memory_needed(recipe, stack, n, tmp_path / "scan.zarr") for n in (1, 4))
    assert four - one > 2 * 4 * 500 * 1000**2
    free(int(1.05 * (one + four) / 2))
    with pytest.raises(nx.ResourceError, match=r"one thread \(--workers 1\) needs"):
        needs.needs_of(recipe, stack, tmp_path / "scan.zarr", workers=4)


def test_nothing_that_fits_is_said_where_nothing_does(tmp_path, free):
    free(2**20)
    with pytest.raises(nx.ResourceError, match="crop or bin it before"):
        needs.needs_of(make_recipe("normalize"), claimed(40, 500, 500, 500), tmp_path / "scan.h5")


def test_a_scratch_file_is_told_of(tmp_path, free):
    stack = claimed(40, 800, 1000, cheap=False)
    free(GIB)
    told = needs.needs_of(make_recipe("normalize"), stack, tmp_path / "scan.h5", workers=1)
    assert told.scratch == 0 and told.how == "unpacked into memory"
    free(GIB // 4)
    told = needs.needs_of(make_recipe("normalize"), stack, tmp_path / "scan.h5", workers=1)
    assert told.scratch == 40 * 800 * 1000 * 4 and "122 MiB of scratch" in told.sentence()


def test_how_long_it_takes_is_told_of_long_stages_once(monkeypatch, capsys):
    clock = {"now": 0.0}
    monkeypatch.setattr(_progress.time, "monotonic", lambda: clock["now"])
    with _progress.shown_progress("scan") as progress:
        for done in range(101):
            clock["now"] = 3.0 * done
            progress(done, 100, "Computing maps")
        for done in range(5):
            clock["now"] += 1
            progress(done, 4, "Writing")
    assert capsys.readouterr().out.splitlines() == [
        "scan: Computing maps",
        "scan: Computing maps: about 5 min more",
        "scan: Writing",
    ]
