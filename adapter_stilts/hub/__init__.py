"""Sharing bundles: where one is (`address`), whether it may be read (`verify`), its journeys (`transfer`)."""
