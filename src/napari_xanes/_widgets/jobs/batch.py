"""The dock that runs a recipe on many scans, in a process of its own: it goes on while one works here."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from qtpy.QtCore import QTemporaryDir
from qtpy.QtWidgets import QApplication, QCheckBox, QFileDialog, QLineEdit

from napari_xanes._core.base.errors import InputError, XanesError
from napari_xanes._core.recipe.recipe import Recipe
from napari_xanes._widgets.jobs.batch_table import BatchTable, in_words
from napari_xanes._widgets.jobs.child import Child
from napari_xanes._widgets.jobs.chooser import StackChooser
from napari_xanes._widgets.jobs.queue import AGAIN, OPEN, Queue, last_error
from napari_xanes._widgets.layers.painted import with_masks
from napari_xanes._widgets.layers.together import result_of
from napari_xanes._widgets.parts.buttons import in_line, make_button, make_words, with_label
from napari_xanes._widgets.parts.dock import Dock
from napari_xanes._widgets.parts.notices import report_error

TITLE = "Batch"
SETTLE_S = 30.0
"""s without a change after which a scan of a watched folder is whole."""


class XanesBatch(Dock):
    """A queue of scans, the recipe that is run on them, and a table of what has become of each."""

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self.viewer, self.queue, self.settle = napari_viewer, Queue(), SETTLE_S
        self.child, self._home = Child(), QTemporaryDir()
        self._recipe_file, self._cancelled, self._watching = "", False, False
        self.chooser = StackChooser(napari_viewer)
        self.recipe, self.out = QLineEdit(), QLineEdit()
        self.recipe.setPlaceholderText("what was done to this stack")
        self.out.setPlaceholderText("folder for the result files")
        self.choose_recipe = make_button("File...", "A recipe file, in place of what was done to the stack.")
        self.choose_out = make_button("Folder...", "Where results are written.")
        self.add_files = make_button(
            "Add files...", "Each file is a scan. Files and folders can be dropped on the table, too."
        )
        self.add_folder = make_button("Add folder...", "The files of the folder are one scan.")
        self.watch = make_button(
            "Watch folder...",
            "Runs each scan in the folder, and those that come into it when they are whole.",
        )
        self.replace = QCheckBox("Replace other results")
        self.replace.setToolTip(
            "<p>Results of another recipe are replaced; those of this one are always kept.</p>"
        )
        self.table = BatchTable()
        self.run = make_button(
            "Run", "Runs the scans that wait, one after the other, while you go on working."
        )
        self.cancel = make_button("Cancel", "Cancels the chosen scans, or all if none is chosen.")
        self.retry = make_button(
            "Retry",
            "Runs the chosen scans again that failed or were cancelled, or all such if none is chosen.",
        )
        self.remove = make_button("Remove", "Takes the chosen scans off the table; files stay.")
        self.words = make_words()
        for part in (
            *(self.chooser, with_label("Recipe", in_line(self.recipe, self.choose_recipe))),
            with_label("Results", in_line(self.out, self.choose_out)),
            *(in_line(self.add_files, self.add_folder, self.watch), self.table, self.replace),
            *(in_line(self.run, self.cancel, self.retry, self.remove), self.words),
        ):
            self.column.addWidget(part)
        self._connect()
        self.refresh()

    def _connect(self) -> None:
        self.choose_recipe.clicked.connect(self._ask_recipe)
        self.choose_out.clicked.connect(self._ask_out)
        self.add_files.clicked.connect(self._ask_files)
        self.add_folder.clicked.connect(self._ask_folder)
        self.watch.clicked.connect(self._on_watch)
        self.table.dropped.connect(self.add)
        self.table.opened.connect(self.open_result)
        self.table.itemSelectionChanged.connect(self._enable)
        self.out.textChanged.connect(self._enable)
        self.recipe.textChanged.connect(self._enable)
        self.chooser.changed.connect(self._enable)
        self.run.clicked.connect(self.start)
        self.cancel.clicked.connect(self.cancel_chosen)
        self.retry.clicked.connect(self.retry_chosen)
        self.remove.clicked.connect(self.remove_chosen)
        self.child.told.connect(self._on_told)
        self.child.ended.connect(self._on_ended)
        if (app := QApplication.instance()) is not None:
            app.aboutToQuit.connect(self.close_down)
        self.destroyed.connect(partial(_leave_nothing, self.child, self._home))  # with the window, unasked

    # -- what is shown --------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Show the queue as it is."""
        self.table.show_rows(self.queue.rows.values())
        self._enable()

    def _enable(self) -> None:
        states = [row.state for row in self.queue.rows.values()]
        rows = [self.queue.rows[scan] for scan in self.table.chosen()]
        chosen = [row.state for row in rows] or states
        ready, busy = self._missing() == "", self.child.running
        self.run.setEnabled("waiting" in states and ready and not busy)
        self.watch.setEnabled(self._watching or (ready and not busy))
        self.watch.setText("Stop watching" if self._watching else "Watch folder...")
        self.cancel.setEnabled(not self._watching and any(state in OPEN for state in chosen))
        self.retry.setEnabled(any(state in AGAIN for state in chosen))
        self.remove.setEnabled(any(state != "running" for state in chosen) and bool(rows))
        said = in_words(rows[0].said) if len(rows) == 1 else ""
        told = self.queue.summary() if ready else self._missing()
        self.words.setText(f"{told}\n{said}" if said else told)

    def _missing(self) -> str:
        """Return what is still to be chosen before anything can be run."""
        if not self.recipe.text().strip() and self.chooser.layer() is None:
            return "Open a scan and run steps on it, or choose a recipe file."
        return "" if self.out.text().strip() else "Choose the folder for the results."

    # -- the queue ------------------------------------------------------------------------------------

    def add(self, scans: list[str]) -> None:
        """Put files or folders into the queue, each a scan."""
        refused = self.queue.add(scans)
        self.refresh()
        if refused:
            more = f" So it is with {len(refused) - 1} more." if len(refused) > 1 else ""
            report_error(InputError(refused[0] + more), TITLE)

    def cancel_chosen(self) -> None:
        """Cancel the chosen scans, or all."""
        chosen = self.table.chosen() or list(self.queue.rows)
        for scan in chosen:
            if self.queue.rows[scan].state == "waiting":
                self.queue.set(scan, "cancelled")
            elif self.queue.rows[scan].state == "running":
                self._cancelled = True
                self.child.stop()
        self.refresh()

    def retry_chosen(self) -> None:
        """Run the chosen scans again that failed or were cancelled, or all such."""
        self.queue.retry(self.table.chosen() or list(self.queue.rows))
        self.refresh()
        if self.run.isEnabled():
            self.start()

    def remove_chosen(self) -> None:
        """Take the chosen scans off the table."""
        self.queue.remove(self.table.chosen())
        self.refresh()

    def open_result(self, scan: str) -> None:
        """Open the result of a scan in the viewer."""
        row = self.queue.rows[scan]
        try:
            if not Path(row.result).exists():
                raise InputError(f"{row.result} is not there any more; run the scan again.")
            self.viewer.open(row.result, plugin="napari-xanes")
        except (XanesError, OSError) as error:
            report_error(error, TITLE)

    # -- the process ----------------------------------------------------------------------------------

    def start(self) -> None:
        """Run the scans that wait with the recipe as it is now."""
        if self._write_recipe():
            self._next()

    def _write_recipe(self) -> bool:
        """Write down the recipe for the process, as it is now; whether there is one."""
        try:
            chosen = self.recipe.text().strip()
            recipe = Recipe.load(chosen) if chosen else self._recipe_of_stack()
            self._recipe_file = str(Path(self._home.path()) / (Path(chosen).name or "batch.toml"))
            recipe.save(self._recipe_file)
        except (XanesError, OSError) as error:
            report_error(error, TITLE)
            return False
        return True

    def _recipe_of_stack(self) -> Recipe:
        """Return what was done to the chosen stack; masks painted by hand are written among the results, which name them."""
        layer = self.chooser.layer()
        if layer is None:
            raise InputError(self._missing())
        made, out = result_of(self.viewer, layer), self._out()
        recipe, _ = with_masks(self.viewer, Recipe.of(made), made.history, out / "batch.toml")
        return Recipe.from_dict(recipe.to_dict(), folder=out)

    def _next(self) -> None:
        scan = None if self.child.running else self.queue.next()
        if scan is not None:
            self.queue.set(scan, "running")
            more = ["--overwrite"] if self.replace.isChecked() else []
            self.child.start(["run", self._recipe_file, scan, *self._common(), "--resume", *more])
        self.refresh()

    def _out(self) -> Path:
        return Path(self.out.text().strip()).absolute()

    def _common(self) -> list[str]:
        return ["--out", str(self._out()), "--json"]

    def watch_folder(self, folder: str) -> None:
        """Run the scans of a folder as they come in, until stopped."""
        if self._write_recipe():
            self._watching = True
            more = [
                "--settle",
                str(self.settle),
                "--overwrite" if self.replace.isChecked() else "--no-overwrite",
            ]
            self.child.start(["watch", folder, self._recipe_file, *self._common(), *more])
        self.refresh()

    def _on_watch(self) -> None:
        if self._watching:
            self._cancelled = True
            self.child.stop()
        elif folder := QFileDialog.getExistingDirectory(self, "Folder to watch", str(Path.cwd())):
            self.watch_folder(folder)

    def _on_told(self, lines: list[str]) -> None:
        if sum(self.queue.take(line) for line in lines):
            self.refresh()

    def _on_ended(self, code: int, errors: str) -> None:
        self.queue.ended(errors, self._cancelled)
        if self._watching and not self._cancelled and code:
            report_error(InputError(last_error(errors)), TITLE)
        again = not self._watching
        self._watching = self._cancelled = False
        if again:
            self._next()
        self.refresh()

    # -- what is asked --------------------------------------------------------------------------------

    def _ask_recipe(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, "Recipe", str(Path.cwd()), "Recipe (*.toml)")
        if path:
            self.recipe.setText(path)

    def _ask_out(self) -> None:
        if folder := QFileDialog.getExistingDirectory(self, "Folder for results", str(Path.cwd())):
            self.out.setText(folder)

    def _ask_files(self) -> None:
        paths, _ = QFileDialog.getOpenFileNames(self, "Scans", str(Path.cwd()))
        self.add(paths)

    def _ask_folder(self) -> None:
        if folder := QFileDialog.getExistingDirectory(
            self, "Folder with the files of a scan", str(Path.cwd())
        ):
            self.add([folder])

    def cleanup(self) -> None:
        """End the process, which leaves nothing half-written, and disconnect from the viewer."""
        _leave_nothing(self.child, self._home)
        self.chooser.cleanup()


def _leave_nothing(child: Child, home: QTemporaryDir, *_: Any) -> None:
    child.end_now()
    home.remove()
