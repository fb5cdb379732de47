"""The documentation says what the program does: recipes load, names exist, pictures and pages are there."""

from __future__ import annotations

import ast
import re
import tomllib
from pathlib import Path

import pytest

import napari_xanes as nx
from napari_xanes._core.io import formats
from napari_xanes._core.recipe.recipe import template

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


def test_the_first_recipe_is_that_of_the_template():
    """And so makes the maps that the window makes."""
    first = nx.Recipe.from_dict(tomllib.loads(snippets(ROOT / "README.md", "toml")[0]))
    known = nx.Recipe.from_dict(tomllib.loads(template()))
    named = [(do, p.model_copy(update={"references": ()}) if do == "fit" else p) for do, p in first.steps]
    assert named == [
        (do, p.model_copy(update={"references": ()}) if do == "fit" else p) for do, p in known.steps
    ]


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


@pytest.mark.parametrize("kinds", ["scan_formats", "spectra_formats"])
def test_the_table_of_formats_is_that_of_the_registry(kinds):
    page = ROOT / "docs" / "formats" / "README.md"
    part = page.read_text(encoding="utf-8").split("## ")[1 if kinds == "scan_formats" else 2]
    rows = {row[1]: row for row in re.finditer(r"\| \[(.+?)\]\((\w+\.md)\) \| (.*?) \|", part)}
    known = {kind.title: kind for kind in getattr(formats, kinds)()}
    assert set(rows) == set(known), "a row of the table for every format, and no other"
    for title, kind in known.items():
        told = [suffix for suffix in re.findall(r"`(\.\w+)`", rows[title][3]) if suffix in kind.suffixes]
        assert sorted(told) == sorted(kind.suffixes), title
        assert (page.parent / rows[title][2]).is_file(), rows[title][2]


def test_every_page_of_a_format_is_listed():
    table = (ROOT / "docs" / "formats" / "README.md").read_text(encoding="utf-8")
    for page in sorted((ROOT / "docs" / "formats").glob("*.md")):
        if page.name != "README.md":
            assert f"({page.name})" in table, page.name
            assert f"(formats/{page.name})" in (ROOT / "docs" / "README.md").read_text(encoding="utf-8"), (
                page.name
            )


def test_every_promise_names_a_test_that_exists():
    page = (ROOT / "docs" / "promises.md").read_text(encoding="utf-8")
    promises = re.findall(r"^- (.*?)(?=^- |^#|^What takes|\Z)", page, re.DOTALL | re.MULTILINE)
    assert len(promises) > 20
    for promise in promises:
        named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", promise)
        assert named, f"no test holds: {promise}"
        for file, function in named:
            tree = ast.parse((ROOT / file).read_text(encoding="utf-8"))
            assert function in {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}, function
