"""Energies of crystals: a potential that has proved itself, relaxation, distance to the hull."""
