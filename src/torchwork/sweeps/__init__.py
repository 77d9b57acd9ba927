"""Sweeps: many trainings of one config, in search of the values that do best on val."""
