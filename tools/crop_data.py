"""Cut small pieces for tests/data out of the full test data: `python tools/crop_data.py FOLDER_OF_FULL_DATA`.

The pieces have the layout and the file names of the full data, so that the same tests run on both.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import h5py
import numpy as np
import tifffile

TARGET = Path(__file__).parents[1] / "tests" / "data"


def main(full: Path) -> None:
    shutil.copytree(full / "refs", TARGET / "refs", dirs_exist_ok=True)
    licences = ("nano-XANES-MIT.txt", "pyxas-BSD-3.txt", "xraylarch-MIT.txt")
    (TARGET / "LICENSES").mkdir(exist_ok=True)
    for name in licences:
        shutil.copy(full / "LICENSES" / name, TARGET / "LICENSES")
    stxm(full / "stxm_fe_l", new("stxm_fe_l"))
    iron(full / "phantom_fe_4ref", new("phantom_fe_4ref"))
    nickel(full / "phantom_ni_2d", new("phantom_ni_2d"))
    volumes(full / "phantom_ni_3d", new("phantom_ni_3d"))
    for path in TARGET.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def new(name: str) -> Path:
    (TARGET / name).mkdir(parents=True, exist_ok=True)
    return TARGET / name


def stxm(full: Path, target: Path) -> None:
    rows, columns = slice(40, 72), slice(40, 72)
    write_tiff(
        target / "stack_transmission.tif", tifffile.imread(full / "stack_transmission.tif")[:, rows, columns]
    )
    for name in ("energy_eV.txt", "i0.xsp", "i0_counts.txt"):
        shutil.copy(full / name, target)


def iron(full: Path, target: Path) -> None:
    rows, columns = slice(60, 106), slice(76, 122)
    write_tiff(target / "absorbance.tif", tifffile.imread(full / "absorbance.tif")[:, rows, columns])
    for name in ("energy_eV.txt", "refs_at_energies.txt"):
        shutil.copy(full / name, target)
    copy_cut(
        full / "truth.h5",
        target / "truth.h5",
        lambda name, size: (..., rows, columns) if size > 1000 else ...,
    )


def nickel(full: Path, target: Path) -> None:
    window = (slice(76, 148), slice(156, 228))
    copy_cut(
        full / "ni_txm_raw.h5",
        target / "ni_txm_raw.h5",
        lambda _, size: (..., *window) if size > 10_000 else ...,
    )
    copy_cut(full / "truth.h5", target / "truth.h5", lambda _, size: (..., *window) if size > 10_000 else ...)
    keep_inside(target / "truth.h5", 8)
    shutil.copy(full / "energy_keV.txt", target)
    small = (slice(0, 16), slice(0, 16))
    copy_cut(
        full / "fxi_export_crop.h5",
        target / "fxi_export_crop.h5",
        lambda name, size: (..., *small) if size > 1000 else ...,
    )


def volumes(full: Path, target: Path) -> None:
    inside = (slice(20, 40), slice(20, 52), slice(4, 36))
    for path in sorted(full.glob("recon_scan_*.h5"))[::2]:
        copy_cut(path, target / path.name, lambda name, size: inside if size > 1000 else ...)

    def part(name: str, size: int) -> object:
        return (..., *inside) if size > 1000 else slice(None, None, 2) if name == "shifts" else ...

    copy_cut(full / "truth.h5", target / "truth.h5", part)
    keep_inside(target / "truth.h5", 3)


def keep_inside(path: Path, margin: int) -> None:
    """Take pixels out of the mask that drift brings in from outside the piece."""
    with h5py.File(path, "r+") as file:
        inside = np.zeros(file["mask"].shape, bool)
        inside[(slice(margin, -margin),) * inside.ndim] = True
        file["mask"][...] = file["mask"][()] * inside


def write_tiff(path: Path, images: np.ndarray) -> None:
    tifffile.imwrite(path, images, compression="zlib", photometric="minisblack")


def copy_cut(full: Path, target: Path, part) -> None:
    """Copy a HDF5 file with its attributes, each dataset cut to a part of it."""
    with h5py.File(full) as old, h5py.File(target, "w") as made:
        made.attrs.update(old.attrs)

        def copy(name: str, item: object) -> None:
            if isinstance(item, h5py.Dataset):
                data = item[()] if item.shape == () else item[()][part(name.split("/")[-1], item.size)]
                more = (
                    {"compression": "gzip", "compression_opts": 9, "shuffle": True}
                    if np.size(data) > 500
                    else {}
                )
                made.create_dataset(name, data=data, **more).attrs.update(item.attrs)

        old.visititems(copy)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
