"""What is known of a scan once its files are open."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.base.files import checked_path
from napari_xanes._core.data.stack import ArrayLike, Signal
from napari_xanes._core.io.energies import EnergyList

_INSIDE = re.compile(r"(.+\.[A-Za-z0-9]+):(/?[^:\\]+)")


@dataclass(frozen=True)
class Wanted:
    """What the user says of the file: datasets of images, flats and darks, where the energies are, which axis is energy.

    `energy`, `flat` and `dark` may also be names of other files: a format takes up what is a dataset of its file and
    leaves the rest.
    """

    images: str | None = None
    energy: str | None = None
    flat: str | None = None
    dark: str | None = None
    axis: int | str | None = None
    one_of_many: bool = False
    """Whether the file is one of a series and holds one image or volume."""

    @property
    def others(self) -> tuple[str, ...]:
        """Names of what is not the images."""
        return tuple(name for name in (self.flat, self.dark) if name)


@dataclass(eq=False)
class Opened:
    """Images as a lazy array (N, ...), and what their files say of them.

    Attributes
    ----------
    data : array-like
        Readable as long as the files are there; no file stays open.
    name : str
        For people.
    files : list of Path
        All files that hold the images.
    path : str or list of str
        What was opened, absolute.
    images : str or None
        The dataset of the images.
    undeclared : tuple of int or None
        The shape of the images in the file, where nothing says which of its axes is energy.
    energy : EnergyList or None
        Energies the files declare, or the dataset the user named.
    proposed : EnergyList or None
        Energies that are only plausible: a text file beside the scan goes before.
    fault : DataFileError or None
        Why there are no energies, to be raised if there are none elsewhere.
    signal : str or None
        What the values are, where the format says so.
    flat, dark : (array-like, name) or None
        Found in the file or beside it, what they are in words, or the dataset the user named.
    holds : str
        The datasets in words, "" where there are none.
    """

    data: ArrayLike
    name: str
    files: list[Path]
    path: str | list[str]
    images: str | None = None
    undeclared: tuple[int, ...] | None = None
    energy: EnergyList | None = None
    proposed: EnergyList | None = None
    fault: DataFileError | None = None
    signal: Signal | None = None
    flat: tuple[ArrayLike, str] | None = None
    dark: tuple[ArrayLike, str] | None = None
    pixel_size_um: float | None = None
    pixel_size_why: str = "stated in the file"
    holds: str = ""
    warnings: list[str] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """Where the images lie."""
        return self.files[0].parent


def absolute(path: str | Path) -> Path:
    """Return a path that stays true when the working folder changes, or say that it can be none."""
    path = checked_path(path, "file or folder")
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise InputError(f"'{path}' begins with the name of a user who is not known here.") from None


def find_file(opened: Opened, text: str, what: str) -> tuple[Path, str | None]:
    """Return the file that a text means, and the dataset in it; looked for here and beside the images."""
    tries: list[tuple[str, str | None]] = [(text, None)]
    if (match := _INSIDE.fullmatch(text)) is not None:
        tries.append((match[1], match[2]))
    for name, inside in tries:
        for path in (absolute(name), absolute(opened.folder / name)):
            if path.exists():
                return path, inside
    if opened.holds:
        raise DataFileError(
            f"{what} is '{text}', which is neither a file nor a dataset of {opened.name}; it holds {opened.holds}."
        )
    raise DataFileError(f"{what} is '{text}', but there is no such file here or in {opened.folder}.")
