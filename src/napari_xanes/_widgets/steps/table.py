"""The panels of the workflow, in order."""

from __future__ import annotations

from napari_xanes._widgets.steps.align import AlignPanel
from napari_xanes._widgets.steps.cluster import ClusterPanel
from napari_xanes._widgets.steps.corrections import CorrectionsPanel
from napari_xanes._widgets.steps.fit import FitPanel
from napari_xanes._widgets.steps.maps import MapsPanel
from napari_xanes._widgets.steps.masks import MaskPanel
from napari_xanes._widgets.steps.normalize import NormalizePanel
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.particles import ParticlesPanel
from napari_xanes._widgets.steps.preprocess import PreprocessPanel
from napari_xanes._widgets.steps.rank import RankPanel
from napari_xanes._widgets.steps.residual import ResidualPanel

STEP_PANELS: tuple[type[StepPanel], ...] = (
    *(PreprocessPanel, AlignPanel, NormalizePanel, FitPanel),
    *(MapsPanel, ClusterPanel),
)
OTHER_PANELS: tuple[type[StepPanel | MaskPanel], ...] = (
    CorrectionsPanel,
    RankPanel,
    ParticlesPanel,
    ResidualPanel,
    MaskPanel,
)
"""Panels that have docks of their own."""
