"""Every public name, with what nobody means to give: it is right, or one sentence of this program.

What a function takes is read from its signature, and what is tried from a sound value of each parameter; so a new
name or parameter is tried without being added here, or the test asks for a sound value of it.
"""

from __future__ import annotations

import dataclasses
import inspect
import os
import typing
import zlib
from typing import Any

import dask.array
import numpy as np
import pytest
from numpy.typing import ArrayLike

import napari_xanes as nx
from napari_xanes._core.base import unread as base_unread
from napari_xanes._core.data import as_dask
from napari_xanes._core.engine import blocks
from napari_xanes._core.groups import source

N, Y, X = 16, 16, 17
ENERGY = np.linspace(8300.0, 8420.0, N)
RNG = np.random.default_rng(0)


def edge_at(e0: float) -> np.ndarray:
    return 0.5 + np.arctan((ENERGY - e0) / 3) / np.pi


SHARE = RNG.random((Y, X))
MU = (
    edge_at(8340)[:, None, None] * SHARE
    + edge_at(8350)[:, None, None] * (1 - SHARE)
    + RNG.normal(0, 0.002, (N, Y, X))
)
COUNTS = RNG.poisson(5000 * np.exp(-0.3 - 0.8 * MU)).astype(np.float32)
FLAT = np.full((Y, X), 5000.0)
REFERENCES = [nx.Reference(f"r{e0}", ENERGY, edge_at(e0)) for e0 in (8340, 8350)]
STACK = nx.EnergyStack(MU.astype(np.float32), ENERGY, "optical_density")
DRIFT = nx.Drift(np.stack([np.eye(3)] * N), np.ones(N), 0)
MASK = np.zeros((Y, X), bool)
MASK[2:12, 3:14] = True
LABELS = MASK.astype(np.int32)
MAP = SHARE.astype(np.float32)
MAPS = {"a": MAP, "b": 1 - MAP}
WINDOW = (8325.0, 8365.0)
RECIPE = nx.Recipe.from_dict(
    {"schema": 1, "step": [{"do": "edge_position", "method": "derivative", "window": WINDOW}]}
)

SOUND: dict[str, Any] = {
    "mu": MU,
    "energy": ENERGY,
    "references": REFERENCES,
    "library": REFERENCES,
    "spectrum": edge_at(8345),
    "counts": COUNTS,
    "flat": FLAT,
    "dark": 0 * FLAT,
    "transmission": np.exp(-MU),
    "images": MU,
    "level": 1 + 0.01 * RNG.random(N),
    "scans": [STACK, STACK],
    "stack": STACK,
    "drift": DRIFT,
    "e0": 8345.0,
    "pre_edge": (8300.0, 8325.0),
    "post_edge": (8370.0, 8420.0),
    "area_range": WINDOW,
    "gate": 3.0,
    "energy_range": (8305.0, 8415.0),
    "exclude": [(8310.0, 8311.0)],
    "mask": MASK,
    "weights": np.ones(N),
    "noise": 0.01 * np.ones(N),
    "reference_shifts": {"r8340": 0.1},
    "significance": 0.05,
    "step_noise": 0.01,
    "image": MAP,
    "above": 0.5,
    "below": 0.9,
    "x": np.arange(5.0),
    "y": np.arange(5.0),
    "corners": np.array([(0.0, 0.0), (4.0, 0.0), (0.0, 4.0)]),
    "first": MASK,
    "second": ~MASK,
    "n_pixels": 3,
    "data": MAP,
    "labels": LABELS,
    "maps": MAPS,
    "sigma": dict.fromkeys(MAPS, 0.1 + 0 * MAP),
    "thickness": 1 + MAP,
    "pixel_size_um": 0.1,
    "n_clusters": 2,
    "n_components": 2,
    "window": WINDOW,
    "smoothing": 1.0,
    "factor": 2,
    "colors": ["red", "blue"],
    "limits": (0.0, 1.0),
    "brightness": MAP,
    "roi": (0, Y, 0, X),
    "path": "scan.tif",
    "path_or_stack": STACK,
    "recipe": RECIPE,
    "scan": "scan.h5",
    "out": "out.h5",
    "matrices": DRIFT.matrices,
    "confidence": DRIFT.confidence,
    "name": "a",
    "workers": 1,
    "in_memory": True,
    "energy_unit": "eV",
    "signal": "optical_density",
    "axis": 0,
    "complex_as": "phase",
    "jacobian": None,
    "into": None,
    "client": None,
    "names": ["a"],
    "mix": ["a", "b"],
    "plane": 0,
    "title": "t",
    "sigma_limit": 0.3,
    "extrapolate": "hold",
    "post_order": 1,
    "slope": "pixel",
    "divide_by": "line",
    "source": "file",
    "notes": ("a note",),
    "history": (),
    "warnings": ("a warning",),
    "progress": lambda done, total, text: None,
    "kept": STACK,
    "tables": {"t": {"c": np.arange(3)}},
}
"""A sound value of every parameter, by its name; where a name means something else, in `OWN`."""

