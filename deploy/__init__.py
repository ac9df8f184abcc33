"""Integers on a chip: quantise, certify, bundle."""
