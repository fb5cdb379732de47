"""No widget has an attribute that hides one of Qt's."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import textwrap

from qtpy.QtCore import QObject
from qtpy.QtWidgets import QWidget

from napari_xanes import _widgets


def test_no_attribute_hides_one_of_qt():
    """A widget whose `mask` or `size` is something else breaks in whoever asks Qt for it."""
    hidden = {
        f"{one.__module__}: {one.__name__}.{name}"
        for one in qt_classes()
        for name in own_attributes(one) & set(dir(first_of_qt(one)))
    }
    assert not hidden


def test_an_attribute_that_hides_one_of_qt_is_found():
    class Panel(QWidget):
        def __init__(self):
            super().__init__()
            self.size = 3
            self.length: int = 4

    assert own_attributes(Panel) & set(dir(first_of_qt(Panel))) == {"size"}


def qt_classes():
    """Return all classes of the window's modules that Qt, or a library upon Qt, has a say in."""
    found = []
    for module in pkgutil.walk_packages(_widgets.__path__, f"{_widgets.__name__}."):
        own = vars(importlib.import_module(module.name)).values()
        found += [one for one in own if isinstance(one, type) and one.__module__ == module.name]
    kinds = [one for one in found if issubclass(one, QObject)]
    assert len(kinds) > 80
    return kinds


def first_of_qt(one):
    """Return the nearest base that is not of this package."""
    return next(
        base
        for base in one.__mro__[1:]
        if not base.__module__.startswith("napari_xanes") and base is not object
    )


def own_attributes(one):
    """Return the names that the methods of a class give to `self`."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(one)))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and isinstance(node.value, ast.Name)
        and node.value.id == "self"
    }
