"""The whole job from raw counts in a file to non-negative fractions, thickness and error: time and memory.

    python benchmarks/main_job.py [--size 2048] [--energies 100] [--layout plain] [--folder .]

Writes a scan of uint16 counts (about 840 MB at the default size, and removed afterwards), runs it streamed and in
memory, each in a process of its own that has done a small one before, and checks that both give the same bits.
Memory is the most that the process had in all, and what that is above what it had after the small job.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import h5py
import hdf5plugin
import numpy as np
import psutil
from scipy import ndimage

SMALL = 128
"""Pixels a side of small chunks."""
PACKINGS = {"gzip": {"compression": "gzip", "compression_opts": 1}, "blosc": hdf5plugin.Blosc()}
LAYOUTS = ("plain", *(f"{packing}-{chunks}" for packing in PACKINGS for chunks in ("frames", "small")))


def write_scan(folder: Path, size: int, energies: int, layout: str) -> Path:
    """Write counts, one flat, one dark, energies and two references; return the recipe."""
    packing, _, chunks = layout.partition("-")
    side = min(size, SMALL if chunks == "small" else size)
    packed = {"chunks": (1, side, side), **PACKINGS[packing]} if chunks else {}
    rng = np.random.default_rng(0)
    energy = np.linspace(8230, 8580, energies)
    spectra = [
        0.5 + np.arctan((energy - e0) / 1.5) / np.pi + 0.6 * np.exp(-(((energy - e0 - 5) / 4) ** 2))
        for e0 in (8333, 8338)
    ]
    texture = [ndimage.gaussian_filter(rng.random((size + 16, size + 16), np.float32), 3) for _ in spectra]
    texture = [np.clip((t - t.mean()) / t.std() * 0.2 + 0.3, 0, None) for t in texture]
    with h5py.File(folder / "scan.h5", "w") as file:
        counts = file.create_dataset("img_xanes", (energies, size, size), "u2", **packed)
        file["img_bkg"] = np.full((1, size, size), 12100, np.uint16)
        file["img_dark"] = np.full((1, size, size), 100, np.uint16)
        file["X_eng"] = energy / 1000
        for i in range(energies):
            dy, dx = rng.integers(0, 16, 2)
            mu = sum(t[dy : dy + size, dx : dx + size] * s[i] for t, s in zip(texture, spectra, strict=True))
            counts[i] = 100 + 12000 * np.exp(-mu) + 100 * rng.standard_normal((size, size), np.float32)
    for k, s in enumerate(spectra):
        np.savetxt(folder / f"reference{k}.txt", np.stack([energy, s], axis=1))
    steps = ["flat_field", "optical_density", "align", "normalize"]
    text = "schema = 1\n" + "".join(f'[[step]]\ndo = "{name}"\n' for name in steps)
    text += '[[step]]\ndo = "fit"\nreferences = ["reference0.txt", "reference1.txt"]\nconstraint = "nonnegative"\n'
    text += '[output]\nmaps = ["fraction", "thickness", "error"]\n'
    (folder / "recipe.toml").write_text(text)
    return folder / "recipe.toml"


def run_job(recipes: list[Path], in_memory: bool, answer: multiprocessing.Queue) -> None:
    """Run a small job, which loads what is needed, and another; put what that took, and its maps, into the queue."""
    import napari_xanes as nx

    process = psutil.Process()
    for recipe in recipes:
        before = process.memory_info().rss
        Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        start, busy = time.perf_counter(), time.process_time()
        result = nx.run_recipe(recipe, recipe.parent / "scan.h5", in_memory=in_memory)
        seconds, busy = time.perf_counter() - start, time.process_time() - busy
        status = Path("/proc/self/status").read_text()
        peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    digest = {
        name: sha256(np.where(np.isnan(data), np.float32(np.nan), data)).digest()
        for name, data in result.maps.items()
    }
    answer.put((seconds, busy, peak, peak - before, digest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--energies", type=int, default=100)
    parser.add_argument("--layout", choices=LAYOUTS, default="plain", help="packing and chunks of the counts")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the scan is written for the time being"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as name:
        folder = Path(name)
        recipes = []
        for part, size, energies in (("small", 64, 20), ("whole", args.size, args.energies)):
            (folder / part).mkdir()
            recipes.append(write_scan(folder / part, size, energies, args.layout))
        scan = folder / "whole" / "scan.h5"
        start = time.perf_counter()
        scan.read_bytes()
        read = time.perf_counter() - start
        print(
            f"{args.energies} x {args.size} x {args.size} uint16, {args.layout}, {scan.stat().st_size / 2**20:.0f} MiB"
        )
        print(f"{'':18}{'seconds':>8}{'busy':>8}{'/ reading':>11}{'MiB in all':>12}{'MiB more':>10}")
        print(f"{'reading the file':18}{read:8.2f}")
        digests = []
        context = multiprocessing.get_context("spawn")
        for in_memory in (False, True):
            answer = context.Queue()
            process = context.Process(target=run_job, args=(recipes, in_memory, answer))
            process.start()
            seconds, busy, peak, more, digest = answer.get()
            process.join()
            digests.append(digest)
            print(
                f"{'in memory' if in_memory else 'streamed':18}{seconds:8.2f}{busy:8.2f}{seconds / read:11.2f}"
                f"{peak / 2**20:12.1f}{more / 2**20:10.1f}"
            )
        print("maps are the same to the last bit" if digests[0] == digests[1] else "MAPS DIFFER")


if __name__ == "__main__":
    main()
