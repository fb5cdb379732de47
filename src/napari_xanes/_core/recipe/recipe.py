"""A recipe: which steps, in which order, with which parameters.

A recipe is data.  `pipeline` runs it; the window, the command line and scripts all go through there.
"""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic_core import PydanticUndefined

from napari_xanes._core.base.errors import DataFileError, InputError
from napari_xanes._core.base.files import checked_path, read_bytes, shown, write_text
from napari_xanes._core.base.params import Params, make_params
from napari_xanes._core.base.params import field as param
from napari_xanes._core.data.result import Result
from napari_xanes._core.data.stack import EnergyStack
from napari_xanes._core.io.calibration import FOUND
from napari_xanes._core.recipe.input_params import InputParams
from napari_xanes._core.recipe.steps import STEPS, StepWithParams, make_step

SCHEMA = 1
LARGEST = 2**20
"""Bytes; no recipe is larger."""

_NO_KEY = re.compile(
    "|".join(
        (
            r"#[^\n]*+",  # a remark
            r'"""(?:[^"\\]|\\.|""?(?!"))*+(?:"{3,5}|\Z)',  # texts
            r"'''(?:[^']|''?(?!'))*+(?:'{3,5}|\Z)",
            r'"(?:[^"\\\n]|\\.)*+"?',
            r"'[^'\n]*+'?",
            r"""[^.=,{}\[\]\n"'#]++""",  # what is neither a point nor ends a key
        )
    ),
    re.DOTALL,
)
"""What has to be taken out of a recipe to leave the points between the parts of its keys."""


class OutputParams(Params):
    """What is written besides the result file."""

    maps: tuple[str, ...] = param(
        (),
        "Maps",
        "Kinds of maps to keep, which saves memory and disk. Empty: all.",
        example=["fraction", "thickness", "error"],
    )
    stack: bool = param(False, "Keep the stack", "Also save the stack as it is after the last step.")
    export: tuple[Literal["tiff", "csv"], ...] = param(
        (), "Export", "Other formats to write the maps in.", example=["tiff", "csv"]
    )


