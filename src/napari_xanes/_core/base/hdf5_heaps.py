"""HDF5 files that would hang or kill the library, told before it reads them.

Texts, references and what virtual datasets are put together from lie in global heaps, and the library does not come back
from a damaged one.  Heaps are looked at here; where a look cannot tell, as of virtual datasets, another process reads
the file first.
"""

from __future__ import annotations

import atexit
import json
import logging
import mmap
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import h5py

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.hdf5_look import POINTER_BYTES, is_sound
from napari_xanes._core.base.hdf5_trial import (
    MOST_BYTES,
    MOST_VALUES,
    SECONDS_A_FILE,
    TOO_MUCH,
    UNLISTED,
)

logger = logging.getLogger("napari_xanes")

MOST_LOOKED_AT = 64 * 2**20
"""Bytes that are looked through, of all files together; to read what follows in another process, once begun, takes less."""
SMALL = 2**26
"""Bytes of a file that has no texts of `MOST_BYTES`, even if they were read several times."""

_looked_at = 0


def check_heaps(path: str | Path) -> None:
    """Refuse with a DataFileError a file that the HDF5 library would not come back from."""
    _refuse(path, _fault)


def check_lengths(dataset: h5py.Dataset, part: slice | tuple[()] = ()) -> None:
    """Refuse with a DataFileError texts or lists that claim more than there is; the library takes that memory before it looks.

    Where the pointers to them stand one after the other, as always of a single text, they are looked at; `part` is one of
    those of a list.  Else, as in chunks that are packed, another process reads them first.
    """
    kind, path = dataset.dtype, dataset.file.filename
    if not kind.hasobject or h5py.check_ref_dtype(kind):
        return
    if dataset.is_virtual or dataset.size > MOST_VALUES:
        raise DataFileError(
            f"{path}: {dataset.name} holds {dataset.size} texts or lists, {'which lie in other files' * dataset.is_virtual}"
            f"{f'of which at most {MOST_VALUES} are read' * (not dataset.is_virtual)}; leave them out."
        )
    is_list = h5py.check_string_dtype(kind) or h5py.check_vlen_dtype(kind)
    offset = dataset.id.get_offset() if is_list else None
    if offset is None:
        _refuse(path, _tried_once)
        return
    first, last, _ = part.indices(dataset.size) if part else (0, dataset.size, 1)
    size = os.stat(path).st_size
    with open(path, "rb") as file:
        file.seek(offset + POINTER_BYTES * first)
        pointers = file.read(POINTER_BYTES * (last - first))
    claimed = [
        int.from_bytes(pointers[at : at + 4], "little") for at in range(0, len(pointers), POINTER_BYTES)
    ]
    if max(claimed, default=0) > size or sum(claimed) > MOST_BYTES:
        raise DataFileError(
            f"{path} is damaged, or too large to be read: texts or lists of {dataset.name} claim {sum(claimed)} bytes, and the "
            f"file has {size}; copy it again from where it was written."
        )


def check_attributes(item: h5py.Group | h5py.Dataset) -> None:
    """Refuse like `check_heaps` attributes of types that are not understood by a look; other processes read them first."""
    for name in item.attrs:
        kind = item.attrs.get_id(name).get_type()
        holds = kind.detect_class(h5py.h5t.VLEN) or kind.detect_class(h5py.h5t.STRING)
        plain = isinstance(kind, (h5py.h5t.TypeStringID, h5py.h5t.TypeVlenID)) and not kind.committed()
        if holds and not plain:
            _refuse(item.file.filename, _tried_once)


def _refuse(path: str | Path, fault_of: Callable[[str, int, int], str]) -> None:
    try:
        about = os.stat(path)
    except OSError:
        return  # who opens it says so
    fault = fault_of(str(path), about.st_size, about.st_mtime_ns)
    if fault:
        raise DataFileError(f"{path} {fault}.")


@lru_cache(maxsize=4096)
def _fault(path: str, size: int, time: int) -> str:
    """Return what is wrong with a file; nothing if the library reads it, or says why it cannot."""
    global _looked_at
    if _looked_at + size <= MOST_LOOKED_AT:
        _looked_at += size
        if _looks_sound(path, size):
            return ""
    return _tried_once(path, size, time)


def _looks_sound(path: str, size: int) -> bool:
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            return is_sound(raw, MOST_LOOKED_AT)
    except IndexError:  # the file ends within what describes a type
        return False
    except (OSError, ValueError):  # such as of a disk whose files cannot be mapped
        return not size


@lru_cache(maxsize=4096)
def _tried_once(path: str, _size: int, _time: int) -> str:
    return _tried(path)


def _tried(path: str) -> str:
    """Have another process read what a file holds besides numbers."""
    if "python" not in Path(sys.executable or "").name.lower():
        return ""  # a program that has Python inside, which would be started once more
    try:
        ended, at = _trials.read(os.path.abspath(path))
    except OSError as error:
        logger.debug("%s could not be tried", path, exc_info=error)
        return ""
    if ended in (0, 1):  # 1: it could not be begun
        return ""
    again = "copy it again from where it was written"
    if ended == UNLISTED:
        return f"is damaged: the HDF5 library cannot list what is in it; {again}"
    if ended != TOO_MUCH:
        how = "hangs" if _ran_out(ended) else "crashes"
        return f"is damaged: the HDF5 library {how} on its texts or links; {again}"
    much, size = f"more than {MOST_BYTES >> 20} MB of memory", os.stat(path).st_size
    if size < SMALL:
        return f"is damaged: {at} claims {much}, and the file has {size} bytes; {again}"
    return f"is too large to be read: {at} takes {much}; leave that out where the file is written"


class _Trials:
    """The other process: begun at need, and kept for the files that follow; anew if a file was its end."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked process, whose parent has what was begun."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def read(self, path: str) -> tuple[int, str]:
        """Return 0 if a file was read, else what the process ended with, and what it was reading if it said so."""
        with self._lock:
            if self._process is None:
                self._process = self._begun()
            process = self._process
            assert process.stdin is not None and process.stdout is not None
            watch = threading.Timer(SECONDS_A_FILE, process.kill)
            watch.start()
            with suppress(BrokenPipeError):  # it has ended before
                process.stdin.write(json.dumps(path) + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
            watch.cancel()
            if answer:
                ended, at = json.loads(answer)
                return ended, at
            self._process = None
        with process, suppress(BrokenPipeError):
            process.stdin.close()
        return process.returncode, ""

    def end(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            with process:
                pass

    @staticmethod
    def _begun() -> subprocess.Popen[str]:
        trial = Path(__file__).with_name("hdf5_trial.py")
        return subprocess.Popen(
            [sys.executable, "-I", str(trial), os.pathsep.join(sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )


_trials = _Trials()
atexit.register(_trials.end)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_trials.forget)


def _ran_out(returncode: int) -> bool:
    if os.name == "nt":
        return False
    import signal

    return returncode in (-signal.SIGVTALRM, -signal.SIGXCPU, -signal.SIGALRM, -signal.SIGKILL)
