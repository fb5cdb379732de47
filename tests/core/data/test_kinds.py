"""What maps are called."""

import pytest

from napari_xanes._core.data.kinds import title_of


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("fraction_Ni_oxidised", "Ni_oxidised fraction"),
        ("sigma_NiO", "NiO fraction sigma"),
        ("amount_sigma_NiO", "NiO amount sigma"),
        ("thickness_sigma", "thickness sigma"),
        ("component_2", "component 2"),
        ("edge_step", "edge step"),
        ("error", "fit error"),
        ("r_factor", "R-factor"),
    ],
)
def test_a_map_is_called_what_its_layer_is(name, title):
    assert title_of(name) == title
