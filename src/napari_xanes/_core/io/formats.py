"""The formats of scans and of reference spectra: each is declared in a module of its own, and told apart here.

A module in `scans` or `spectra` holds one `FORMAT`; to add a format is to add such a module.  What is opened, what
napari may drop on the window, the filters of dialogs and the sentences on what can be read all follow from it.
"""

from __future__ import annotations

import logging
import pkgutil
from collections.abc import Callable, Sequence
from dataclasses import KW_ONLY, dataclass
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any, TypeVar

from napari_xanes._core.base.errors import Cancelled, DataFileError, ResourceError, XanesError
from napari_xanes._core.data.reference import Reference
from napari_xanes._core.io.opened import Opened, Wanted
from napari_xanes._core.io.table import looks_like_text
from napari_xanes._core.io.unread import TOLD, not_read

logger = logging.getLogger("napari_xanes")

FIRST_BYTES = 1024
T = TypeVar("T")


@dataclass(frozen=True)
class FileKind:
    """What both kinds of formats declare: how a file of it is told.

    Attributes
    ----------
    title : str
        For people: "TIFF".
    suffixes : tuple of str
        Lower case, with the dot.
    magic : tuple of bytes
        What a file begins with, any of them.
    recognise : callable, optional
        Tells a file by its path and first bytes, where it does not begin with the same bytes always.  A format with
        neither is told by its suffix alone.
    only_suffix : bool
        The content alone is not enough, the suffix must be one of these: many programs write HDF5.
    general : bool
        Other formats are written in this one, and are asked first: PyXRF, MATLAB and NeXus all write HDF5.
    """

    title: str
    suffixes: tuple[str, ...]
    _: KW_ONLY
    magic: tuple[bytes, ...] = ()
    recognise: Callable[[Path, bytes], bool] | None = None
    only_suffix: bool = False
    general: bool = False

    def fits(self, path: Path, start: bytes) -> bool:
        """Whether a file that begins with `start` is of this format."""
        named = path.suffix.lower() in self.suffixes
        if self.only_suffix and not named:
            return False
        if not self.magic and self.recognise is None:
            return named
        return start.startswith(self.magic or (b"\0none",)) or self._recognised(path, start)

    def _recognised(self, path: Path, start: bytes) -> bool:
        try:
            return self.recognise is not None and self.recognise(path, start)
        except Exception as error:
            logger.debug("%s as %s", path, self.title, exc_info=error)
            return False

    def __post_init__(self) -> None:
        for name in ("open", "contents", "read", "read_named"):
            if (reads := getattr(self, name, None)) is not None:
                object.__setattr__(self, name, _in_words(reads, self.title))


def _in_words(reads: Callable[..., T], title: str) -> Callable[..., T]:
    """Return a function that reads a file, with a sentence for whatever it or a library of a format raises."""

    @wraps(reads)
    def read(path: Path, *args: Any) -> T:
        try:
            return reads(path, *args)
        except (XanesError, Cancelled):
            raise
        except MemoryError:
            raise ResourceError(
                f"{path} does not fit into memory, or is damaged and claims to be larger than it is; use a machine with "
                "more memory, or copy it again."
            ) from None
        except Exception as error:  # libraries raise anything on damaged files
            reason = " ".join(str(error).split()).rstrip(".")[:200] or type(error).__name__
            raise DataFileError(
                f"{path} cannot be read as {title} ({reason}); it is damaged, copy it again, or laid out in a way that is "
                "not known here."
            ) from error

    return read


@dataclass(frozen=True)
class Held:
    """An array of a file that holds several: its name, shape, type and size in bytes."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    nbytes: int


@dataclass(frozen=True)
class ScanFormat(FileKind):
    """A format of scans.

    Attributes
    ----------
    open : callable
        Opens a file as a scan: (path, wanted) -> Opened.  Where ``wanted.one_of_many`` is set, the file is one of a
        series: its data then have one frame, (1, y, x) or (1, z, y, x), and its energies, if it tells them, one number.
    single : bool
        Whether a file may hold one image or volume of a series, so that folders and lists of such files are scans.
    folder : callable, optional
        Whether a folder as a whole is one scan of this format; `open` is then given the folder.
    datasets : bool
        Whether a file holds datasets with names, from which `images` chooses.
    axes : bool
        Whether `open` itself takes up `axis`; else the axes of what it gives are turned afterwards.
    parts : bool
        Whether `images` chooses one of several parts of a file by name, such as a region, channel or element.
    contents : callable, optional
        Lists the arrays of a file that have names: path -> list of Held.
    looks_like_scan : callable, optional
        Whether a file dropped on the window could be a scan; others are left to other plugins.
    """

    _: KW_ONLY
    open: Callable[[Path, Wanted], Opened]
    single: bool = True
    folder: Callable[[Path], bool] | None = None
    datasets: bool = False
    axes: bool = False
    parts: bool = False
    contents: Callable[[Path], list[Held]] | None = None
    looks_like_scan: Callable[[Path], bool] | None = None


@dataclass(frozen=True)
class SpectraFormat(FileKind):
    """A format of reference spectra.

    Attributes
    ----------
    read : callable
        Reads a file: (path, energy_unit) -> list of Reference.
    read_named : callable, optional
        Reads what is named in a file: (path, name, energy_unit) -> list of Reference.  Without it, one of the
        references of the file is chosen by its name.
    """

    _: KW_ONLY
    read: Callable[[Path, str | None], list[Reference]]
    read_named: Callable[[Path, str, str | None], list[Reference]] | None = None


_added: list[FileKind] = []


def add_format(kind: FileKind) -> None:
    """Take up a format from outside, such as another plugin's."""
    _added.append(kind)


