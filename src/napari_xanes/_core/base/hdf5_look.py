"""Whether the global heaps in the bytes of an HDF5 file are sound, and what leads to the texts and lists in them.

Attributes are found by their types, which are followed by their shape and their pointers.  Pointers of datasets are found
where they lead to a heap; those that lead elsewhere are looked at when the dataset is read, see `hdf5_heaps.check_lengths`.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Set
from math import prod

from napari_xanes._core.base.hdf5_trial import MOST_BYTES

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
LISTS = (b"\x19", b"\x29", b"\x39", b"\x49", b"\x59")
"""How such a type begins, in any version."""
ELEMENTS = {0: 4, 1: 12, 3: 0, 7: 0}
"""Classes of elements, and the bytes that describe them: whole numbers, others, texts, references."""
MOST_AXES = 32


def is_sound(raw: mmap.mmap, most: int) -> bool:
    """Whether heaps and pointers are sound, as far as can be told by looking through no more than `most` bytes."""
    heaps = set(_places(raw, HEAP))
    types = _types(raw) if len(heaps) * len(raw) <= most else None
    if types is None or ((heaps or types) and not _has_long_numbers(raw)):
        return False
    claimed = 0
    for start in heaps:
        found = _claimed(raw, start, set(types.values()))
        if found is None:
            return False
        claimed += found
    return claimed < MOST_BYTES // 4 and all(_leads_to(raw, at, heaps) for at in types)


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


def _types(raw: mmap.mmap) -> dict[int, int] | None:
    """Return where types of lists and texts stand whose length is not fixed, and how many bytes an element has; None if damaged."""
    found = {}
    for number, size in enumerate(_places(raw, POINTER)):
        kind = raw[max(size - 4, 0) : size]
        if number > MOST_POINTERS:
            return None
        if kind[:1] in LISTS and len(kind) == 4:
            element, n_bytes = raw[size + 4] & 15, int.from_bytes(raw[size + 8 : size + 12], "little")
            is_text = kind[1] & 15
            if (
                is_text > 1
                or element not in ELEMENTS
                or n_bytes not in ((1,) if is_text else (1, 2, 4, 8, 12))
            ):
                return None
            found[size - 4] = n_bytes
    return found


def _leads_to(raw: mmap.mmap, kind: int, heaps: Set[int]) -> bool:
    """Whether the pointers behind a type and a shape, as in attributes, lead to heaps; true if there is no shape."""
    size = 16 + ELEMENTS[raw[kind + 8] & 15]
    for at in {kind + size, kind + -(-size // 8) * 8}:  # older attributes are padded
        count, start = _shape(raw, at)
        if start + POINTER_BYTES * count > len(raw):
            return False
        for pointer in range(start, start + POINTER_BYTES * count, POINTER_BYTES):
            length, address = raw[pointer : pointer + 4], raw[pointer + 4 : pointer + 12]
            if any(length) and int.from_bytes(address, "little") not in heaps:
                return False
    return True


def _shape(raw: mmap.mmap, at: int) -> tuple[int, int]:
    """Return how many elements a shape says that there are, and where it ends; 0 if it is none."""
    version, rank, flags, kind = raw[at : at + 4].ljust(4, b"\xff")
    start = at + {1: 8, 2: 4}.get(version, 0)
    simple = kind == min(rank, 1) if version == 2 else not any(raw[at + 3 : start])
    if start == at or rank > MOST_AXES or flags > 1 or not simple:
        return 0, at
    sizes = [int.from_bytes(raw[start + 8 * i : start + 8 * i + 8], "little") for i in range(rank)]
    return prod(sizes), start + 8 * rank * (1 + flags)


def _claimed(raw: mmap.mmap, start: int, each: Set[int]) -> int | None:
    """Return how many bytes all that leads to the objects of a heap claims; None if it or they are not sound."""
    sizes = _sizes(raw, start)
    found, claimed = set(), 0
    for pointer in _places(raw, start.to_bytes(8, "little")) if sizes else ():
        length = int.from_bytes(raw[pointer - 4 : pointer], "little")
        index = int.from_bytes(raw[pointer + 8 : pointer + 12], "little")
        if sizes.get(index) not in {length * n_bytes for n_bytes in each}:
            return None
        found.add(index)
        claimed += sizes[index]
    return claimed if sizes and found == sizes.keys() else None


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
