"""Files appear under their name only when they are whole."""

from __future__ import annotations

import glob
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from napari_xanes._core.base.errors import DataFileError, ResourceError


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary name beside `path` to write to; it becomes `path` when all went well, else it is removed.

    Parameters
    ----------
    path : path
        The name in the end; its folder is made if need be.  What stood there before stays until the new file is whole.

    Raises
    ------
    DataFileError
        If the file cannot be written; the message names `path`.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_left_over(path)
        yield part
        os.replace(part, path)
    except DataFileError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise DataFileError(f"{path} could not be written: {reason}; nothing was left there.") from error
    finally:
        if part.exists():
            part.unlink()


def _remove_left_over(path: Path) -> None:
    """Remove what processes that were killed have left of this file."""
    for part in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        number = part.name.split(".")[-2]
        if number.isdecimal() and not psutil.pid_exists(int(number)):
            part.unlink(missing_ok=True)


def check_disk(n_bytes: int, path: str | Path) -> None:
    """Refuse with a ResourceError to write more than the disk of `path` has room for."""
    folder = Path(path).resolve().parent
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if n_bytes > free:
        raise ResourceError(
            f"{path} needs {n_bytes / 2**20:.0f} MiB of disk, {free / 2**20:.0f} MiB are free; "
            "make room or choose another folder."
        )
