"""The panels of the workflow, in order."""

from __future__ import annotations

from napari_xanes._widgets.steps.align import AlignPanel
from napari_xanes._widgets.steps.cluster import ClusterPanel
from napari_xanes._widgets.steps.fit import FitPanel
from napari_xanes._widgets.steps.maps import MapsPanel
from napari_xanes._widgets.steps.normalize import NormalizePanel
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.steps.preprocess import PreprocessPanel

STEP_PANELS: tuple[type[StepPanel], ...] = (
    *(PreprocessPanel, AlignPanel, NormalizePanel, FitPanel),
    *(MapsPanel, ClusterPanel),
)
