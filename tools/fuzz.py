"""Feed damaged and odd files to the readers, in child processes; print what was tried and what failed.

    python tools/fuzz.py 100000 [seed]

An input passes if it is read, or refused with one sentence of this program, within 10 s and 1 GB.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SECONDS, BYTES, PER_CHILD = 10, 2**30, 250
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
KINDS = ("tiff", "hdf5", "energies", "references", "recipe", "drift", "result", "mask")


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
    made["hdf5"].append(scan.read_bytes())
    with h5py.File(folder / "b.h5", "w", libver="latest") as file:
        file.create_dataset("img_xanes", data=images, chunks=(1, 16, 20), compression="gzip")
        file["X_eng"] = simulation.stack.energy
    made["hdf5"].append((folder / "b.h5").read_bytes())
    made["energies"].append("\n".join(f"{e:.2f}" for e in simulation.stack.energy).encode())
    made["references"] = [path.read_bytes() for path in (folder / "references").iterdir()]
    recipe = nx.Recipe.from_dict(
        {"schema": 1, "step": [{"do": "flat_field"}, {"do": "crop", "roi": [0, 9, 0, 9]}]}
    )
    recipe.save(folder / "r.toml")
    made["recipe"].append((folder / "r.toml").read_bytes())
    nx.Drift(np.stack([np.eye(3)] * 4), np.ones(4), 0).save(folder / "d.json")
    made["drift"].append((folder / "d.json").read_bytes())
    nx.save_result(nx.make_result(simulation.stack, {"thickness": np.ones((16, 20))}), folder / "m.h5")
    made["result"].append((folder / "m.h5").read_bytes())
    write_mask(folder / "m.tif", np.ones((16, 20), bool))
    made["mask"].append((folder / "m.tif").read_bytes())
    return made


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


def attempt(kind: str, path: Path, scan: Path) -> None:
    """Read a file as what it claims to be."""
    import numpy as np

    import napari_xanes as nx
    from napari_xanes._core.io.mask_file import read_mask

    if kind in ("tiff", "hdf5"):
        stack = nx.read_stack(path, energy=None if kind == "hdf5" else np.arange(8300.0, 8312))
        np.asarray(stack.data[0])
    elif kind == "energies":
        nx.read_stack(scan, energy=str(path))
    else:
        readers = {"references": nx.read_references, "recipe": nx.Recipe.load, "drift": nx.Drift.load}
        ({**readers, "result": nx.load_result, "mask": read_mask})[kind](path)


def child(folder: Path, seed: int, first: int, last: int) -> None:
    """Try inputs `first` to `last` and say of each what came of it, a line each."""
    import resource

    import napari_xanes as nx

    names = json.loads((folder / "seeds.json").read_text())
    work = Path(tempfile.mkdtemp(dir=folder))
    for number in range(first, last):
        rng = random.Random(f"{seed} {number}")
        kind = KINDS[number % len(KINDS)]
        good = (folder / rng.choice(names[kind])).read_bytes()
        ending = {
            "tiff": ".tif",
            "mask": ".tif",
            "hdf5": ".h5",
            "result": ".h5",
            "recipe": ".toml",
            "drift": ".json",
        }
        path = work / f"x{ending.get(kind, '.txt')}"
        path.write_bytes(mutated(good, rng, kind in ("energies", "references", "recipe", "drift")))
        print(f"begin {number} {kind}", flush=True)
        started, said = time.monotonic(), "read"
        try:
            attempt(kind, path, folder / "ni_simulated.h5")
        except nx.XanesError as error:
            said = (
                "refused" if "\n" not in str(error) and len(str(error)) < 1200 else "FAILED: no one sentence"
            )
        except BaseException as error:  # noqa: BLE001 - this is what is looked for
            said = f"FAILED: {type(error).__name__} {str(error)[:100]!r}"
        if time.monotonic() - started > SECONDS:
            said = "FAILED: too slow"
        if resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 > BYTES:
            said = "FAILED: too much memory"
        print(f"end {number} {kind} {said}", flush=True)


def campaign(count: int, seed: int = 0, workers: int = 2) -> tuple[Counter[str], list[str]]:
    """Try `count` inputs; returns how often what came of them, and the failures."""
    seen: Counter[str] = Counter()
    failed: list[str] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        listed = {}
        for kind, files in seeds(folder).items():
            listed[kind] = [f"seed_{kind}_{i}" for i in range(len(files))]
            for file, raw in zip(listed[kind], files, strict=True):
                (folder / file).write_bytes(raw)
        (folder / "seeds.json").write_text(json.dumps(listed))
        todo = [(a, min(a + PER_CHILD, count)) for a in range(0, count, PER_CHILD)][::-1]
        running: list[tuple[subprocess.Popen[bytes], Path, int, float]] = []
        while todo or running:
            while todo and len(running) < workers:
                first, last = todo.pop()
                log = folder / f"log_{first}"
                words = [sys.executable, __file__, "--child", str(folder), str(seed), str(first), str(last)]
                with open(log, "wb") as out:
                    running.append(
                        (subprocess.Popen(words, stdout=out, stderr=subprocess.DEVNULL), log, last, 0.0)
                    )
            time.sleep(0.2)
            for one in list(running):
                process, log, last, _ = one
                stuck = time.time() - log.stat().st_mtime > 60 + SECONDS
                if process.poll() is None and not stuck:
                    continue
                if stuck:
                    process.kill()
                process.wait()
                running.remove(one)
                lines = log.read_text(errors="replace").splitlines()
                for line in lines:
                    if line.startswith("end "):
                        _, number, kind, said = line.split(" ", 3)
                        seen[said.split(":")[0]] += 1
                        if said.startswith("FAILED"):
                            failed.append(f"{number} {kind} {said}")
                begun = [line for line in lines if line.startswith("begin ")]
                ended = sum(line.startswith("end ") for line in lines)
                if len(begun) > ended:  # died or hung in it: told, and the rest is tried
                    _, number, kind = begun[-1].split(" ", 2)
                    seen["FAILED"] += 1
                    failed.append(
                        f"{number} {kind} FAILED: {'hung' if stuck else f'died, {process.returncode}'}"
                    )
                    if int(number) + 1 < last:
                        todo.append((int(number) + 1, last))
                elif process.returncode:
                    raise RuntimeError(f"a child could not start, see {lines[-3:]}")
    return seen, failed


def main() -> None:
    """Run a campaign, or a child of one."""
    if sys.argv[1] == "--child":
        folder, seed, first, last = sys.argv[2:]
        child(Path(folder), int(seed), int(first), int(last))
        return
    started = time.time()
    seen, failed = campaign(
        int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0, os.cpu_count() or 1
    )
    for line in failed[:50]:
        print(line)
    print(f"{sum(seen.values())} tried, {len(failed)} failed, {time.time() - started:.0f} s: {dict(seen)}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
