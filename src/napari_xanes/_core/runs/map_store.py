"""Maps on the disk while they are computed, so that memory does not depend on the number of voxels, nor is work lost.

A pass over volumes puts the maps of each slab into a Zarr store beside the result, and steps then see them as dask arrays.
The store outlives a run that is ended, and the next one goes on from what is whole in it.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes import __version__
from napari_xanes._core.base.errors import DataFileError
from napari_xanes._core.base.files import check_no_link, has_links, shown, whole_file, write_text
from napari_xanes._core.base.progress import Progress
from napari_xanes._core.data.stack import FloatArray
from napari_xanes._core.engine.passes import RawMaps
from napari_xanes._core.engine.slabs import SlabPass
from napari_xanes._core.runs.chunks import Packed, packed_images
from napari_xanes._core.runs.result_zarr import CHUNK, lazy, new_store, packing

MADE_FROM = "made_from.json"
LOCK = "lock"
WHOLE = "whole"


class MapStore:
    """What a run has made so far: facts that are made once, and the maps of passes over volumes.

    Folder ``facts`` holds the facts, ``maps`` a Zarr store ``<pass>/<kernel>/<name>``, and a file
    ``whole/<pass>-<start>-<stop>`` says that those planes are all written, and what kernels keep of them besides.
    """

    rows: int = CHUNK[3][0]
    patience = 0.0
    """Seconds that another run of the same result may take to end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._passes, self._facts = 0, 0
        self._arrays: list[dict[str, Any]] = []
        self.packed: dict[str, Packed] = {}
        """The chunks of maps that were returned, by the names that dask has for them."""
        self._whole: NDArray[np.bool_] = np.zeros(0, np.bool_)

    @property
    def planes(self) -> int:
        """Number of planes of the pass."""
        return self._whole.size

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to go on from."""
        return not any((self.folder / name).is_dir() for name in ("facts", "maps"))

    def once(self, what: str, make: Callable[[], bytes]) -> bytes:
        """Return what `make` gives, of this run or of the one before it, which asked for the same in the same order."""
        self._facts += 1
        path = self.folder / "facts" / f"{self._facts}-{what}"
        if not path.is_file():
            with whole_file(path) as part:
                part.write_bytes(make())
        return path.read_bytes()

    def begin(self, image_shape: Sequence[int], like: RawMaps) -> None:
        """Begin a pass, or open what there is of it; `like` are maps of no planes, one mapping for each kernel."""
        self._passes += 1
        name = str(self._passes)
        spans = [planes for planes, _ in self._marks()]
        store = self.folder / "maps" / name
        if spans:
            import zarr

            root = zarr.open_group(str(store), mode="r+")
            self._arrays = [
                {key: root[f"{number}/{key}"] for key in kernel} for number, kernel in enumerate(like)
            ]
        else:
            shutil.rmtree(store, ignore_errors=True)
            self._arrays = _new_arrays(new_store(store), image_shape, like)
        self._whole = np.zeros(image_shape[0], np.bool_)
        for planes in spans:
            self._whole[planes] = True

    def carry_out(self, work: SlabPass, progress: Progress, workers: int | None) -> None:
        """Have all planes of the pass put that are not there."""
        work.into(self, slice(0, self._whole.size), progress, workers)

    def holds(self, planes: slice) -> bool:
        """Whether the maps of some planes are there."""
        return bool(self._whole[planes].all())

    def put(self, planes: slice, maps: RawMaps, kept: Mapping[str, FloatArray]) -> None:
        """Write the maps of some planes, and then that they are whole."""
        for arrays, kernel in zip(self._arrays, maps, strict=True):
            for name, array in arrays.items():
                array[..., planes, :, :] = kernel[name]
        mark = self.folder / WHOLE / f"{self._passes}-{planes.start}-{planes.stop}"
        with whole_file(mark) as part, open(part, "wb") as file:
            save: Any = np.savez
            save(file, **kept)
        self._whole[planes] = True

    def _marks(self) -> Iterator[tuple[slice, Path]]:
        for path in (self.folder / WHOLE).glob(f"{self._passes}-*"):
            yield slice(*map(int, path.name.split("-")[1:])), path

    def kept(self) -> Iterator[tuple[slice, Mapping[str, FloatArray]]]:
        """Return what kernels have kept of planes, besides their maps."""
        for planes, path in self._marks():
            with np.load(path, allow_pickle=False) as arrays:
                yield planes, dict(arrays)

    def blank(self, planes: int) -> RawMaps:
        """Return maps of the pass for so many planes, not filled."""
        return [
            {
                name: np.empty((*one.shape[:-3], planes, *one.shape[-2:]), one.dtype)
                for name, one in kernel.items()
            }
            for kernel in self._arrays
        ]

    def maps(self) -> RawMaps:
        """Return the maps of the last pass, read where they are looked at."""
        maps = [{name: lazy(array) for name, array in kernel.items()} for kernel in self._arrays]
        folder = self.folder / "maps" / str(self._passes)
        for number, kernel in enumerate(maps):
            for name, one in kernel.items():
                self.packed.update(packed_images(folder / str(number) / name, one))
        return maps


def _new_arrays(root: Any, image_shape: Sequence[int], like: RawMaps) -> list[dict[str, Any]]:
    chunks = tuple(min(c, n) for c, n in zip(CHUNK[3], image_shape, strict=True))
    return [
        {
            name: root.create_array(
                f"{number}/{name}",
                shape=(*part.shape[:-3], *image_shape),
                chunks=(*(1,) * (part.ndim - 3), *chunks),
                dtype=part.dtype,
                fill_value=np.nan if part.dtype.kind == "f" else 0,
                **packing(),
            )
            for name, part in kernel.items()
        }
        for number, kernel in enumerate(like)
    ]


@contextmanager
def maps_beside(
    target: str | Path,
    made: object = None,
    *,
    resume: bool = False,
    store: Callable[[Path], MapStore] = MapStore,
) -> Iterator[MapStore]:
    """Give where maps are put while a result is made; it is removed when the result is there.

    Parameters
    ----------
    target : path
        Of the result.
    made : optional
        What the result is made from, as json can write it, see `made_from`.
    resume : bool
        Go on from what a run has left that was ended, if it made the same of the same.
    store : callable, optional
        Makes what maps are put into, of its folder.
    """
    folder = begun_folder(Path(target))
    check_no_link(folder, "folder")
    maps, through = store(folder), False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder, Path(target), maps.patience):
            of = json.dumps([__version__, made], sort_keys=True)
            about = folder / MADE_FROM
            known = resume and not has_links(folder) and about.is_file()
            if not (known and about.read_text("utf-8") == of):
                _clear(folder)
                write_text(about, of)
            try:
                yield maps
                through = True
            finally:
                if through := through or maps.is_empty:
                    _clear(folder)
    except DataFileError:
        raise
    except OSError as error:
        raise DataFileError(f"nothing could be written beside {shown(target)}: {error.strerror}.") from error
    finally:
        if through:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _alone(folder: Path, target: Path, patience: float) -> Iterator[None]:
    """Let no other run make the same result meanwhile, where the file system knows locks."""
    from filelock import FileLock, Timeout

    check_no_link(folder / LOCK, "file")
    lock = FileLock(folder / LOCK)
    try:
        lock.acquire(timeout=patience)
    except Timeout:
        raise DataFileError(
            f"{shown(target)} is being made by another run; wait for it, or choose another --out."
        ) from None
    except NotImplementedError:
        pass
    try:
        yield
    finally:
        lock.release()


def begun_folder(target: Path) -> Path:
    """Return where what is whole of a result is kept until the rest of it is."""
    return target.with_name(f".napari-xanes-{sha256(os.fsencode(target.name)).hexdigest()[:16]}.begun")


def forget_begun(target: Path, patience: float = 0.0) -> None:
    """Remove what a run has left that was ended, or ends within so many seconds."""
    folder = begun_folder(target)
    check_no_link(folder, "folder")
    if folder.is_dir():
        with _alone(folder, target, patience):
            _clear(folder)
        shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        elif path.name != LOCK:
            path.unlink()
