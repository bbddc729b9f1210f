"""Order parameters beside pymatgen's, which loop over the neighbours one by one."""

import numpy as np
import pytest
from pymatgen.core.local_env import CN_OPT_PARAMS, LocalStructOrderParams

from crystext.metrics.matminer.order_parameters import MOTIFS, neighbour_frames


class Site:
    def __init__(self, coords):
        self.coords = coords


def pymatgens(name, vectors):
    """The parameter of one environment, looked up by the motif's name as matminer does."""
    kind, *parameters = CN_OPT_PARAMS.get(len(vectors), {}).get(name, [name])
    computer = LocalStructOrderParams([kind], parameters=parameters[:1] or [None])
    sites = [Site(np.zeros(3)), *map(Site, vectors)]
    (value,) = computer.get_order_parameters(sites, 0, list(range(1, len(sites))))
    return value or 0.0


OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])
CUBE = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], dtype=float)
CUBOCTAHEDRON = np.array(
    [p for p in np.ndindex(3, 3, 3) if sorted(map(abs, np.subtract(p, 1))) == [0, 1, 1]]
) - np.ones(3)
PERFECT = {6: OCTAHEDRON, 8: CUBE, 12: CUBOCTAHEDRON, 4: CUBE[[0, 3, 5, 6]], 5: OCTAHEDRON[:5]}


@pytest.mark.parametrize("n", [n for n in MOTIFS if n > 1])
@pytest.mark.parametrize("spread", [0.0, 0.1, 2.0])
def test_order_parameters_are_those_of_pymatgen(n, spread):
    rng = np.random.default_rng(n)
    start = PERFECT.get(n, CUBOCTAHEDRON[:n])
    if spread == 0 and n == 8:
        pytest.skip("at right angles rounding decides; the fingerprints' test looks at that")
    environments = 2.0 * start + spread * rng.normal(size=(6, n, 3))
    seen = neighbour_frames(environments)
    for name, motif in MOTIFS[n]:
        expected = [pymatgens(name, vectors) for vectors in environments]
        assert motif(seen) == pytest.approx(expected, abs=1e-7), name


def test_a_perfect_motif_has_the_parameter_one():
    values = {
        name: motif(neighbour_frames(PERFECT[n][None])).item()
        for n, name in [(6, "octahedral"), (4, "tetrahedral"), (12, "cuboctahedral")]
        for motif_name, motif in MOTIFS[n]
        if motif_name == name
    }
    assert values["octahedral"] == pytest.approx(1, abs=1e-3)
    assert values["tetrahedral"] == pytest.approx(1, abs=1e-3)
    assert values["cuboctahedral"] > 0.95


def test_parameters_but_one_ignore_rotation_and_order():
    rng = np.random.default_rng(0)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    for n, motifs in MOTIFS.items():
        vectors = rng.normal(size=(n, 3))
        turned = vectors[rng.permutation(n)] @ rotation
        for name, motif in motifs:
            if name != "body-centered cubic":
                one, two = motif(neighbour_frames(np.array([vectors, turned])))
                assert one == pytest.approx(two, abs=1e-9), name
