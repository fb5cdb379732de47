"""Files appear under their name only when they are whole, and only what is a file is read.

`whole_file` is the one way in which this program writes files; `hdf5_file` builds on it.
"""

from __future__ import annotations

import os
import platform
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

import psutil

from napari_xanes._core.base.errors import DataFileError, InputError, ResourceError
from napari_xanes._core.base.memory import file_limit

LONGEST_PATH = 4000
LONGEST_NAME = 255
"""Bytes; what common file systems allow for a path and for the name of a file."""
MOST_TEXT = 64 * 2**20
"""Bytes; no recipe, drift or list of numbers is larger."""
_PART = ".napari-xanes-"


def checked_path(path: object, what: str = "file") -> Path:
    """Return a path as `Path`, or say with an InputError that it cannot be the name of anything."""
    if not isinstance(path, (str, os.PathLike)) or isinstance(text := os.fspath(path), bytes):
        raise InputError(f"the {what} is {path!r}, expected the name of a {what}.")
    too_long = len(text) > LONGEST_PATH or any(len(os.fsencode(p)) > LONGEST_NAME for p in Path(text).parts)
    if not text or "\0" in text or too_long:
        raise InputError(f"'{shown(text[:60])}' cannot be the name of a {what}; give another one.")
    return Path(text)


def shown(name: str | Path) -> str:
    """Return a name as it can be shown and saved: bytes that are no UTF-8 as a backslash, x and two digits."""
    return str(name).encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def read_bytes(path: str | Path, what: str = "file", most: int = MOST_TEXT) -> bytes:
    """Return the bytes of a file that is meant to be small.

    Raises
    ------
    DataFileError
        If it is missing, a folder, a pipe or a device, larger than `most`, or cannot be read.
    InputError
        If it cannot be the name of a file.
    """
    path = check_regular(path, what)
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            raw = file.read(min(size, most) + 1)  # so many bytes are set aside at once
            size = max(size, len(raw))
    except OSError as error:
        raise DataFileError(f"{shown(path)} cannot be read: {error.strerror or error}.") from None
    if len(raw) > most:
        raise DataFileError(
            f"{shown(path)} has {size / 2**20:.0f} MB, expected a {what} of at most {most / 2**20:.0f} MB."
        )
    return raw


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it becomes `path` when all went well, else it is removed.

    Parameters
    ----------
    path : path
        The name in the end; its folder is made if need be.  What stood there before stays until the new file is
        whole and on the disk.

    Raises
    ------
    DataFileError
        If the file cannot be written; the message names `path`.
    """
    path = checked_path(path)
    part = _new_part(path.parent)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _check_replaceable(path)
        _remove_left_overs(path.parent)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        yield part
        sync_file(part)
        os.replace(part, path)
        sync_file(path.parent)
    except DataFileError:
        raise
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())
        raise DataFileError(
            f"{shown(path)} could not be written: {reason}; nothing was left there."
        ) from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


@contextmanager
def scratch_folder(parent: str | Path) -> Iterator[Path]:
    """Give a new folder in `parent` for files that are to be moved from there; it is removed in the end."""
    parent = checked_path(parent, "folder")
    part = _new_part(parent)
    try:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_left_overs(parent)
        part.mkdir()
        yield part
    except DataFileError:
        raise
    except OSError as error:
        raise DataFileError(f"nothing could be written in {shown(parent)}: {error.strerror}.") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _new_part(folder: Path) -> Path:
    """Return a temporary name that cannot be foreseen, and tells which process uses it."""
    return folder / f"{_PART}{_place()}-{os.getpid()}-{token_hex(8)}.part"


def write_text(path: str | Path, text: str) -> None:
    """Write a text file (UTF-8) that appears whole or not at all."""
    with whole_file(path) as part:
        part.write_bytes(text.encode("utf-8", "backslashreplace"))


def _check_replaceable(path: Path) -> None:
    """Refuse to put a file where something stands that is none."""
    if os.path.lexists(path) and not path.is_symlink() and not path.is_file():
        kind = "a folder" if path.is_dir() else "a pipe or a device"
        raise DataFileError(
            f"{shown(path)} is {kind}, so no file of that name can be written; choose another."
        )


def sync_file(path: Path) -> None:
    """Have what was written on the disk, so that a power cut cannot leave a name without its content."""
    folder = path.is_dir()
    if folder and os.name == "nt":
        return
    handle = os.open(path, os.O_RDONLY if folder else os.O_RDWR)
    try:
        os.fsync(handle)
    except OSError:
        if not folder:  # some network file systems cannot do it for folders
            raise
    finally:
        os.close(handle)


@cache
def _place() -> str:
    """Return a word for this machine, or container: numbers of processes mean nothing on another."""
    try:
        space = os.readlink("/proc/self/ns/pid")
    except OSError:
        space = ""
    return sha256(f"{platform.node()} {space}".encode()).hexdigest()[:8]


def _remove_left_overs(folder: Path) -> None:
    """Remove what processes of this machine that were killed have left in a folder."""
    for part in folder.glob(f"{_PART}{_place()}-*.part"):
        number = part.name.removeprefix(f"{_PART}{_place()}-").split("-")[0]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            if part.is_dir():
                shutil.rmtree(part, ignore_errors=True)
            else:
                part.unlink(missing_ok=True)


def check_folder(folder: str | Path) -> None:
    """Refuse a folder in which no file can be made, before there is anything to write; the folder is not made."""
    place = checked_path(folder, "folder").absolute()
    while not place.is_dir():
        if os.path.lexists(place) and not place.is_dir():
            raise DataFileError(
                f"{shown(place)} is a file, expected a folder for the results; choose another."
            )
        place = place.parent
    trial = _new_part(place)
    try:
        os.close(os.open(trial, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        trial.unlink()
    except OSError as error:
        raise DataFileError(
            f"nothing can be written in {shown(folder)}: {error.strerror}; choose another folder."
        ) from None


def can_link(path: str | Path) -> bool:
    """Whether a file beside `path` can have two names, as on most file systems; the folder is not made."""
    one, other = (_new_part(_there(path)) for _ in range(2))
    try:
        os.close(os.open(one, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        os.link(one, other)
    except OSError:
        return False
    finally:
        for part in (one, other):
            part.unlink(missing_ok=True)
    return True


def check_no_link(path: Path, what: str) -> None:
    """Refuse a link where something of this program's own is to be: what is written there would be elsewhere."""
    if path.is_symlink():
        raise DataFileError(
            f"{shown(path)} is a link, expected a {what} of this program; move it away, or choose another place."
        )


