"""Write docs/reference.md, all public names with their signatures and what they are for, from the docstrings.

python tools/reference.py
"""

from __future__ import annotations

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any

import napari_xanes as nx

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reference.md"
NAMES = ROOT / "src" / "napari_xanes" / "__init__.pyi"
"""The public names in the order of the work."""


def main() -> None:
    PAGE.write_text(page(), encoding="utf-8")


def page() -> str:
    """Return the text of the page."""
    head = (
        "# Reference\n\nAll public names (`import napari_xanes as nx`). Full descriptions with shapes, units, errors and\n"
        "sources are in the docstrings: `help(nx.fit_references)`. Made by `python tools/reference.py`.\n"
    )
    names = NAMES.read_text(encoding="utf-8")
    return head + "".join(
        _entry(name, getattr(nx, name)) for name in re.findall(r" as (\w+)$", names, re.MULTILINE)
    )


def _entry(name: str, thing: Any) -> str:
    if not callable(thing):
        return f"\n### `{name}`\n\n{_value(thing)}\n"
    first = (inspect.getdoc(thing) or "").split("\n\n")[0].replace("\n", " ")
    text = "\n".join(textwrap.wrap(first, 116))
    if inspect.isclass(thing):
        fields = [field for field in getattr(thing, "__dataclass_fields__", ()) if not field.startswith("_")]
        more = f"\n\nFields: {', '.join(f'`{field}`' for field in fields)}." if fields else ""
        return f"\n### `{name}`\n\n{text}{more}\n"
    return f"\n### `{name}`\n\n```\n{_signature(name, thing)}\n```\n\n{text}\n"


def _signature(name: str, thing: Any) -> str:
    parts = []
    star = False
    for parameter in inspect.signature(thing).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            parts.append("*")
            star = True
        star |= parameter.kind is parameter.VAR_POSITIONAL
        prefix = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f"={_default(parameter.default)}"
        parts.append(f"{prefix}{parameter.name}{default}")
    return "\n".join(textwrap.wrap(f"{name}({', '.join(parts)})", 110, subsequent_indent="    "))


def _default(value: Any) -> str:
    return value.__name__ if callable(value) else repr(value)


def _value(thing: Any) -> str:
    return "\n".join(textwrap.wrap(", ".join(map(str, thing)), 116))


if __name__ == "__main__":
    main()
