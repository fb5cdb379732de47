"""The job on volumes larger than memory may be: bytes read, time against reading all files once, and memory.

    python benchmarks/volumes.py [--energies 40] [--shape 96 256 256] [--layout files] [--folder .] [--beside SOURCE]

Writes volumes of optical density that are displaced from one another, runs alignment, normalisation and a non-negative
fit on them, each run in a process of its own, and removes them afterwards.  Bytes are those that the process asked the
system for.  ``--beside`` names the ``src`` of another version of the program, which is run in turns with this one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import h5py
import hdf5plugin
import numpy as np
import psutil
from scipy import ndimage

LAYOUTS = ("files", "file", "chunked", "gzip", "blosc", "spectral")
REACH = 6  # voxels that a volume is displaced by, at most
EDGES = (8333, 8338)


def write_scan(folder: Path, shape: tuple[int, ...], energies: int, layout: str) -> Path:
    """Write the volumes, their energies, two references and the recipe; return what is the scan."""
    rng = np.random.default_rng(0)
    energy = np.linspace(8230, 8580, energies)
    spectra = [
        0.5 + np.arctan((energy - e0) / 1.5) / np.pi + 0.6 * np.exp(-(((energy - e0 - 5) / 4) ** 2))
        for e0 in EDGES
    ]
    solids = [_solid(rng, tuple(n + 2 * REACH for n in shape)) for _ in spectra]
    shifts = rng.integers(-REACH, REACH + 1, (energies, 3))
    shifts[-1] = 0
    np.savetxt(folder / "energy_eV.txt", energy)
    np.savetxt(folder / "shifts.txt", shifts)
    scan = folder / "scan" if layout == "files" else folder / "scan.h5"
    noise = (0.02 * rng.standard_normal((shape[0] + energies, *shape[1:]), np.float32)).astype(np.float32)

    def volume(i: int) -> np.ndarray:
        inside = tuple(slice(REACH - s, REACH - s + n) for s, n in zip(shifts[i], shape, strict=True))
        mu = solids[0][inside] * np.float32(spectra[0][i]) + solids[1][inside] * np.float32(spectra[1][i])
        mu += noise[i : i + shape[0]]
        return mu

    if layout == "files":
        scan.mkdir()
        for i in range(energies):
            with h5py.File(scan / f"recon_{i + 1:03}.h5", "w") as file:
                file["img"] = volume(i)
    else:
        with h5py.File(scan, "w") as file:
            data = file.create_dataset("img", (energies, *shape), "f4", **_chunking(layout, energies, shape))
            file["energy"] = energy
            for start in range(0, energies, energies if layout == "spectral" else 1):
                for i in range(start, start + (energies if layout == "spectral" else 1)):
                    data[i] = volume(i)
    for k, s in enumerate(spectra):
        np.savetxt(folder / f"reference{k}.txt", np.stack([energy, s], axis=1))
    text = f'schema = 1\n[input]\nsignal = "optical_density"\nenergy = "{folder / "energy_eV.txt"}"\n'
    text += '[[step]]\ndo = "align"\n[[step]]\ndo = "normalize"\n[[step]]\ndo = "fit"\nconstraint = "nonnegative"\n'
    text += 'references = ["reference0.txt", "reference1.txt"]\n'
    text += '[output]\nmaps = ["fraction", "thickness", "error"]\n'
    (folder / "recipe.toml").write_text(text)
    return scan


def _solid(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Return grains of a few voxels in volumes of float32."""
    part = ndimage.gaussian_filter(rng.random(shape, np.float32), 2.5, truncate=2)
    part -= part.mean()
    part *= np.float32(0.25) / part.std()
    part += np.float32(0.3)
    return np.clip(part, 0, None, out=part)


def _chunking(layout: str, energies: int, shape: tuple[int, ...]) -> dict[str, Any]:
    if layout == "file":
        return {}
    small = tuple(min(64, n) for n in shape[1:])
    if layout == "spectral":
        return {"chunks": (energies, 1, *small)}
    packing: dict[str, Any] = {
        "gzip": {"compression": "gzip", "compression_opts": 1},
        "blosc": hdf5plugin.Blosc(),
    }
    return {"chunks": (1, min(16, shape[0]), *small), **packing.get(layout, {})}


def bytes_asked() -> int:
    """Return how many bytes this process has asked the system for, from caches or disks."""
    return int(Path("/proc/self/io").read_text().split()[1])


class Phases:
    """Seconds, seconds of all processors, and bytes of each phase, as the progress tells them apart."""

    def __init__(self) -> None:
        self.told: dict[str, list[float]] = {}
        self.text = "before"
        self.since = self.now()

    @staticmethod
    def now() -> tuple[float, float, float]:
        return time.perf_counter(), time.process_time(), bytes_asked()

    def __call__(self, done: int, total: int, text: str) -> None:
        if text and text != self.text:
            self.close()
            self.text = text

    def close(self) -> None:
        now = self.now()
        phase = self.told.setdefault(self.text, [0.0, 0.0, 0.0])
        for k, (a, b) in enumerate(zip(now, self.since, strict=True)):
            phase[k] += a - b
        self.since = now


