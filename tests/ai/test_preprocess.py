import numpy as np
import pytest

from ai.errors import NotAChestError
from ai.preprocess import Letterbox, network_input


@pytest.mark.parametrize("shape", [(64, 8300), (8300, 64)])
def test_pictures_too_narrow_for_the_grid_are_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(NotAChestError, match=rf"{shape[0]} x {shape[1]} pixels shows no chest"):
        network_input(np.ones(shape, np.float32), 128)


@pytest.mark.parametrize(("rows", "columns"), [(299, 320), (320, 301), (64, 63), (100, 100)])
def test_film_is_where_the_grid_holds_picture(rows: int, columns: int) -> None:
    box = Letterbox(rows, columns, 64)
    assert np.array_equal(box.film(), box.to_network(np.ones((rows, columns), np.float32)) == 1)
