"""Read what an HDF5 file holds besides numbers, in a process of its own that may hang or crash; see `hdf5_heaps`.

Nothing of this package is imported, so that it begins soon.  Paths come line by line, and each is answered by a line: 0 if there
is nothing to fear, `TOO_MUCH` if texts or lists claim more memory than any have, and where, `UNLISTED` if a group does not say what
is in it (who knows a name there could get at what was not tried here), or what a copy of this process died of.  Where processes
cannot be copied, this one dies.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

SECONDS, FOR_NAMES = 1, 10
"""Of computing, for one attribute or text, and for the names in a group; sound ones take thousandths."""
SECONDS_A_FILE = 300
"""Of any kind, also of waiting."""
MOST_VALUES = 100_000
MOST_BYTES = 2**29
"""Of memory, above what the libraries take."""
TOO_MUCH, UNLISTED = 3, 4


def main() -> None:
    """Read the files that are asked for, until there are no more."""
    os.environ["OMP_NUM_THREADS"] = "1"  # nothing is computed, and a copy has none of the threads
    import h5py  # noqa: F401  (loaded once for all copies)

    with suppress(ImportError):
        import hdf5plugin  # noqa: F401  (chunks may be packed as it knows)
    try_one = _try_in_a_copy if hasattr(os, "fork") else _try
    for line in sys.stdin:
        sys.stdout.write(json.dumps(try_one(json.loads(line))) + "\n")
        sys.stdout.flush()


def _try_in_a_copy(path: str) -> tuple[int, str]:
    """Read a file in a copy of this process; returns what it ended with, and what it was reading if it said so."""
    back, there = os.pipe()
    copy = os.fork()
    if not copy:
        ended = 1
        try:
            os.dup2(there, sys.stdout.fileno())  # who asked hears this process alone
            signal.alarm(SECONDS_A_FILE)
            ended, at = _try(path)
            os.write(there, at.encode())
        finally:
            os._exit(ended)
    os.close(there)
    with open(back, encoding="utf-8") as said:
        at = said.read()
    return os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1]), at


class _EndedError(Exception):
    """Why a file is read no further: a code, and what was read."""


def _try(path: str) -> tuple[int, str]:
    """Read attributes, and what is not numbers, of all groups and datasets; what fails with words is of no concern."""
    _limit_memory()
    try:
        _read_all(path)
    except _EndedError as error:
        return error.args
    return 0, ""


def _read_all(path: str) -> None:
    import h5py

    _begin()
    with _in_words(), h5py.File(path, "r", locking=False) as file:
        todo, seen = [file["/"]], set[int]()
        while todo:
            item = todo.pop()
            address, names = _listed(item)
            if address not in seen:
                seen.add(address)
                _read(item)
                for name in names:
                    with _in_words():
                        if isinstance(item.get(name, getlink=True), h5py.HardLink):
                            todo.append(item[name])


def _listed(item: Any) -> tuple[int, list[str]]:
    """Return where a group or dataset lies, and the names of what is in a group."""
    import h5py

    _begin(FOR_NAMES)
    try:
        return h5py.h5o.get_info(item.id).addr, list(item) if isinstance(item, h5py.Group) else []
    except Exception as error:  # the library raises anything on damage
        raise _EndedError(UNLISTED, "") from error


def _read(item: Any) -> None:
    """Read the attributes of a group or dataset, and its values if they lie in heaps."""
    for name in list(item.attrs):
        _begin()
        with _in_words(f"the attribute {_text(name)} of {_text(item.name)}"):
            item.attrs[name]
    _begin()
    with _in_words(_text(item.name)):
        if getattr(item, "is_virtual", False):
            item.virtual_sources()
        elif hasattr(item, "dtype") and item.dtype.hasobject and item.size <= MOST_VALUES:
            item[()]


def _text(name: str | bytes | None) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


@contextmanager
def _in_words(what: str = "a text or list") -> Iterator[None]:
    """Leave out what the library itself refuses, but for want of memory: then end, and say of what."""
    try:
        yield
    except _EndedError:
        raise
    except Exception as error:  # this process is about crashes alone
        if isinstance(error, MemoryError) or "alloc" in str(error):
            raise _EndedError(TOO_MUCH, what) from error


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):  # not on all systems
        import resource

        with open("/proc/self/statm", "rb") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, hard))


def _begin(seconds: float = SECONDS) -> None:
    """Have the system end this process if the next object takes longer."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


if __name__ == "__main__":
    sys.path.extend(part for part in sys.argv[1].split(os.pathsep) if part)
    main()
