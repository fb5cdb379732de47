"""What an HDF5 file holds: its tree walked once, links followed, loops and lost files met in words."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from pathlib import Path
from types import TracebackType
from typing import Any

import h5py
import numpy as np

from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.hdf5_heaps import check_heaps, check_lengths
from napari_xanes._core.io.hdf5 import check_images, open_hdf5, reason_of
from napari_xanes._core.io.hdf5_attributes import NOT_UTF8, name_of, readable_attrs
from napari_xanes._core.io.hdf5_sources import check_sources, leads_to_utf8, waits_at
from napari_xanes._core.io.written import LONGEST, energies_of

DEEPEST = 32
MOST_TEXTS, MOST_READ = 100_000, 2**26
"""Texts of a list that can be energies; bytes that some of them, read at once, may have, each at most those of the file."""


def text_of(value: Any) -> str:
    """Return an attribute or a dataset of one text as str."""
    values = np.ravel(np.asarray(value, dtype=object))
    first = values[0] if values.size else ""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else str(first)


def texts_of(value: Any) -> list[str]:
    """Return a list of texts, or one text with its parts between colons or commas, as list of str."""
    values = [text_of(one) for one in np.ravel(np.asarray(value, dtype=object))]
    if len(values) != 1:
        return values
    text = values[0].strip().strip("[]")
    return [part.strip() for part in text.replace(":", ",").split(",") if part.strip()]


@dataclass(frozen=True, eq=False)
class TreeEntry:
    """A dataset as it is reached in the file that was opened, whatever file it lies in."""

    tree: Tree = field(repr=False)
    name: str
    shape: tuple[int, ...] | None
    dtype: np.dtype[Any]

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape or ())

    @property
    def size(self) -> int:
        """Number of values."""
        return 0 if self.shape is None else prod(self.shape)

    @property
    def leaf(self) -> str:
        """The last part of the path."""
        return self.name.rsplit("/", 1)[1]

    @property
    def parent(self) -> str:
        """The path of the group, "" for the root."""
        return self.name.rsplit("/", 1)[0]

    @property
    def top(self) -> str:
        """The first group of the path, "" for datasets of the root."""
        return self.name.split("/")[1] if self.parent else ""

    @property
    def is_numeric(self) -> bool:
        """Whether the values are real numbers."""
        return self.shape is not None and self.dtype.kind in "iuf"

    @cached_property
    def written(self) -> tuple[np.ndarray[Any, np.dtype[np.float64]], str] | None:
        """Energies that are held as texts, and their unit; None if the dataset holds something else."""
        if (
            self.shape is None
            or self.ndim > 1
            or not 0 < self.size <= MOST_TEXTS
            or self.size * self.dtype.itemsize > MOST_READ
            or self.dtype.kind not in "OS"
        ):
            return None
        if self.dtype.kind == "O" and h5py.check_string_dtype(self.dtype) is None:
            return None
        texts = self._short_texts()
        return None if texts is None else energies_of(texts)

    def _short_texts(self) -> list[str] | None:
        """Return all texts, None as soon as one is too long for a number: of many long ones, only a few are read."""
        if self.ndim == 0 or self.dtype.kind == "S":
            return [text_of(one) for one in np.ravel(self.read())]
        check_sources(self.tree.path, self.dataset)
        step = max(8, MOST_READ // os.stat(self.dataset.file.filename).st_size)
        found: list[str] = []
        for start in range(0, self.size, step):
            found += [text_of(one).strip() for one in self.part(slice(start, start + step))]
            if max(map(len, found[start:])) > LONGEST:
                return None
        return found

    @property
    def is_complex(self) -> bool:
        """Whether the values are complex numbers."""
        return self.shape is not None and self.dtype.kind == "c"

    @property
    def is_list(self) -> bool:
        """Whether it holds one number after the other."""
        holds = self.is_numeric or self.written is not None
        return holds and self.size > 0 and self.ndim > 0 and self.size == max(self.shape or (0,))

    @property
    def dataset(self) -> h5py.Dataset:
        """The open dataset."""
        return self.tree.file[self.name]

    @cached_property
    def attrs(self) -> dict[str, Any]:
        """Attributes, those that can be read."""
        return readable_attrs(self.dataset, self.tree.left_out)

    @cached_property
    def units(self) -> str:
        """The declared unit, "" if there is none."""
        value = text_of(self.attrs.get("units", self.attrs.get("unit", ""))).strip()
        return value or (self.written[1] if self.written is not None else "")

    def read(self) -> Any:
        """Return all values."""
        check_sources(self.tree.path, self.dataset)
        if self.size * self.dtype.itemsize > MOST_READ:
            check_images(self.tree.path, self.dataset, self.name)
        return self.part(())

    def part(self, part: Any) -> Any:
        """Return a part of the values; of sources that were checked before."""
        try:
            check_lengths(self.dataset, part)
            return self.dataset[part]
        except DataFileError:
            raise
        except (OSError, RuntimeError, ValueError, TypeError) as error:
            raise DataFileError(
                f"{self.tree.path}: {self.name} cannot be read ({reason_of(error)}); the file is damaged."
            ) from error

    def numbers(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return all values, one after the other, as float64; also those that are held as texts."""
        if self.written is not None:
            return self.written[0]
        return np.ravel(self.read()).astype(np.float64)


