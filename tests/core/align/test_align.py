"""Drift: known shifts applied and asked back, on simulated frames and on phantoms with truth."""

import json

import h5py
import numpy as np
import pytest
from carry_out import carry_out

from napari_xanes import (
    Cancelled,
    Drift,
    EnergyStack,
    InputError,
    Recipe,
    apply_drift,
    estimate_drift,
    run_recipe,
)
from napari_xanes._core.align.align import ALIGN
from napari_xanes._core.align.correlation import Matcher
from napari_xanes._core.align.params import AlignParams
from napari_xanes._core.data.history import Found
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.recipe.edited import HistorySteps

SHIFTS = np.array([[0.0, 0.0], [1.3, -2.4], [-4.7, 3.1], [2.2, 5.6], [6.4, -1.9], [3.5, 2.5], [-0.7, -3.3]])


def sample(shape, seed=0):
    """Spectrum of a random image with structure of many sizes, on a grid half as large again."""
    size = [n + n // 2 for n in shape]
    grid = np.meshgrid(
        *[np.fft.fftfreq(n) for n in size[:-1]], np.fft.rfftfreq(size[-1]), indexing="ij", sparse=True
    )
    square = sum(f * f for f in grid)
    noise = np.fft.rfftn(np.random.default_rng(seed).normal(size=size))
    spectrum = noise * (np.exp(-2 * (np.pi * 1.5) ** 2 * square) + 5 * np.exp(-2 * (np.pi * 6) ** 2 * square))
    return spectrum, grid, size


def make_frames(shape=(96, 110), shifts=SHIFTS, contrast=1.0, noise=0.0, seed=0):
    """Frames that show a random sample displaced by `shifts`; borders are cut, nothing wraps."""
    spectrum, grid, size = sample(shape, seed)
    scale = 1 / np.fft.irfftn(spectrum, size, axes=range(len(size))).std()
    rng = np.random.default_rng(seed + 1)
    cut = tuple(slice(n // 4, n // 4 + n) for n in shape)
    frames = []
    for shift, gain in zip(shifts, np.broadcast_to(contrast, len(shifts)), strict=True):
        phase = np.exp(-2j * np.pi * sum(f * s for f, s in zip(grid, shift, strict=True)))
        image = np.fft.irfftn(spectrum * phase, size, axes=range(len(size)))[cut] * scale
        frames.append(2 + gain * image + noise * rng.normal(size=shape))
    return np.array(frames, dtype=np.float32)


def drift_error(found, truth):
    """RMS length of the error, a common offset taken off."""
    error = found - truth
    error = error - error.mean(axis=0)
    return np.sqrt((error**2).sum(axis=1).mean())


@pytest.fixture(scope="module")
def ni(data_dir):
    """Optical density of the raw Ni phantom and its true shifts."""
    folder = data_dir / "phantom_ni_2d"
    with h5py.File(folder / "ni_txm_raw.h5") as file, h5py.File(folder / "truth.h5") as truth:
        dark = file["img_dark"][()].mean(axis=0)
        transmission = (file["img_xanes"][()] - dark) / (file["img_bkg"][()] - dark)
        return (-np.log(transmission)).astype(np.float32), truth["shifts"][()]


@pytest.mark.parametrize("reference", [-1, 0, "mean", "previous"])
@pytest.mark.parametrize("shape", [(96, 110), (131, 87)])
def test_known_shifts_come_back(reference, shape):
    drift = estimate_drift(make_frames(shape), reference=reference)
    zero = {-1: SHIFTS[-1], 0: SHIFTS[0], "mean": SHIFTS.mean(axis=0), "previous": SHIFTS[0]}[reference]
    np.testing.assert_allclose(drift.shifts, SHIFTS - zero, atol=0.02)
    assert drift.reference == {-1: 6, 0: 0}.get(reference, reference)
    assert (drift.confidence > 0.98).all()
    assert (drift.confidence <= 1).all()


def test_volumes():
    shifts = np.array([[0, 0, 0], [0.6, -1.7, 2.2], [-1.4, 0.8, -0.3], [2.1, 1.1, 0.5]])
    drift = estimate_drift(make_frames((32, 40, 36), shifts), reference=0)
    assert drift.matrices.shape == (4, 4, 4)
    np.testing.assert_allclose(drift.shifts, shifts, atol=0.04)


def test_contrast_and_noise():
    contrast = [0.25, 0.25, 0.3, 0.3, 1, 1, 1]
    drift = estimate_drift(make_frames((200, 180), contrast=contrast, noise=0.15, seed=5))
    assert drift_error(drift.shifts, SHIFTS) < 0.06


@pytest.mark.parametrize("size", [(48, 48), (16, 70)])
def test_small_frames(size):
    drift = estimate_drift(make_frames(size, SHIFTS / 2, seed=3))
    assert drift_error(drift.shifts, SHIFTS / 2) < 0.1


def test_displacement_by_a_fifth_of_the_frame():
    shifts = np.array([[0, 0], [26, -22], [-24.3, 20.6], [2, 27], [-20.2, 0]])
    drift = estimate_drift(make_frames((128, 130), shifts, seed=4), reference=0)
    np.testing.assert_allclose(drift.shifts, shifts, atol=0.03)


def test_what_stays_put_on_the_detector_does_not_hold_the_sample_back():
    shifts = np.cumsum(np.random.default_rng(8).normal(0, 2, (12, 2)), axis=0)
    frames = make_frames((192, 200), shifts, seed=9) * 0.1
    dirt = np.random.default_rng(10).normal(size=(192, 200))
    spectrum = np.fft.rfft2(dirt)
    fy, fx = np.fft.fftfreq(192)[:, None], np.fft.rfftfreq(200)[None]
    dirt = np.fft.irfft2(spectrum * np.exp(-2 * np.pi**2 * (fy**2 + fx**2)), (192, 200))
    frames += (0.05 * dirt / dirt.std()).astype(np.float32)
    assert drift_error(estimate_drift(frames).shifts, shifts) < 0.06


@pytest.mark.parametrize("reference", [-1, 0, "mean", "previous"])
def test_phantom(ni, whole_or_piece, reference):
    frames, truth = ni
    drift = estimate_drift(frames, reference=reference)
    assert drift_error(drift.shifts, truth) <= whole_or_piece(0.030, 0.065)
    assert (drift.confidence > 0.9).all()


def test_phantom_volume(data_dir, whole_or_piece):
    folder = data_dir / "phantom_ni_3d"
    files = sorted(folder.glob("recon_scan_*.h5"))[::4]
    frames = np.stack([h5py.File(path)["img"][()] for path in files])
    with h5py.File(folder / "truth.h5") as file:
        truth = file["shifts"][::4]
    assert drift_error(estimate_drift(frames).shifts, truth) <= whole_or_piece(0.06, 0.075)


def test_rings_of_volumes_do_not_hold_what_moves(data_dir, whole_or_piece):
    """Told from the sample on coarse copies alone, part of it would be taken off with them, and displace it."""
    folder = data_dir / "phantom_ni_3d"
    frames = np.stack([h5py.File(path)["img"][()] for path in sorted(folder.glob("recon_scan_*.h5"))])
    with h5py.File(folder / "truth.h5") as file:
        missed = estimate_drift(frames).shifts - file["shifts"][()]
    missed -= np.median(missed, axis=0)
    assert (np.sqrt((missed**2).mean(axis=0)) <= whole_or_piece(0.018, 0.045)).all()


def test_lost_constant_and_partly_invalid_frames(ni, whole_or_piece):
    frames, truth = ni[0][::4].copy(), ni[1][::4]
    frames[3] = np.nan
    frames[6] = 1.0
    frames[8, :50] = np.nan
    frames[9, 20:22, 30:50] = np.inf
    frames[9, 21, 30:50] = -np.inf
    frames[:, 90:98, 100:108] = np.nan
    drift = estimate_drift(frames)
    known = np.isfinite(drift.shifts).all(axis=1)
    np.testing.assert_array_equal(np.flatnonzero(~known), [3, 6])
    np.testing.assert_array_equal(drift.confidence[~known], 0)
    assert drift_error(drift.shifts[known], truth[known]) < whole_or_piece(0.04, 0.08)
    aligned = apply_drift(frames, drift)
    assert np.isnan(aligned[[3, 6]]).all()
    assert np.isfinite(aligned[0]).mean() > whole_or_piece(0.9, 0.8)


def test_frame_of_noise_is_not_given_a_place():
    frames = make_frames(noise=0.02)
    frames[2] = np.random.default_rng(3).normal(size=frames[2].shape)
    drift = estimate_drift(frames)
    assert drift.confidence[2] < 0.3
    others = np.arange(len(frames)) != 2
    assert drift_error(drift.shifts[others], SHIFTS[others]) < 0.03


@pytest.mark.parametrize("reference", [0, "mean", "previous"])
def test_a_single_frame_stays_where_it_is(reference):
    frames = make_frames(shifts=SHIFTS[:3])
    np.testing.assert_array_equal(estimate_drift(frames[:1], reference=reference).shifts, [[0, 0]])
    frames[1:] = np.nan
    found = estimate_drift(frames, reference=reference).shifts
    np.testing.assert_array_equal(found, [[0, 0], [np.nan] * 2, [np.nan] * 2])


def test_two_frames():
    shifts = estimate_drift(make_frames(shifts=SHIFTS[1:3]), reference=0).shifts
    np.testing.assert_allclose(shifts, SHIFTS[1:3] - SHIFTS[1], atol=0.05)


def test_frames_without_anything_in_common():
    frames = np.random.default_rng(5).normal(size=(2, 64, 64))
    drift = estimate_drift(frames, reference=0)
    assert np.isfinite(drift.shifts).all(axis=1).any()
    assert drift.confidence.min() < 0.3


def test_lost_frames_do_not_break_the_sum_of_neighbours():
    frames = make_frames()
    frames[3] = np.nan
    drift = estimate_drift(frames, reference="previous")
    known = [0, 1, 2, 4, 5, 6]
    np.testing.assert_allclose(drift.shifts[known], SHIFTS[known], atol=0.02)
    assert np.isnan(drift.shifts[3]).all()


def test_region():
    frames = make_frames((120, 140))
    frames[:, :, :40] = make_frames((120, 40), SHIFTS[::-1], seed=7)  # something else moves there
    drift = estimate_drift(frames, roi=(5, 115, 45, 140), reference=0)
    np.testing.assert_allclose(drift.shifts, SHIFTS, atol=0.02)
    assert drift.roi == (5, 115, 45, 140)


def test_scale_of_the_intensities_does_not_matter():
    frames = make_frames(noise=0.05)
    wanted = estimate_drift(frames).shifts
    np.testing.assert_allclose(estimate_drift(frames * 1e-9).shifts, wanted, atol=1e-3)
    np.testing.assert_allclose(estimate_drift((frames + 20) * 1000).shifts, wanted, atol=2e-3)
    counts = np.round((frames + 20) * 1000).astype(np.uint16)
    np.testing.assert_allclose(estimate_drift(counts).shifts, wanted, atol=2e-3)


def test_order_of_the_frames_does_not_matter():
    frames = make_frames(noise=0.05)
    wanted = estimate_drift(frames, reference=0).shifts
    order = np.array([0, 4, 2, 6, 1, 3, 5])
    np.testing.assert_allclose(estimate_drift(frames[order], reference=0).shifts, wanted[order], atol=2e-3)


def test_threads_give_the_same_bits():
    frames = make_frames(noise=0.05)
    one, three = estimate_drift(frames, workers=1), estimate_drift(frames, workers=3)
    np.testing.assert_array_equal(one.matrices, three.matrices)


def test_aligned_frames_show_the_same():
    frames = make_frames()
    before = frames.copy()
    drift = estimate_drift(frames, reference=0)
    aligned = apply_drift(frames, drift)
    np.testing.assert_array_equal(frames, before)
    valid = np.isfinite(aligned).all(axis=0)
    assert 0.7 < valid.mean() < 0.9
    assert np.abs(aligned[:, valid] - frames[0][valid]).max() < 0.1
    assert np.abs(frames[:, valid] - frames[0][valid]).max() > 1


def test_matrix_takes_a_point_to_where_the_frame_shows_it():
    drift = Drift.from_shifts(np.array([[0.0, 0.0], [3.0, -2.0]]))
    np.testing.assert_array_equal(drift.matrices[1] @ [10, 20, 1], [13, 18, 1])
    frame = np.zeros((2, 30, 30), np.float32)
    frame[0, 10, 20] = frame[1, 13, 18] = 1
    aligned = apply_drift(frame, drift)
    assert aligned[0, 10, 20] == aligned[1, 10, 20] == 1


def test_drift_survives_json_to_the_last_bit():
    frames = make_frames()
    frames[3] = np.nan
    drift = estimate_drift(frames, roi=(2, 90, 3, 100))
    text = json.dumps(drift.to_dict(), allow_nan=False)
    again = Drift.from_dict(json.loads(text))
    np.testing.assert_array_equal(again.matrices, drift.matrices)
    np.testing.assert_array_equal(again.confidence, drift.confidence)
    assert (again.reference, again.roi, again.method) == (drift.reference, drift.roi, drift.method)


def make_stack(frames, signal="optical_density", **more):
    return EnergyStack(frames, np.linspace(8300, 8400, len(frames)), signal, name="scan", **more)


def align(stack, *, in_memory, workers=None, **params):
    chain = Chain(stack, in_memory=in_memory, workers=workers)
    done = carry_out(ALIGN, chain, AlignParams(**params))
    return chain, done.resolved, done


class First:
    """Keeps the mean spectrum of every pixel, so that a streamed run has something to compute."""

    maps, writes = {"sum": ()}, False

    def __call__(self, y, out):
        out["sum"][...] = y.sum(axis=0)


def test_step_gives_the_same_bits_streamed_and_in_memory():
    stack = make_stack(make_frames((96, 6000), noise=0.05)[:, :, :400])
    sums = {}
    for key, kwargs in {
        "memory": {"in_memory": True},
        "bands": {"in_memory": False, "workers": 1},
        "threads": {"in_memory": False, "workers": 3},
    }.items():
        chain, _, found = align(stack, **kwargs)
        chain.add_kernel(First(), lambda raw: ({}, Found({"sum": raw["sum"]})))
        chain.run()
        sums[key] = found["sum"]
    wanted = apply_drift(stack.data, estimate_drift(stack)).sum(axis=0)
    np.testing.assert_array_equal(sums["memory"], wanted)
    np.testing.assert_array_equal(sums["bands"], wanted)
    np.testing.assert_array_equal(sums["threads"], wanted)


@pytest.mark.parametrize(("reference", "moved"), [(-1, [0, 3]), ("mean", [0, 3]), ("previous", [1, 3, 4])])
@pytest.mark.parametrize("seed", range(3))
def test_frames_that_show_nothing_move_with_those_beside_them(reference, moved, seed):
    """As below the edge of an element that is alone in the sample: the frames hold data, but no structure."""
    frames = make_frames(noise=0.02, seed=seed)
    frames[[0, 3]] = 2 + 0.02 * np.random.default_rng(seed + 8).normal(size=(2, *frames.shape[1:]))
    chain, _, found = align(make_stack(frames), in_memory=True, reference=reference)
    drift = chain.extra["drift"]
    energy = chain.energy[moved]
    np.testing.assert_allclose(drift.shifts[0], drift.shifts[1])
    np.testing.assert_allclose(drift.shifts[3], (drift.shifts[2] + drift.shifts[4]) / 2)
    assert drift_error(drift.shifts[[1, 2]], SHIFTS[[1, 2]]) < 0.1
    assert found["bridged_frames"] == energy.tolist() and found["unusable_frames"] == []
    assert f"moved like the frames beside them: {energy[0]:.2f} eV" in found.warnings[0]


def test_hot_pixels_hold_nothing_back():
    frames = make_frames(noise=0.02)
    frames[:, 10, 12], frames[:, 60, 33] = 900, -400
    assert drift_error(estimate_drift(frames).shifts, SHIFTS) < 0.05


def test_a_small_particle_on_nothing_is_structure():
    """As in fluorescence without counts beside it."""
    y, x = np.mgrid[:380, :380]
    frames = np.stack([np.exp(-((y - 190 - dy) ** 2 + (x - 190 - dx) ** 2) / 8) for dy, dx in SHIFTS])
    frames[frames < 1e-2] = 0
    assert drift_error(estimate_drift(frames.astype(np.float32)).shifts, SHIFTS) < 0.1


def test_step_reports_and_resolves():
    frames = make_frames()
    frames[3] = np.nan
    chain, resolved, found = align(make_stack(frames), in_memory=True)
    assert resolved.reference == 6
    longest = np.linalg.norm(np.delete(SHIFTS - SHIFTS[6], 3, axis=0), axis=1).max()
    assert found["max_shift_px"] == pytest.approx(longest, abs=0.05)
    assert found["unusable_frames"] == [8350.0]
    assert found["doubtful_frames"] == []
    assert found.warnings == ("1 of 7 frames are lost or constant and are invalid: 8350.00 eV",)
    json.dumps(found.entry.to_json(), allow_nan=False)
    (y0, y1), (x0, x1) = found["valid_area"]
    data = np.delete(chain.run(keep_stack=True), 3, axis=0)
    inside = np.isfinite(data).all(axis=0)
    assert inside[y0:y1, x0:x1].all()
    assert inside.sum() == (y1 - y0) * (x1 - x0)
    assert isinstance(chain.extra["drift"], Drift)


def test_frames_that_compounds_make_look_displaced_by_less_than_a_tenth_are_left_and_the_error_holds_it():
    near = np.linspace(0.06, 0, 7)[:, None] * [1, -0.5]
    frames = make_frames(shifts=near, noise=0.01)
    chain, _, found = align(make_stack(frames), in_memory=True)
    drift = chain.extra["drift"]
    assert 0.04 < found["left_px"] < 0.09 and found["max_shift_px"] == 0
    assert any("set least = 0 to move them" in text for text in found.warnings)
    assert "Drift that was left 0.0" in HistorySteps([found.entry]).steps[0].outcome()
    assert not drift.shifts.any() and drift.sigma[0, 0] > 0.05
    np.testing.assert_array_equal(chain.run(keep_stack=True), frames)
    assert drift_error(estimate_drift(frames).shifts, near) < 0.01
    assert not estimate_drift(frames, least=0.1).shifts.any()
    assert drift_error(estimate_drift(make_frames(shifts=2 * near)).shifts, 2 * near) < 0.01


def test_lost_reference_is_replaced_and_said():
    frames = make_frames()
    frames[-1] = np.nan
    _, resolved, found = align(make_stack(frames), in_memory=True)
    assert resolved.reference == 5
    assert any(
        "reference frame at 8400.00 eV cannot be used, that at 8383.33 eV was taken" in text
        for text in found.warnings
    )


def test_doubtful_frame_is_named():
    frames = make_frames()
    frames[2] = 0.3 * frames[2] + make_frames(seed=20)[2]  # mostly something else
    _, _, found = align(make_stack(frames), in_memory=True)
    assert found["doubtful_frames"] == pytest.approx([8333.33], abs=0.01)
    assert any("doubtful, look at them: 8333.33 eV" in text for text in found.warnings)


def test_counts_with_flats_are_warned_about():
    stack = make_stack(make_frames(), "counts", flat=np.ones((96, 110), np.float32))
    _, _, found = align(stack, in_memory=True)
    assert any("divide by the flats before aligning" in text for text in found.warnings)


def test_stack_in_stack_out():
    stack = make_stack(make_frames(), pixel_size_um=0.04)
    drift = estimate_drift(stack, reference=0)
    aligned = apply_drift(stack, drift, interpolation="cubic")
    np.testing.assert_array_equal(aligned.data, apply_drift(stack.data, drift, interpolation="cubic"))
    assert aligned.pixel_size_um == 0.04
    assert aligned.history[-1]["do"] == "align"
    again = run_recipe(Recipe.of(aligned), stack, in_memory=True)  # the same drift, not measured anew
    np.testing.assert_array_equal(again.extra["drift"].matrices, drift.matrices)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"method": "magic"}, "method is 'magic', expected one of correlation"),
        ({"transform": "affine"}, "transform is 'affine', which the method correlation does not find"),
        ({"transform": "warp"}, "transform is 'warp', expected one of translation, rigid"),
        ({"reference": 7}, r"reference is 7 \(frame no. 8\), the stack has frames 0 to 6 \(no. 1 to 7\)"),
        ({"reference": -50}, r"reference is -50 \(frame no. 50 from the end\), the stack has frames 0 to 6"),
        ({"reference": "first"}, "reference is 'first', expected a whole number or one of previous, mean"),
        ({"reference": 1.5}, "reference is 1.5"),
        ({"roi": (0, 97, 0, 50)}, r"roi \(0, 97, 0, 50\) does not lie within the image of 96 rows"),
        ({"roi": (0, 10, 0, 50)}, "roi is 10 x 50 px, at least 16 x 16"),
        ({"roi": (0, 10)}, "expected four whole numbers"),
    ],
)
def test_bad_arguments(keywords, message):
    with pytest.raises(InputError, match=message):
        estimate_drift(make_frames(), **keywords)


