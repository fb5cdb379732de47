"""The whole job from raw counts in a file to non-negative fractions, thickness and error: time, and memory above
the interpreter.

    python benchmarks/main_job.py [--size 2048] [--energies 100] [--folder .]

Writes a scan of uint16 counts (about 840 MB at the default size, and removed afterwards), runs it streamed and in
memory, each in a process of its own, and checks that both give the same bits.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from hashlib import sha256
from pathlib import Path

import h5py
import numpy as np
import psutil
from scipy import ndimage


def write_scan(folder: Path, size: int, energies: int) -> Path:
    """Write counts, one flat, one dark, energies and two references; return the recipe."""
    rng = np.random.default_rng(0)
    energy = np.linspace(8230, 8580, energies)
    spectra = [
        0.5 + np.arctan((energy - e0) / 1.5) / np.pi + 0.6 * np.exp(-(((energy - e0 - 5) / 4) ** 2))
        for e0 in (8333, 8338)
    ]
    texture = [ndimage.gaussian_filter(rng.random((size + 16, size + 16), np.float32), 3) for _ in spectra]
    texture = [np.clip((t - t.mean()) / t.std() * 0.2 + 0.3, 0, None) for t in texture]
    with h5py.File(folder / "scan.h5", "w") as file:
        counts = file.create_dataset("img_xanes", (energies, size, size), "u2")
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


def run_job(recipe: Path, in_memory: bool, answer: multiprocessing.Queue) -> None:
    """Run the recipe and put (seconds, bytes above the interpreter, largest map) into the queue."""
    import napari_xanes as nx
    from napari_xanes._core.recipe import recipe as _steps  # noqa: F401 (loads what the job needs)

    process = psutil.Process()
    before = process.memory_info().rss
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    start = time.perf_counter()
    result = nx.run_recipe(recipe, recipe.parent / "scan.h5", in_memory=in_memory)
    seconds = time.perf_counter() - start
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) * 1024
    digest = {
        name: sha256(np.where(np.isnan(data), np.float32(np.nan), data)).digest()
        for name, data in result.maps.items()
    }
    maps = sum(data.nbytes for data in result.maps.values())
    answer.put((seconds, peak - before, maps, digest))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=2048)
    parser.add_argument("--energies", type=int, default=100)
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the scan is written for the time being"
    )
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        recipe = write_scan(Path(folder), args.size, args.energies)
        scan = recipe.parent / "scan.h5"
        start = time.perf_counter()
        scan.read_bytes()
        read = time.perf_counter() - start
        print(f"{args.energies} x {args.size} x {args.size} uint16, {scan.stat().st_size / 2**20:.0f} MiB")
        print(f"{'reading the file':18}{read:7.2f} s")
        digests = []
        context = multiprocessing.get_context("spawn")
        for in_memory in (False, True):
            answer = context.Queue()
            process = context.Process(target=run_job, args=(recipe, in_memory, answer))
            process.start()
            seconds, peak, maps, digest = answer.get()
            process.join()
            digests.append(digest)
            name = "in memory" if in_memory else "streamed"
            print(
                f"{name:18}{seconds:7.2f} s = {seconds / read:5.1f} x reading; memory above the interpreter "
                f"{peak / 2**20:6.0f} MiB, of which maps {maps / 2**20:.0f} MiB"
            )
        print("maps are the same to the last bit" if digests[0] == digests[1] else "MAPS DIFFER")


if __name__ == "__main__":
    main()
