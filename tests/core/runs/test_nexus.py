"""Result files against the rules of NeXus (https://manual.nexusformat.org): classes, names, signals, axes, defaults, units."""

from __future__ import annotations

import os
import re

import h5py
import numpy as np
import pytest

import napari_xanes as nx

NAME = re.compile(r"^[a-zA-Z0-9_]([a-zA-Z0-9_.]*[a-zA-Z0-9_])?$")
KNOWN = {"NXroot", "NXentry", "NXdata", "NXcollection", "NXprocess", "NXnote", "NXsample", "NXinstrument"}


def text(value):
    return value.decode() if isinstance(value, bytes) else str(value)


def faults(file):
    """Return what breaks the rules, a line each."""
    found = [] if text(file.attrs.get("NX_class", "")) == "NXroot" else ["the root is no NXroot"]
    if not any(text(g.attrs.get("NX_class", "")) == "NXentry" for g in file.values()):
        found.append("there is no NXentry")

    def look(path, node):
        if not NAME.match(path.rsplit("/", 1)[-1]):
            found.append(f"{path}: a name that NeXus does not allow")
        if not isinstance(node, h5py.Group):
            return
        kind = text(node.attrs.get("NX_class", ""))
        if kind not in KNOWN:
            found.append(f"{path}: class {kind!r}")
        if "default" in node.attrs and text(node.attrs["default"]) not in node:
            found.append(f"{path}: its default is not there")
        if kind == "NXdata":
            found.extend(f"{path}: {fault}" for fault in faults_of_data(node))

    file.visititems(look)
    return found + default_faults(file)


def faults_of_data(group):
    signal = text(group.attrs.get("signal", ""))
    if signal not in group:
        return [f"its signal {signal!r} is not there"]
    shape = group[signal].shape
    if not np.issubdtype(group[signal].dtype, np.number):
        return ["its signal holds no numbers"]
    axes = [text(axis) for axis in np.atleast_1d(group.attrs.get("axes", []))]
    found = [] if not axes or len(axes) == len(shape) else [f"{len(axes)} axes of {len(shape)} dimensions"]
    for axis, size in zip(axes, shape, strict=False):
        if axis == ".":
            continue
        if axis not in group:
            found.append(f"its axis {axis!r} is not there")
        elif group[axis].shape != (size,):
            found.append(f"its axis {axis!r} has shape {group[axis].shape}, the data {size}")
        elif axis == "energy" and text(group[axis].attrs.get("units", "")) != "eV":
            found.append("its energies have no unit")
    return found


def default_faults(file):
    """Follow the defaults from the root: they must end at an NXdata that can be drawn."""
    node, path = file, ""
    while "default" in node.attrs:
        path, node = f"{path}/{text(node.attrs['default'])}", node[text(node.attrs["default"])]
    return [] if text(node.attrs.get("NX_class", "")) == "NXdata" else [f"the default {path} is no NXdata"]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    simulation = nx.simulate((48, 56), n_energies=16, max_drift=1.5, seed=2)
    scan = simulation.save(folder)
    references = sorted(str(p) for p in (scan.parent / "references").glob("*.txt"))
    density = [{"do": "flat_field"}, {"do": "optical_density"}, {"do": "align"}]
    recipes = {
        "maps": [
            *density,
            {"do": "normalize", "uncertainty": True},
            {"do": "fit", "references": references},
            {"do": "residual"},
            {"do": "particles"},
        ],
        "tables": [*density, {"do": "decompose"}, {"do": "cluster"}],
        "stack": density,
    }
    made = {}
    for name, steps in recipes.items():
        recipe = nx.Recipe.from_dict({"schema": 1, "step": steps, "output": {"stack": name == "stack"}})
        made[name] = folder / f"{name}.h5"
        nx.save_result(nx.run_recipe(recipe, scan), made[name])
    volume = nx.simulate_volume((16, 24, 28), n_energies=12, seed=1)
    recipe = nx.Recipe.from_dict({"schema": 1, "step": [{"do": "align"}], "output": {"stack": True}})
    made["volume"] = folder / "volume.h5"
    nx.save_result(nx.run_recipe(recipe, volume.stack), made["volume"])
    return made


@pytest.mark.parametrize("name", ["maps", "tables", "stack", "volume"])
def test_results_follow_the_rules(results, name):
    with h5py.File(results[name]) as file:
        assert faults(file) == []


def found_by_nxvalidate(path, monkeypatch, caplog):
    """Return what it finds against the definitions of NeXus, but for fields and attributes of our own, which may be there."""
    monkeypatch.setattr(
        os, "get_terminal_size", lambda *_: os.terminal_size((120, 40))
    )  # asked for on import
    validate = pytest.importorskip("nxvalidate.validate")
    caplog.clear()
    validate.validate_file(str(path))
    told = [r for r in caplog.records if r.name == "NXValidate" and r.levelname in ("WARNING", "ERROR")]
    return [text for r in told if "not defined" not in (text := r.getMessage())]


@pytest.mark.parametrize("name", ["maps", "tables", "stack", "volume"])
def test_an_independent_checker_finds_nothing(results, name, monkeypatch, caplog):
    assert found_by_nxvalidate(results[name], monkeypatch, caplog) == []


def test_an_independent_checker_finds_breaches(results, tmp_path, monkeypatch, caplog):
    broken = tmp_path / "broken.h5"
    broken.write_bytes(results["stack"].read_bytes())
    with h5py.File(broken, "r+") as file:
        file["entry/stack"].attrs["signal"] = "nothing"
    (found,) = found_by_nxvalidate(broken, monkeypatch, caplog)
    assert 'Signal "nothing" is not present' in found


def test_the_stack_has_its_axes(results):
    with h5py.File(results["volume"]) as file:
        stack = file["entry/stack"]
        assert list(stack.attrs["axes"]) == ["energy", "z", "y", "x"]
        assert all(stack[axis].shape == (n,) for axis, n in zip("zyx", (16, 24, 28), strict=True))


def test_breaches_are_noticed(results, tmp_path):
    """The checker itself: each breach is found."""
    broken = tmp_path / "broken.h5"
    broken.write_bytes(results["stack"].read_bytes())
    with h5py.File(broken, "r+") as file:
        del file["entry/stack/y"]
        del file["entry/stack"].attrs["signal"]
        assert any("signal" in fault for fault in faults(file))
        file["entry/stack"].attrs["signal"] = "data"
        assert any("axis 'y' is not there" in fault for fault in faults(file))
        file["entry/stack/y"] = np.arange(3)
        assert any("axis 'y' has shape (3,)" in fault for fault in faults(file))
