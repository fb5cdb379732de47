"""The user's settings, from the page of this plugin in napari's Preferences.

The page and its texts are declared in napari.yaml; napari keeps the values in a file beside its own settings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari.settings import get_plugin_settings

if TYPE_CHECKING:
    from napari_xanes._core.runs.keeping import Wish  # which loads much

PLUGIN = "napari-xanes"


@dataclass(frozen=True)
class Settings:
    """All settings; the defaults hold while napari does not list the plugin."""

    fractions: str = "viridis"
    amounts: str = "magma"
    errors: str = "inferno"
    energies: str = "plasma"
    show_energy: bool = True
    show_scale_bar: bool = True
    remember: bool = True
    stacks: Wish = "automatic"


def settings() -> Settings:
    """Return the settings as they are now."""
    model = _model()
    if model is None:
        return Settings()
    values = {key: value for page in model.model_dump().values() for key, value in page.items()}
    return Settings(**values)


def config_folder() -> Path | None:
    """Return the folder in which napari keeps its settings, or None if it keeps none."""
    path = getattr(_model(), "config_path", None)
    return path.parent if isinstance(path, Path) else None


def when_changed(callback: Callable[[Any], None]) -> None:
    """Call a method after every change of a setting, as long as its object lives."""
    model = _model()
    if model is not None:
        model.events.changed.connect(callback)


def _model() -> Any:
    try:
        return get_plugin_settings(PLUGIN)
    except KeyError:  # disabled, or not installed as a plugin
        return None
