"""HDF5 files that appear whole, and a disk that is full in the middle as one sentence."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from io import FileIO
from pathlib import Path
from typing import Any

import h5py

from napari_xanes._core.base.files import whole_file

SIGN = b"\nnapari-xanes blake2b "
SUM_BYTES = 32


class _Sink:
    """The file as HDF5 sees it: one that never fails.

    A library that could not write its last bytes keeps the file open and tries again when the process ends, which
    then crashes.  So the first fault is kept here, and told when HDF5 is through with the file.
    """

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.fault: OSError | None = None

    def write(self, data: Any) -> int:
        if self.fault is None:
            left = memoryview(data).cast("B")
            try:
                while left:
                    left = left[self.file.write(left) :]
            except OSError as error:
                self.fault = error
        return memoryview(data).nbytes

    def readinto(self, buffer: Any) -> int:
        got = self.file.readinto(buffer) or 0
        view = memoryview(buffer).cast("B")
        view[got:] = bytes(len(view) - got)
        return len(view)

    def read(self, size: int) -> bytes:
        buffer = bytearray(size)
        self.readinto(buffer)
        return bytes(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self.file.seek(offset, whence)

    def tell(self) -> int:
        return self.file.tell()

    def truncate(self, size: int) -> int:
        try:
            return self.file.truncate(size)
        except OSError as error:
            self.fault = self.fault or error
            return size

    def flush(self) -> None:
        try:
            self.file.flush()
        except OSError as error:
            self.fault = self.fault or error


@contextmanager
def whole_hdf5(path: str | Path, *, signed: bool = False) -> Iterator[h5py.File]:
    """Give a new HDF5 file to write to; it becomes `path` when all went well, see `whole_file`.

    With `signed` a checksum of all its bytes stands behind its end, see `is_whole`.
    """
    with whole_file(path) as part, open(part, "r+b", buffering=0) as raw:
        sink = _Sink(raw)
        try:
            with h5py.File(sink, "w") as file:
                yield file
        except Exception as error:
            if sink.fault is not None:
                raise sink.fault from error
            raise
        if sink.fault is not None:
            raise sink.fault
        if signed:
            raw.seek(0)
            sums = _sums(raw, os.fstat(raw.fileno()).st_size)
            raw.seek(0, os.SEEK_END)
            sink.write(SIGN + sums)
            if sink.fault is not None:
                raise sink.fault


def is_whole(path: str | Path) -> bool | None:
    """Whether the bytes of a file are those that were written; None if it has no checksum.

    It is looked at before the HDF5 library opens the file, which may hang or die of damage.  Programs that change the
    file through that library cut the checksum off.
    """
    size = os.stat(path).st_size - len(SIGN) - SUM_BYTES
    with open(path, "rb") as file:
        if size < 0:
            return None
        file.seek(size)
        sign = file.read()
        if not sign.startswith(SIGN):
            return None
        file.seek(0)
        return _sums(file, size) == sign.removeprefix(SIGN)


def _sums(file: Any, size: int) -> bytes:
    """Return the checksum of the next bytes of a file."""
    sums = blake2b(digest_size=SUM_BYTES)
    while size > 0 and (piece := file.read(min(size, 2**20))):
        sums.update(piece)
        size -= len(piece)
    return sums.digest()
