"""Whether a gain is real, where, and for whom: statistics of what runs left. Reads records, never models."""
