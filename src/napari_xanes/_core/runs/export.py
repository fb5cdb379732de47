"""Maps for other programs: a float TIFF each, and tables of numbers as CSV.

The result file of `results` holds everything; these copies are for ImageJ, spreadsheets and figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

from napari_xanes._core.base.csv_cells import write_csv
from napari_xanes._core.base.errors import InputError
from napari_xanes._core.base.files import whole_file
from napari_xanes._core.data.result import Result
from napari_xanes._core.runs.result_layout import recipe_text, unique_keys


def export_maps(result: Result, folder: str | Path, formats: Sequence[str]) -> list[Path]:
    """Write the maps of a result for other programs.

    Parameters
    ----------
    result : Result
    folder : path
        Made if need be.
    formats : sequence of {"tiff", "csv"}
        "tiff": one file per map, float32 with NaN where invalid (labels keep their integers); its description is
        JSON that tells what the map is and the recipe that made it;
        "csv": ``statistics.csv`` of every map, one file per table, and, if there is one, ``drift.csv``.

    Returns
    -------
    list of Path
        The files written.

    Raises
    ------
    InputError
        If a format is unknown.
    DataFileError
        If a file cannot be written.
    """
    unknown = [name for name in formats if name not in WRITERS]
    if unknown:
        raise InputError(f"export format is '{unknown[0]}', expected one of {', '.join(WRITERS)}.")
    return [path for name in dict.fromkeys(formats) for path in WRITERS[name](result, Path(folder))]


def export_names(result: Result) -> list[str]:
    """Return the names of the files that `export_maps` writes in all formats."""
    images = unique_keys([*result.maps, *(name for name in result.labels if name not in result.maps)])
    tables = unique_keys(["statistics", "drift", *result.tables])
    return [*(f"{key}.tif" for key in images.values()), *(f"{key}.csv" for key in tables.values())]


def _export_tiff(result: Result, folder: Path) -> list[Path]:
    images = {name: data.astype(np.float32) for name, data in result.maps.items()}
    labels = {name: data for name, data in result.labels.items() if name not in images}
    keys = unique_keys([*images, *labels])
    recipe = recipe_text(result)
    paths = []
    for name, data in (images | labels).items():
        paths.append(folder / f"{keys[name]}.tif")
        about = {"map": name, **result.info.get(name, {}), "scan": result.name, "recipe": recipe}
        with whole_file(paths[-1]) as part:
            tifffile.imwrite(
                part,
                data,
                photometric="minisblack",
                description=json.dumps(about),
                **_resolution(result.pixel_size_um),
            )
    return paths


def _resolution(pixel_size_um: float | None) -> dict[str, Any]:
    if pixel_size_um is None:
        return {}
    per_cm = 1e4 / pixel_size_um
    return {"resolution": (per_cm, per_cm), "resolutionunit": "CENTIMETER"}


def _export_csv(result: Result, folder: Path) -> list[Path]:
    head = ("map", "unit", "pixels", "invalid", "mean", "std", "min", "median", "max")
    rows = (
        (name, result.info.get(name, {}).get("unit", ""), *_statistics(data))
        for name, data in result.maps.items()
    )
    paths = [_write_table(folder / "statistics.csv", head, rows)]
    taken = unique_keys(["statistics", "drift", *result.tables])
    for name, columns in result.tables.items():
        flat = dict(_flat_columns(columns))
        paths.append(
            _write_table(folder / f"{taken[name]}.csv", list(flat), zip(*flat.values(), strict=True))
        )
    drift = result.extra.get("drift")
    if drift is not None:
        rows_of_drift = zip(result.energy, *drift.shifts.T, drift.confidence, strict=True)
        axes = ("dz_px", "dy_px", "dx_px")[-drift.shifts.shape[1] :]
        paths.append(_write_table(folder / "drift.csv", ("energy_eV", *axes, "confidence"), rows_of_drift))
    return paths


def _flat_columns(columns: Mapping[str, NDArray[Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the columns of a table, one of several numbers a row as as many columns."""
    for name, values in columns.items():
        if np.ndim(values) < 2:
            yield name, values
        else:
            wide = np.reshape(values, (len(values), -1))
            yield from ((f"{name}_{i}", column) for i, column in enumerate(wide.T, 1))


def _statistics(data: NDArray[Any]) -> tuple[Any, ...]:
    data = np.asarray(data)  # one map at a time, where they are on the disk
    valid = data[np.isfinite(data)].astype(np.float64)
    counts = (data.size, data.size - valid.size)
    if not valid.size:
        return (*counts, "", "", "", "", "")
    numbers = (valid.mean(), valid.std(), valid.min(), np.median(valid), valid.max())
    return (*counts, *(f"{number:.7g}" for number in numbers))


def _write_table(path: Path, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    write_csv(path, [head, *rows])
    return path


WRITERS: dict[str, Callable[[Result, Path], list[Path]]] = {"tiff": _export_tiff, "csv": _export_csv}
"""Export formats by name."""