OWN: dict[str, dict[str, Any]] = {
    "EnergyStack": {"data": MU, "labels": None, "source": {}, "thickness": 1 + MAP},
    "read_stack": {
        "images": None,
        "flat": None,
        "dark": None,
        "axis": None,
        "energy": ENERGY,
        "complex_as": None,
    },
    "read_references": {"paths": "reference.txt"},
    "flat_field": {"counts": COUNTS},
    "Drift": {"sigma": np.ones((N, 2)), "reference": 0},
    "estimate_drift": {"reference": 0, "mask": np.ones((Y, X), bool)},
    "fit_references": {"noise": np.full((Y, X), 0.01), "exclude": ()},
    "check_references": {"noise": 0.01},
    "cluster_quality": {"n_clusters": [2, 3]},
    "mix_colors": {"maps": [MAP, 1 - MAP], "sigma": [0 * MAP, 0 * MAP]},
    "apply_mask": {"data": MAP},
    "save_figure": {"path": "figure.png", "dpi": 40},
    "save_result": {"path": "result.h5"},
    "load_result": {"path": "maps.h5"},
    "Reference": {"mu": edge_at(8345)},
    "color_triangle": {"colors": ["red", "lime", "blue"]},
    "threshold_mask": {"above": 0.5},
    "find_e0": {"mu": edge_at(8345)},
    "fit_reference_shifts": {"mu": edge_at(8345)},
    "mean_spectra": {"stack": STACK},
    "make_result": {"labels": {"l": LABELS}, "kinds": ("edge_energy",), "energy": None},
    "as_script": {"out": "out.h5"},
    "polygon_mask": {},
    "Recipe": {"steps": RECIPE.steps, "input": RECIPE.input, "output": RECIPE.output},
    "simulate": {"max_drift": 2, "shape": (16, 18), "counts": 1000, "n_energies": 12, "n_particles": 2},
    "simulate_fluorescence": {"shape": (16, 18), "counts": 100, "n_energies": 12, "n_particles": 2},
    "simulate_stxm": {"shape": (16, 18), "counts": 100, "n_energies": 40, "n_particles": 2},
    "simulate_volume": {"shape": (16, 16, 17), "n_energies": 10, "n_particles": 2, "noise": 0.04},
}
SMALL = {name: tuple(given) for name, given in OWN.items() if name.startswith("simulate")} | {
    "save_figure": ("dpi",),
    "threshold_mask": ("above",),
}
"""What is given always: without, a call takes time or asks for it."""
RESULTS = {
    name
    for name in nx.__all__
    if inspect.isclass(getattr(nx, name)) and name not in ("EnergyStack", "Reference", "Drift", "Recipe")
}
"""Classes that functions return, and errors: nobody makes them."""
CALLABLE = [name for name in nx.__all__ if callable(getattr(nx, name)) and name not in RESULTS]


def parameters(name: str) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(getattr(nx, name)).parameters)