def test_bad_stacks():
    with pytest.raises(InputError, match="expected real numbers of shape"):
        estimate_drift(np.zeros((10, 10)))
    with pytest.raises(InputError, match="no frame shows any structure"):
        estimate_drift(np.ones((3, 32, 32)))
    with pytest.raises(InputError, match="the image is 8 x 40 px"):
        estimate_drift(np.ones((3, 8, 40)))


def test_drift_of_another_stack():
    frames = make_frames()
    drift = Drift.from_shifts(np.zeros((3, 2)))
    with pytest.raises(
        InputError, match=r"drift is of 3 frames with 2 axes, the stack has shape \(7, 96, 110\)"
    ):
        apply_drift(frames, drift)
    turned = np.tile(np.eye(4), (3, 1, 1))
    turned[:, 0, 1] = 0.1
    with pytest.raises(InputError, match="only translations of volumes can be applied"):
        apply_drift(np.zeros((3, 4, 20, 20)), Drift(turned, np.ones(3)))
    with pytest.raises(InputError, match="interpolation is 'nearest'"):
        apply_drift(frames, Drift.from_shifts(np.zeros((7, 2))), interpolation="nearest")


def test_cancelling_stops_the_work():
    def stop(done, total, text):
        if done > 2:
            raise Cancelled

    with pytest.raises(Cancelled):
        estimate_drift(make_frames(), progress=stop)


