"""Figures show the maps asked for, with true scales and limits, in the format that the name says."""

from __future__ import annotations

import re

import numpy as np
import pytest
from matplotlib.image import imread

from napari_xanes import SAFE_COLORS, InputError, Result, mix_colors, save_figure
from napari_xanes._core.draw.drawing import draw_scale, round_length
from napari_xanes._core.draw.layout import lay_out, panel_inches
from napari_xanes._core.draw.panels import choose, choose_mixture, read_panels

GREY = np.array([0.82] * 3)


@pytest.fixture
def maps():
    rng = np.random.default_rng(4)
    first = rng.uniform(0, 1, (12, 16)).astype(np.float32)
    found = {"fraction_NiO": first, "fraction_LiNiO2": 1 - first}
    found["thickness"] = rng.uniform(0.5, 2, first.shape)
    found["rms"] = 10.0 ** rng.uniform(-3, 0, first.shape)
    found["sigma_NiO"] = found["sigma_LiNiO2"] = np.full(first.shape, 0.01)
    return found


@pytest.fixture
def result(maps):
    info = {name: {"kind": name, "unit": "", "reference": None} for name in maps}
    for name in maps:
        if "_" in name:
            kind, reference = name.split("_")
            info[name] = {"kind": kind, "unit": "", "reference": reference}
    info["thickness"]["unit"] = "optical density"
    return Result(maps, info, np.arange(3.0), (), {}, pixel_size_um=0.05, name="scan 7")


def words(path):
    """Return what is written in an SVG file; each text is there as a comment."""
    return re.findall(r"<!-- (.*?) -->", path.read_text(encoding="utf-8"))


def grey_share(path):
    picture = imread(path)[..., :3]
    return (np.abs(picture - GREY).max(axis=-1) < 0.003).mean()


