import numpy as np
import pytest
from pymatgen.core.units import Mass

from crystext.metrics.distributions import DISTRIBUTION_QUANTITIES, wasserstein_distance
from crystext.structures.crystal import Crystal


def binary(length, numbers):
    return Crystal(
        np.full(3, length), np.full(3, 90.0), np.array(numbers), np.array([[0.0] * 3, [0.5] * 3])
    )


def test_distances_are_those_of_means_where_each_set_is_one_crystal():
    light, heavy = binary(4.0, [11, 17]), binary(4.0, [55, 55])
    found = {
        name: wasserstein_distance([quantity(light)], [quantity(heavy)] * 2)
        for name, quantity in DISTRIBUTION_QUANTITIES.items()
    }
    mass = {z: Mass(m, "amu").to("g") for z, m in ((11, 22.98977), (17, 35.453), (55, 132.90545))}
    difference = 2 * mass[55] - mass[11] - mass[17]
    assert found["density_g_per_cm3"] == pytest.approx(difference / (4e-8) ** 3, rel=1e-4)
    assert found["n_elements"] == 1
