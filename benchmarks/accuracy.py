"""All tables of docs/accuracy.md: errors against truth, stated errors against true ones, and what a fit says of residuals.

    python benchmarks/accuracy.py FOLDER [--write] [--repeats 4] [--grids 10 16 ...] [--only phantoms drift ...]

FOLDER holds phantom_ni_2d, phantom_ni_3d, phantom_fe_4ref and refs.  Prints the tables; --write puts them into the page.
"""

from __future__ import annotations

import argparse
import logging
import re
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import diagnosis
import h5py
import numpy as np
import within_sigma

import napari_xanes as nx


def rmse(result: nx.Result, truth: Path) -> float:
    """Error of all fractions over the truth's mask, wild ratios clipped to -1..2."""
    fractions = np.stack([data for name, data in result.maps.items() if name.startswith("fraction_")])
    with h5py.File(truth) as file:
        inside = file["mask"][()].astype(bool)
        expected = file["fraction"][()][:, inside]
    return float(np.sqrt(np.nanmean((np.clip(fractions[:, inside], -1, 2) - expected) ** 2)))


def drift_error(result: nx.Result, truth: Path) -> float:
    """RMS length of the error of the measured displacements, px, their common offset taken off."""
    with h5py.File(truth) as file:
        error = result.extra["drift"].shifts - file["shifts"][()]
    error -= error.mean(axis=0)
    return float(np.sqrt((error**2).sum(axis=1).mean()))


def run(scan: Path, *steps: dict[str, object]) -> nx.Result:
    return nx.run_recipe(nx.Recipe.from_dict({"schema": 1, "step": list(steps)}), scan)


def nickel(data: Path) -> Iterator[str]:
    folder = data / "phantom_ni_2d"
    density = ({"do": "flat_field"}, {"do": "optical_density"})
    align = {"do": "align", "reference": 0}
    references = [str(data / "refs/ni" / name) for name in ("ref_LiNiO2.txt", "ref_NiO.txt")]
    line = {"do": "fit", "references": references, "background": [0, 1]}
    chains = {
        "-ln, aligned, fit with a line": (*density, align, line),
        "the same, non-negative": (*density, align, line | {"constraint": "nonnegative"}),
        "-ln, aligned, normalised, fit": (
            *density,
            align,
            {"do": "normalize"},
            {"do": "fit", "references": references},
        ),
        "the same, slopes shared": (
            *density,
            align,
            {"do": "normalize", "slope": "shared"},
            {"do": "fit", "references": references},
        ),
        "aligned by StackReg, non-negative": (
            *density,
            align | {"method": "stackreg"},
            line | {"constraint": "nonnegative"},
        ),
        "-ln, NOT aligned, fit with a line": (*density, line),
    }
    for name, steps in chains.items():
        result = run(folder / "ni_txm_raw.h5", *steps)
        drift = (
            f", drift {drift_error(result, folder / 'truth.h5'):.3f} px" if "drift" in result.extra else ""
        )
        yield f"| Ni 2D, raw counts | {name} | {rmse(result, folder / 'truth.h5'):.4f}{drift} |"


def volumes(data: Path) -> Iterator[str]:
    folder = data / "phantom_ni_3d"
    references = [str(data / "refs/ni" / name) for name in ("ref_LiNiO2.txt", "ref_NiO.txt")]
    fit = {"do": "fit", "references": references, "background": [0, 1], "constraint": "nonnegative"}
    result = run(folder, {"do": "align", "reference": 0}, fit)
    error, drift = (measure(result, folder / "truth.h5") for measure in (rmse, drift_error))
    yield f"| Ni 3D, reconstructions | aligned, non-negative fit with a line | {error:.4f}, drift {drift:.3f} voxel |"


def iron(data: Path) -> Iterator[str]:
    folder = data / "phantom_fe_4ref"
    with h5py.File(folder / "truth.h5") as file:
        names = [str(name) for name in file.attrs["names"]]
    fit = {
        "do": "fit",
        "references": [str(data / "refs/fe/FeLibNov2021.nor")],
        "names": names,
        "background": [0, 1],
        "energy_range": [7090, 7200],
    }
    for name, more in {
        "fit with a line": {},
        "the same, non-negative": {"constraint": "nonnegative"},
    }.items():
        error = rmse(run(folder / "absorbance.tif", fit | more), folder / "truth.h5")
        yield f"| Fe, four references | {name} | {error:.4f} |"


def phantoms(data: Path) -> str:
    head = ["| data | chain | fraction RMSE |", "|---|---|---|"]
    return "\n".join([*head, *nickel(data), *volumes(data), *iron(data)])


PAGE = Path(__file__).parents[1] / "docs" / "accuracy.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="phantoms and references")
    parser.add_argument("--repeats", type=int, default=4, help="scans for each cause, grid and noise")
    parser.add_argument(
        "--grids", nargs="*", type=int, default=diagnosis.GRIDS, help="numbers of energies of these"
    )
    parser.add_argument("--only", nargs="*", help="names of tables")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/accuracy.md")
    args = parser.parse_args()
    logging.disable(logging.WARNING)  # they are what is looked at
    tables: dict[str, Callable[[], str]] = {
        "phantoms": partial(phantoms, args.folder),
        "fractions": within_sigma.fractions,
        "other maps": within_sigma.others,
        "drift": partial(within_sigma.drifts, args.repeats, args.folder),
        "cost": diagnosis.cost,
        **{way: partial(diagnosis.confuse, way, args.repeats, args.grids) for way in diagnosis.WAYS},
    }
    for name in args.only or tables:
        table = tables[name]()
        print(f"{name}\n\n{table}\n", flush=True)
        if args.write:
            place = re.compile(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", re.DOTALL)
            text = place.sub(lambda found, table=table: found[1] + table + found[2], PAGE.read_text("utf-8"))
            PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
