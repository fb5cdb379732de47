"""Names of the columns of a text file, from the many kinds of headers that beamlines and programs write."""

from __future__ import annotations

import re

from napari_xanes._core.io.column_roles import role_of

SIGNS = "#%!*/;"
"""Signs that a line of comment begins with."""
_RULE = re.compile(r"[#%!*/;\s]*+[-=_~*+./\s]*")  # a line of dashes
_LOOK_BACK = 8
LONGEST_LINE, LONGEST_WORD = 20_000, 500
"""Characters; lines and words beyond are no names."""


def column_names(header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return the name of each column, or none if the header has no such names.

    Parameters
    ----------
    header : tuple of str
        The lines above the numbers.
    width : int
        How many columns there are.
    """
    for found in (f(header, width) for f in (_of_xdi, _of_fio, _of_epics, _one_a_line)):
        if found:
            return found
    above = [line for line in reversed(header) if line and not _RULE.fullmatch(line)][:_LOOK_BACK]
    for distance, line in enumerate(above):
        names = _of_line(line, width)
        if names and (distance == 0 or any(role_of(name) in ("energy", "angle") for name in names)):
            return names
    return ()


def _of_xdi(header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return the names of XDI's ``Column.N`` lines."""
    found: dict[int, str] = {}
    for line in header:
        if match := re.match(r"[#%!\s]*Column\.(\d+)\s*:\s*(.+)", line, re.IGNORECASE):
            found[int(match[1])] = match[2].split("||")[0].strip()
    return tuple(found[i] for i in range(1, width + 1)) if found.keys() >= set(range(1, width + 1)) else ()


def _of_fio(header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return the names of lines such as ``Col 1 ENERGY DOUBLE``, as PETRA III writes them."""
    found = {int(m[1]): m[2] for line in header if (m := re.match(r"Col\s+(\d+)\s+(\S+)\s+[A-Z]+", line))}
    return tuple(found[i] for i in range(1, width + 1)) if found.keys() == set(range(1, width + 1)) else ()


def _of_epics(header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return names such as ``P1 = {Energy}`` for the columns P1, P2, D1, ... of the last line."""
    named = {m[1]: m[2].strip() for line in header if (m := re.match(r"\W*([PD]\d+)\s*=\s*\{(.*?)\}", line))}
    last = next((line for line in reversed(header) if line), "").lstrip(SIGNS + " \t").split()
    return tuple(named[key] for key in last) if len(last) == width and set(last) <= named.keys() else ()


def _one_a_line(header: tuple[str, ...], width: int) -> tuple[str, ...]:
    """Return names that stand one below the other after the line "Data:"."""
    starts = [i for i, line in enumerate(header) if line.rstrip() == "Data:"]
    names = [line for line in header[starts[-1] + 1 :] if line] if starts else []
    return tuple(names) if len(names) == width else ()


def _of_line(line: str, width: int) -> tuple[str, ...]:
    """Return the names in one line: numbered ones, or cells between separators."""
    text = re.sub(r"^\W*#?[LC]\s(?=.*\w)|^#\(\d+\)\s*", "", line).lstrip(SIGNS + " \t")
    if len(text) > LONGEST_LINE or not any(character.isalpha() for character in text):
        return ()
    if max(map(len, text.split())) > LONGEST_WORD:
        return ()
    numbered = re.findall(r"(?:^|\s)(\d+)\s?[_:=.)]\s*(.+?)(?=\s+\d+\s?[_:=.)]|\s*$)", text)
    if [int(number) for number, _ in numbered] == list(range(1, width + 1)):
        return tuple(name.strip() for _, name in numbered)
    for separator in (r"[,;\t]", r"\s{2,}", r"\s*\*\s+|\s{2,}", r"\s+"):
        cells = [cell.strip(" \"'*") for cell in re.split(separator, text) if cell.strip(" \"'*")]
        if len(cells) == width and ":" not in cells[0].rstrip(":"):
            return _without_numbers(cells)
    return ()


def _without_numbers(cells: list[str]) -> tuple[str, ...]:
    """Take off ``_c1``, ``_c2``, ... where every name ends so, and the ``$( )`` of macros."""
    bare = [re.fullmatch(r"\$\((.+)\)", cell) for cell in cells]
    names = [cell if match is None else match[1] for cell, match in zip(cells, bare, strict=True)]
    if all(re.search(rf"_c{i}$", name) for i, name in enumerate(names, 1)):
        names = [re.sub(r"_c\d+$", "", name) for name in names]
    return tuple(names)