@dataclass(frozen=True)
class Recipe:
    """Steps with their parameters, how to read the input and what to write.

    Attributes
    ----------
    steps : tuple of (name, Params)
        In the order they run; names are keys of `STEPS`.
    input : InputParams
    output : OutputParams
    """

    steps: tuple[StepWithParams, ...]
    input: InputParams = field(default_factory=InputParams)
    output: OutputParams = field(default_factory=OutputParams)

    @classmethod
    def load(cls, path: str | Path) -> Recipe:
        """Read a recipe from a TOML file.

        Relative paths in it are relative to the file's folder.

        Raises
        ------
        DataFileError
            If the file cannot be read as TOML.
        InputError
            If it has unknown keys, steps or parameters, or a newer schema.
        """
        path = checked_path(path, "recipe file")
        raw = read_bytes(path, "recipe file", LARGEST)
        if raw.startswith(b"\x89HDF"):
            raise DataFileError(
                f"{shown(path)} is an HDF5 file, expected a recipe (TOML); the recipe of a result lies beside it, as .toml."
            )
        try:
            text = raw.decode("utf-8-sig")
            if "." * 9 in _NO_KEY.sub("", text):  # tomllib takes the square of the parts in time
                raise ValueError("it has a key of more than nine parts")
            table = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # also of integers and nests that Python does not take
            reason = " ".join(str(error).split()).rstrip(".")
            raise DataFileError(
                f"{shown(path)} is not a readable recipe (TOML): {reason[:200]}; mend it, or write a new one."
            ) from None
        return cls.from_dict(table, where=path.name, folder=path.parent)

    @classmethod
    def from_dict(cls, table: dict[str, Any], *, where: str = "recipe", folder: Path | None = None) -> Recipe:
        """Make a recipe from plain values as a TOML file holds them."""
        unknown = set(table) - {"schema", "input", "step", "output"}
        if unknown:
            raise InputError(
                f"{where}: unknown table '{min(unknown)}'; a recipe has schema, input, step and output."
            )
        schema = table.get("schema")
        if schema is None:
            raise InputError(f"{where} does not say its schema; add the line: schema = {SCHEMA}.")
        if schema != SCHEMA or not isinstance(schema, int) or isinstance(schema, bool):
            raise InputError(
                f"{where}: schema is {schema!r}, this version reads schema {SCHEMA}; install a version that matches."
            )
        entries = table.get("step", [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise InputError(f'{where}: steps are written as [[step]] tables, each with do = "name".')
        steps = tuple(_make_step(dict(entry), f"{where}, step {i}") for i, entry in enumerate(entries, 1))
        recipe = cls(
            steps,
            make_params(InputParams, table.get("input", {}), f"{where}, [input]"),
            make_params(OutputParams, table.get("output", {}), f"{where}, [output]"),
        )
        return recipe if folder is None else recipe._with_paths_from(folder)

    @classmethod
    def of(cls, made: EnergyStack | Result) -> Recipe:
        """Return the recipe that makes a stack or a result again, from its history and source.

        Flats and darks that the reader found by itself are not in it: it finds them again, and those of other scans.
        """
        given = {key: made.source.get(key) for key in InputParams.model_fields}
        for what in ("flat", "dark"):
            if str(made.source.get(f"{what}_reason")).startswith(FOUND):
                given[what] = None
        if given["energy"] is None:
            given["energy"] = made.source.get("energy_values")
        table = {
            "schema": SCHEMA,
            "input": {key: value for key, value in given.items() if value is not None},
            "step": [{"do": entry.step, **entry.params} for entry in made.history],
        }
        return cls.from_dict(table, where=f"history of {made.name}")

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as plain values; what is automatic is left out."""
        table: dict[str, Any] = {"schema": SCHEMA}
        if given := _plain(self.input):
            table["input"] = given
        table["step"] = [{"do": name, **_plain(params)} for name, params in self.steps]
        if given := _plain(self.output):
            table["output"] = given
        return table

    def to_toml(self) -> str:
        """Return the recipe as the text of a TOML file."""
        return tomli_w.dumps(self.to_dict())

    def save(self, path: str | Path) -> None:
        """Write the recipe to a TOML file, whole or not at all."""
        write_text(path, self.to_toml())

    def _with_paths_from(self, folder: Path) -> Recipe:
        """Resolve relative paths of files against the recipe's folder."""
        steps = tuple((name, _with_files_from(params, folder)) for name, params in self.steps)
        files = {
            key: _resolve(value, folder)
            for key in ("energy", "flat", "dark")
            if isinstance(value := getattr(self.input, key), str) and os.path.isfile(folder / value)
        }
        return Recipe(steps, self.input.model_copy(update=files), self.output)


def _resolve(path: str, folder: Path) -> str:
    return str(folder.resolve() / path)


def _with_files_from(params: Params, folder: Path) -> Params:
    resolved: dict[str, Any] = {
        name: tuple(_resolve(path, folder) for path in paths) for name, paths in params.files().items()
    }
    for name in resolved:
        if isinstance(getattr(params, name), str):
            resolved[name] = resolved[name][0]
    return params.model_copy(update=resolved)


def _make_step(entry: dict[str, Any], where: str) -> StepWithParams:
    return make_step(entry.pop("do", None), entry, where)


def _plain(params: Params) -> dict[str, Any]:
    """Return the parameters that differ from automatic, as TOML and json can write them."""
    values = params.model_dump(mode="json", exclude_none=True)
    return {key: value for key, value in values.items() if value not in ([], {})}


def template() -> str:
    """Return a commented recipe: the main job as the window does it, and every other step and parameter behind #."""
    lines = [
        "# Recipe of napari-xanes: name your reference files under fit, and it makes the maps that the window makes.",
        "# Steps run in the order written. One behind # is left out: take the # away before [[step]], before do and before",
        "# what is to be set. A parameter behind # is automatic or at its default.",
        "# Relative paths start from the folder of this recipe; of energies, flats and darks that are not there, from the scan's.",
        f"schema = {SCHEMA}",
        "",
        "[input]",
        *_template_lines(InputParams),
    ]
    for name, step in STEPS.items():
        out = "" if step.usual else "# "
        lines += [
            "",
            f"{out}[[step]]",
            f'{out}do = "{name}"',
            *_template_lines(step.params, step.starts, out),
        ]
    lines += ["", "[output]", *_template_lines(OutputParams)]
    return "\n".join(lines) + "\n"


def _template_lines(params: type[Params], starts: Mapping[str, Any] = {}, out: str = "") -> list[str]:
    """Return two lines for each parameter; those that are required or start from a value are set, unless `out` is "# "."""
    lines = []
    for name, info in params.model_fields.items():
        extra = info.json_schema_extra if isinstance(info.json_schema_extra, dict) else {}
        unit = f", {extra['unit']}" if extra.get("unit") else ""
        value = extra["example"] if info.default in (None, (), PydanticUndefined) else info.default
        mark = out if info.is_required() or name in starts else "# "
        lines += [
            f"# {info.title}{unit}: {info.description}",
            f"{mark}{name} = {json.dumps(starts.get(name, value))}",
        ]
    return lines