def sound(name: str, parameter: inspect.Parameter) -> Any:
    own = OWN.get(name, {})
    if parameter.name in own:
        return own[parameter.name]
    if parameter.default not in (inspect.Parameter.empty, None) and parameter.name not in ("progress",):
        return parameter.default
    if parameter.name == "fit":
        return nx.fit_references(MU, ENERGY, REFERENCES)
    if parameter.name == "normalization":
        return nx.normalize_edge(MU, ENERGY, pre_edge=SOUND["pre_edge"], post_edge=SOUND["post_edge"])
    if parameter.name == "result":
        return nx.make_result(STACK, MAPS)
    assert parameter.name in SOUND, f"give a sound value of {parameter.name} of nx.{name} in this test"
    return SOUND[parameter.name]


EVERY = int(os.environ.get("NAPARI_XANES_TRY_EVERY", "4"))
"""Each parameter is given every fourth of the odd values, others than its neighbours; all of them take minutes."""

COMPLEX = 1 + 0.5j
NUMBERS = (
    np.inf,
    -np.inf,
    np.nan,
    0,
    -1,
    -0.0,
    5e-324,
    1e300,
    10**20,
    -(10**20),
    COMPLEX,
    "x",
    None,
    [],
    True,
    0.5,
)
THINGS = (
    None,
    3,
    np.nan,
    "",
    "x",
    b"x",
    [],
    [None],
    {},
    object(),
    COMPLEX,
    (0, 0),
    np.zeros(0),
    np.array(["a"]),
)
PATHS = (
    None,
    3,
    b"x",
    "",
    "\0",
    "a" * 5000,
    "é" * 200,
    ".",
    "none.h5",
    [],
    [None],
    COMPLEX,
    np.nan,
    object(),
)


def arrays(good: np.ndarray) -> list[Any]:
    """Return what may come in place of an array."""
    plain = np.asarray(good, np.float64)
    return [
        *(np.full_like(plain, value) for value in (0, 1, -1, 5e-324, 1e-310, 1e300, np.inf, -np.inf, np.nan)),
        np.full(plain.shape, 1e-42, np.float32),
        np.where(np.arange(plain.size).reshape(plain.shape) % 3 == 0, np.inf, plain),
        plain[:0],
        plain[..., :0],
        np.zeros(0),
        plain[None],
        plain.ravel()[0],
        np.ma.masked_all(plain.shape),
        plain.astype(object),
        plain.astype(str),
        np.full(plain.shape, "2020-01-01", "M8[D]"),
        np.zeros(plain.shape, [("a", "f4")]),
        plain.astype(np.float16, copy=False) if np.abs(plain).max(initial=0) < 6e4 else plain[:1],
        plain.astype(np.longdouble),
        plain.tolist()[:1],
    ]


def complex_of(good: Any) -> Any | None:
    """Return the same values as complex numbers; None where there are no numbers."""
    if isinstance(good, np.ndarray):
        return good + 0j * COMPLEX if good.dtype.kind != "b" else good * COMPLEX
    if isinstance(good, (float, int)) and not isinstance(good, bool):
        return complex(good)
    if isinstance(good, (tuple, list)) and good and all(isinstance(v, (int, float)) for v in good):
        return type(good)(complex(v) for v in good)
    if isinstance(good, dict) and good and all(isinstance(v, np.ndarray) for v in good.values()):
        return {key: complex_of(value) for key, value in good.items()}
    if isinstance(good, list) and good and all(isinstance(v, np.ndarray) for v in good):
        return [complex_of(value) for value in good]
    return None


