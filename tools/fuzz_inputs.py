"""Inputs for `fuzz`: sound files with faults put in, HDF5 files of wrong structure, and texts that hypothesis makes."""

from __future__ import annotations

import io
import random
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any

TEXTS = [
    "nan",
    "inf",
    "1e999",
    "-1",
    "0",
    "9" * 400,
    "=",
    ",",
    ";",
    "\t",
    "\n",
    "\x00",
    "é",
    "[" * 200,
    "1_0",
    '"',
]
ENDINGS = {
    "tiff": ".tif",
    "hdf5": ".h5",
    "tree": ".h5",
    "heaps": ".h5",
    "nxxas": ".nxs",
    "energies": ".txt",
    "references": ".txt",
    "recipe": ".toml",
    "drift": ".json",
    "result": ".h5",
    "mask": ".tif",
}
KINDS = tuple(ENDINGS)
WRITTEN = ("energies", "references", "recipe", "drift")
"""Kinds of text."""
EVERY = 3 * len(KINDS)
"""Of texts, one in three is made by hypothesis; how many inputs there are to one of a kind."""


def seeds(folder: Path) -> dict[str, list[bytes]]:
    """Return sound files of every kind, to be damaged."""
    import h5py
    import numpy as np
    import tifffile

    import napari_xanes as nx
    from napari_xanes._core.io.mask_file import write_mask

    simulation = nx.simulate((16, 20), n_energies=12, n_particles=2, max_drift=0)
    scan = simulation.save(folder)
    images = np.asarray(simulation.stack.data)
    made: dict[str, list[bytes]] = {kind: [] for kind in KINDS}
    for compression in (None, "zlib"):
        tifffile.imwrite(folder / "a.tif", images, photometric="minisblack", compression=compression)
        made["tiff"].append((folder / "a.tif").read_bytes())
    with h5py.File(folder / "b.h5", "w", libver="latest") as file:
        file.create_dataset("img_xanes", data=images, chunks=(1, 16, 20), compression="gzip")
        file["X_eng"] = simulation.stack.energy
        file["names"] = np.array(["a", "bc"] * 3, dtype=object)  # in a global heap
        file["img_xanes"].attrs["long_name"] = ["counts", "of a detector"]
    made["hdf5"] = [scan.read_bytes(), (folder / "b.h5").read_bytes()]
    made["tree"] = made["hdf5"]
    made["heaps"] = [*made["hdf5"], *_in_heaps(folder / "c.h5", images, simulation.stack.energy)]
    made["nxxas"] = _nxxas(folder / "d.nxs", simulation.stack.energy)
    made["energies"].append("\n".join(f"{e:.2f}" for e in simulation.stack.energy).encode())
    made["references"] = [path.read_bytes() for path in sorted((folder / "references").iterdir())]
    steps = [{"do": "flat_field"}, {"do": "crop", "roi": [0, 9, 0, 9]}]
    nx.Recipe.from_dict({"schema": 1, "step": steps}).save(folder / "r.toml")
    made["recipe"].append((folder / "r.toml").read_bytes())
    nx.Drift(np.stack([np.eye(3)] * 4), np.ones(4), 0).save(folder / "d.json")
    made["drift"].append((folder / "d.json").read_bytes())
    nx.save_result(nx.make_result(simulation.stack, {"thickness": np.ones((16, 20))}), folder / "m.h5")
    whole = (folder / "m.h5").read_bytes()
    made["result"] = [
        whole,
        whole[: whole.rindex(b"\nnapari-xanes")],
    ]  # also without the checksum of all bytes
    write_mask(folder / "m.tif", np.ones((16, 20), bool))
    made["mask"].append((folder / "m.tif").read_bytes())
    return made


def _in_heaps(path: Path, images: Any, energy: Any) -> list[bytes]:
    """Return scans of whose texts, references, lists and parts much lies in global heaps, in old and new layouts."""
    import h5py

    found = []
    for version in ("earliest", "latest"):
        with h5py.File(path, "w", libver=version) as file:
            half = len(images) // 2
            file["X_eng"], file["raw0"], file["raw1"] = energy, images[:half], images[half:]
            layout = h5py.VirtualLayout(images.shape, images.dtype)
            layout[:half] = h5py.VirtualSource(".", "raw0", images[:half].shape)
            layout[half:] = h5py.VirtualSource(".", "raw1", images[half:].shape)
            file.create_virtual_dataset("img_xanes", layout)
            file["X_eng"].make_scale("energy")
            file["img_xanes"].dims[0].attach_scale(file["X_eng"])
            file["img_xanes"].attrs["axes"] = ["energy", "y", "x"]
            file.create_dataset("entry/names", data=["a", "bc"], dtype=h5py.string_dtype(), chunks=(2,))
            file.create_dataset("lists", (3,), h5py.vlen_dtype("f4"))[0] = [1, 2, 3]
            file.create_dataset("links", (2,), h5py.ref_dtype)[0] = file["raw0"].ref
            file["entry/title"] = "a text"
            file["entry"].attrs["NX_class"] = "NXentry"
        found.append(path.read_bytes())
    return found


