"""What comes of a recipe, as it is seen in Python."""

from __future__ import annotations

import napari_xanes as nx


def test_a_result_is_shown_in_a_line(tmp_path):
    steps = [{"do": name} for name in ("flat_field", "optical_density", "normalize")]
    recipe = nx.Recipe.from_dict({"schema": 1, "step": steps})
    result = nx.run_recipe(
        recipe, nx.simulate((32, 40), n_energies=41, max_drift=1, n_particles=3, seed=1).stack
    )
    nx.save_result(result, tmp_path / "maps.zarr")
    for one in (result, nx.load_result(tmp_path / "maps.zarr")):
        assert repr(one) == (
            f"<Result {result.name!r}: 32 x 40 maps {', '.join(result.maps)}; "
            "steps flat_field, optical_density, normalize>"
        )
