"""The documentation says what the program does: recipes load, names exist, pictures and pages are there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import napari_xanes as nx

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "benchmarks").glob("*.md")),
]
METHODS = [page for page in PAGES if page.parent.name == "methods"]


def snippets(page, language):
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_recipes_can_be_run(page):
    for text in snippets(page, "toml"):
        table = tomllib.loads(text)
        nx.Recipe.from_dict({"schema": 1, **table}, where=page.name)


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_scripts_use_names_that_exist(page):
    for text in snippets(page, "python"):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nx":
                assert hasattr(nx, node.attr), node.attr


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if "://" not in target:
            assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", METHODS, ids=name)
def test_a_method_page_is_complete(page):
    """Formula, source, picture with its script, when to use it and when not; and it can be found."""
    text = page.read_text(encoding="utf-8")
    assert "$" in text, "no formula"
    assert re.search(r"doi:10\.\d{4,}/|doi\.org/10\.|Numerical Recipes", text), "no source"
    assert "## When" in text and "not" in text, "does not say when not to use it"
    pictures = re.findall(r"\(\.\./images/method_(\w+)\.png\)", text)
    assert pictures, "no picture"
    for picture in pictures:
        assert (ROOT / "docs" / "figures" / f"{picture}.py").exists(), f"no script makes {picture}"
    assert f"(methods/{page.name})" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8"), "not listed"


def test_the_reference_is_of_this_version(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    import reference

    assert reference.PAGE.read_text(encoding="utf-8") == reference.page(), "run python tools/reference.py"
