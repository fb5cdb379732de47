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
from collections.abc import Iterator, Set
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

import h5py

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.hdf5_trial import MOST_BYTES, TOO_MUCH, UNLISTED

logger = logging.getLogger("napari_xanes")

MOST_LOOKED_AT = 64 * 2**20
"""Bytes that are looked through, of all files together; to read what follows in another process, once begun, takes less."""
SECONDS = 300
"""How long that may take; where the system can count the time of a process, `napari_xanes._core.base.hdf5_trial` does."""
SIGNATURE, HEAP = b"\x89HDF\r\n\x1a\n", b"GCOL"
HEADER, OBJECT = 16, 16
"""Bytes before the objects of a heap, and before the content of each."""
VIRTUAL = 24
"""Bytes that the parts of a virtual dataset take at least; they begin with their version, which no text does."""

LARGE = 2**18
"""Bytes of a text that are many where it is a fill value, which the library hands out for each element that is not there."""
POINTER_BYTES = 16
POINTER, MOST_POINTERS = b"\x10\0\0\0", 100_000
"""How many bytes a pointer to a heap has, as the type of what lies there says it; how often that may stand in a file."""
LISTS, ELEMENTS = (b"\x19", b"\x29", b"\x39", b"\x49"), (0, 1, 3, 7)
"""How such a type begins, in any version; of which classes elements are: whole numbers, others, texts, references."""

_looked_at = 0


def check_heaps(path: str | Path) -> None:
    """Refuse with a DataFileError a file that the HDF5 library would not come back from."""
    try:
        about = os.stat(path)
    except OSError:
        return  # who opens it says so
    fault = _fault(str(path), about.st_size, about.st_mtime_ns)
    if fault:
        raise DataFileError(f"{path} {fault}; copy it again from where it was written.")


def check_lengths(dataset: h5py.Dataset, part: slice | tuple[()] = ()) -> None:
    """Refuse with a DataFileError texts or lists that claim more than there is; the library takes that memory before it looks.

    Only where the pointers to them stand one after the other, as always of a single text; `part` is one of those of a list.
    """
    kind = dataset.dtype
    texts = kind.hasobject and (h5py.check_string_dtype(kind) or h5py.check_vlen_dtype(kind))
    offset = dataset.id.get_offset() if texts else None
    if offset is None:
        return
    first, last, _ = part.indices(dataset.size) if part else (0, dataset.size, 1)
    path = dataset.file.filename
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


@lru_cache(maxsize=4096)
def _fault(path: str, size: int, _time: int) -> str:
    """Return what is wrong with a file; nothing if the library reads it, or says why it cannot."""
    global _looked_at
    if _looked_at + size <= MOST_LOOKED_AT:
        _looked_at += size
        if _look_sound(path, size):
            return ""
    return _tried(path)


def _look_sound(path: str, size: int) -> bool:
    """Whether all heaps in the bytes of a file are sound."""
    if not size:
        return True
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            heaps = list(_places(raw, HEAP))
            if heaps and (not _has_long_numbers(raw) or len(heaps) * size > MOST_LOOKED_AT):
                return False
            each = _element_sizes(raw) if heaps else set()
            return all(_is_sound(raw, start, each) for start in heaps)
    except (OSError, ValueError):  # such as of a disk whose files cannot be mapped
        return False


def _places(raw: mmap.mmap, what: bytes) -> Iterator[int]:
    """Yield where some bytes stand."""
    at = raw.find(what)
    while at >= 0:
        yield at
        at = raw.find(what, at + 1)


def _has_long_numbers(raw: mmap.mmap) -> bool:
    """Whether addresses and lengths have 8 bytes, as in all files but very odd ones."""
    start = raw.find(SIGNATURE) + len(SIGNATURE)
    sizes = start + (5 if raw[start : start + 1] in (b"\0", b"\1") else 1)
    return raw[sizes : sizes + 2] == b"\x08\x08"


