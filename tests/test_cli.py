"""The command line as a user meets it: what it prints, writes, refuses and leaves behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import tifffile

import napari_xanes as nx
from napari_xanes import cli
from napari_xanes._core.runs import batch, needs

BLOCKED = (
    "napari",
    "npe2",
    "qtpy",
    "magicgui",
    "superqt",
    "pyqtgraph",
    "PyQt5",
    "PyQt6",
    "PySide2",
    "PySide6",
)

WITHOUT_WINDOW = f"""
import sys

class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {BLOCKED}:
            raise ImportError(name + " is not installed")

sys.meta_path.insert(0, Blocked())
from napari_xanes.cli import main
main()
"""

FIT = """schema = 1
[[step]]
do = "flat_field"
[[step]]
do = "optical_density"
[[step]]
do = "fit"
references = ["references/Ni_reduced.txt", "references/Ni_oxidised.txt"]
background = [0, 1]
"""


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """A folder with two small scans that do not drift, references and a recipe."""
    folder = tmp_path_factory.mktemp("scans")
    small = {"n_energies": 16, "max_drift": 0}
    nx.simulate((40, 48), **small).save(folder)
    (folder / "ni_simulated.h5").rename(folder / "one.h5")
    nx.simulate((40, 48), **small, seed=1).save(folder)
    (folder / "ni_simulated.h5").rename(folder / "two.h5")
    (folder / "recipe.toml").write_text(FIT)
    return folder


@pytest.fixture
def call(monkeypatch, capsys):
    """Run the command line in this process; return exit status, stdout and stderr."""

    def run(*words):
        monkeypatch.setattr(sys, "argv", ["napari-xanes", *map(str, words)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        shown = capsys.readouterr()
        return stopped.value.code or 0, shown.out, shown.err

    return run


def written(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def assert_same_maps(found, expected):
    assert list(found.maps) == list(expected.maps)
    for name, data in expected.maps.items():
        np.testing.assert_array_equal(found.maps[name], data, err_msg=name)


# -- what it says ---------------------------------------------------------------------------------


def test_version_help_and_usage(call):
    assert call("--version") == (0, f"napari-xanes {nx.__version__}\n", "")
    code, out, _ = call("--help")
    assert code == 0 and all(word in out for word in ("inspect", "recipe", "run", "demo", "open"))
    for words in (["run"], ["inspect"], ["nonsense"], ["run", "a.toml", "b.h5"], ["demo", "--fast"]):
        code, out, err = call(*words)
        assert code == 2 and "Traceback" not in err and out == "", words


def test_recipe_prints_one_that_loads(call, tmp_path):
    code, out, _ = call("recipe")
    (tmp_path / "recipe.toml").write_text(out)
    assert code == 0 and nx.Recipe.load(tmp_path / "recipe.toml").steps


def test_inspect_prints_key_and_value(call, scans):
    code, out, err = call("inspect", scans / "one.h5")
    assert code == 0, err
    seen = dict(line.split(": ", 1) for line in out.splitlines() if line)
    assert seen["signal"].startswith("counts")
    assert "16" in seen["shape"] and "40" in seen["shape"] and "48" in seen["shape"]
    code, out, _ = call("inspect", scans / "one.h5", scans / "two.h5")
    assert code == 0 and out.count("signal: counts") == 2


def test_flats_that_lie_beside_are_named_and_no_recipe_holds_words_for_them(call, tmp_path):
    """A folder finds its flats by itself, a file is told of them; the recipe of either runs on the other."""
    folder = tmp_path / "scan"
    folder.mkdir()
    made = nx.simulate((20, 24), n_energies=40, max_drift=0).stack
    for name in ("data", "flat", "dark"):
        images = np.asarray(getattr(made, name)[:])
        file = {"data": "xanes_raw.tif"}.get(name, f"{name}.tif")
        tifffile.imwrite(folder / file, images, photometric="minisblack")
    np.savetxt(folder / "energies.txt", made.energy)
    beside = 'flat = "flat.tif", dark = "dark.tif"'
    steps = "".join(f'[[step]]\ndo = "{name}"\n' for name in ("flat_field", "optical_density", "normalize"))
    (tmp_path / "r.toml").write_text(f"schema = 1\n{steps}")
    code, out, err = call("run", tmp_path / "r.toml", folder, "--out", tmp_path / "of_folder")
    assert code == 0, err
    assert out.count("flats: flat.tif, found with the images") == 1 and "flat.tif" not in err
    written_recipe = tmp_path / "of_folder/scan.toml"
    again = nx.Recipe.load(written_recipe)
    assert again.input.flat is None and again.input.dark is None
    code, out, err = call("run", written_recipe, folder / "xanes_raw.tif", "--out", tmp_path / "of_file")
    assert code == 1 and f"flat.tif and dark.tif beside it would fit: {beside} in [input]." in err
    code, out, _ = call("inspect", folder / "xanes_raw.tif")
    assert f"beside the scan: {beside} would fit" in out
    named = written_recipe.read_text().replace("[input]", "[input]\n" + beside.replace(", ", "\n"))
    (folder / "named.toml").write_text(named)
    code, _, err = call("run", folder / "named.toml", folder / "xanes_raw.tif", "--out", tmp_path / "of_file")
    assert code == 0, err
    assert nx.Recipe.load(tmp_path / "of_file/xanes_raw.toml").input.flat == str(folder / "flat.tif")
    assert_same_maps(
        *(nx.load_result(tmp_path / one) for one in ("of_file/xanes_raw.h5", "of_folder/scan.h5"))
    )


def test_inspect_goes_on_after_a_bad_file(call, scans, tmp_path):
    (tmp_path / "bad.h5").write_text("no HDF5")
    code, out, err = call("inspect", tmp_path / "bad.h5", scans / "two.h5")
    assert code == 1 and out.count("signal: counts") == 1
    assert "bad.h5" in err and "Traceback" not in err


def test_inspect_takes_what_the_user_knows_better(call, scans):
    code, out, err = call(
        "inspect", scans / "one.h5", "--signal", "optical_density", "--energy", "8300:8450:10"
    )
    assert code == 0, err
    assert "signal: optical_density" in out and "8450" in out
    code, _, err = call("inspect", scans / "one.h5", "--signal", "colour")
    assert code == 1 and err.count("\n") == 1 and "'signal' is 'colour'" in err


@pytest.mark.parametrize("command", ["inspect", "open"])
def test_a_missing_file_is_one_sentence(call, tmp_path, command):
    code, out, err = call(command, tmp_path / "none.h5")
    assert (code, out) == (1, "") and err.count("\n") == 1
    assert err.startswith("error: ") and "none.h5" in err


# -- run ------------------------------------------------------------------------------------------


def test_run_writes_what_the_library_computes(call, scans, tmp_path):
    code, out, err = call(
        "run",
        scans / "recipe.toml",
        scans / "one.h5",
        "--out",
        tmp_path / "maps",
        "--export",
        "tiff",
        "--export",
        "csv",
    )
    assert code == 0, err
    assert (
        "16 x 40 x 48, counts" in out and "MiB of memory" in out and str(tmp_path / "maps" / "one.h5") in out
    )
    assert "fit: names = Ni_reduced, Ni_oxidised, energy_range = 8223 to 8578" in out
    result = nx.load_result(tmp_path / "maps" / "one.h5")
    assert_same_maps(result, nx.run_recipe(scans / "recipe.toml", scans / "one.h5"))
    names = written(tmp_path / "maps")
    assert {"one.h5", "one.toml", "one_maps/fraction_Ni_reduced.tif", "one_maps/statistics.csv"} <= set(names)
    assert not [name for name in names if name.endswith(".part")]


def test_a_reference_of_another_element_that_reaches_into_the_scan_is_told_before_any_work(
    call, scans, tmp_path, monkeypatch
):
    energy = np.arange(7600.0, 8900.0, 2)
    np.savetxt(tmp_path / "cobalt.txt", np.stack([energy, 1 / (1 + np.exp(-(energy - 7712) / 2))], 1))
    recipe = FIT.replace("references/Ni_reduced.txt", str(tmp_path / "cobalt.txt"))
    (scans / "cobalt.toml").write_text(recipe)

    def stopped(*_, **__):
        raise nx.InputError("no work")

    monkeypatch.setattr(batch, "run_job", stopped)
    code, _, err = call("run", scans / "cobalt.toml", scans / "one.h5", "--out", tmp_path / "maps")
    assert code == 1 and "edge outside of the scan's 8223 to 8578 eV: 'cobalt' at 7712 eV (Co K)" in err


def test_the_recipe_beside_a_result_makes_it_again(call, scans, tmp_path):
    assert call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)[0] == 0
    again = nx.run_recipe(tmp_path / "one.toml", scans / "one.h5")
    assert_same_maps(again, nx.load_result(tmp_path / "one.h5"))


def test_an_existing_result_is_refused_before_any_work(call, scans, tmp_path):
    (tmp_path / "two.h5").write_text("mine")
    code, out, err = call("run", scans / "recipe.toml", scans / "one.h5", scans / "two.h5", "--out", tmp_path)
    assert (code, out) == (1, "") and "two.h5 exists already; give --resume" in err
    assert written(tmp_path) == ["two.h5"] and (tmp_path / "two.h5").read_text() == "mine"


def test_resume_does_what_is_missing_and_leaves_the_rest(call, scans, tmp_path):
    assert call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)[0] == 0
    before = (tmp_path / "one.h5").stat()
    code, out, err = call(
        "run", scans / "recipe.toml", scans / "one.h5", scans / "two.h5", "--out", tmp_path, "--resume"
    )
    assert code == 0, err
    assert "one.h5: done already" in out and (tmp_path / "two.h5").exists()
    after = (tmp_path / "one.h5").stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)


def test_scans_are_combined(call, scans, tmp_path):
    words = ("run", scans / "recipe.toml", scans / "one.h5", scans / "two.h5", "--out", tmp_path, "--combine")
    code, out, err = call(*words)
    assert code == 0, err
    assert f"{scans / 'one.h5'} + {scans / 'two.h5'}: 16 x 40 x 48, transmission" in out
    result = nx.load_result(tmp_path / "one_and_1_more.h5")
    both = nx.combine_scans([nx.read_stack(scans / name) for name in ("one.h5", "two.h5")])
    assert_same_maps(result, nx.run_recipe(scans / "recipe.toml", both))
    again = nx.run_recipe(tmp_path / "one_and_1_more.toml", both)
    assert_same_maps(again, result)
    code, out, _ = call(*words, "--resume")
    assert code == 0 and "done already" in out
    assert call(*words)[0] == 1


def test_resume_does_not_take_another_recipe_or_a_changed_scan_for_done(call, scans, tmp_path):
    scan = tmp_path / "scan.h5"
    scan.write_bytes((scans / "one.h5").read_bytes())
    out = tmp_path / "maps"
    recipe, other = scans / "recipe.toml", scans / "other.toml"
    other.write_text(FIT.replace("[0, 1]", "[0]"))
    assert call("run", recipe, scan, "--out", out)[0] == 0
    for words in ([recipe, scan], [other, scan]):
        if words[0] == recipe:
            os.utime(scan, ns=(1, 1))
        code, _, err = call("run", *words, "--out", out, "--resume")
        assert code == 1 and "another recipe or from files that have changed" in err
    code, _, err = call("run", other, scan, "--out", out, "--resume", "--overwrite")
    assert code == 0, err
    assert_same_maps(nx.load_result(out / "scan.h5"), nx.run_recipe(other, scan))


def test_resume_notices_energies_beside_the_images_and_references(call, scans, tmp_path):
    """Files that the recipe does not name, or names and whose content changes, count as well."""
    tifffile.imwrite(tmp_path / "scan.tif", nx.read_stack(scans / "one.h5").data[:])
    np.savetxt(tmp_path / "energies.txt", nx.read_stack(scans / "one.h5").energy)
    reference = tmp_path / "a.txt"
    reference.write_bytes((scans / "references" / "Ni_reduced.txt").read_bytes())
    steps = 'do = "optical_density"\n[[step]]\ndo = "fit"\nreferences = ["a.txt"]\n'
    (tmp_path / "recipe.toml").write_text(f"schema = 1\n[[step]]\n{steps}")
    words = ("run", tmp_path / "recipe.toml", tmp_path / "scan.tif", "--out", tmp_path / "maps", "--resume")
    assert call(*words)[0] == 0
    assert "done already" in call(*words)[1]
    for changed in (tmp_path / "energies.txt", reference):
        os.utime(changed, ns=(1, 1))
        code, _, err = call(*words)
        assert code == 1 and "files that have changed" in err, changed
        assert call(*words, "--overwrite")[0] == 0


def test_resume_notices_flats_inside_another_file(call, scans, tmp_path):
    stack = nx.read_stack(scans / "one.h5")
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["img_xanes"], file["X_eng"] = stack.data[:], stack.energy
    with h5py.File(tmp_path / "beam.h5", "w") as file:
        file["flats"] = stack.flat[:]
    (tmp_path / "recipe.toml").write_text(
        'schema = 1\n[input]\nflat = "beam.h5:/flats"\n[[step]]\ndo = "flat_field"\n[[step]]\ndo = "optical_density"\n'
        '[[step]]\ndo = "normalize"\n'
    )
    words = ("run", tmp_path / "recipe.toml", tmp_path / "scan.h5", "--out", tmp_path / "maps", "--resume")
    assert call(*words)[0] == 0
    assert "done already" in call(*words)[1]
    os.utime(tmp_path / "beam.h5", ns=(1, 1))
    code, _, err = call(*words)
    assert code == 1 and "files that have changed" in err


def test_resume_writes_exports_that_are_asked_for_later(call, scans, tmp_path):
    words = ("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)
    assert call(*words)[0] == 0
    before = nx.load_result(tmp_path / "one.h5")
    assert call(*words, "--resume", "--export", "tiff")[0] == 0
    assert (tmp_path / "one_maps" / "error.tif").exists()
    assert_same_maps(nx.load_result(tmp_path / "one.h5"), before)
    mtime = (tmp_path / "one.h5").stat().st_mtime_ns
    assert call(*words, "--resume", "--export", "tiff")[0] == 0  # all is there, so nothing is written
    assert (tmp_path / "one.h5").stat().st_mtime_ns == mtime


def test_a_terminal_without_greek_letters_gets_a_question_mark(scans, tmp_path):
    (tmp_path / "µ.h5").write_bytes((scans / "one.h5").read_bytes())
    words = [sys.executable, "-m", "napari_xanes", "inspect", tmp_path / "µ.h5"]
    code = {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(words, env=os.environ | code, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "?" in done.stdout


def test_a_scan_is_never_replaced_by_its_result(call, scans):
    before = (scans / "one.h5").read_bytes()
    code, _, err = call("run", scans / "recipe.toml", scans / "one.h5", "--out", scans, "--overwrite")
    assert code == 1 and "would replace its own scan" in err
    assert (scans / "one.h5").read_bytes() == before


def test_two_scans_of_one_name_are_refused(call, scans, tmp_path):
    (tmp_path / "one.h5").write_bytes((scans / "one.h5").read_bytes())
    code, _, err = call(
        "run", scans / "recipe.toml", scans / "one.h5", tmp_path / "one.h5", "--out", tmp_path / "maps"
    )
    assert code == 1 and "would both be written to" in err and not (tmp_path / "maps").exists()


def test_a_bad_scan_does_not_stop_the_others(call, scans, tmp_path):
    (tmp_path / "bad.h5").write_text("no HDF5")
    code, _, err = call(
        "run", scans / "recipe.toml", tmp_path / "bad.h5", scans / "two.h5", "--out", tmp_path / "maps"
    )
    first, last = err.splitlines()
    assert code == 1 and first.startswith("error: ") and "bad.h5" in first
    assert last == "1 of 2 scans failed: bad.h5"
    assert written(tmp_path / "maps") == ["two.h5", "two.toml"]


def test_warnings_go_to_stderr(call, scans, tmp_path):
    (tmp_path / "recipe.toml").write_text('schema = 1\n[[step]]\ndo = "optical_density"\n')
    code, out, err = call("run", tmp_path / "recipe.toml", scans / "one.h5", "--out", tmp_path)
    assert code == 0 and "warning:" not in out
    assert "warning: -ln was taken of counts" in err


@pytest.mark.parametrize("fault", [KeyboardInterrupt, nx.Cancelled])
def test_an_interrupted_run_leaves_nothing_half_written(call, scans, tmp_path, monkeypatch, fault):
    def stop(*args, **kwargs):
        raise fault

    monkeypatch.setattr("napari_xanes._core.runs.result_layout._write_extra", stop)
    code, _, err = call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path / "maps")
    assert code == 1 and err.startswith("error: interrupted") and err.count("\n") == 1
    assert written(tmp_path / "maps") == ["one.toml"]


def test_ctrl_c_before_the_work_is_one_sentence_too(call, scans, tmp_path, monkeypatch):
    def stop(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("napari_xanes._core.runs.batch.plan", stop)
    code, _, err = call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)
    assert code == 130 and err.startswith("error: interrupted") and err.count("\n") == 1


def test_a_run_killed_while_saving_can_be_resumed(call, scans, tmp_path):
    """Nothing can clean up after SIGKILL, so the next run must cope with what it finds."""
    code = (
        "import os, signal\n"
        "from napari_xanes._core.runs import result_layout\n"
        "result_layout._write_extra = lambda *a: os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))\n"
        "from napari_xanes.cli import main\n"
        "main()\n"
    )
    words = ["run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path, "--resume"]
    killed = subprocess.run([sys.executable, "-c", code, *map(str, words)], capture_output=True, timeout=120)
    assert killed.returncode != 0 and not (tmp_path / "one.h5").exists()
    assert [name for name in written(tmp_path) if name.endswith(".part")]
    code, _, err = call(*words)
    assert code == 0, err
    assert written(tmp_path) == ["one.h5", "one.toml"]


@pytest.mark.parametrize("options", [[], ["--resume"]])
def test_a_recipe_of_the_users_own_is_not_replaced(call, scans, tmp_path, options):
    (tmp_path / "one.toml").write_text(FIT)
    code, _, err = call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path, *options)
    assert (
        code == 1 and "one.toml is not of this program" in err and (tmp_path / "one.toml").read_text() == FIT
    )


@pytest.mark.parametrize("export", [(), ("tiff",)])
def test_the_disk_that_is_said_to_be_needed_is_what_is_used(scans, tmp_path, export):
    nx.simulate((120, 140), n_energies=16).save(tmp_path)
    steps = '"flat_field"', '"optical_density"', '"normalize"', '"fit"'
    references = [str(scans / "references" / f"Ni_{name}.txt") for name in ("reduced", "oxidised")]
    text = (
        "schema = 1\n"
        + "".join(f"[[step]]\ndo = {name}\n" for name in steps)
        + f"references = {references}\n"
    )
    (tmp_path / "recipe.toml").write_text(text)
    loaded = nx.Recipe.load(tmp_path / "recipe.toml")
    (job,) = batch.plan(loaded, [tmp_path / "ni_simulated.h5"], tmp_path / "maps")
    said = needs.disk_needed(loaded, batch.open_scan(loaded, job), job.target, export)
    batch.run_job(loaded, job, export=export)
    used = sum(path.stat().st_size for path in (tmp_path / "maps").rglob("*") if path.is_file())
    assert 0.7 * said < used < 1.3 * said


def test_a_disk_too_full_is_refused_before_any_work(call, scans, tmp_path, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda folder: SimpleNamespace(free=100))
    code, out, err = call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)
    assert (code, out) == (1, "") and "MiB of disk" in err and "are free" in err and written(tmp_path) == []


def test_unknown_export_is_refused_before_any_work(call, scans, tmp_path):
    code, out, err = call(
        "run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path, "--export", "png"
    )
    assert (code, out) == (1, "") and "export format is 'png', expected one of tiff, csv" in err


def test_memory_that_is_not_there_is_refused_with_both_numbers(call, scans, tmp_path, monkeypatch):
    monkeypatch.setattr("psutil.virtual_memory", lambda: SimpleNamespace(available=2**10))
    code, _, err = call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)
    assert code == 1 and "GiB of memory" in err and "are free" in err and written(tmp_path) == []


def test_a_folder_is_a_scan_of_its_own_name(scans, tmp_path):
    (tmp_path / "scan.7").mkdir()
    (job,) = batch.plan(nx.Recipe.load(scans / "recipe.toml"), [tmp_path / "scan.7"], tmp_path)
    assert job.target.name == "scan.7.h5"


# -- figure ---------------------------------------------------------------------------------------


def test_a_figure_is_drawn_of_a_result(call, scans, tmp_path):
    assert call("run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path)[0] == 0
    names = ["fraction_Ni_reduced", "fraction_Ni_oxidised"]
    for file, options, written in (
        ("all.svg", (), {"mixed in colour", "thickness", "error", "Ni_reduced", "Ni_oxidised"}),
        ("two.svg", ("--maps", "rms", "--maps", names[0]), {"rms", "Ni_reduced"}),
        ("mix.svg", ("--maps", "rms", "--mix", names[0], "--mix", names[1]), {"mixed in colour", "1 : 1"}),
    ):
        code, out, err = call("figure", tmp_path / "one.h5", "--out", tmp_path / file, *options)
        assert (code, err) == (0, "") and str(tmp_path / file) in out
        texts = set(
            (tmp_path / file)
            .read_text(encoding="utf-8")
            .replace("<!-- ", "\n")
            .replace(" -->", "\n")
            .split("\n")
        )
        assert written <= texts
        assert ("mixed in colour" in texts) == (file != "two.svg")
    code, _, err = call("figure", tmp_path / "one.h5", "--out", tmp_path / "no.svg", "--mix", "none")
    assert code == 0 and "mixed in colour" not in (tmp_path / "no.svg").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--out", "figure.bmp"), "expected one of .png, .svg, .pdf"),
        (("--out", "figure.png", "--maps", "gold"), "no map 'gold'"),
        (("--out", "figure.png", "--plane", "3"), "plane is 3, but the maps are images"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_one_sentence(call, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    info = {"thickness": {"kind": "thickness", "unit": "", "reference": None}}
    maps = {"thickness": np.ones((4, 5), np.float32)}
    nx.save_result(nx.Result(maps, info, np.arange(3.0), (), {}), "result.h5")
    code, out, err = call("figure", "result.h5", *options)
    assert (code, out) == (1, "") and err.count("\n") == 1 and says in err
    assert not list(tmp_path.glob("figure*"))


def test_run_tells_its_table_in_lines_of_json(call, scans, tmp_path):
    (tmp_path / "bad.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    words = ["run", scans / "recipe.toml", scans / "one.h5", tmp_path / "bad.h5", "--out", tmp_path / "maps"]
    code, out, _ = call(*words, "--json")
    rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    states = [(Path(row["scan"]).name, row["state"]) for row in rows if "state" in row]
    assert code == 1
    assert states == [("one.h5", "running"), ("one.h5", "done"), ("bad.h5", "running"), ("bad.h5", "failed")]
    assert rows[-1]["said"].startswith(str(tmp_path / "bad.h5"))
    doing = dict.fromkeys(row["doing"] for row in rows if "doing" in row)
    assert "Computing maps" in doing and max(row.get("part", 0) for row in rows) == 1
    (result,) = [row["result"] for row in rows if "result" in row]
    assert nx.load_result(result).maps
    code, out, _ = call(*words[:3], "--out", tmp_path / "maps", "--resume", "--json")
    (row,) = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert (row["state"], row["result"], row["said"]) == ("done", result, "done already")


def test_watch_keeps_warnings_and_where_wanted_what_others_made(call, tmp_path):
    energy = np.linspace(8300, 8400, 21)
    images = np.tile(np.exp(-(((energy - 8350) / 8) ** 2))[:, None, None], (1, 6, 7))
    (tmp_path / "in").mkdir()
    with h5py.File(tmp_path / "in/scan.h5", "w") as file:
        file["img_xanes"], file["X_eng"] = images, energy
    recipe, made = tmp_path / "recipe.toml", tmp_path / "maps/scan.h5"
    words = ["watch", tmp_path / "in", recipe, "--out", made.parent, "--settle", "0", "--once", "--json"]

    def watch(window, *more):
        head = 'schema = 1\ninput.signal = "optical_density"\n[[step]]\ndo = "peak"\n'
        recipe.write_text(f"{head}window = {window}\n")
        code, out, _ = call(*words, *more)
        rows = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
        known = {key: value for row in rows for key, value in row.items()}
        return code, known["state"], known["said"], made.read_bytes()

    code, state, said, first = watch([8360, 8400], "--no-overwrite")
    assert (code, state) == (0, "done") and "42 of 42 valid pixels (100.0 %) are highest at an end" in said
    _, state, said, kept = watch([8365, 8400], "--no-overwrite")
    assert state == "failed" and "made by another recipe" in said and kept == first
    _, state, _, kept = watch([8360, 8400], "--no-overwrite")
    assert state == "done" and kept == first
    _, state, _, other = watch([8365, 8400])
    assert state == "done" and other != first


# -- without a window -----------------------------------------------------------------------------


def test_all_but_the_window_works_without_qt_and_napari(scans, tmp_path):
    for words in (
        ["--help"],
        ["inspect", scans / "one.h5"],
        ["recipe"],
        ["run", scans / "recipe.toml", scans / "one.h5", "--out", tmp_path],
    ):
        done = subprocess.run(
            [sys.executable, "-c", WITHOUT_WINDOW, *map(str, words)],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "one.h5").exists()


def test_demo_reaches_the_truth_and_says_where_things_are(call, tmp_path, monkeypatch):
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    code, out, err = call("demo", "--out", tmp_path / "demo")
    assert code == 0, err
    assert "No window: there is no screen" in out
    values = dict(line.split(": ", 1) for line in out.splitlines() if "RMSE" in line)
    assert float(values["fraction RMSE against the truth"].split()[0]) < 0.03
    assert float(values["drift RMSE"].split()[0]) < 0.05
    for line in out.splitlines()[-6:-1]:
        assert os.path.exists(line.split(":", 1)[1].strip()), line
    assert nx.Recipe.load(tmp_path / "demo" / "recipe.toml").steps[-1][0] == "fit"


def test_demo_opens_what_it_made(call, tmp_path, monkeypatch):
    opened = []
    small = partial(nx.simulate, (64, 80), n_energies=20, max_drift=1)
    monkeypatch.setattr("napari_xanes._core.simulate.full_field.simulate", small)
    launch = SimpleNamespace(open_result=lambda stack, result: opened.append((stack, result)))
    monkeypatch.setitem(sys.modules, "napari_xanes._widgets.window.launch", launch)
    monkeypatch.setattr(cli, "_no_window", lambda: "")
    assert call("demo", "--out", tmp_path)[0] == 0
    assert opened == [(tmp_path / "ni_simulated.h5", tmp_path / "maps" / "ni_simulated.h5")]
    opened.clear()
    assert call("demo", "--no-gui", "--out", tmp_path)[0] == 0
    assert opened == []


def test_script_prints_what_the_recipe_does(tmp_path, capsys, monkeypatch):
    (tmp_path / "recipe.toml").write_text(FIT, encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["napari-xanes", "script", str(tmp_path / "recipe.toml")])
    with pytest.raises(SystemExit) as stop:
        cli.main()
    assert stop.value.code == 0
    script = capsys.readouterr().out
    compile(script, "script", "exec")
    assert str(tmp_path / "references") in script or "references/Ni_reduced.txt" in script


def test_run_writes_zarr_results_where_asked(call, tmp_path):
    made = nx.simulate_volume((20, 24, 24), n_energies=24)
    with h5py.File(tmp_path / "scan.h5", "w") as file:
        file["img_xanes"], file["X_eng"] = made.stack.data, made.stack.energy
    text = 'schema = 1\n[input]\nsignal = "optical_density"\n[[step]]\ndo = "normalize"\ne0 = 8333\n'
    (tmp_path / "recipe.toml").write_text(text)
    words = ("run", tmp_path / "recipe.toml", tmp_path / "scan.h5", "--out", tmp_path / "out", "--results")
    status, _, _ = call(*words, "zarr")
    assert status == 0
    assert set(nx.load_result(tmp_path / "out/scan.zarr").maps) == {"thickness", "edge_step"}
    status, _, said = call(*words, "tiff")
    assert status == 1 and "results is 'tiff'" in said