@pytest.mark.parametrize(("ending", "start"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")])
def test_the_ending_says_the_format(tmp_path, result, ending, start):
    path = tmp_path / f"figure{ending}"
    save_figure(path, result)
    assert path.read_bytes().startswith(start)
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_one_result_gives_one_file(tmp_path, result):
    for ending in ("svg", "pdf", "png"):
        twice = [tmp_path / f"{n}.{ending}" for n in (1, 2)]
        for path in twice:
            save_figure(path, result, names=["rms"], mix=["fraction"], dpi=80)
        assert twice[0].read_bytes() == twice[1].read_bytes(), ending


def test_what_is_written_in_it(tmp_path, result):
    save_figure(tmp_path / "a.svg", result)
    written = words(tmp_path / "a.svg")
    for text in (
        "scan 7",
        "mixed in colour",
        "NiO",
        "LiNiO2",
        "thickness",
        "optical density",
        "rms",
        "fraction",
    ):
        assert text in written, text
    assert "no value" not in written
    assert "sigma" not in written and any("0.3" in text and "white" in text for text in written)


def test_maps_are_chosen_by_name_or_kind(result):
    panels = read_panels(result, None)
    assert [p.name for p in choose(panels, None)] == ["fraction_NiO", "fraction_LiNiO2", "thickness", "rms"]
    chosen = choose(panels, ["rms", "fraction", "fraction_NiO"])
    assert [p.name for p in chosen] == ["rms", "fraction_NiO", "fraction_LiNiO2"]
    with pytest.raises(InputError, match="no map 'nickel'; there are fraction_NiO"):
        choose(panels, ["nickel"])
    with pytest.raises(InputError, match="no map was asked for"):
        choose(panels, [])


def test_kinds_are_told_by_the_names_of_a_dict(maps, result):
    told, known = read_panels(maps, None), read_panels(result, None)
    for name in maps:
        assert (told[name].kind, told[name].reference) == (known[name].kind, known[name].reference)
    assert [p.name for p in choose(read_panels({"zinc": [[1.0]]}, None), None)] == ["zinc"]


def test_limits_suit_the_kind():
    ramp = np.linspace(0, 1, 1001).reshape(7, 143)
    maps = {
        "fraction_A": 0.2 * ramp,
        "amount_A": ramp,
        "amount_B": 9 * ramp,
        "thickness": 1 + ramp,
        "energy_shift": 3 * ramp - 1,
        "error": 10 ** (4 * ramp),
        "edge_energy": 8333 + ramp,
    }
    limits = {p.name: p.limits for p in choose(read_panels(maps, None), list(maps))}
    assert limits["fraction_A"] == (0, 1)
    assert limits["amount_A"] == limits["amount_B"] and limits["amount_A"][1] == pytest.approx(9, rel=0.05)
    assert limits["thickness"] == (0, pytest.approx(2, rel=0.01))
    assert limits["energy_shift"] == (pytest.approx(-2, rel=0.01), pytest.approx(2, rel=0.01))
    assert limits["error"] == (pytest.approx(10**0.04, rel=0.01), pytest.approx(10**3.96, rel=0.01))
    assert limits["edge_energy"] == (pytest.approx(8333.01, abs=0.005), pytest.approx(8334, abs=0.005))


def test_limits_of_errors_are_of_pixels_with_fractions(maps):
    maps["rms"][:6] = 1e6
    maps["fraction_NiO"][:6] = np.nan
    (rms,) = choose(read_panels(maps, None), ["rms"])
    assert rms.limits[1] <= 1


@pytest.mark.parametrize("data", [np.full((4, 5), np.nan), np.zeros((4, 5)), np.full((4, 5), np.inf)])
@pytest.mark.parametrize("name", ["fraction_A", "thickness", "error", "energy_shift", "something"])
def test_maps_without_contrast_are_drawn_too(tmp_path, name, data):
    save_figure(tmp_path / "a.png", {name: data}, dpi=60)


def test_invalid_pixels_are_grey_and_said_to_be(tmp_path, maps):
    only = {"thickness": maps["thickness"]}
    save_figure(tmp_path / "a.png", only, dpi=150)
    assert grey_share(tmp_path / "a.png") < 0.001
    only["thickness"][:6] = np.nan
    before = only["thickness"].copy()
    save_figure(tmp_path / "b.png", only, dpi=150)
    _, (ax,) = lay_out(1, 12 / 16, head=False)
    panel = np.prod(ax.get_position().size)
    assert grey_share(tmp_path / "b.png") == pytest.approx(panel / 2, rel=0.03)
    np.testing.assert_array_equal(only["thickness"], before)
    save_figure(tmp_path / "b.svg", only)
    assert "no value" in words(tmp_path / "b.svg")


def test_the_mixture_is_grey_where_any_map_is_invalid(tmp_path):
    half = np.full((8, 8), 0.5)
    maps = {"fraction_A": half.copy(), "fraction_B": half, "fraction_C": half}
    maps["fraction_A"][:4] = np.nan
    save_figure(tmp_path / "a.png", maps, names=["fraction_B"], mix=["fraction"], dpi=150)
    _, (ax, *_) = lay_out(3, 1.0, head=False)
    assert grey_share(tmp_path / "a.png") == pytest.approx(np.prod(ax.get_position().size) / 2, rel=0.03)


def test_zero_error_is_not_invalid(tmp_path):
    error = np.linspace(0, 1, 64).reshape(8, 8)
    save_figure(tmp_path / "a.png", {"error": error}, dpi=150)
    assert grey_share(tmp_path / "a.png") < 0.001


def test_the_mixture_is_that_of_mix_colors(tmp_path):
    """The pure colours and their half-way mixture stand in the picture as `mix_colors` makes them."""
    first = np.repeat([[0.0, 0.5, 1.0]], 3, axis=0)
    maps = {"fraction_A": first, "fraction_B": 1 - first}
    save_figure(tmp_path / "a.png", maps, dpi=100)
    picture = imread(tmp_path / "a.png")[..., :3]
    (column,) = mix_colors([first[:1], 1 - first[:1]], SAFE_COLORS[:2], limits=(0, 1))
    for color in column:
        assert (np.abs(picture - color).max(axis=-1) < 0.003).sum() > 1000


def test_what_is_mixed(maps):
    panels = read_panels(maps, None)
    shown = choose(panels, None)
    mixture = choose_mixture(panels, shown, None, 0.3)
    assert [p.name for p in mixture.panels] == ["fraction_NiO", "fraction_LiNiO2"]
    np.testing.assert_array_equal(mixture.sigma[0], np.float32(0.01))
    assert choose_mixture(panels, shown, None, None).sigma is None
    assert choose_mixture(panels, shown, [], 0.3) is None
    assert choose_mixture(panels, shown[:1], None, 0.3) is None
    other = choose_mixture(panels, shown, ["thickness", "rms"], 0.3)
    assert [p.name for p in other.panels] == ["thickness", "rms"] and other.sigma is None
    many = read_panels({f"component_{k}": np.eye(3) for k in range(8)}, None)
    with pytest.raises(InputError, match="mix names 8 maps, at most 7"):
        choose_mixture(many, [], list(many), 0.3)


@pytest.mark.parametrize("n", [2, 3, 5])
def test_the_legend_names_what_is_mixed(tmp_path, n):
    rng = np.random.default_rng(n)
    fractions = rng.dirichlet(np.ones(n), (9, 11)).transpose(2, 0, 1)
    maps = {f"fraction_state{k}": f for k, f in enumerate(fractions)}
    save_figure(tmp_path / "a.svg", maps, names=["fraction_state0"], mix=["fraction"])
    written = words(tmp_path / "a.svg")
    assert [written.count(f"state{k}") for k in range(n)] == [2, *[1] * (n - 1)]
    assert ("1 : 1" in written) == (n == 2)


def test_of_volumes_one_plane_is_drawn():
    volume = np.arange(5.0)[:, None, None] * np.ones((5, 3, 4))
    assert (read_panels({"a": volume}, None)["a"].image == 2).all()
    assert (read_panels({"a": volume}, 4)["a"].image == 4).all()
    for plane in (5, -1):
        with pytest.raises(InputError, match=f"plane is {plane}, expected 0 to 4"):
            read_panels({"a": volume}, plane)
    with pytest.raises(InputError, match="plane is 0, but the maps are images"):
        read_panels({"a": volume[0]}, 0)


@pytest.mark.parametrize(
    ("longest", "expected"), [(1, 1), (1.99, 1), (2, 2), (4.9, 2), (5, 5), (9.99, 5), (10, 10), (0.03, 0.02)]
)
def test_lengths_are_rounded_to_1_2_5(longest, expected):
    assert round_length(longest) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("pixel", "columns", "text", "length"),
    [(0.05, 100, "1 µm", 20), (0.004, 100, "100 nm", 25), (10, 1000, "2 mm", 200), (None, 100, "20 px", 20)],
)
def test_the_scale_bar_is_as_long_as_it_says(pixel, columns, text, length):
    figure, (ax,) = lay_out(1, 1.0, head=False)
    draw_scale(ax, pixel, columns)
    (bar,) = ax.child_axes
    assert [t.get_text() for t in bar.texts] == [text]
    figure.draw_without_rendering()
    across = bar.get_window_extent().width / ax.get_window_extent().width
    assert across * columns == pytest.approx(length, rel=1e-3)


@pytest.mark.parametrize("aspect", [0.05, 0.5, 1, 2, 20])
@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_panels_keep_their_shape_and_do_not_overlap(n, aspect):
    figure, axes = lay_out(n, aspect, head=True)
    boxes = [ax.get_position() for ax in axes]
    for ax, box in zip(axes, boxes, strict=True):
        width, height = panel_inches(ax)
        assert height / width == pytest.approx(aspect)
        assert box.x0 >= 0 and box.y0 >= 0 and box.x1 <= 1 and box.y1 <= 1
        assert sum(box.overlaps(other) for other in boxes) == 1
    assert figure.get_figwidth() <= 7.11 and figure.get_figheight() <= 9.01


@pytest.mark.parametrize("name", ["figure.jpeg", "figure"])
def test_unknown_formats_are_refused(tmp_path, maps, name):
    with pytest.raises(InputError, match=r"expected one of \.png, \.svg, \.pdf"):
        save_figure(tmp_path / name, maps)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("maps", "says"),
    [
        ({}, "no maps to draw"),
        ({"a": np.ones(5)}, r"maps have shape \(5,\)"),
        ({"a": np.ones((2, 3)), "b": np.ones((3, 2))}, r"map 'b' has shape \(3, 2\), 'a' \(2, 3\)"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path, maps, says):
    with pytest.raises(InputError, match=says):
        save_figure(tmp_path / "a.png", maps)
    assert not list(tmp_path.iterdir())
