"""Steps put together: frame-wise and per-pixel, in memory and streamed."""

import numpy as np
import pytest

import napari_xanes as nx
from napari_xanes import Cancelled, EnergyStack, InputError, ResourceError
from napari_xanes._core.base.memory import check_memory
from napari_xanes._core.data.history import Entry, Found
from napari_xanes._core.data.named_map import NamedMap
from napari_xanes._core.engine.chain import Chain
from napari_xanes._core.recipe.steps import STEPS
from napari_xanes._core.runs.pipeline import run_steps

ENERGY = np.linspace(8300, 8400, 6)


class Subtract:
    """Takes the first energy off every spectrum and keeps it as a map."""

    writes = True

    def __init__(self):
        self.maps = {"first": ()}

    def __call__(self, y, out):
        out["first"][...] = y[0]
        y -= out["first"]


def add_subtract(chain, name="first"):
    """Add the kernel as a step of its own; returns the number of its entry."""
    chain.entries.append(Entry(name))
    chain.add_kernel(
        Subtract(), lambda raw: ({name: NamedMap(raw["first"], "first")}, Found({"n": raw["first"].size}))
    )
    return len(chain.entries) - 1


def add_double(chain):
    read = chain.frames()
    chain.wrap(lambda i, rows=slice(None): read(i, rows) * 2)


def make_stack(shape=(6, 70, 90), dtype=np.uint16):
    data = np.random.default_rng(3).integers(1, 1000, shape).astype(dtype)
    return EnergyStack(data, ENERGY, "optical_density", name="scan")


@pytest.mark.parametrize("shape", [(6, 70, 90), (6, 5, 30, 40)])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("keep", [True, False])
def test_every_way_of_running_gives_the_same(shape, dtype, in_memory, keep):
    stack = make_stack(shape, dtype)
    before = stack.data.copy()
    chain = Chain(stack, in_memory=in_memory, workers=2)
    add_double(chain)
    number = add_subtract(chain)
    data = chain.run(keep_stack=keep)
    np.testing.assert_array_equal(stack.data, before)
    np.testing.assert_array_equal(chain.maps["first"].data, 2.0 * before[0])
    assert chain.entries[number].facts == {"n": before[0].size}
    if keep:
        np.testing.assert_array_equal(data, 2.0 * (before - before[0].astype(np.float32)))
    else:
        assert data is None


@pytest.mark.parametrize("keep", [True, False])
def test_kernels_alone_never_write_into_the_callers_array(keep):
    stack = make_stack(dtype=np.float32)
    before = stack.data.copy()
    chain = Chain(stack)
    add_subtract(chain)
    chain.run(keep_stack=keep)
    np.testing.assert_array_equal(stack.data, before)


def test_a_frame_step_after_a_pixel_step_sees_its_result():
    stack = make_stack()
    chain = Chain(stack, in_memory=False)
    add_subtract(chain)
    add_double(chain)
    add_subtract(chain, "second")
    data = chain.run(keep_stack=True)
    np.testing.assert_array_equal(data, 2.0 * (stack.data - stack.data[0].astype(np.float32)))
    assert not chain.maps["second"].data.any() and chain.maps["first"].data.any()


def test_sample_names_lost_frames():
    data = np.ones((6, 70, 90), np.float32)
    data[2] = np.nan
    chain = Chain(EnergyStack(data, ENERGY, "optical_density"))
    first, second = Found(), Found()
    usable = chain.usable_energies(first)
    chain.usable_energies(second)
    np.testing.assert_array_equal(usable, [True, True, False, True, True, True])
    np.testing.assert_array_equal(chain.sample().mean[usable], 1)
    assert first.facts["unusable_frames"] == second.facts["unusable_frames"] == [8340.0]
    assert "8340.00 eV" in first.warnings[0] and not second.warnings
    with pytest.raises(InputError, match="no valid number in any of its 6 frames"):
        Chain(EnergyStack(data * np.nan, ENERGY, "optical_density")).sample()


@pytest.mark.parametrize("in_memory", [True, False])
def test_cancelling_stops_the_pass(in_memory):
    def stop(done, total, text):
        raise Cancelled

    chain = Chain(make_stack(), in_memory=in_memory)
    add_subtract(chain)
    with pytest.raises(Cancelled):
        chain.run(progress=stop)
    assert not chain.maps


def test_what_cannot_fit_is_refused_with_numbers():
    with pytest.raises(ResourceError, match=r"scan needs 931322574.6 GiB of memory, .* are free"):
        check_memory(10**18, "scan")


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_maps_can_be_had_half_way_and_later_passes_see_all_steps_so_far(in_memory, dtype):
    stack = make_stack(dtype=dtype)
    before = stack.data.copy()
    chain = Chain(stack, in_memory=in_memory, workers=2)
    add_subtract(chain)
    chain.compute()
    np.testing.assert_array_equal(chain.maps["first"].data, before[0])
    wanted = (before - before[0].astype(np.float32)).reshape(6, -1)
    np.testing.assert_array_equal(np.concatenate([chain.band(b) for b in chain.bands()], axis=1), wanted)
    chain.add_kernel(Subtract(), lambda raw: ({"zero": NamedMap(raw["first"], "first")}, Found()))
    chain.run()
    assert not chain.maps["zero"].data.any()
    np.testing.assert_array_equal(stack.data, before)


