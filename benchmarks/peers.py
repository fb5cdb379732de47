"""The same job by other programs, as far as they are installed: `make benchmark-peers` sets them up apart.

    python benchmarks/peers.py [--size 1024] [--energies 100]

PyXAS: raw counts to bounded fractions with its own functions and their own defaults.  MANTiS: principal components, clusters and targets.
A program that cannot be imported is left out, and that is said.  Times are of one run each.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import tempfile
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
from common import make_stack, read_stack
from main_job import write_scan

import napari_xanes as nx


def timed(job: Callable[[], Any]) -> tuple[float, Any]:
    """Return the seconds that a job takes, and what it returns."""
    start = time.perf_counter()
    with contextlib.redirect_stdout(io.StringIO()):
        result = job()
    return time.perf_counter() - start, result


def found(name: str) -> Any:
    """Return a peer's module, or None with a word about it."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return import_module(name)
    except ImportError as error:
        print(f"{name} is left out: {error}")
        return None


def pyxas_job(pyxas: Any, recipe: Path) -> dict[str, float]:
    """Return the seconds of each step from raw counts to fractions."""
    seconds = {}

    def load() -> tuple[np.ndarray, np.ndarray]:
        with h5py.File(recipe.parent / "scan.h5") as file:
            dark = file["img_dark"][0].astype(np.float32)
            counts = file["img_xanes"][:].astype(np.float32)
            return (counts - dark) / (file["img_bkg"][0] - dark), file["X_eng"][:]

    seconds["read, flat field"], (images, energy) = timed(load)
    seconds["optical density"], images = timed(lambda: pyxas.norm_txm(images))
    last = len(images) - 1
    seconds["align"], images = timed(
        lambda: pyxas.align_img_stack_stackreg(images, select_image_index=last, print_flag=0)
    )
    pre, post = [8.23, 8.315], [8.39, 8.58]
    seconds["normalize"], (images, _) = timed(lambda: pyxas.normalize_2D_xanes_old(images, energy, pre, post))
    tables = [np.loadtxt(recipe.parent / f"reference{k}.txt") * [1e-3, 1] for k in range(2)]
    references = {f"ref{k}": table for k, table in enumerate(tables)}

    def fit() -> None:
        """Non-negative, as its program does it: least squares, then steps to within the bounds."""
        free, offset, _ = pyxas.fit_2D_xanes_non_iter(images, energy, references)
        pyxas.fit_2D_xanes_iter(images, energy, references, coef0=free, offset=offset, bounds=[0, 1])

    seconds["fit"], _ = timed(fit)
    return seconds


def our_job(recipe: Path) -> dict[str, float]:
    """Return the seconds of each step, run one after the other in memory, and of the job as a whole."""
    from napari_xanes._core.runs.pipeline import run_steps

    loaded = nx.Recipe.load(recipe)
    scan = recipe.parent / "scan.h5"
    seconds = {}
    stack = nx.read_stack(scan)
    groups = {
        "read, flat field": loaded.steps[:1],
        "optical density": loaded.steps[1:2],
        "align": loaded.steps[2:3],
        "normalize": loaded.steps[3:4],
        "fit": loaded.steps[4:],
    }
    for name, steps in groups.items():
        seconds[name], result = timed(
            lambda stack=stack, steps=steps: run_steps(stack, steps, keep_stack=True, in_memory=True)
        )
        stack = result.stack
    for name, in_memory in (("whole, in memory", True), ("whole, streamed", False)):
        seconds[name], _ = timed(lambda m=in_memory: nx.run_recipe(loaded, scan, in_memory=m))
    return seconds


def mantis_job(analyze: Any, mu: np.ndarray, references: list[nx.Reference]) -> dict[str, float]:
    """Return the seconds of principal components, clusters and targets."""
    n, rows, columns = mu.shape
    od = np.ascontiguousarray(mu.reshape(n, -1).T, dtype=np.float64)
    stack = SimpleNamespace(n_cols=columns, n_rows=rows, n_ev=n, od=od, od3d=od.reshape(columns, rows, n))
    one = analyze.analyze(stack)
    seconds = {"principal components": timed(one.calculate_pca)[0]}
    one.numsigpca, one.pca_calculated = 6, 1
    seconds["4 clusters"] = timed(lambda: one.calculate_clusters(4))[0]
    one.target_spectra, one.n_target_spectra = np.stack([r.mu for r in references]), len(references)
    seconds["fit of 4 references"] = timed(one.fit_target_spectra)[0]
    return seconds


def table(title: str, theirs: dict[str, float], ours: dict[str, float], read: float) -> None:
    """Print both side by side, and ours against reading the stack once."""
    print(f"\n{title:24}{'peer, s':>9}{'ours, s':>9}{'ratio':>8}{'ours / reading once':>21}")
    for name, seconds in ours.items():
        peer = theirs.get(name)
        left = f"{peer:9.2f}" if peer else " " * 9
        ratio = f"{peer / seconds:7.0f}x" if peer else " " * 8
        print(f"{name:24}{left}{seconds:9.3f}{ratio}{seconds / read:20.1f}x")


def compare_mantis(mu: np.ndarray, energy: np.ndarray, references: list[nx.Reference], read: float) -> None:
    """Print the methods that MANTiS has too."""
    analyze = found("mantis_xray.analysis.analyze")
    ours = {
        "principal components": timed(lambda: nx.decompose(mu, 6))[0],
        "4 clusters": timed(lambda: nx.cluster_spectra(mu, 4))[0],
        "fit of 4 references": timed(lambda: nx.fit_references(mu, energy, references))[0],
    }
    table("MANTiS", mantis_job(analyze, mu, references) if analyze else {}, ours, read)


def compare_pyxas(size: int, energies: int, read: float) -> None:
    """Print the job from raw counts to fractions, step by step and as a whole."""
    pyxas = found("pyxas")
    with tempfile.TemporaryDirectory() as folder:
        recipe = write_scan(Path(folder), size, energies)
        ours = our_job(recipe)
        theirs = pyxas_job(pyxas, recipe) if pyxas else {}
    if theirs:
        theirs |= dict.fromkeys(("whole, in memory", "whole, streamed"), sum(theirs.values()))
    table("PyXAS", theirs, ours, read)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--energies", type=int, default=100)
    args = parser.parse_args()
    data = make_stack(args.size, args.energies)
    read = min(timed(lambda: read_stack(data[0]))[0] for _ in range(5))
    size = f"{args.energies} x {args.size} x {args.size}"
    print(f"{size}; reading it once as float32 with all threads: {read:.3f} s")
    compare_mantis(*data, read)
    compare_pyxas(args.size, args.energies, read)


if __name__ == "__main__":
    main()
