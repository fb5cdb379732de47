"""Read what an HDF5 file holds besides numbers, in a process of its own that may hang or crash; see `hdf5_heaps`.

Nothing of this package is imported, so that it begins soon.  Paths come line by line, and each is answered by a line if there
is nothing to fear.  Else the process ends, with `TOO_MUCH` if texts or lists claim more memory than any have, having said where, and with
`UNLISTED` if a group does not say what is in it: who knows a name there could get at what was not tried here.
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
MOST_VALUES = 100_000
MOST_BYTES = 2**29
"""Of memory, above what the libraries take."""
TOO_MUCH, UNLISTED = 3, 4
READ = "read\n"


def main() -> None:
    """Read the files that are asked for, until there are no more."""
    for line in sys.stdin:
        _try(json.loads(line))
        _begin(0)  # waiting is no computing, but for the little that it takes
        sys.stdout.write(READ)
        sys.stdout.flush()


def _try(path: str) -> None:
    """Read attributes, and what is not numbers, of all groups and datasets; what fails with words is of no concern."""
    import h5py

    _begin()
    _limit_memory()
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
    except Exception:  # noqa: BLE001 - the library raises anything on damage
        sys.exit(UNLISTED)


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
            if item.chunks:
                with suppress(ImportError):
                    import hdf5plugin  # noqa: F401  (chunks may be packed as it knows)
            item[()]


def _text(name: str | bytes | None) -> str:
    return name.decode("utf-8", "backslashreplace") if isinstance(name, bytes) else str(name)


@contextmanager
def _in_words(what: str = "a text or list") -> Iterator[None]:
    """Leave out what the library itself refuses, but for want of memory: then end, and say of what."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - this process is about crashes alone
        if isinstance(error, MemoryError) or "alloc" in str(error):
            sys.stdout.write(json.dumps(what) + "\n")
            sys.stdout.flush()
            sys.exit(TOO_MUCH)


def _limit_memory() -> None:
    with suppress(ImportError, OSError, ValueError):  # not on all systems
        import resource

        with open("/proc/self/statm", "rb") as file:
            used = int(file.read().split()[0]) * resource.getpagesize()
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_BYTES, hard))


def _begin(seconds: float = SECONDS) -> None:
    """Have the system end this process if the next object takes longer; 0 for any time."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, seconds)


if __name__ == "__main__":
    sys.path.extend(part for part in sys.argv[1].split(os.pathsep) if part)
    main()