class Tree:
    """The datasets of an open file by path; a context that closes the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file = open_hdf5(path)
        self.missing: dict[str, str] = {}
        """Links that lead to files or datasets that are not there: path, and where it leads."""
        self.left_out: dict[str, str] = {}
        """What was not read, and why."""
        self.groups: list[str] = []
        self._group_attrs: dict[str, dict[str, Any]] = {}
        try:
            self.entries = {entry.name: entry for entry in self._walk(self.file, "", set(), 0)}
        except BaseException:
            self.file.close()
            raise

    @cached_property
    def lists_of_names(self) -> set[tuple[str, tuple[int, ...] | None]]:
        """Group and shape of every list of names."""
        return {
            (entry.parent, entry.shape)
            for entry in self.entries.values()
            if "name" in entry.leaf.lower() and entry.dtype.kind in "SOU"
        }

    def __enter__(self) -> Tree:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.file.close()

    def _walk(self, group: h5py.Group, prefix: str, seen: set[Any], depth: int) -> Iterator[TreeEntry]:
        try:
            names = list(group)
        except (RuntimeError, OSError, ValueError) as error:
            raise self._damaged(error) from error
        for name in names:
            path = f"{prefix}/{name_of(name)}"
            if isinstance(name, bytes):
                self.left_out[path] = NOT_UTF8
                continue
            item = self._item(group, name, path)
            if item is None:
                continue
            info = h5py.h5o.get_info(item.id)
            inside = info.fileno == self._number
            key = (info.fileno if inside else item.file.filename, info.addr)
            if key in seen:
                continue
            seen.add(key)
            if not inside:
                check_heaps(item.file.filename)
            if isinstance(item, h5py.Dataset):
                yield TreeEntry(self, path, item.shape, _dtype(item))
            elif isinstance(item, h5py.Group) and depth < DEEPEST:
                self.groups.append(path)
                yield from self._walk(item, path, seen, depth + 1)

    @cached_property
    def _number(self) -> Any:
        return h5py.h5o.get_info(self.file.id).fileno

    def _item(self, group: h5py.Group, name: str, path: str) -> Any:
        """Return what a link leads to; None, and a note of it, if that is not there."""
        link = group.get(name, getlink=True)
        if not leads_to_utf8(link):
            self.left_out[path] = "the name that it leads to is not UTF-8"
            return None
        waits = waits_at(group, link)
        if waits is not None:
            self.missing[path] = f"{waits.path} in {waits.filename}"
            return None
        try:
            return group[name]
        except (KeyError, OSError, RuntimeError, ValueError) as error:
            if isinstance(link, h5py.ExternalLink):
                self.missing[path] = f"{link.path} in {link.filename}"
            elif isinstance(link, h5py.SoftLink):
                self.missing[path] = link.path
            elif not isinstance(error, KeyError):
                raise self._damaged(error) from error
            else:
                self.left_out[path] = "it is damaged"
            return None

    def _damaged(self, error: Exception) -> DataFileError:
        return DataFileError(f"{self.path} is damaged ({reason_of(error)}); copy it again.")

    def numeric(self) -> list[TreeEntry]:
        """Return the datasets of real numbers."""
        return [entry for entry in self.entries.values() if entry.is_numeric]

    def attrs(self, group: str) -> dict[str, Any]:
        """Return the attributes of a group by its path; "" is the root."""
        if group not in self._group_attrs:
            item = self.file.get(group or "/")
            self._group_attrs[group] = {} if item is None else readable_attrs(item, self.left_out)
        return self._group_attrs[group]

    def nx_class(self, group: str) -> str:
        """Return the declared class of a group, "" if there is none."""
        return text_of(self.attrs(group).get("NX_class", ""))

    def named(self, name: str) -> TreeEntry | None:
        """Return the dataset of a path, or of a bare name that occurs once; None if there is none.

        Raises
        ------
        DataFileError
            If the name occurs more than once, or leads to a file that is not there.
        """
        path = "/" + name.strip().strip("/")
        if path in self.entries:
            return self.entries[path]
        found = [entry for entry in self.entries.values() if entry.leaf == name]
        if len(found) > 1:
            raise DataFileError(
                f"{self.path} holds {len(found)} datasets named {name}: "
                f"{', '.join(entry.name for entry in found)}; give the whole path of one."
            )
        if found:
            return found[0]
        lost = [link for link in self.missing if path == link or link.endswith(f"/{name}")]
        if lost:
            raise self.lost(lost[0])
        return self._linked(path)

    def _linked(self, path: str) -> TreeEntry | None:
        """Return a dataset that was reached by another path before."""
        try:
            item = self.file.get(path)
        except (KeyError, OSError, RuntimeError, ValueError):
            return None
        return TreeEntry(self, path, item.shape, _dtype(item)) if isinstance(item, h5py.Dataset) else None

    def lost(self, link: str) -> DataFileError:
        """Return the error on a link that leads nowhere."""
        return DataFileError(
            f"{self.path}: {link} is a link to {self.missing[link][:200]}, which is missing; "
            f"copy that file to where {self.path.name} expects it, or name other datasets."
        )

    def describe(self) -> str:
        """Return the numeric datasets in words, those that could be images first."""
        found = sorted(self.numeric(), key=lambda entry: -min(entry.ndim, 3))
        listed = [f"{entry.name} {entry.shape}" for entry in found]
        more = f" and {len(listed) - 8} more" if len(listed) > 8 else ""
        left = self.said_of_left_out()
        return (", ".join(listed[:8]) + more if listed else "no numeric dataset") + (
            f"; {left}" if left else ""
        )

    def said_of_left_out(self) -> str:
        """Return what was not read, and why, in words; empty if all was."""
        listed = [f"{path} ({why})" for path, why in self.left_out.items()]
        more = f" and {len(listed) - 4} more" if len(listed) > 4 else ""
        return f"left out: {', '.join(listed[:4])}{more}" if listed else ""


def _dtype(dataset: h5py.Dataset) -> np.dtype[Any]:
    try:
        found: np.dtype[Any] = np.dtype(dataset.dtype)
    except (TypeError, ValueError, RuntimeError):  # a type that numpy does not know
        found = np.dtype(object)
    return found