def run_job(folder: Path, into: str, processes: int) -> None:
    """Run the recipe and print what it took as json."""
    import napari_xanes as nx

    _ = nx.Recipe  # loads what the job needs
    scan = next(path for path in (folder / "scan", folder / "scan.h5") if path.exists())
    if into == "cluster":
        run_on_cluster(folder, scan, nx, processes)
        return
    before = psutil.Process().memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    phases = Phases()
    start = phases.now()
    where = {"into": folder / "result.zarr"} if into == "zarr" else {}  # new since
    result = nx.run_recipe(folder / "recipe.toml", scan, progress=phases, **where)
    phases.close()
    seconds, work, asked = (a - b for a, b in zip(phases.now(), start, strict=True))
    answer = {
        "seconds": seconds,
        "work": work,
        "bytes": asked,
        "memory": peak_memory() - before,
        "phases": phases.told,
        **about(result, folder),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def run_on_cluster(folder: Path, scan: Path, nx: Any, processes: int) -> None:
    """Run the recipe on processes of a cluster and print what they took in all as json; the memory is that of the larger one."""
    from napari_xanes._core.runs.connect import connected

    with connected("local", processes) as client:
        before = [client.run(one) for one in (time.process_time, bytes_asked, peak_memory)]
        start = time.perf_counter()
        result = nx.run_recipe(folder / "recipe.toml", scan, into=folder / "result.zarr", client=client)
        seconds = time.perf_counter() - start
        after = [client.run(one) for one in (time.process_time, bytes_asked, peak_memory)]
        took = [[a[key] - b[key] for key in a] for a, b in zip(after, before, strict=True)]
    answer = {
        "seconds": seconds,
        "work": sum(took[0]),
        "busiest": max(took[0]),
        "bytes": sum(took[1]),
        "memory": max(took[2]),
        "phases": {},
        **about(result, folder),
    }
    sys.stdout.write(json.dumps(answer) + "\n")


def peak_memory() -> int:
    """Return the most bytes that this process has held."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024


def about(result: Any, folder: Path) -> dict[str, Any]:
    """Return the size of the maps, the error of the drift in voxels (rms), and what tells maps apart."""
    error = result.extra["drift"].shifts - np.loadtxt(folder / "shifts.txt")
    digest = sha256()
    for name in sorted(result.maps):
        for plane in map(np.asarray, result.maps[name]):
            digest.update(np.where(np.isnan(plane), np.float32(np.nan), plane).tobytes())
    return {
        "maps": sum(data.nbytes for data in result.maps.values()),
        "drift": float(np.sqrt(np.mean((error - error.mean(axis=0)) ** 2))),
        "digest": digest.hexdigest(),
    }


def read_all(files: list[Path], *, cold: bool) -> float:
    """Return the seconds that it takes to read the files once, from the disk if `cold`."""
    if cold:
        os.sync()
        for path in files:
            with open(path, "rb") as file:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    buffer = bytearray(2**24)
    start = time.perf_counter()
    for path in files:
        with open(path, "rb", buffering=0) as file:
            while file.readinto(buffer):
                pass
    return time.perf_counter() - start


def tell(name: str, answer: dict[str, Any], size: int, warm: float) -> None:
    print(
        f"{name}: {answer['seconds']:.1f} s = {answer['seconds'] / warm:.1f} x reading warm, {answer['work']:.1f} s of processors, {answer['bytes'] / size:.2f} x the "
        f"bytes, {answer['memory'] / 2**20:.0f} MiB above the interpreter (maps {answer['maps'] / 2**20:.0f} MiB), "
        f"drift {answer['drift']:.3f} voxel"
    )
    if "busiest" in answer:
        print(f"    the busiest process took {answer['busiest']:.1f} s of processors")
    for text, (seconds, work, asked) in answer["phases"].items():
        print(
            f"    {text:45}{seconds:8.1f} s{work:8.1f} s of processors{asked / size:8.2f} x the bytes",
            flush=True,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--energies", type=int, default=40)
    parser.add_argument("--shape", type=int, nargs=3, default=[96, 256, 256], metavar=("Z", "Y", "X"))
    parser.add_argument("--layout", choices=LAYOUTS, default="files")
    parser.add_argument("--folder", type=Path, help="where the volumes are written for the time being")
    parser.add_argument("--beside", type=Path, help="src of another version")
    parser.add_argument(
        "--into",
        choices=("memory", "zarr", "cluster"),
        nargs="+",
        default=["memory"],
        help="where maps are put, cluster: into zarr by processes of a cluster; several are run in turns",
    )
    parser.add_argument(
        "--processes", type=int, nargs="+", default=[2], help="of a cluster; several are run in turns"
    )
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.run:
        run_job(args.run, *args.into, *args.processes)
        return
    own = Path(__file__).resolve().parents[1] / "src"
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        scan = write_scan(folder, tuple(args.shape), args.energies, args.layout)
        files = sorted(scan.iterdir()) if scan.is_dir() else [scan]
        size = sum(path.stat().st_size for path in files)
        cold, warm = read_all(files, cold=True), min(read_all(files, cold=False) for _ in range(2))
        print(
            f"{args.energies} x {' x '.join(map(str, args.shape))} float32, {size / 1e9:.2f} GB, {args.layout}"
        )
        print(f"reading all once: {cold:.1f} s cold, {warm:.1f} s warm")
        digests = set()
        for number in range(args.rounds):
            sources = [args.beside.resolve(), own] if args.beside else [own]
            ways = [(into, n) for into in args.into for n in (args.processes if into == "cluster" else [0])]
            for source, (into, n) in itertools.product(sources, ways):
                command = [
                    sys.executable,
                    __file__,
                    "--run",
                    str(folder),
                    "--into",
                    into,
                    "--processes",
                    str(n),
                ]
                environment = os.environ | {"PYTHONPATH": str(source)}
                done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
                answer = json.loads(done.stdout.splitlines()[-1])
                digests.add(answer["digest"])
                tell(
                    f"[{number + 1}] {'this version' if source == own else source}, {into}{f' of {n}' if n else ''}",
                    answer,
                    size,
                    warm,
                )
        if args.beside or args.rounds * len(ways) > 1:
            print("maps are the same to the last bit" if len(digests) == 1 else "MAPS DIFFER")


if __name__ == "__main__":
    main()
