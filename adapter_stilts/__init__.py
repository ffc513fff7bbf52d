"""Cross-lingual intermediate-task training (X-STILTs) with full models, adapters and LoRA modules."""

from __future__ import annotations

__version__ = "0.1.0"
