"""The npe2 reader: stacks and results as layers.

A plain picture or a folder of something else is left to others at once; what looks like a scan but cannot be
read is said in one sentence.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from napari_xanes._core.data.result import Result

LayerTuple = tuple[Any, dict[str, Any], str]

NOTHING: list[Any] = [(None,)]
"""What npe2 takes for "read, and no layer came of it"."""
ASKABLE = re.compile(r"\b(energy|images|flat|signal|energy_unit|axis|complex_as)=")
"""Errors that name a keyword of `read_stack` can be mended in the import dialog."""
HINT = "File > IO Utilities > Import XANES stack... lets you say where images and energies are."


def get_reader(path: str | list[str]) -> Callable[[Any], list[LayerTuple]] | None:
    """Return the reader if `path` may be a scan or a result, else None."""
    paths = [Path(one) for one in (path if isinstance(path, list) else [path])]
    if len(paths) > 1:  # opened as a stack: one image or volume a file
        from napari_xanes._core.io.formats import scan_suffixes

        return read if all(one.suffix.lower() in scan_suffixes() for one in paths) else None
    if paths and _holds_spectra(paths[0]) and _in_window():
        return take_spectra
    return read if paths and _plausible(paths[0]) else None


def get_spectra_reader(path: str | list[str]) -> Callable[[Any], list[LayerTuple]] | None:
    """Return what takes reference spectra, or an I0 spectrum, that are dropped on the window; None in a script."""
    return take_spectra if _in_window() else None


def take_spectra(path: str | list[str]) -> list[LayerTuple]:
    """Give files with spectra to the workflow, which is opened if it is not: to Fit, or as I0 to Preprocess."""
    import napari
    from qtpy.QtCore import QTimer

    from napari_xanes._widgets.layers.session import workflow_of
    from napari_xanes._widgets.parts.busy import LOOK_MS, is_busy

    viewer = napari.current_viewer()
    paths = path if isinstance(path, list) else [path]

    def take() -> None:
        if is_busy():  # a file dropped with this one may just be opening the workflow
            QTimer.singleShot(LOOK_MS, take)
            return
        if workflow_of(viewer) is None and viewer is not None:
            viewer.window.add_plugin_dock_widget("napari-xanes", "XANES workflow")
        if (workflow := workflow_of(viewer)) is not None:
            workflow.take_spectra(paths)

    QTimer.singleShot(0, take)  # when napari has done with opening
    return NOTHING


def read(path: str | list[str]) -> list[LayerTuple]:
    """Return the layers of a scan (file, folder, or list of files) or of a result file.

    In the window, what cannot be read is a notification, and what cannot be found is asked for; a script
    gets an error.

    Raises
    ------
    XanesError
        With one sentence for the user.
    """
    from napari_xanes._core.base.errors import XanesError

    paths = path if isinstance(path, list) else [path]
    try:
        return _layers(paths)
    except XanesError as error:
        if not _in_window():
            raise type(error)(str(error)) from None
        _tell(str(error), paths)
        return NOTHING


def _layers(paths: list[str]) -> list[LayerTuple]:
    from napari_xanes._widgets.parts.busy import wait_for

    results, made = wait_for(partial(_opened, paths), f"Opening {Path(paths[0]).name}")
    from napari_xanes._widgets.layers.reopened import result_tuples
    from napari_xanes._widgets.window.energy_text import show_energy_in_window

    show_energy_in_window()
    return [*made, *(layer for result in results for layer in result_tuples(result))]


def _opened(paths: list[str]) -> tuple[list[Result], list[LayerTuple]]:
    """Return the results that are in files, or the layer of the scan that they are; no window is touched."""
    from napari_xanes._core.base.errors import InputError, ResourceError, XanesError
    from napari_xanes._core.io import read_stack
    from napari_xanes._core.recipe import steps  # noqa: F401 - long to load, so here
    from napari_xanes._core.runs.result_file import SUFFIXES, is_result_file, load_result
    from napari_xanes._core.runs.result_zarr import held
    from napari_xanes._widgets.layers.settings import settings
    from napari_xanes._widgets.layers.tuples import stack_tuple

    settings()  # npe2 reads the manifests of all plugins for it, so here
    if all(Path(one).suffix.lower() in SUFFIXES and is_result_file(one) for one in paths):
        return [held(load_result(one)) for one in paths], []
    try:
        stack = read_stack(paths if len(paths) > 1 else paths[0])
    except ResourceError:
        raise
    except XanesError as error:
        raise InputError(f"{error} {HINT}" if ASKABLE.search(str(error)) else str(error)) from None
    return [], [stack_tuple(stack)]


def _tell(sentence: str, paths: list[str]) -> None:
    """Ask for what the reader could not find, if the import dialog can ask for it; else only say it."""
    from napari.utils.notifications import show_error

    if len(paths) == 1 and ASKABLE.search(sentence):
        import napari
        from qtpy.QtCore import QTimer

        from napari_xanes._widgets.window.import_dialog import import_stack

        viewer = napari.current_viewer()
        QTimer.singleShot(0, lambda: import_stack(viewer, paths[0]))
    else:
        from napari_xanes._widgets.parts.spoken import spoken

        show_error(spoken(sentence))


def _in_window() -> bool:
    """Whether a user waits at a running window, rather than a script for a return value."""
    import napari

    if napari.current_viewer() is None:
        return False
    from qtpy.QtCore import QThread
    from qtpy.QtWidgets import QApplication

    thread = QThread.currentThread()
    return QApplication.instance() is not None and thread is not None and thread.loopLevel() > 0


def _holds_spectra(path: Path) -> bool:
    """Whether an HDF5 file holds reference spectra."""
    from napari_xanes._core.io.spectra.nxxas import FORMAT, is_nxxas_file

    return path.suffix.lower() in FORMAT.suffixes and path.is_file() and is_nxxas_file(path)


def _plausible(path: Path) -> bool:
    """Tell by the name, and of pictures by the number of pages, without reading any data."""
    from napari_xanes._core.io.formats import scan_formats, scan_suffixes
    from napari_xanes._core.io.unread import TOLD

    if path.is_dir() and path.suffix.lower() == ".zarr":
        from napari_xanes._core.runs.result_zarr import is_result_store

        if is_result_store(path):
            return True
    if path.is_dir():
        whole = next((kind for kind in scan_formats() if kind.folder is not None and kind.folder(path)), None)
        if whole is not None:
            return whole.looks_like_scan is None or whole.looks_like_scan(path)
        return path.suffix.lower() not in (".zarr", ".n5") and _holds_scan(path, scan_suffixes())
    if path.suffix.lower() in TOLD:
        return path.is_file()
    kinds = [kind for kind in scan_formats() if path.suffix.lower() in kind.suffixes]
    return any(kind.looks_like_scan is None or kind.looks_like_scan(path) for kind in kinds)


def _holds_scan(folder: Path, suffixes: tuple[str, ...]) -> bool:
    return any(file.suffix.lower() in suffixes for file in folder.iterdir() if file.is_file())