def has_links(folder: Path) -> bool:
    """Whether there is a link anywhere in a folder, which would lead out of it."""
    return any(Path(a, one).is_symlink() for a, bs, cs in os.walk(folder) for one in (*bs, *cs))


def bytes_on_disk(folder: Path) -> int:
    """Return how many bytes the files in a folder have of the disk; none if it is not there."""
    found = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):  # as another run of the same result ends just now
                found += Path(place, name).lstat().st_size
    return found


def check_disk(n_bytes: int, path: str | Path) -> None:
    """Refuse with a ResourceError to write more than the disk of `path` has room for, or this process may write."""
    free = min(shutil.disk_usage(_there(path)).free, file_limit())
    if n_bytes > free:
        raise ResourceError(
            f"{shown(path)} needs {n_bytes / 2**20:.0f} MiB of disk, {free / 2**20:.0f} MiB are free; "
            "make room or choose another folder."
        )


def _there(path: str | Path) -> Path:
    """Return the folder that a path is to be in, as far as it is there."""
    folder = Path(path).absolute().parent
    while not folder.exists():
        folder = folder.parent
    return folder


def check_regular(path: str | Path, what: str = "file") -> Path:
    """Return the path of what is a file and can be read, or say that it is none: a folder, a pipe, a device, missing."""
    path = checked_path(path, what)
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise DataFileError(f"{shown(path)}: there is no such {what}.") from None
    except OSError as error:
        raise DataFileError(f"{shown(path)} cannot be read: {error.strerror or error}.") from None
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or a device"
        raise DataFileError(f"{shown(path)} is {kind}, expected a {what}.")
    return path
