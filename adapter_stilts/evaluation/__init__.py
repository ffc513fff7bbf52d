"""Metrics, and the benchmarks they are averaged over."""
