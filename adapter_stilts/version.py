"""The package's version: what it tells, and what is written into stage.json and bundle.json."""

__version__ = "0.1.0"
