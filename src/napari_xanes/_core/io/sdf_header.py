"""Headers of SDF files (.hdr): names and values in braces and brackets, as the STXMs of ALS, PolLux, BESSY, MAX IV and CLS write.

``Name = value;`` with numbers, "texts", structures ``{ ... }`` and lists ``(count, item, ...)``.
"""

from __future__ import annotations

import re
from typing import Any

_TOKEN = re.compile(r'"([^"]*)"|([={}(),;])|([^\s={}(),;"][^={}(),;"]*)')


def parse_header(text: str) -> dict[str, Any]:
    """Return the header as nested dictionaries and lists; lists without their leading count.

    Raises
    ------
    ValueError
        If it ends within a bracket.
    """
    tokens = [
        (match[1], True) if match[1] is not None else ((match[2] or match[3].strip()), False)
        for match in _TOKEN.finditer(text)
    ]
    return _Parser(tokens).structure(closing=None)


class _Parser:
    def __init__(self, tokens: list[tuple[str, bool]]) -> None:
        self.tokens, self.at = tokens, 0

    def next(self) -> tuple[str, bool]:
        if self.at >= len(self.tokens):
            raise ValueError("it ends within a bracket")
        self.at += 1
        return self.tokens[self.at - 1]

    def structure(self, closing: str | None) -> dict[str, Any]:
        """Return ``name = value;`` pairs up to the closing brace, or the end."""
        found: dict[str, Any] = {}
        name = ""
        while closing is not None or self.at < len(self.tokens):
            token, quoted = self.next()
            if not quoted and token == closing:
                return found
            if not quoted and token == "=":
                found[name] = self.value()
            elif quoted or token not in ";,":
                name = token
        return found

    def value(self) -> Any:
        token, quoted = self.next()
        if quoted:
            return token
        if token == "{":
            return self.structure("}")
        if token == "(":
            return self.items()
        if token == ";":  # nothing was written
            self.at -= 1
            return ""
        return _number(token)

    def items(self) -> list[Any]:
        """Return the items of a list; the first says how many there are."""
        found: list[Any] = []
        while True:
            token, quoted = self.next()
            if not quoted and token == ")":
                return found[1:]
            if quoted:
                found.append(token)
            elif token == "{":
                found.append(self.structure("}"))
            elif token == "(":
                found.append(self.items())
            elif token not in ",;}=":  # some writers leave a stray brace
                found.append(_number(token))


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text
