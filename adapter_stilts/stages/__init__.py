"""Stages: the units of work, how a recipe becomes a plan of them, and where finished ones live."""