def _element_sizes(raw: mmap.mmap) -> set[int]:
    """Return how many bytes an element has of the lists and texts whose length is not fixed; none if a type is damaged."""
    found = set()
    for number, size in enumerate(_places(raw, POINTER)):
        kind = raw[max(size - 4, 0) : size]
        if number > MOST_POINTERS:
            return set()
        if kind[:1] in LISTS and len(kind) == 4:
            element, n_bytes = raw[size + 4] & 15, int.from_bytes(raw[size + 8 : size + 12], "little")
            is_text = kind[1] & 15
            if (
                is_text > 1
                or element not in ELEMENTS
                or n_bytes not in ((1,) if is_text else (1, 2, 4, 8, 12))
            ):
                return set()
            found.add(n_bytes)
    return found


def _is_sound(raw: mmap.mmap, start: int, each: Set[int]) -> bool:
    """Whether a heap is sound, and what leads to each of its objects, which says its length again, too."""
    sizes = _sizes(raw, start)
    found = set()
    for pointer in _places(raw, start.to_bytes(8, "little")) if sizes else ():
        length = int.from_bytes(raw[pointer - 4 : pointer], "little")
        index = int.from_bytes(raw[pointer + 8 : pointer + 12], "little")
        if sizes.get(index) not in {length * n_bytes for n_bytes in each}:
            return False
        found.add(index)
    return bool(sizes) and found == sizes.keys()


def _sizes(raw: mmap.mmap, start: int) -> dict[int, int]:
    """Return the lengths of the objects of a heap; none if they do not follow one another up to its end.

    Nor if one is large, or could hold the parts of a virtual dataset.
    """
    sizes: dict[int, int] = {}
    end = start + int.from_bytes(raw[start + 8 : start + 16], "little")
    at = start + HEADER
    if not at <= end <= len(raw) or raw[start + 4 : start + 8] != b"\1\0\0\0":  # its version
        return {}
    while at + OBJECT <= end:
        index = int.from_bytes(raw[at : at + 2], "little")
        size = int.from_bytes(raw[at + 8 : at + 16], "little")
        step = OBJECT + -(-size // 8) * 8 if index else size  # 0 is what is free, with its header
        if step < OBJECT or at + step > end:
            return {}
        if index and (size >= LARGE or (size >= VIRTUAL and raw[at + OBJECT] in (0, 1))):
            return {}
        if index:
            sizes[index] = size
        at += step
    return sizes


def _tried(path: str) -> str:
    """Have another process read what a file holds besides numbers."""
    if "python" not in Path(sys.executable or "").name.lower():
        return ""  # a program that has Python inside, which would be started once more
    try:
        ended = _trials.read(os.path.abspath(path))
    except OSError as error:
        logger.debug("%s could not be tried", path, exc_info=error)
        return ""
    if ended in (0, 1):  # 1: it could not be begun
        return ""
    if ended == UNLISTED:
        return "is damaged: the HDF5 library cannot list what is in it"
    if ended == TOO_MUCH:
        return (
            f"is damaged, or too large to be tried: its texts or lists take more than {MOST_BYTES >> 20} MB of memory; "
            "leave them out where it is written if there are so many"
        )
    return f"is damaged: the HDF5 library {'hangs' if _ran_out(ended) else 'crashes'} on its texts or links"


class _Trials:
    """The other process: begun at need, as often as files were its end, and kept for those that follow."""

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        """Begin anew, as in a forked process, whose parent has what was begun."""
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def read(self, path: str) -> int:
        """Return 0 if a file was read, else what the process ended with."""
        with self._lock:
            if self._process is None:
                self._process = self._begun()
            process = self._process
            assert process.stdin is not None and process.stdout is not None
            watch = threading.Timer(SECONDS, process.kill)
            watch.start()
            with suppress(BrokenPipeError):  # it has ended before
                process.stdin.write(json.dumps(path) + "\n")
                process.stdin.flush()
            answer = process.stdout.readline()
            watch.cancel()
            if answer:
                return 0
            self._process = None
        with process, suppress(BrokenPipeError):
            process.stdin.close()
        return process.returncode

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

    return returncode in (-signal.SIGVTALRM, -signal.SIGXCPU, -signal.SIGKILL)