@cache
def _declared(room: str) -> tuple[Any, ...]:
    home = f"{__package__}.{room}"
    names = sorted(module.name for module in pkgutil.iter_modules(import_module(home).__path__))
    return tuple(import_module(f"{home}.{name}").FORMAT for name in names)


def scan_formats() -> list[ScanFormat]:
    """Return the formats of scans, the most special first."""
    known = [*_added, *_declared("scans")]
    return sorted(
        (k for k in known if isinstance(k, ScanFormat)), key=lambda k: (k.general, not k.only_suffix)
    )


def spectra_formats() -> list[SpectraFormat]:
    """Return the formats of reference spectra, those told by their suffix alone last."""
    known = [*_added, *_declared("spectra")]
    found = [k for k in known if isinstance(k, SpectraFormat)]
    return sorted(found, key=lambda k: (k.general, not k.only_suffix, not k.magic and k.recognise is None))


def dropped_suffixes() -> tuple[str, ...]:
    """Return the suffixes of files that are opened when they are dropped on napari, or say what they are."""
    return (*scan_suffixes(), *TOLD)


def scan_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all formats of scans."""
    return tuple(dict.fromkeys(suffix for kind in scan_formats() for suffix in kind.suffixes))


def spectra_suffixes() -> tuple[str, ...]:
    """Return the suffixes of all formats of reference spectra."""
    return tuple(dict.fromkeys(suffix for kind in spectra_formats() for suffix in kind.suffixes))


def name_filter(title: str, suffixes: Sequence[str]) -> str:
    """Return the filter of a file dialog."""
    return f"{title} ({' '.join('*' + suffix for suffix in suffixes)});;All files (*)"


# -- which format a file is of ------------------------------------------------------------------------


def first_bytes(path: Path) -> bytes:
    """Return how a file begins.

    Raises
    ------
    DataFileError
        If there is no such file, it is no regular file, it is empty, or it cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise DataFileError(f"{path} is no regular file (a pipe or device); give a file of images.")
        with open(path, "rb") as file:
            start = file.read(FIRST_BYTES)
    except FileNotFoundError:
        raise DataFileError(f"{path}: there is no such file or folder.") from None
    except (OSError, ValueError) as error:
        raise DataFileError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}.") from None
    if not start:
        raise DataFileError(f"{path} is empty (0 bytes); copy it again.")
    return start


def scan_format(path: Path) -> ScanFormat | None:
    """Return the format of a file or folder by its content; None if it is none of those that are read."""
    if path.is_dir():
        return next((kind for kind in scan_formats() if kind.folder is not None and kind.folder(path)), None)
    start = first_bytes(path)
    fitting = [kind for kind in scan_formats() if kind.fits(path, start)]
    special = [kind for kind in fitting if not kind.general] or fitting
    named = [kind for kind in special if path.suffix.lower() in kind.suffixes]
    return next(iter(named or special), None)


def is_text(path: Path) -> bool:
    """Whether a file is text."""
    return looks_like_text(first_bytes(path))


def need_scan_format(path: Path) -> ScanFormat:
    """Return the format of a file, or say what the file is and what can be read.

    Raises
    ------
    DataFileError
        If it is none of those that are read.
    """
    kind = scan_format(path)
    if kind is None:
        raise DataFileError(f"{path} {_what_it_is(path)}")
    return kind


def _what_it_is(path: Path) -> str:
    if (known := not_read(path)) is not None:
        return known
    if path.suffix.lower() in spectra_suffixes() and is_text(path):
        held = "holds text"
    else:
        held = "holds text" if is_text(path) else "is of a kind that is not known here"
    return f"{held}, expected images; scans are read from {scan_titles()}."


def scan_titles() -> str:
    """Return the titles of the formats of scans, in words."""
    titles = list(dict.fromkeys(kind.title for kind in scan_formats()))
    return titles[0] if len(titles) == 1 else f"{', '.join(titles[:-1])} and {titles[-1]}"


def spectra_format(path: Path) -> SpectraFormat:
    """Return the format of a file of reference spectra; columns of text if it is nothing else.

    Raises
    ------
    DataFileError
        If there is no such file, it cannot be read, or it is of a kind that holds no spectra.
    """
    start = first_bytes(path)
    fitting = [kind for kind in spectra_formats() if kind.fits(path, start)]
    named = [kind for kind in fitting if path.suffix.lower() in kind.suffixes]
    told = [kind for kind in (*named, *fitting) if kind.magic or kind.recognise is not None]
    if told or fitting:
        return next(iter(told or fitting))
    if not looks_like_text(start) and (known := not_read(path)) is not None:
        raise DataFileError(f"{path} {known}")
    return next(kind for kind in reversed(spectra_formats()))
