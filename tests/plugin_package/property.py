"""A property of crystals that data sets label: the bulk modulus."""

from crystext import Property

BULK_MODULUS = Property(
    "bulk_modulus", "bulk modulus", unit="GPa", minimum=0, decimals=1, columns=("K_VRH",)
)