def an_edge(along, n=9, shape=(100, 120), noise=0.02):
    """Frames of a straight edge, whose normal is `along`, that wanders both ways; and how it wandered."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[: shape[0], : shape[1]]
    walk = np.cumsum(rng.normal(0, 1, (n, 2)), axis=0)
    u = np.array(along) / np.hypot(*along)
    far = [(y - shape[0] / 2 - dy) * u[0] + (x - shape[1] / 2 - dx) * u[1] for dy, dx in walk]
    return 1 / (1 + np.exp(-np.array(far) / 1.5)) + rng.normal(0, noise, (n, *shape)), walk - walk[-1], u


@pytest.mark.parametrize("reference", [-1, "mean", "previous"])
@pytest.mark.parametrize("along", [(0, 1), (1, 0), (0.5, 0.87)])
def test_nothing_is_moved_along_a_straight_edge(along, reference):
    frames, walk, across = an_edge(along)
    drift = estimate_drift(frames, reference=reference)
    off = (drift.shifts - walk) @ across
    assert (off - off.mean()).std() < (0.1 if reference == "previous" else 0.03)
    assert np.abs(drift.shifts @ np.array([across[1], -across[0]])).max() < 0.05
    blind = np.abs([across[1], across[0]]) > 0.1
    told = drift.sigma[1:-1]
    assert np.isinf(told[:, blind]).all() and (told[:, ~blind] < 0.2).all()
    same = Drift.from_dict(json.loads(json.dumps(drift.to_dict(), allow_nan=False)))
    np.testing.assert_array_equal(same.sigma, drift.sigma)


@pytest.mark.parametrize("method", ["correlation", "stackreg"])
def test_the_axis_that_is_not_told_is_named(method):
    frames, _, _ = an_edge((0, 1))
    stack = EnergyStack(frames.astype(np.float32), np.arange(9.0) + 8300, "optical_density")
    recipe = Recipe.from_dict({"schema": 1, "step": [{"do": "align", "method": method}]})
    result = run_recipe(recipe, stack)
    assert any("looks the same along y" in text for text in result.warnings)
    found = result.history[0].facts
    assert found["sigma_px"][0] is None and found["sigma_px"][1] < 0.04
    assert np.abs(result.extra["drift"].shifts[:, 0]).max() < 1e-6


def test_layers_that_rest_are_left_where_they_are():
    rng = np.random.default_rng(0)
    x = np.arange(140)
    layers = ((x > 30) & (x < 60)) | ((x > 85) & (x < 100))
    edge = 1 / (1 + np.exp(-(np.linspace(8223, 8578, 31) - 8345) / 3))
    density = 0.15 + layers * (0.2 + 0.8 * edge[:, None, None]) * np.ones((1, 120, 1))
    counts = rng.poisson(12000 * np.exp(-density))
    drift = estimate_drift(-np.log(counts / 12000))
    assert np.abs(drift.shifts).max() < 0.1
    assert np.isinf(drift.sigma[:, 0]).all() and np.isfinite(drift.sigma[:, 1]).all()


def test_nothing_is_moved_where_there_is_but_noise():
    frames = np.random.default_rng(0).normal(size=(9, 100, 120))
    drift = estimate_drift(frames)
    assert not drift.shifts.any()
    assert np.isinf(drift.sigma[drift.confidence > 0]).all()


@pytest.mark.parametrize(("shape", "noise"), [((96, 110), 0.3), ((96, 110), 2.0), ((300, 260), 2.0)])
def test_true_errors_are_as_stated(shape, noise):
    z = []
    for seed in range(5):
        walk = np.cumsum(np.random.default_rng(seed).normal(0, 1, (14, 2)), axis=0)
        found = estimate_drift(make_frames(shape, walk, noise=noise, seed=seed), reference="mean")
        error = found.shifts - walk
        z.append((error - error.mean(axis=0)) / found.sigma)
    assert 0.7 < np.sqrt(np.mean(np.square(z))) < 1.25


def test_the_error_against_a_frame_holds_its_own_too():
    frames = make_frames(noise=1.0)
    mean, frame = (estimate_drift(frames, reference=reference) for reference in ("mean", 2))
    assert not frame.sigma[2].any()
    others = np.arange(len(frames)) != 2
    np.testing.assert_allclose(frame.sigma[others], np.hypot(mean.sigma[others], mean.sigma[2]))


def test_the_error_of_an_edited_frame_is_none_and_of_an_excluded_one_unknown():
    drift = estimate_drift(make_frames(noise=1.0))
    assert not drift.edited(1, (2.0, 3.0)).sigma[1].any()
    assert np.isnan(drift.excluding([1]).sigma[1]).all()


@pytest.mark.parametrize("shift", [(45.3, 0), (-45.3, 0), (0, 77.0)])
def test_what_lies_farther_off_than_the_frame_is_long_is_not_in_view(shift):
    matcher = Matcher((40, 36))
    back = matcher.moved_back(np.ones((40, 36), np.float32), np.array(shift))
    assert np.isnan(back).all() and back[matcher.in_view(np.array(shift))].size == 0


@pytest.mark.parametrize("shape", [(40, 36), (16, 40, 36)])
@pytest.mark.parametrize("method", ["polish", "refine"])
def test_a_start_out_of_the_frame_is_no_match(shape, method):
    """What is displaced by more than the frame shares nothing with the others, and nobody knows how far it is."""
    image = np.random.default_rng(2).random(shape, dtype=np.float32)
    start = np.zeros(len(shape))
    start[-1] = 48.8
    shift, confidence = getattr(Matcher(shape), method)(image, image, start)
    assert np.isnan(shift).all() and confidence == 0
