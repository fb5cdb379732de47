"""Fingerprints of everything that the program computes, to show that a change of the code leaves every number as it was.

    python tools/digest.py [--out FILE] [--compare FILE]

Simulated scans of all kinds, and measured ones from ../shared/data beside the project or the folder NAPARI_XANES_DATA,
go through every step in its variants (digest_recipes.toml), in memory and streamed, through the public functions and
through the command line.  Every map, label image, table, stack, file and text becomes one line: scan, recipe and name,
then type, shape and the start of its SHA-256.  Equal lines are equal to the last bit.  Paths, times, versions, memory
needed and pictures are left out.  Run it before and after a change, the second time with ``--compare``: lines that
differ are shown, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import difflib
import hashlib
import io
import json
import logging
import os
import re
import sys
import tempfile
import tomllib
import warnings
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tifffile

import napari_xanes as nx
from napari_xanes.cli import main as command_line

DATA = Path(os.environ.get("NAPARI_XANES_DATA", Path(__file__).parents[2] / "shared" / "data"))
RECIPES = tomllib.loads(Path(__file__).with_name("digest_recipes.toml").read_text("utf-8"))
HISTORY = ("history", "source", "info")  # fields that are looked at as files hold them
PASSING = r'(?<="modified": )"[^"]*"|(?<![\d.])\d{19}(?!\d)|(?<=about )\d+(?= MiB of memory)'
Lines = dict[str, str]


def parts(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a value is made of, down to arrays, texts and numbers, each with its name."""
    if dataclasses.is_dataclass(value):
        fields = [field.name for field in dataclasses.fields(value) if field.name not in HISTORY]
        value = {field: getattr(value, field) for field in fields}
    elif hasattr(value, "model_dump"):
        value = value.model_dump()
    elif getattr(value, "ndim", 0):
        value = value[:]
    elif isinstance(value, list | tuple) and not all(isinstance(one, str | int | float) for one in value):
        value = dict(enumerate(value))
    if isinstance(value, dict):
        for key, one in value.items():
            yield from parts(f"{name}/{key}" if name else str(key), one)
    else:
        yield name, value