@pytest.mark.parametrize("in_memory", [True, False])
def test_the_sample_sees_steps_that_are_pending(in_memory):
    chain = Chain(make_stack(), in_memory=in_memory)
    before = chain.sample().spectra.copy()
    add_subtract(chain)
    np.testing.assert_array_equal(chain.sample().spectra, before - before[0])


@pytest.mark.parametrize("in_memory", [True, False])
def test_a_mask_takes_pixels_out_of_the_maps_before_and_after_it(in_memory):
    stack = make_stack()
    mask = np.zeros(stack.image_shape, bool)
    mask[10:30, 20:60] = True
    chain = Chain(stack, in_memory=in_memory)
    add_subtract(chain)
    chain.mask_pixels(mask)
    add_subtract(chain, "second")
    data = chain.run(keep_stack=True)
    for name in ("first", "second"):
        np.testing.assert_array_equal(np.isfinite(chain.maps[name].data), mask)
    np.testing.assert_array_equal(np.isfinite(data), np.broadcast_to(mask, data.shape))


def test_two_steps_that_make_the_same_map_are_refused():
    chain = Chain(make_stack())
    add_subtract(chain)
    add_subtract(chain)
    with pytest.raises(InputError, match="two steps make a map 'first'"):
        chain.run()


def test_a_frame_that_spoils_most_pixels_is_named_once():
    stack = make_stack(dtype=np.float32)
    stack.data[2, :50] = np.nan
    chain = Chain(stack)
    found = Found()
    assert chain.usable_energies(found).all()
    assert "1 of 6 frames are invalid in most pixels" in found.warnings[0]
    assert f"{ENERGY[2]:.2f} eV" in found.warnings[0]
    again = Found()
    chain.usable_energies(again)
    assert not again.warnings and not again.facts


def test_geometry_follows_what_steps_say():
    stack = make_stack().replace(pixel_size_um=0.1, thickness=np.ones((70, 90)))
    chain = Chain(stack, in_memory=False)
    read = chain.frames()
    chain.wrap(
        lambda i, rows=slice(None): read(i + 1, rows)[:, ::2],
        energy=ENERGY[1:],
        image_shape=(70, 45),
        pixel_size_um=0.2,
    )
    assert (chain.shape, chain.pixel_size_um, chain.thickness) == ((5, 70, 45), 0.2, None)
    np.testing.assert_array_equal(chain.run(keep_stack=True), stack.data[1:, :, ::2])


class Several(Subtract):
    """Makes a map that is only there for its own sake."""

    def __init__(self):
        self.maps = {"first": (), "both": (2,)}
        self.optional = {"both": "detail"}

    def __call__(self, y, out):
        super().__call__(y, out)
        out["both"][...] = y[:2]


@pytest.mark.parametrize("in_memory", [True, False])
@pytest.mark.parametrize("kinds", [(), ("first",), ("detail",)])
def test_maps_that_nobody_wants_are_not_allocated(in_memory, kinds):
    seen = []

    def collect(raw):
        seen.append(set(raw))
        return {name: NamedMap(raw[name], name) for name in raw}, Found()

    chain = Chain(make_stack(), in_memory=in_memory, kinds=kinds)
    chain.add_kernel(Several(), collect)
    chain.run()
    assert seen == [{"first", "both"} if kinds != ("first",) else {"first"}]


def test_a_run_keeps_the_kinds_that_are_wanted():
    stack = nx.simulate((24, 30), n_energies=16, max_drift=0).stack
    steps = [(name, STEPS[name].params()) for name in ("flat_field", "optical_density", "normalize")]
    all_maps = run_steps(stack, steps)
    some = run_steps(stack, steps, kinds=("thickness", "fractions"))
    assert list(some.maps) == ["thickness"] and "edge_step" in all_maps.maps
    np.testing.assert_array_equal(some.maps["thickness"], all_maps.maps["thickness"])
    assert "no step makes maps of kind 'fractions'; there are edge_step, thickness" in some.warnings[-1]


def test_frames_that_were_never_taken_are_named_and_left_out():
    """A scan that was stopped ends in zeros; zeros at its beginning may be what is below the edge."""
    data = np.random.default_rng(2).uniform(0.5, 1, (6, 70, 90)).astype(np.float32)
    data[[0, 4, 5]] = 0
    chain, found = Chain(EnergyStack(data, ENERGY, "optical_density")), Found()
    np.testing.assert_array_equal(chain.usable_energies(found), [True, True, True, True, False, False])
    assert "the last 2 of 6 frames hold nothing but zeros" in found.warnings[0]
    assert found.facts["unusable_frames"] == ENERGY[4:].tolist()
