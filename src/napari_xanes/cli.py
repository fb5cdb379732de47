"""The command line: the same recipes through the same pipeline as the window, and no window needed.

Results go to stdout, warnings and errors to stderr, one sentence each.  What is heavy to load is loaded by the
command that needs it; napari and Qt only by `open` and by `demo` on a screen.
"""

from __future__ import annotations

import logging
import os
import sys
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from napari_xanes import __version__
from napari_xanes._core.base.errors import Cancelled, InputError, XanesError
from napari_xanes._running import Failed, Rows, note, run_here, run_on_cluster, say, sentence, watch_folder

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="XANES imaging: from a raw scan to chemical maps.",
)

Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files or folders.")]
Text = str | None
AsJson = Annotated[
    bool,
    typer.Option("--json", help="Also tell state and progress of each scan, a line of json for each change."),
]


INTERRUPTED = (
    "interrupted; what was finished is kept, --resume goes on from there, and nothing half-written is left."
)


def main() -> None:
    """Run the command line; every error is one sentence on stderr and exit status 1."""
    # warnings are shown once, with the result
    logging.getLogger("napari_xanes").addHandler(logging.NullHandler())
    for stream in (sys.stdout, sys.stderr):  # a terminal that cannot write µ writes something else
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        app(prog_name="napari-xanes")
    except (XanesError, OSError, MemoryError) as error:
        _fail(str(error) or type(error).__name__)
    except (Cancelled, KeyboardInterrupt):
        _fail(INTERRUPTED)
    except SystemExit as stop:
        if stop.code == 130:  # Ctrl-C where no work was being done yet
            note(f"error: {INTERRUPTED}")
        raise


def _fail(text: str) -> NoReturn:
    note(f"error: {text}")
    sys.exit(1)


def _show_version(wanted: bool) -> None:
    if wanted:
        say(f"napari-xanes {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit."),
    ] = False,
) -> None:
    pass


@app.command()
def inspect(
    files: Files,
    images: Annotated[Text, typer.Option(help="Dataset that holds the images.")] = None,
    energy: Annotated[Text, typer.Option(help="File, dataset or start:stop:step with the energies.")] = None,
    flat: Annotated[Text, typer.Option(help="Dataset or file with images without sample, or I0.")] = None,
    dark: Annotated[Text, typer.Option(help="Dataset or file with images without beam.")] = None,
    energy_unit: Annotated[Text, typer.Option(help="eV or keV.")] = None,
    kind: Annotated[
        Text, typer.Option("--signal", help="counts, transmission, optical_density or normalized.")
    ] = None,
    pixel_size_um: Annotated[float | None, typer.Option(help="Size of a pixel in micrometres.")] = None,
    axis: Annotated[
        Text,
        typer.Option(help="Which axis is energy, counted from 0, or a letter for each axis, such as yxe."),
    ] = None,
    complex_as: Annotated[
        Text, typer.Option("--complex", help="Of complex images take optical_density or phase.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also list every dataset with its size.")] = False,
) -> None:
    """Print what the reader sees in scans, one "key: value" a line."""
    from napari_xanes._core.base.params import make_params
    from napari_xanes._core.io import inspect_stack, read_stack
    from napari_xanes._core.io.describe import OPTIONS, in_options, list_contents
    from napari_xanes._core.recipe.input_params import InputParams

    said = (complex_as, energy_unit, energy, images, flat, dark, kind, pixel_size_um, axis)
    given = dict(zip(OPTIONS, said, strict=True))
    keywords = make_params(InputParams, given, "the options").model_dump()
    failed = 0
    for number, file in enumerate(files):
        if number:
            say("")
        try:
            for key, value in list_contents(file) if everything else ():
                say(f"{key}: {value}")
            for key, value in inspect_stack(read_stack(file, **keywords)):
                say(f"{key}: {in_options(value) if key == 'warning' else value}")
        except Exception as error:  # noqa: BLE001 - the others are of interest all the same
            failed += 1
            note(f"error: {in_options(sentence(error, file))}")
    if failed:
        raise typer.Exit(1)