def hdf5_parts(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield every dataset and attribute of a file but date and version; a history step by step."""
    with h5py.File(path) as file:
        found: list[tuple[str, Any]] = [("", file)]
        file.visititems(lambda name, item: found.append((name, item)))
        for name, item in found:
            yield from ((f"{name}@{key}", item.attrs[key]) for key in sorted(item.attrs))
            if name.endswith("/history"):
                yield from ((f"{name}.{i}.{one['do']}", one) for i, one in enumerate(json.loads(item[()])))
            elif isinstance(item, h5py.Dataset) and Path(name).name not in ("date", "version"):
                yield name, item[()]
                yield f"{name}@stored", (str(item.dtype), item.chunks, item.compression)


class Ledger:
    """The lines of a digest, the folder that files are written to, and files by name."""

    def __init__(self, work: Path) -> None:
        self.work, self.lines = work, []
        self.names = {"data": DATA, "work": work, "mask": work / "mask.tif", "drift": work / "drift.json"}

    def fingerprint(self, value: Any) -> str:
        """Return type, shape and hash of an array, or of a text or plain values without places and times."""
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc":
            raw = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
            return f"{value.dtype} {'x'.join(map(str, value.shape)) or '1'} {raw[:16]}"
        text = value.decode() if isinstance(value, bytes) else value
        if not isinstance(text, str):
            text = json.dumps(text, default=lambda one: getattr(one, "tolist", lambda: str(one))())
        for folder, name in ((self.work, "<work>"), (DATA.resolve(), "<data>"), (DATA, "<data>")):
            text = text.replace(str(folder), name)
        text = re.sub(PASSING, '"passing"', text)
        with contextlib.suppress(ValueError):
            text = json.dumps(json.loads(text), sort_keys=True)
        return f"text {len(text)} {hashlib.sha256(text.encode()).hexdigest()[:16]}"

    def arrays(self, value: Any) -> Lines:
        """Return the fingerprints of all that a value is made of."""
        return {name: self.fingerprint(one) for name, one in parts("", value)}

    def add(self, where: str, value: Any) -> None:
        """Add the lines of a value."""
        self.lines += [f"{name}  {self.fingerprint(one)}" for name, one in parts(where, value)]

    def layout(self, path: Path) -> Lines:
        """Return one fingerprint for every three levels of names of an HDF5 file, of all that stands below."""
        groups: dict[str, list[str]] = defaultdict(list)
        for name, value in hdf5_parts(path):
            groups["/".join(name.split("@")[0].split("/")[:3])].append(f"{name} {self.fingerprint(value)}")
        return {f"file/{name}": self.fingerprint("\n".join(sorted(lines))) for name, lines in groups.items()}

    def saved(self, result: nx.Result) -> Lines:
        """Return the fingerprints of the file that a result is saved to."""
        nx.save_result(result, self.work / "result.h5")
        return self.layout(self.work / "result.h5")

    def add_lines(self, where: str, lines: Lines, expected: Lines | None = None) -> None:
        """Add lines; where others are expected, only those that differ, or that none does."""
        if expected is not None:
            keys = [key for key in expected | lines if lines.get(key) != expected.get(key)]
            lines = {key: lines.get(key, "absent") for key in keys} or {"same": ""}
        self.lines += [f"{where}/{name}  {line}".rstrip() for name, line in lines.items()]

    def add_folder(self, where: str, folder: Path) -> None:
        """Add the lines of all files but pictures in a folder."""
        for path in sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".png"):
            name = f"{where}/{path.relative_to(folder)}"
            if path.suffix == ".h5":
                self.add_lines(name, self.layout(path))
            elif path.suffix == ".tif":
                with tifffile.TiffFile(path) as file:
                    about = [tag.value for tag in file.pages[0].tags if tag.code in (270, 282)]
                    self.add(name, [file.asarray(), *about])
            else:
                self.add(name, path.read_text("utf-8"))

    def meant(self, text: str) -> Any:
        """Return the number, list or truth value that a text is, or the text, with the names of files written out."""
        for name, path in self.names.items():
            text = text.replace(f"${name}", str(path))
        with contextlib.suppress(ValueError):
            return json.loads(text)
        return text

    def recipe(self, where: str, chain: str) -> Path:
        """Write a recipe, given in one line, to a TOML file and return its path."""
        for word, stands_for in RECIPES["words"].items():
            chain = chain.replace(f"${word}", stands_for)
        table: dict[str, Any] = {"schema": 1, "step": []}
        for part in chain.split(" | "):
            do, *words = part.split()
            pairs = (word.partition("=") for word in words)
            values = {key: self.meant(text) for key, _, text in pairs}
            if do in ("input", "output"):
                table[do] = values
            else:
                table["step"].append({"do": do, **values})
        path = self.work / f"{where.replace('/', '_')}.toml"
        nx.Recipe.from_dict(table).save(path)
        return path


def run_recipes(ledger: Ledger, scan: Path, where: str, chains: Lines) -> None:
    """Run recipes on a scan, streamed and in memory; save, read back and write as scripts what comes of it."""
    for title, chain in chains.items():
        place, lines = f"{where}/{title}", []
        recipe = nx.Recipe.load(ledger.recipe(place, chain))
        try:
            for in_memory in (False, True):
                result = nx.run_recipe(recipe, scan, in_memory=in_memory)
                lines.append(ledger.arrays(result) | ledger.saved(result))
        except nx.XanesError as error:
            ledger.add(f"{place}/refused", str(error))
            continue
        ledger.add_lines(place, lines[1])
        ledger.add_lines(f"{place}/streamed", lines[0], lines[1])
        again = nx.load_result(ledger.work / "result.h5")
        ledger.add_lines(f"{place}/read_back", ledger.arrays(again) | ledger.saved(again), lines[1])
        with h5py.File(ledger.work / "result.h5") as file:
            resolved = nx.Recipe.from_dict(tomllib.loads(file["entry/process/recipe"][()].decode()))
        ledger.add(f"{place}/script", [nx.as_script(one, scan) for one in (recipe, resolved)])


def given_values(ledger: Ledger, scan: Path) -> dict[str, Any]:
    """Return what functions are called with, of recipes that are run each on the stack that the one before it left."""
    stack, spoilt = nx.read_stack(scan), nx.read_stack(ledger.work / "spoilt" / scan.name)
    results: list[nx.Result] = []
    for number, chain in enumerate(RECIPES["one_by_one"]):
        recipe = ledger.recipe(f"one_by_one_{number}", f"{chain} | output stack=true")
        results.append(nx.run_recipe(recipe, results[-1].stack if results else stack))
        ledger.add_lines(f"one_by_one/{number}", ledger.saved(results[-1]))
    mu = np.ascontiguousarray(results[0].stack.data[:, 8:56, 8:64])
    maps = {name: image[8:56, 8:64] for result in results for name, image in result.maps.items()}
    given = {"stack": stack, "images": stack.data[:], "flat": stack.flat[:], "dark": stack.dark[:]}
    given |= {"energy": stack.energy, "spoilt": spoilt.data[:], "level": spoilt.data[:, 9].mean(axis=1)}
    given |= {"mu": mu, "double": mu.astype(np.float64), "spectrum": mu[:, 20:30, 20:30].mean(axis=(1, 2))}
    given |= {"maps": maps, "thickness": maps["thickness"], "aligned": results[0], "scans": [stack, stack]}
    return given | {"references": nx.read_references(*json.loads(ledger.names["refs"]))}


def run_functions(ledger: Ledger, given: dict[str, Any]) -> None:
    """Call public functions, each with what is given or what those before it returned."""

    def argument(text: str) -> Any:
        name, _, field = text.partition(".")
        value = given[name] if name in given else ledger.meant(text)
        return getattr(value, field) if field and name in given else value

    for where, line in RECIPES["functions"].items():
        name, *words = line.split()
        pairs = [word.rpartition("=") for word in words]
        options = {key: argument(text) for key, _, text in pairs if key}
        given[where] = getattr(nx, name)(*(argument(text) for key, _, text in pairs if not key), **options)
        ledger.add(f"function/{name}/{where}", given[where])


def run_commands(ledger: Ledger) -> None:
    """Give every command that opens no window; add what it says, then all that was written."""
    for where, line in RECIPES["commands"].items():
        if "$data" in line and not DATA.is_dir():
            continue
        out, err, status = io.StringIO(), io.StringIO(), 0
        sys.argv = ["napari-xanes", *(str(ledger.meant(word)) for word in line.split())]
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                command_line()
            except SystemExit as stop:
                status = stop.code
        ledger.add(f"command/{where}", {"stdout": out.getvalue(), "stderr": err.getvalue(), "status": status})
    ledger.add_folder("written", ledger.work / "written")


def read_spectra(ledger: Ledger) -> None:
    """Read all files of measured reference spectra."""
    for path in sorted(path for pattern in RECIPES["spectra"] for path in DATA.glob(pattern)):
        try:
            ledger.add(f"spectra/{path.name}", nx.read_references(path))
        except nx.XanesError as error:
            ledger.add(f"spectra/{path.name}/refused", str(error))


def simulated_scans(ledger: Ledger) -> dict[str, Path]:
    """Simulate scans of all kinds into files, small raw ones without and with bad pixels; also a mask and a drift."""
    raw = nx.simulate((64, 72), n_energies=41, max_drift=2.5, n_particles=5, seed=3)
    made = {kind: getattr(nx, f"simulate_{kind}")() for kind in ("fluorescence", "stxm", "volume")}
    counts = raw.stack.data.copy()
    counts[:, 30, 20], counts[:, 12, 50], counts[7, 40, 33], counts[20, 9, 60] = 40_000, 0, 30_000, 25_000
    made |= {"spoilt": dataclasses.replace(raw, stack=raw.stack.replace(data=counts)), "full_field": raw}
    ledger.add("simulated", made)
    tifffile.imwrite(ledger.names["mask"], raw.mask.astype(np.uint8))
    nx.estimate_drift(raw.stack).save(ledger.names["drift"])
    return {name: simulation.save(ledger.work / name) for name, simulation in made.items()}


def run_all(ledger: Ledger) -> None:
    """Fill a ledger."""
    for where, scan in simulated_scans(ledger).items():
        ledger.names["refs"] = json.dumps(sorted(map(str, (scan.parent / "references").glob("*.txt"))))
        run_recipes(ledger, scan, where, RECIPES[where])
    run_functions(ledger, given_values(ledger, scan))
    run_commands(ledger)
    if DATA.is_dir():
        for where, chains in RECIPES["measured"].items():
            run_recipes(ledger, DATA / where, where, chains)
        read_spectra(ledger)
    else:
        sys.stderr.write(f"no measurements in {DATA}: they are left out\n")


def main() -> None:
    """Print a digest, or compare it with an earlier one."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="file to write the lines to")
    parser.add_argument("--compare", type=Path, help="file of an earlier digest")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger("napari_xanes").addHandler(logging.NullHandler())
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder).resolve())
        run_all(ledger)
    if args.out:
        args.out.write_text("\n".join(ledger.lines) + "\n", "utf-8")
    if args.compare:
        before = args.compare.read_text("utf-8").splitlines()
        differing = list(
            difflib.unified_diff(before, ledger.lines, str(args.compare), "now", n=0, lineterm="")
        )
        print(*differing or [f"all {len(before)} lines as before"], sep="\n")
        sys.exit(bool(differing))
    if not args.out:
        print(*ledger.lines, sep="\n")


if __name__ == "__main__":
    main()
