"""Elements, formulas and oxidation states."""
