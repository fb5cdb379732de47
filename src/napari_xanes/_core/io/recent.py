"""The frames that were unpacked last, of all files together: a series of a thousand files keeps a few, not a thousand."""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import Any

from napari_xanes._core.data.lazy import AnyArray

MOST = 4
"""Frames that are kept, so that one is not unpacked again for every plot of a pixel."""


class Recent:
    """A few frames of arrays, the last ones; what belongs to an array goes with it."""

    def __init__(self, most: int = MOST) -> None:
        self.most = most
        self._frames: OrderedDict[tuple[int, int], tuple[weakref.ref[Any], AnyArray]] = OrderedDict()
        self._lock = threading.RLock()  # an array may go while the lock is held

    def get(self, owner: object, index: int) -> AnyArray | None:
        """Return a frame of an array, None if it is not kept."""
        with self._lock:
            found = self._frames.get((id(owner), index))
            if found is None or found[0]() is not owner:
                return None
            self._frames.move_to_end((id(owner), index))
            return found[1]

    def put(self, owner: object, index: int, frame: AnyArray) -> None:
        """Keep a frame of an array, and let go of the oldest."""
        with self._lock:
            self._frames[id(owner), index] = (weakref.ref(owner, self._gone), frame)
            while len(self._frames) > self.most:
                self._frames.popitem(last=False)

    def _gone(self, owner: weakref.ref[Any]) -> None:
        with self._lock:
            for key in [key for key, (ref, _) in self._frames.items() if ref is owner]:
                del self._frames[key]

    def __len__(self) -> int:
        return len(self._frames)


RECENT = Recent()
"""What all readers share."""