@app.command()
def recipe() -> None:
    """Print a commented template of a recipe, to be edited."""
    from napari_xanes._core.recipe.recipe import template

    sys.stdout.write(template())


@app.command()
def script(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file (TOML).")],
    scan: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="Scan that it is for.")] = None,
) -> None:
    """Print the Python script that does the same as a recipe."""
    from napari_xanes._core.io import read_stack
    from napari_xanes._core.recipe.recipe import Recipe
    from napari_xanes._core.recipe.script import as_script

    loaded = Recipe.load(recipe_file)
    stack = None if scan is None else read_stack(scan, **loaded.input.model_dump())
    sys.stdout.write(as_script(loaded, scan or "scan.h5", signal=None if stack is None else stack.signal))


@app.command()
def run(
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file (TOML).")],
    scans: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Scans: files, or folders of files.")
    ],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results, <scan>.h5 each.")],
    workers: Annotated[
        int | None,
        typer.Option(min=1, max=1024, help="Number of threads; with --scheduler local of processes."),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Skip what was done already with this recipe: whole scans, and slabs of volumes."
        ),
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace results that exist.")] = False,
    combine: Annotated[
        bool,
        typer.Option(
            "--combine",
            help="Put all scans together to one: parts of an edge, or repeats of a sample that stayed.",
        ),
    ] = False,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="tiff|csv", help="Also write maps (tiff), or statistics and tables (csv); repeatable."
        ),
    ] = None,
    results: Annotated[
        str, typer.Option(metavar="h5|zarr", help="Write results as .h5 files or .zarr folders.")
    ] = "h5",
    scheduler: Annotated[
        Text,
        typer.Option(metavar="ADDRESS|local", help="Let dask.distributed do it, all scans at once."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run a recipe on scans, each into a result file of its own."""
    from napari_xanes._core.recipe.recipe import Recipe
    from napari_xanes._core.runs import batch

    batch.check_exports(export or ())
    loaded = Recipe.load(recipe_file)
    formats = tuple(export or ())
    jobs = batch.plan(
        loaded,
        scans,
        out,
        resume=resume,
        overwrite=overwrite,
        combine=combine,
        export=formats,
        recipe_file=recipe_file,
        results=results,
    )
    rows = Rows(as_json)
    failed, waiting = Failed(len(jobs), rows), {}
    for number, job in enumerate(jobs, 1):
        place = f"[{number}/{len(jobs)}] " if len(jobs) > 1 else ""
        with failed.noted(job):
            if job.fault:
                raise InputError(job.fault)
            if job.done:
                say(f"{place}{job.scan}: done already, {job.target} is kept")
                batch.export_again(loaded, job, formats)
                rows.tell(job.scan, state="done", result=str(job.target), said="done already")
            elif scheduler is None:
                run_here(loaded, job, place, formats, workers, rows)
            else:
                waiting[job] = place
    if waiting and scheduler is not None:
        run_on_cluster(scheduler, loaded, waiting, formats, workers, failed)
    failed.end()


@app.command()
def watch(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Where scans are written.")],
    recipe_file: Annotated[Path, typer.Argument(metavar="RECIPE", help="Recipe file (TOML).")],
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results and watch.csv.")],
    workers: Annotated[int | None, typer.Option(min=1, max=1024, help="Number of threads.")] = None,
    export: Annotated[
        list[str] | None,
        typer.Option(
            metavar="tiff|csv", help="Also write maps (tiff), or statistics and tables (csv); repeatable."
        ),
    ] = None,
    results: Annotated[str, typer.Option(metavar="h5|zarr", help="Write results as .h5 or .zarr.")] = "h5",
    settle: Annotated[
        float, typer.Option(min=0, max=86400, help="Seconds without a change after which a scan is whole.")
    ] = 30.0,
    once: Annotated[bool, typer.Option("--once", help="End when no scan is being written any more.")] = False,
    overwrite: Annotated[
        bool,
        typer.Option(
            help="Replace results of other recipes and of files that have changed, or say that they are there."
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Run a recipe on every scan that comes into a folder, when it is whole, until interrupted."""
    from napari_xanes._core.runs import batch
    from napari_xanes._core.runs.watch import Watch

    batch.check_exports(export or ())
    watched, formats = Watch(folder, out, settle), tuple(export or ())
    try:
        watch_folder(watched, recipe_file, formats, results, workers, once, Rows(as_json), overwrite)
    except (Cancelled, KeyboardInterrupt):  # as it is meant to end
        say("ended; what was being done is gone on with when the same is started again.")


@app.command()
def figure(
    result: Annotated[Path, typer.Argument(metavar="RESULT", help="Result file (.h5).")],
    out: Annotated[Path, typer.Option(metavar="FIGURE", help="File to write: .png, .svg or .pdf.")],
    maps: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Map to draw, or kind of maps; repeatable.")
    ] = None,
    mix: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Map to mix in colour, or kind, or none; repeatable."),
    ] = None,
    plane: Annotated[int | None, typer.Option(help="Plane of volumes; the middle one if not given.")] = None,
) -> None:
    """Draw the maps of a result as a figure for a paper."""
    from napari_xanes._core.draw.figure_kinds import check_figure_path

    check_figure_path(out)
    from napari_xanes._core.draw.figure import save_figure
    from napari_xanes._core.runs.result_file import load_result

    chosen = [] if mix == ["none"] else mix or None
    save_figure(out, load_result(result), names=maps or None, mix=chosen, plane=plane)
    say(f"{out}: drawn from {result}")


