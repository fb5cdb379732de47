"""What is known of a scan once its files are open, and how files are told apart."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.data.stack import ArrayLike
from napari_xanes._core.io import hdf5
from napari_xanes._core.io.energies import MOST_ENERGIES, EnergyList

LONGEST_PATH = 4000
_INSIDE = re.compile(r"(.+\.[A-Za-z0-9]+):(/?[^:\\]+)")


@dataclass(frozen=True)
class Wanted:
    """What the user says of the file: dataset of the images, where the energies are, and names of other datasets."""

    images: str | None = None
    energy: str | None = None
    others: tuple[str, ...] = ()
    one_of_many: bool = False
    """Whether the file is one of a series and holds one image or volume."""


@dataclass(eq=False)
class Opened:
    """Images as a lazy array (N, ...), and what their files say of them.

    Attributes
    ----------
    data : array-like
    name : str
        For people.
    files : list of Path
        All files that hold the images.
    path : str or list of str
        What was opened, absolute.
    images : str or None
        The dataset of the images.
    energy : EnergyList or None
        Energies found in the files.
    flat, dark : (array-like, dataset name) or None
        Found in the file.
    file : h5py.File or None
        The open file, to find further datasets in.
    """

    data: ArrayLike
    name: str
    files: list[Path]
    path: str | list[str]
    images: str | None = None
    energy: EnergyList | None = None
    flat: tuple[ArrayLike, str] | None = None
    dark: tuple[ArrayLike, str] | None = None
    pixel_size_um: float | None = None
    file: h5py.File | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the images lie."""
        return self.files[0].parent


def absolute(path: str | Path) -> Path:
    """Return a path that stays true when the working folder changes, or say that it can be none."""
    if not isinstance(path, (str, Path)):
        raise InputError(f"the path is {path!r}, expected the name of a file or folder.")
    text = str(path)
    if (
        not text
        or "\0" in text
        or len(text) > LONGEST_PATH
        or any(len(part) > 255 for part in Path(text).parts)
    ):
        raise InputError(f"'{text[:60]}' cannot be the name of a file or folder.")
    try:
        return Path(path).expanduser().absolute()
    except RuntimeError:
        raise InputError(f"'{text}' begins with the name of a user who is not known here.") from None


def find_file(opened: Opened, text: str, what: str) -> tuple[Path, str | None]:
    """Return the file that a text means, and the dataset in it; looked for here and beside the images."""
    tries: list[tuple[str, str | None]] = [(text, None)]
    if (match := _INSIDE.fullmatch(text)) is not None:
        tries.append((match[1], match[2]))
    for name, inside in tries:
        for path in (absolute(name), absolute(opened.folder / name)):
            if path.exists():
                return path, inside
    if opened.file is not None:
        raise DataFileError(
            f"{what} is '{text}', which is neither a file nor a dataset of {opened.name}; "
            f"it holds {hdf5.describe(opened.file)}."
        )
    raise DataFileError(f"{what} is '{text}', but there is no such file here or in {opened.folder}.")


def dataset_energies(path: Path, dataset: h5py.Dataset) -> EnergyList:
    """Return the energies of a dataset."""
    if not hdf5.is_numeric(dataset) or not 0 < dataset.size <= MOST_ENERGIES:
        held = dataset.dtype if dataset.shape is None else f"{tuple(dataset.shape)} of {dataset.dtype}"
        raise DataFileError(f"{path}: {dataset.name} holds {held}, expected one number per image.")
    unit = dataset.attrs.get("units", b"")
    hint = f"{unit.decode() if isinstance(unit, bytes) else unit} {dataset.name}"
    values = np.asarray(dataset[()], dtype=np.float64)
    if values.ndim > 1 and values.size != max(values.shape):
        raise DataFileError(
            f"{path}: {dataset.name} has shape {values.shape}, expected one energy per image."
        )
    return EnergyList(values.ravel(), f"{path.name}:{dataset.name}", hint, str(dataset.name))
