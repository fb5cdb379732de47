"""A tomographic scan larger than the memory there is, in a real window: every step, the volume, spectra of a region."""

from __future__ import annotations

import gc
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import psutil
import pytest
from scipy.ndimage import gaussian_filter

from napari_xanes._core.engine import computed
from napari_xanes._core.engine.computed import ComputedStack
from napari_xanes._widgets.layers.layers import about, find, stack_layers

pytestmark = [
    pytest.mark.viewer,
    pytest.mark.skipif(
        not Path("/proc/self/clear_refs").exists(), reason="what is taken at most is told by Linux"
    ),
]

E, SHAPE, REACH = 44, (24, 128, 128), 2
STACK = 4 * E * int(np.prod(SHAPE))
GIVEN = int(0.9 * STACK)
"""Bytes that are free when the scan is opened."""


def references_of(energy):
    """Two edges, one of them shifted and with a white line."""
    rise = [0.5 + np.arctan((energy - e0) / 1.5) / np.pi for e0 in (8333, 8337)]
    return np.stack([rise[0], rise[1] + 0.6 * np.exp(-(((energy - 8339) / 3) ** 2))])


def write_scan(path, shape, n):
    """Write volumes that drift by whole voxels, and return thickness and fraction of the second reference."""
    rng, wide = np.random.default_rng(5), tuple(size + 2 * REACH for size in shape)
    grain = gaussian_filter(rng.standard_normal(wide).astype(np.float32), 3)
    thickness = 0.4 + np.clip(grain / grain.std(), -0.5, 2).astype(np.float32) * 0.3
    fraction = np.linspace(0, 1, wide[2], dtype=np.float32) * np.ones(wide, np.float32)
    energy = np.concatenate([np.linspace(a, b, n // 4) for a, b in ((8230, 8320), (8380, 8560))])
    energy = np.sort(np.concatenate([energy, np.linspace(8324, 8364, n - energy.size)]))
    one, other = references_of(energy).astype(np.float32)
    drift = rng.integers(-REACH, REACH + 1, (n, 3))
    drift[-1] = 0
    noise = 0.01 * rng.standard_normal(np.prod(shape) + n, np.float32)
    with h5py.File(path, "w") as file:
        data = file.create_dataset("img_xanes", (n, *shape), np.float32)
        file["X_eng"] = energy
        for i, move in enumerate(drift):
            part = tuple(slice(REACH - d, REACH - d + size) for d, size in zip(move, shape, strict=True))
            t, f = thickness[part], fraction[part]
            data[i] = t * (0.5 + (1 - f) * one[i] + f * other[i]) + noise[i : i + t.size].reshape(shape)
    inner = tuple(slice(REACH, size - REACH) for size in wide)
    return thickness[inner], fraction[inner], energy


@pytest.fixture(scope="module")
def tomogram(tmp_path_factory):
    """The scan in a file and its truth, a small one like it, and files of the references."""
    folder = tmp_path_factory.mktemp("tomogram")
    fine = np.linspace(8200, 8600, 2001)
    for name, mu in zip(("one", "other"), references_of(fine), strict=True):
        np.savetxt(folder / f"{name}.txt", np.stack([fine, mu], axis=1))
    write_scan(folder / "small.h5", (16, 40, 40), 24)
    thickness, fraction, energy = write_scan(folder / "tomogram.h5", SHAPE, E)
    references = [str(folder / f"{name}.txt") for name in ("one", "other")]
    return SimpleNamespace(
        folder=folder, references=references, thickness=thickness, fraction=fraction, energy=energy
    )


class Memory:
    """What this process takes beyond what it took at first, now and at most, and what is left of what was given.

    Attributes
    ----------
    least : int
        Bytes that are left in any case.
    others : int
        Bytes that other programs have taken meanwhile.
    """

    def __init__(self):
        self.least, self.others = GIVEN // 8, 0
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")  # the most is noted anew
        self.first = told("VmRSS")

    def taken(self):
        return told("VmRSS") - self.first

    def left(self):
        return max(self.least, GIVEN - self.others - self.taken())

    def most(self):
        return told("VmHWM") - self.first


def told(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


@pytest.fixture
def memory(monkeypatch):
    """A function from whose call on little memory is free, and less by what is taken since."""

    def begin():
        memory = Memory()
        left = lambda: SimpleNamespace(available=memory.left())  # noqa: E731
        monkeypatch.setattr(psutil, "virtual_memory", left)
        computed.looked_at.cache_clear()
        return memory

    yield begin
    computed.looked_at.cache_clear()


def test_from_a_file_to_a_volume_in_3d(window, tomogram, run_step, memory, shown, qtbot):
    window.window.resize(900, 600)  # in software a large canvas takes long to draw
    _, workflow = window.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
    _, dock = window.window.add_plugin_dock_widget("napari-xanes", "XANES spectrum")
    _, view = window.window.add_plugin_dock_widget("napari-xanes", "XANES view")
    fit = workflow.panels["fit"]
    workflow.panels["align"].forms["align"].editors["roi"].set_value((4, 36, 4, 36))
    fit.forms["fit"].editors["references"].add(tomogram.references)

    def go_through(name):
        window.open(str(tomogram.folder / name), plugin="napari-xanes")
        for key in ("align", "normalize"):
            run_step(workflow.panels[key])

    go_through("small.h5")
    run_step(fit)  # all that is needed is loaded by now
    assert all(not isinstance(one.data, ComputedStack) for one in stack_layers(window))
    window.layers.clear()
    taken = memory()
    go_through("tomogram.h5")
    check_refused(fit, taken, shown, qtbot)
    run_step(fit)
    check_words(window, workflow)
    check_maps(window, tomogram)
    check_seen(window, dock, tomogram, qtbot)
    window.layers.remove("region")
    check_undo(window, workflow)
    assert taken.most() < 2 * STACK, "two stacks, aligned and normalised, would take that besides the maps"
    view.volume.thickness.click()
    assert window.dims.ndisplay == 3
    qtbot.waitUntil(lambda: [seen(one) for one in window.layers if one.visible] == ["volume"], timeout=30_000)
    workflow.undo_step()  # what draws other maps goes, and the volume is drawn again


def check_refused(fit, memory, shown, qtbot):
    """Where not even the maps fit, it is said what they take and what else would do; later, when there is room, they are made."""
    memory.others = GIVEN
    with qtbot.waitSignal(fit.runner.background.ended, timeout=60_000):
        fit.runner.run.click()
    (said,) = shown
    assert (
        f"take 18 MiB, {memory.least / 2**20:.0f} MiB are free; crop or bin it before, or run the recipe"
        in said
    )
    memory.others, memory.least = (
        0,
        GIVEN // 2,
    )  # for the maps; what the process took before is not given back at once


def seen(layer):
    return about(layer).get("kind", layer.name)


def check_words(window, workflow):
    """Layers and steps say what is computed on demand, and why."""
    for key, word in (("align", "aligned"), ("normalize", "normalised")):
        (layer,) = (one for one in stack_layers(window) if about(one).get("role") == word)
        assert isinstance(layer.data, ComputedStack)
        assert layer.name == f"tomogram {word} (computed on demand)"
        assert (
            f"computed on demand, as in memory it would take {STACK / 2**20:.0f} MiB, of "
            in about(layer)["on_demand"]
        )
        assert about(layer)["on_demand"] in workflow.panels[key].result.text()
    assert "normalised, computed on demand" in workflow.chooser.note.text()


def check_maps(window, tomogram):
    """Thickness and fractions are the true ones, away from the borders."""
    maps = {about(one)["map"]: one.data for one in window.layers if about(one).get("map")}
    inside = (slice(REACH + 4, -REACH - 4),) * 3
    thick = tomogram.thickness[inside] > 0.5
    error = (maps["fraction_other"] - tomogram.fraction)[inside][thick]
    assert np.isfinite(error).mean() > 0.99
    assert np.sqrt(np.nanmean(error**2)) < 0.03
    assert np.abs(maps["edge_step"] - tomogram.thickness)[inside].mean() < 0.05


def check_seen(window, dock, tomogram, qtbot):
    """A plane that is moved to, and the spectra of a region in it, are those that are true there."""
    normalised = list(stack_layers(window))[-1]
    for layer in window.layers:
        layer.visible = layer is normalised
    window.layers.selection.active = normalised
    z, rows, columns = 8, slice(40, 60), slice(30, 50)
    window.dims.set_point((0, 1), (E - 3, z))
    fraction, (one, other) = tomogram.fraction[z, rows, columns], references_of(tomogram.energy)
    for y, x in ((41, 31), (50, 44), (58, 33)):
        shown = normalised.get_value(normalised.data_to_world((E - 3, z, y, x)), world=True)
        assert shown == normalised.data[E - 3, z, y, x] == pytest.approx(1, abs=0.15)
    dock.tools.quantity_picked.emit("normalised")
    corners = [(rows.start, columns.start), (rows.stop - 1, columns.stop - 1)]
    window.add_shapes([np.array(corners)], shape_type="rectangle", name="region")
    window.layers.selection.active = normalised
    qtbot.waitUntil(lambda: "region 1" in dock.model.reading.spectra and not dock.waiting(), timeout=30_000)
    assert dock.tools.message.text() == "tomogram normalised: 'region 1', 400 voxels"
    mean = dock.model.reading.spectra["region 1"].mean
    weights = tomogram.thickness[z, rows, columns]
    truth = ((1 - fraction) * weights).mean() * one + (fraction * weights).mean() * other
    truth = truth / weights.mean()
    edge = dock.model.normalization(normalised)
    assert np.abs(edge(mean.values).spectrum - truth)[tomogram.energy > 8340].mean() < 0.03
    reads = []
    dock.model.reading.wait = lambda read: reads.append(read) or read()
    dock.model.hover(normalised.data_to_world((0, z, 50, 44)))
    assert not reads, "what lies beside is there"


def check_undo(window, workflow):
    """A step is taken back and done again with what was computed on demand."""
    last = list(stack_layers(window))[-1]
    before = last.data[3, 4]
    for _ in range(2):
        workflow.undo_step()
    assert find(window, about(last)["id"]) is None
    for _ in range(2):
        workflow.redo_step()
    again = find(window, about(last)["id"])
    np.testing.assert_array_equal(again.data[3, 4], before)
