"""The key of a small plot: what is in colour is a dash, names are as readable as any text."""

import re

from napari_xanes._widgets.parts.plot import SmallPlot, key_text


def words(html):
    return re.sub("<[^>]+>", "", html.replace("&nbsp;", " ").replace("<br>", "\n")).split()


def test_what_names_have_in_common_is_said_once():
    key = key_text({f"component {k}": "#e69f00" for k in (1, 2, 3)})
    assert words(key) == ["component", "━", "1", "━", "2", "━", "3"] and key.count('"color: #e69f00">━<') == 3
    assert words(key_text({"cluster 1": "#e69f00"})) == ["━", "cluster", "1"]
    assert words(key_text({"y": "#56b4e9", "to check": "#d55e00"})) == ["━", "y", "━", "to", "check"]


def test_many_curves_are_named_in_several_lines():
    assert key_text({f"cluster {k}": "#e69f00" for k in range(1, 11)}).count("<br>") == 1


def test_titles_have_the_colour_of_the_text_in_each_theme(viewer, qtbot):
    plot = SmallPlot(viewer, "energy (eV)")
    plot.show_title("fraction")
    colours = set()
    for theme in ("dark", "light"):
        viewer.theme = theme
        label = plot.getPlotItem().titleLabel
        assert label.text == "fraction"
        colours.add(label.opts["color"])
    assert len(colours) == 2
    plot.cleanup()
