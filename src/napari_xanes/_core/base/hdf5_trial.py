"""Read what an HDF5 file holds besides numbers, in a process of its own that may hang or crash; see `hdf5_heaps`.

Nothing of this package is imported, so that it begins soon.  It ends with 0 if there is nothing to fear.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import Any

SECONDS = 2
"""Of computing, for one object; a sound one takes thousandths."""
MOST_VALUES = 100_000


def main(path: str) -> None:
    """Read attributes, and what is not numbers, of all groups and datasets; what fails with words is of no concern."""
    import h5py

    _begin()
    with suppress(Exception), h5py.File(path, "r", locking=False) as file:
        _read(file)
        file.visititems(lambda _, item: _read(item))


def _read(item: Any) -> None:
    """Read the attributes of a group or dataset, and its values if they lie in heaps."""
    _begin()
    for name in list(item.attrs):
        with suppress(Exception):
            item.attrs[name]
    with suppress(Exception):
        if getattr(item, "is_virtual", False):
            item.virtual_sources()
        elif hasattr(item, "dtype") and item.dtype.hasobject and item.size < MOST_VALUES:
            item[()]


def _begin() -> None:
    """Have the system end this process if the next object takes too long."""
    if hasattr(signal, "setitimer"):
        signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)


if __name__ == "__main__":
    sys.path.extend(part for part in sys.argv[2].split(os.pathsep) if part)
    main(sys.argv[1])
