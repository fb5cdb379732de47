"""Errors against truth on the phantoms and on published results, as a table.

    python benchmarks/accuracy.py FOLDER

FOLDER holds phantom_ni_2d, phantom_ni_3d, phantom_fe_4ref and refs (see docs/accuracy.md).
"""

from __future__ import annotations

import sys
from pathlib import Path

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


def nickel(data: Path) -> None:
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
        print(f"| Ni 2D, raw counts | {name} | {rmse(result, folder / 'truth.h5'):.4f}{drift} |")


def volumes(data: Path) -> None:
    folder = data / "phantom_ni_3d"
    references = [str(data / "refs/ni" / name) for name in ("ref_LiNiO2.txt", "ref_NiO.txt")]
    fit = {"do": "fit", "references": references, "background": [0, 1], "constraint": "nonnegative"}
    result = run(folder, {"do": "align", "reference": 0}, fit)
    error, drift = (measure(result, folder / "truth.h5") for measure in (rmse, drift_error))
    print(
        f"| Ni 3D, reconstructions | aligned, non-negative fit with a line | {error:.4f}, drift {drift:.3f} voxel |"
    )


def iron(data: Path) -> None:
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
        print(f"| Fe, four references | {name} | {error:.4f} |")


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    print("| data | chain | fraction RMSE |\n|---|---|---|")
    nickel(Path(sys.argv[1]))
    volumes(Path(sys.argv[1]))
    iron(Path(sys.argv[1]))
    print()
    within_sigma.main()


if __name__ == "__main__":
    main()
