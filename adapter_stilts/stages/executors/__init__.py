"""Executors: where the stages of a plan run."""