@app.command()
def demo(
    no_gui: Annotated[bool, typer.Option("--no-gui", help="Only write files, open no window.")] = False,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for scan, recipe and maps.")] = Path(
        "napari-xanes-demo"
    ),
) -> None:
    """Do the main job on a simulated scan: raw counts to chemical maps, held against the truth."""
    from napari_xanes import _demo
    from napari_xanes._core.runs import batch

    simulation, scan, recipe_file = _demo.prepare(out)
    loaded = _demo.load_recipe(recipe_file)
    (job,) = batch.plan(loaded, [scan], out / "maps", overwrite=True)
    result = run_here(loaded, job, "", ("tiff", "csv"), None)
    overview = _demo.overview(result, out)
    for line in _demo.compare(result, simulation):
        say(line)
    maps = f"{job.target.with_suffix('')}_maps/"
    for what, where in {
        "raw scan": scan,
        "recipe": recipe_file,
        "result": job.target,
        "TIFFs": maps,
        "picture": overview,
    }.items():
        say(f"{what + ':':<10}{where}")
    if no_gui:
        return
    if fault := _no_window():
        say(f"No window: {fault}")
        return
    from napari_xanes._widgets.window.launch import open_result

    open_result(scan, job.target)


@app.command(name="open")
def open_files(files: Files) -> None:
    """Open scans or results in napari."""
    missing = [file for file in files if not file.exists()]
    if missing:
        raise InputError(f"{missing[0]}: there is no such file or folder.")
    if fault := _no_window():
        raise InputError(f"napari cannot be opened: {fault}")
    from napari_xanes._widgets.window import launch

    launch.open_files(files)


def _no_window() -> str:
    """Return why no window can be opened, or nothing."""
    from importlib.util import find_spec

    screen = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    if sys.platform.startswith("linux") and not screen and "QT_QPA_PLATFORM" not in os.environ:
        return "there is no screen; look at the files, or copy them to a machine with one."
    if find_spec("napari") is None or not any(map(find_spec, ("PyQt6", "PySide6", "PyQt5", "PySide2"))):
        return 'napari or Qt is not installed; pip install "napari-xanes[all]".'
    return ""
