"""Several maps of one scan as one picture, or as one volume of light for each; nothing here knows of windows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_xanes._core.base.progress import Progress, no_progress
from napari_xanes._core.draw.color import mix_colors

Limits = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Mix:
    """Which maps are mixed, and how; see `mix_colors` for what the numbers mean.

    Attributes
    ----------
    names : sequence of K str
        What the maps are called in a legend.
    maps : sequence of K arrays of one shape
    colors : sequence of K str
    limits : sequence of K (lo, hi)
    brightness : array of that shape, or None
    brightness_limits : (lo, hi)
    sigma : sequence of arrays of that shape, or None
    sigma_limit : float
    """

    names: Sequence[str]
    maps: Sequence[NDArray[Any]]
    colors: Sequence[str]
    limits: Sequence[Limits]
    brightness: NDArray[Any] | None = None
    brightness_limits: Limits = (0.0, 1.0)
    sigma: Sequence[NDArray[Any]] | None = None
    sigma_limit: float = 0.3

    def picture(self) -> NDArray[np.uint8]:
        """Return red, green, blue and opacity in 0..255; transparent where all maps are invalid or sigma is large."""
        mixed = self.mixed(self.maps, self.colors, self.limits)
        opacity = np.where(np.isnan(mixed[..., 0]), 0, self.certainty())[..., None]
        return np.round(255 * np.concatenate([np.nan_to_num(mixed), opacity], axis=-1)).astype(np.uint8)

    def lights(self, progress: Progress = no_progress) -> list[NDArray[np.float32]]:
        """Return how bright the colour of each map of volumes is, 0..1; what is invalid or uncertain is dark."""
        lights = [np.empty(one.shape, np.float32) for one in self.maps]
        for z in range(len(lights[0])):
            progress(z, len(lights[0]), "Mixing")
            plane = self._plane(z)
            certainty = plane.certainty()
            for light, one, limits in zip(lights, plane.maps, plane.limits, strict=True):
                light[z] = certainty * np.nan_to_num(plane.mixed([one], ["white"], [limits])[..., 0])
        return lights

    def _plane(self, z: int) -> Mix:
        return replace(
            self,
            maps=[one[z] for one in self.maps],
            brightness=None if self.brightness is None else self.brightness[z],
            sigma=None if self.sigma is None else [one[z] for one in self.sigma],
        )

    def mixed(self, maps: Sequence[Any], colors: Sequence[str], limits: Sequence[Limits]) -> Any:
        return mix_colors(
            maps,
            colors,
            limits=limits,
            brightness=self.brightness,
            brightness_limits=self.brightness_limits,
        )

    def certainty(self) -> NDArray[np.float32]:
        """Return 1 where no sigma is known to be large: what is left of white before black."""
        white = np.ones(self.maps[0].shape, np.float32)
        if self.sigma is None:
            return white
        return mix_colors([white], ["white"], limits=(0, 1), sigma=self.sigma, sigma_limit=self.sigma_limit)[
            ..., 0
        ]
