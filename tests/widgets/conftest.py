"""Small scans for the window's tests, and a way to wait for a step that was started with its button."""

from __future__ import annotations

import gc
import os
from functools import partial
from importlib import import_module
from pathlib import Path

import pytest
from leaks import left_open, listeners, open_widgets
from napari.components import ViewerModel
from npe2 import PluginManifest
from qtpy.QtCore import QCoreApplication, QEvent

import napari_xanes as nx
from napari_xanes._widgets.layers.layers import add_stack
from napari_xanes._widgets.steps.panel import StepPanel
from napari_xanes._widgets.window.workflow import XanesWorkflow


@pytest.fixture(scope="session")
def scan_file(tmp_path_factory) -> Path:
    """A small simulated raw scan with its references beside it, as a beamline writes it."""
    simulation = nx.simulate((64, 72), n_energies=41, max_drift=2.5, n_particles=5, seed=3)
    return simulation.save(tmp_path_factory.mktemp("scan"))


@pytest.fixture(scope="session")
def references(scan_file) -> tuple[str, ...]:
    """Files of the two reference spectra of the scan."""
    return tuple(sorted(str(path) for path in (scan_file.parent / "references").glob("*.txt")))


@pytest.fixture
def scan(scan_file) -> nx.EnergyStack:
    """The scan, opened."""
    return nx.read_stack(scan_file)


@pytest.fixture
def density(scan) -> nx.EnergyStack:
    """The scan as optical density, in memory."""
    return scan.replace(
        data=nx.optical_density(nx.flat_field(scan.data[:], scan.flat[:], scan.dark[:])),
        signal="optical_density",
        flat=None,
        dark=None,
    )


@pytest.fixture(scope="module", autouse=True)
def loaded_once():
    """What is loaded stays loaded: napari and its fixtures collect garbage all the time, and need not go through it.

    What the tests of another file left is collected first, so that it is not kept with the rest; what was kept before
    is not looked at again, which would take half a second for each file.
    """
    import_module("napari.window")  # which loads what windows are made of
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def nothing_left_open(request, qapp):
    """No widget is left without a window that holds it.

    After a failure nobody asks, for its traceback holds some; real windows are looked after by napari's own fixture.
    """
    before, failed = open_widgets(), request.session.testsfailed
    yield
    if (
        request.session.testsfailed == failed
        and "make_napari_viewer" not in request.fixturenames
        and "window" not in request.fixturenames
    ):
        assert not left_open(before), "widgets are left open"


@pytest.fixture
def viewer(request, qapp):
    """A viewer without a window; nothing of the plugin listens to it when the test is over."""
    failed, viewer = request.session.testsfailed, ViewerModel()
    yield viewer
    if request.session.testsfailed == failed:
        QCoreApplication.sendPostedEvents(None, QEvent.Type.DeferredDelete)
        left = listeners(viewer)
        assert not left, f"still listening: {left}"


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    """Panels of a workflow are made when they are asked for and not before: few tests look into all of them."""
    monkeypatch.setattr("napari_xanes._widgets.window.workflow.REST_MS", 3_600_000)


@pytest.fixture
def rest(no_rest, monkeypatch):
    """Panels are made ahead while nobody does anything, as users have it."""
    monkeypatch.setattr("napari_xanes._widgets.window.workflow.REST_MS", 30)


@pytest.fixture
def workflow(viewer, qtbot):
    """The workflow on a viewer without a window."""
    dock = XanesWorkflow(viewer)
    qtbot.addWidget(dock)
    yield dock
    dock.close_down()


@pytest.fixture
def normalised(workflow, viewer, density, run_step):
    """The layer of the scan as the step Normalise left it."""
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    return workflow.chooser.layer()


@pytest.fixture
def fitted(workflow, viewer, density, references, run_step):
    """A workflow after normalisation and fit."""
    add_stack(viewer, density)
    run_step(workflow.panels["normalize"])
    workflow.panels["fit"].forms["fit"].editors["references"].set_value(references)
    run_step(workflow.panels["fit"])
    return workflow


@pytest.fixture
def shown(monkeypatch) -> list[str]:
    """Sentences shown as notifications."""
    sentences: list[str] = []
    monkeypatch.setattr("napari_xanes._widgets.parts.notices.show_error", sentences.append)
    monkeypatch.setattr("napari_xanes._widgets.steps.panel.show_info", sentences.append)
    return sentences


@pytest.fixture
def qtbot(qtbot):
    """Waits for more than five seconds, as other processes compute meanwhile."""
    qtbot.waitUntil = partial(qtbot.waitUntil, timeout=60_000)
    return qtbot


@pytest.fixture
def run_step(qtbot):
    """Press Run of a panel and wait for the result in the layers."""

    def run(panel: StepPanel) -> None:
        assert panel.runner.run.isEnabled(), panel.plan.text()
        with qtbot.waitSignal(panel.done, timeout=120_000):
            panel.runner.run.click()
        qtbot.waitUntil(lambda: not panel.runner.background.running)

    return run


@pytest.fixture
def window(request):
    """A real napari window; needs a display with OpenGL, which the offscreen platform has not."""
    if os.environ.get("QT_QPA_PLATFORM") == "offscreen":
        pytest.skip(
            "napari's canvas needs OpenGL: run under a display or xvfb-run, not QT_QPA_PLATFORM=offscreen"
        )
    return request.getfixturevalue("make_napari_viewer")(show=True)


@pytest.fixture(scope="session", autouse=True)
def plugins_found_once():
    """Plugins are found once: for each window napari would read the manifests of all that are installed."""
    found = tuple(PluginManifest.discover())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PluginManifest, "discover", lambda paths=(): found)
        yield


@pytest.fixture(scope="session")
def declared_settings():
    """What plugins declare as settings, found once."""
    from napari import settings

    return settings.plugin_configuration_generator()


@pytest.fixture(autouse=True)
def settings_file(tmp_path_factory, monkeypatch, declared_settings):
    """Settings and what forms remember, in a folder of the test: nobody's own are read or written."""
    from napari import settings

    monkeypatch.setattr(settings, "plugin_configuration_generator", lambda: declared_settings)
    path = tmp_path_factory.mktemp("napari") / "settings.yaml"
    settings._clear_plugin_settings_cache()
    monkeypatch.setattr(settings, "_CFG_PATH", str(path))
    monkeypatch.setattr("napari_xanes._widgets.forms.remembered._told", set())
    yield path
    settings._clear_plugin_settings_cache()