def _nxxas(path: Path, energy: Any) -> list[bytes]:
    """Return reference spectra as NXxas, in old and new layouts."""
    import h5py

    found = []
    for version in ("earliest", "latest"):
        with h5py.File(path, "w", libver=version) as file:
            for name in ("a", "b"):
                entry = file.create_group(name)
                entry["definition"], entry["mode/name"] = "NXxas", "Transmission"
                entry["energy"], entry["intensity"] = energy, 1.0 * (energy > energy.mean())
                entry["energy"].attrs["units"] = "eV"
        found.append(path.read_bytes())
    return found


def one(kind: str, good: Path, rng: random.Random, made: dict[str, list[bytes]], number: int) -> bytes:
    """Return an input of a kind, made of a sound file or taken from those that hypothesis made."""
    if kind == "tree":
        return restructured(good.read_bytes(), rng)
    if kind in ("heaps", "nxxas", "result") and rng.random() < 0.7:
        raw = aimed(good.read_bytes(), rng)
        return signed(raw) if kind == "result" and rng.random() < 0.5 else raw
    if kind in WRITTEN and number % EVERY < len(KINDS):
        return made[kind][number // EVERY % len(made[kind])]
    return mutated(good.read_bytes(), rng, kind in WRITTEN)


def mutated(good: bytes, rng: random.Random, text: bool) -> bytes:
    """Return a file with a few faults: bytes changed, cut out, doubled or put in."""
    raw = bytearray(good)
    for _ in range(rng.choice((1, 1, 2, 5, 20))):
        at, how = rng.randrange(len(raw) + 1), rng.random()
        if text and how < 0.4:
            raw[at:at] = rng.choice(TEXTS).encode()
        elif how < 0.7:
            raw[at : at + 1] = bytes([rng.randrange(256)])
        elif how < 0.8:
            del raw[at : at + rng.randrange(1, 40)]
        elif how < 0.9:
            raw[at:at] = raw[at : at + rng.randrange(1, 60)]
        else:
            del raw[at:]
    return bytes(raw)


SIGN = b"\nnapari-xanes blake2b "


def signed(raw: bytes) -> bytes:
    """Return a result with the checksum that it had if it were sound, as who means harm would write it."""
    raw = raw.rpartition(SIGN)[0] or raw
    return raw + SIGN + blake2b(raw, digest_size=32).digest()


MARKS = (b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"FHDB", b"BTHD", b"BTLF", b"TREE", b"SNOD", b"HEAP", b"FADB")
"""How the parts of an HDF5 file begin."""


def aimed(good: bytes, rng: random.Random) -> bytes:
    """Return an HDF5 file with faults in its own structure, half of them in global heaps and in what points to them."""
    raw = bytearray(good)
    heaps = _places(good, b"GCOL")
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        how = rng.random()
        if heaps and how < 0.3:
            at = rng.choice(heaps) + rng.randrange(200)
        elif heaps and how < 0.5:
            pointers = _places(good, rng.choice(heaps).to_bytes(8, "little")) or heaps
            at = rng.choice(pointers) + rng.randrange(-6, 14)
            if how < 0.35:  # to a text of 1 GB elsewhere
                at = max(4, rng.choice(pointers))
                raw[at - 4 : at + 8] = (2**30).to_bytes(4, "little") + rng.randrange(9999).to_bytes(
                    8, "little"
                )
                continue
        else:
            mark = rng.choice([mark for mark in MARKS if mark in good])
            at = rng.choice(_places(good, mark)) + rng.randrange(300)
        at = max(0, min(at, len(raw) - 8))
        if rng.random() < 0.5:
            raw[at] = rng.randrange(256)
        else:
            n = rng.choice((4, 8))
            number = rng.choice((0, 256**n - 1, 256**n - 16, 2**31 - 1, len(raw), *heaps))
            raw[at : at + n] = number.to_bytes(n, "little")
    return bytes(raw)


def _places(raw: bytes, what: bytes) -> list[int]:
    """Return where something stands."""
    found, at = [], raw.find(what)
    while at >= 0:
        found.append(at)
        at = raw.find(what, at + 1)
    return found


def restructured(good: bytes, rng: random.Random) -> bytes:
    """Return an HDF5 file that is sound for the library, and holds other things than a scan does."""
    import h5py

    memory = io.BytesIO(good)
    with h5py.File(memory, "r+") as file:
        for _ in range(rng.choice((1, 1, 2, 4))):
            names: list[str] = []
            file.visit(names.append)
            name = rng.choice(names) if names else "new"
            if rng.random() < 0.6 and name in file:
                del file[name]
            _put(file, rng.choice((name, f"{name}_2", "img_xanes", "energy", "flat", "entry/data/data")), rng)
        if rng.random() < 0.1:
            with suppress(ValueError, KeyError, TypeError, OSError, RuntimeError):  # "entry" is no group
                file[rng.choice((b"\xfc", b"entry/\xe4", b"\xe9/data"))] = [1.0, 2.0]
    return memory.getvalue()


def _put(file: Any, name: str, rng: random.Random) -> None:
    """Put something odd at a name, if there is room."""
    import h5py
    import numpy as np

    shape = rng.choice(((), (0,), (12,), (1, 1), (12, 16, 20), (12, 0, 20), (2, 2, 2, 2, 2), (16, 20, 12)))
    dtype = rng.choice(
        ("u1", "i8", "f2", "f8", ">f4", "c8", "S3", "?", "V7", h5py.string_dtype(), [("a", "f4")])
    )
    places = ("/", "/img_xanes", "/nowhere", f"/{name}")
    try:
        how = rng.randrange(8)
        if how == 0:
            file.create_dataset(name, shape, dtype)
        elif how == 1:
            file[name] = rng.choice((h5py.SoftLink(rng.choice(places)), h5py.ExternalLink("x.h5", name)))
        elif how == 2:
            layout = h5py.VirtualLayout((12, 16, 20), "u2")
            layout[:] = h5py.VirtualSource(
                rng.choice((".", "x.h5", "none.h5")), rng.choice(places), (12, 16, 20)
            )
            file.create_virtual_dataset(name, layout)
        elif how == 3:
            values = np.full(shape, rng.choice((np.nan, np.inf, -1, 0, 1e300, 8333, 8.333)))
            file[name] = np.random.default_rng(rng.randrange(9)).permutation(values) if shape else values
        elif how == 4:
            file.create_dataset(name, (10**6, 10**5, 10**5), "f4", chunks=(1, 100, 100))
        elif how == 5:
            file[name] = h5py.Empty(rng.choice(("f4", "S1")))
        elif how == 6:
            kind = h5py.string_dtype() if rng.random() < 0.7 else [("a", h5py.string_dtype())]
            packed = {"chunks": True, "compression": rng.choice((None, "gzip"))} if shape else {}
            file.create_dataset(name, shape, kind, **packed)[...] = rng.choice(("é", "8333 eV", "9" * 900))
        else:
            item = file[rng.choice((name, "/"))]
            attribute = rng.choice(
                ("units", "signal", "axes", "NX_class", "scale_factor", "_FillValue", "interpretation")
            )
            odd = (
                np.zeros(0),
                h5py.Empty("f4"),
                "é",
                b"\xff",
                np.nan,
                [1, 2],
                file["/"].ref,
                "eV",
                "9" * 900,
            )
            item.attrs[attribute] = rng.choice(odd)
    except (ValueError, KeyError, TypeError, OSError, RuntimeError):
        return  # the library does not make such a thing


def from_hypothesis(seed: int, count: int) -> dict[str, list[bytes]]:
    """Return texts of every kind of text, of the right grammar or nearly so."""
    import json

    import hypothesis
    import tomli_w
    from hypothesis import strategies as st

    from napari_xanes._core.recipe.steps import STEPS

    number = st.one_of(st.floats(), st.integers(), st.floats(8300, 8400), st.sampled_from(TEXTS))
    row = st.lists(number.map(str), min_size=1, max_size=4).flatmap(
        lambda cells: st.sampled_from((" ", "\t", ",", ";", ", ")).map(lambda mark: mark.join(cells))
    )
    table = st.lists(st.one_of(row, st.text(max_size=30)), max_size=40).map("\n".join)
    plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20))
    tree = st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=9), inner, max_size=4)
        ),
    )
    names = sorted({name for step in STEPS.values() for name in step.params.model_fields})
    step = st.fixed_dictionaries(
        {"do": st.one_of(st.sampled_from(sorted(STEPS)), tree)}, optional=dict.fromkeys(names, tree)
    )
    recipe = st.fixed_dictionaries(
        {"schema": st.one_of(st.just(1), plain)},
        optional={"step": st.lists(step, max_size=3), "input": tree, "output": tree},
    )
    fields = ("ndim", "matrices", "confidence", "reference", "roi", "method", "transform", "sigma")
    drift = st.fixed_dictionaries(
        {"napari_xanes_drift": st.one_of(st.just(1), plain)}, optional=dict.fromkeys(fields, tree)
    )
    made: dict[str, list[bytes]] = {kind: [] for kind in WRITTEN}

    def toml(value: Any) -> str:
        try:
            return tomli_w.dumps(value)
        except (TypeError, ValueError):  # it has no None
            return repr(value)

    settings = hypothesis.settings(
        max_examples=max(1, count),
        database=None,
        deadline=None,
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )

    @hypothesis.seed(seed)
    @settings
    @hypothesis.given(table, table, recipe, drift)
    def collect(energies: str, references: str, steps: dict[str, Any], moved: dict[str, Any]) -> None:
        texts = (energies, references, toml(steps), json.dumps(moved))
        for kind, text in zip(WRITTEN, texts, strict=True):
            made[kind].append(text.encode("utf-8", "surrogatepass"))

    collect()
    return made