def odd_values(good: Any, name: str) -> list[Any]:
    """Return what may come by mistake in place of a sound value."""
    if name in ("path", "paths", "scan", "out"):
        return list(PATHS)
    if isinstance(good, np.ndarray):
        return [*arrays(good), *THINGS]
    if isinstance(good, bool) or good is None or isinstance(good, str):
        return [*THINGS, "a" * 5000, "\0"]
    if isinstance(good, (int, float)):
        return [*NUMBERS, *THINGS]
    if isinstance(good, tuple) and len(good) == 2 and all(isinstance(v, float) for v in good):
        lo, hi = good
        return [
            *((a, b) for a in (np.nan, np.inf, -np.inf, lo) for b in (np.nan, np.inf, 0, lo)),
            (hi, lo),
            (lo,),
            (lo, hi, hi),
            (5e-324, 1e-323),
            (lo, COMPLEX),
            (str(lo), "x"),
            *THINGS,
        ]
    if isinstance(good, dict):
        inner = next(iter(good.values()), None)
        return [
            *([dict.fromkeys(good, one) for one in arrays(inner)] if isinstance(inner, np.ndarray) else []),
            *(dict.fromkeys(good, one) for one in THINGS),
            {3: inner},
            {"": inner},
            *THINGS,
        ]
    if isinstance(good, (list, tuple)):
        kind = type(good)
        inner = [kind(one for _ in good) for one in THINGS]
        if good and isinstance(good[0], np.ndarray):
            inner += [kind(one for _ in good) for one in arrays(good[0])]
        return [kind(), kind(good[:1]), kind([*good, *good]), *inner, *THINGS]
    return list(THINGS)


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """A folder with sound files, in which anything may be written."""
    import tifffile

    before = os.getcwd()
    os.chdir(tmp_path_factory.mktemp("api"))
    tifffile.imwrite("scan.tif", MU.astype(np.float32), photometric="minisblack")
    np.savetxt("reference.txt", np.stack([ENERGY, edge_at(8340)], axis=1))
    nx.save_result(nx.make_result(STACK, MAPS), "maps.h5")
    yield
    os.chdir(before)


def call(name: str, changed: dict[str, Any], only_needed: bool = False) -> Any:
    given = {
        key: sound(name, one)
        for key, one in parameters(name).items()
        if key not in changed
        and (one.default is inspect.Parameter.empty or not only_needed or key in SMALL.get(name, ()))
    } | changed
    positional = [given.pop("paths")] if "paths" in given else []
    return getattr(nx, name)(*positional, **given)


CASES = [(name, one) for name in CALLABLE for one in parameters(name)]


@pytest.mark.parametrize("name", CALLABLE)
def test_sound_values_are_taken(here, name):
    assert (call(name, {}, only_needed=True) is None) == (name in ("save_result", "save_figure"))


@pytest.mark.parametrize(("name", "parameter"), CASES)
def test_what_nobody_means_is_right_or_one_sentence(here, name, parameter):
    good = sound(name, parameters(name)[parameter])
    faults = []
    for odd in odd_values(good, parameter)[zlib.crc32(f"{name}.{parameter}".encode()) % EVERY :: EVERY]:
        try:
            call(name, {parameter: odd}, only_needed=True)
        except nx.XanesError as error:
            text = str(error)
            if "\n" in text or not 10 < len(text) < 1200 or "Traceback" in text:
                faults.append(f"{odd!r:.80}: no one sentence: {text[:200]!r}")
        except Exception as error:  # noqa: BLE001 - this is what is looked for
            faults.append(f"{odd!r:.80}: {type(error).__name__}: {str(error)[:150]}")
    assert not faults, f"{len(faults)} faults:\n" + "\n".join(faults)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        (n, p)
        for n, p in CASES
        if p not in ("fit", "normalization", "result") and complex_of(sound(n, parameters(n)[p])) is not None
    ],
)
def test_complex_numbers_are_refused_never_halved(here, name, parameter):
    with pytest.raises(nx.XanesError) as caught:
        call(name, {parameter: complex_of(sound(name, parameters(name)[parameter]))}, only_needed=True)
    assert "\n" not in str(caught.value)


class Counted:
    """An array that is read where it is indexed, and remembers the most that was read at once."""

    def __init__(self, values: np.ndarray) -> None:
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, values.ndim
        self.most = 0

    def __getitem__(self, key: Any) -> np.ndarray:
        part = self.values[key]
        self.most = max(self.most, part.nbytes)
        return part.copy()


