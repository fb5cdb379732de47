"""A folder into which scans are written: each is run when it is whole, and a table says what has come of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import h5py

from napari_xanes._core.base.csv_cells import csv_text
from napari_xanes._core.base.errors import Cancelled, DataFileError
from napari_xanes._core.base.files import checked_path, read_bytes, shown, write_text
from napari_xanes._core.io.formats import scan_suffixes

State = Literal["being written", "whole", "done", "failed"]
TABLE = "watch.csv"
HEAD = ("scan", "state", "seconds", "said")
HDF5 = b"\x89HDF\r\n\x1a\n"
Stamp = tuple[tuple[str, int, int], ...]
"""Names, sizes and times of the files of a scan."""


@dataclass(frozen=True)
class Seen:
    """A scan in the folder: its files as they were last, since when (s), and what has come of it."""

    scan: Path
    stamp: Stamp
    since: float
    state: State = "being written"
    seconds: float = 0.0
    said: str = ""


class Watch:
    """Looks at a folder of scans, each a file or a folder of files.

    A scan is whole when none of its files has changed for `settle` seconds, and no HDF5 file is open to be written.

    Parameters
    ----------
    folder : path
        Where scans come in.
    out : path
        Where ``watch.csv`` is kept; never looked at for scans.
    settle : float
        Seconds.
    """

    def __init__(self, folder: Path, out: Path, settle: float) -> None:
        self.folder, self.out, self.settle = checked_path(folder, "folder"), Path(out), settle
        if not self.folder.is_dir():
            raise DataFileError(f"{shown(folder)}: there is no such folder to watch.")
        table = self.out / TABLE
        if table.exists() and not read_bytes(table, "table").startswith(",".join(HEAD).encode()):
            raise DataFileError(
                f"{shown(table)} was not written by this program, and would be replaced; move it away, or choose another "
                "--out."
            )
        self.seen: dict[Path, Seen] = {}

    def look(self) -> list[Path]:
        """Look at the folder, and return the scans that are whole and have not been run as they are."""
        now = time.monotonic()
        for scan in sorted(self.folder.iterdir()):
            stamp = () if scan.resolve() == self.out.resolve() else _stamp(scan)
            if not stamp:
                continue
            known = self.seen.get(scan)
            if known is None or known.stamp != stamp:
                self.seen[scan] = Seen(scan, stamp, now)
            elif known.state == "being written" and now - known.since >= self.settle and not _is_open(scan):
                self.seen[scan] = replace(known, state="whole")
        return [scan for scan, one in self.seen.items() if one.state == "whole"]

    @property
    def is_waiting(self) -> bool:
        """Whether a scan is still being written."""
        return any(one.state in ("being written", "whole") for one in self.seen.values())

    def run(
        self, scan: Path, work: Callable[[Path], None], sentence: Callable[[Exception, Path], str]
    ) -> Seen:
        """Have a scan run, and note in the table what has come of it; one that fails is no reason to end."""
        begin = time.monotonic()
        try:
            work(scan)
            one = replace(self.seen[scan], state="done", said="")
        except Cancelled:
            raise
        except Exception as error:  # noqa: BLE001
            one = replace(self.seen[scan], state="failed", said=sentence(error, scan))
        self.seen[scan] = one = replace(one, seconds=time.monotonic() - begin)
        write_text(self.out / TABLE, self.table())
        return one

    def table(self) -> str:
        """Return what is known of all scans, as CSV."""
        rows = [
            (shown(one.scan.name), one.state, f"{one.seconds:.1f}", one.said) for one in self.seen.values()
        ]
        return csv_text([HEAD, *rows], lineterminator="\n")


def _stamp(scan: Path) -> Stamp:
    """Return the state of the files of a scan; nothing if it holds none that could be one."""
    if scan.name.startswith("."):
        return ()
    suffixes = tuple(scan_suffixes())
    try:
        inside = list(scan.iterdir()) if scan.is_dir() else []
        if not any(path.name.lower().endswith(suffixes) for path in (*inside, scan)):
            return ()
        files = sorted(path for path in scan.rglob("*") if path.is_file()) if scan.is_dir() else [scan]
        about = [(str(path), path.stat()) for path in files]
    except OSError:  # moved away meanwhile
        return ()
    return tuple((name, one.st_size, one.st_mtime_ns) for name, one in about)


def _is_open(scan: Path) -> bool:
    """Whether an HDF5 file of a scan is open to be written, which its lock tells where the disk knows locks."""
    for path in scan.iterdir() if scan.is_dir() else [scan]:
        if not path.is_file():
            continue
        try:
            with open(path, "rb") as file:
                known = file.read(len(HDF5)) == HDF5
            if known:
                h5py.File(path, "r").close()
        except OSError as error:
            if "unable to lock" in str(error):
                return True  # what is damaged is found when it is run
    return False