def takes_arrays(annotation: Any) -> bool:
    """Whether an annotation names arrays, alone or in lists and tables."""
    inner = typing.get_args(annotation)
    plain = (
        all(one in inner for one in typing.get_args(ArrayLike)) or typing.get_origin(annotation) is np.ndarray
    )
    return plain or any(map(takes_arrays, inner))


def unread(value: Any, kind: Any) -> Any:
    """Return arrays, also those in lists and tables, as arrays of another kind."""
    if isinstance(value, np.ndarray):
        return kind(value)
    if isinstance(value, dict):
        return {key: unread(one, kind) for key, one in value.items()}
    if isinstance(value, list) and value and isinstance(value[0], np.ndarray):
        return [unread(one, kind) for one in value]
    if isinstance(value, nx.EnergyStack):
        return value.replace(data=kind(value.data))
    return value


def assert_same(one: Any, other: Any, name: str) -> None:
    """Hold what two calls returned equal to the last bit, dask arrays computed."""
    if dataclasses.is_dataclass(one):
        assert type(one) is type(other), name
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{name}.{field.name}")
    elif isinstance(one, np.ndarray) or base_unread.is_lazy(one):
        one, other = np.asarray(one[...]), np.asarray(other[...])
        assert one.dtype == other.dtype, name
        np.testing.assert_array_equal(one, other, err_msg=name)
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), name
        for key in one:
            assert_same(one[key], other[key], f"{name}[{key}]")
    elif isinstance(one, (list, tuple)):
        assert len(one) == len(other), name
        for i, parts in enumerate(zip(one, other, strict=True)):
            assert_same(*parts, f"{name}[{i}]")
    else:
        assert type(one) is type(other), name
        assert one == other or (one != one and other != other), name


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.nan, 5.0),
        (5.0, np.nan),
        (1, 1.0),
        (np.zeros(2, "f4"), np.zeros(2)),
        (nx.Recipe(()), None),
        (len, min),
    ],
)
def test_what_differs_is_not_taken_for_the_same(one, other):
    assert_same([one, np.nan], [one, np.nan], "same")
    with pytest.raises(AssertionError):
        assert_same({"a": one}, {"a": other}, "different")


FROM_ARRAYS = {
    name: keys
    for name in CALLABLE
    if (
        keys := [
            key
            for key, hint in typing.get_type_hints(getattr(nx, name), include_extras=True).items()
            if key in parameters(name)
            and (takes_arrays(hint) or nx.EnergyStack in (hint, *typing.get_args(hint)))
        ]
    )
}
"""The parameters of every function that may be arrays, by their annotations."""


@pytest.fixture
def small_pieces(monkeypatch):
    """Let work go over so small pieces that a tiny stack is many of them."""
    for module, name, value in (
        (blocks, "CHUNK_PIXELS", X),
        (blocks, "BAND_MEGABYTES", 0.002),
        (source, "BAND_MEGABYTES", 0.002),
        (base_unread, "BLOCK_BYTES", 512),
        (as_dask, "BLOCK_BYTES", 512),
    ):
        monkeypatch.setattr(module, name, value)


@pytest.mark.parametrize("name", FROM_ARRAYS)
def test_what_is_not_read_gives_the_same_bits_a_block_at_a_time(here, small_pieces, name):
    given = {key: sound(name, parameters(name)[key]) for key in FROM_ARRAYS[name]}
    expected = call(name, given, only_needed=True)
    counted: list[Counted] = []

    def count(values: np.ndarray) -> Counted:
        counted.append(Counted(values))
        return counted[-1]

    for kind in (lambda v: dask.array.from_array(v, chunks=3), count):
        found = call(name, {key: unread(value, kind) for key, value in given.items()}, only_needed=True)
        at_once = max((one.most for one in counted if one.ndim > 2), default=0)
        assert at_once <= 4 * MU[0].nbytes, f"{at_once / MU[0].nbytes} of {len(MU)} frames were read at once"
        assert_same(found, expected, name)
