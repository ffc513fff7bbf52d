"""The miniature's text as a source for language modelling."""

from __future__ import annotations

from itertools import islice

from adapter_stilts.miniature.corpus import MiniatureText
from adapter_stilts.miniature.languages import CODES
from adapter_stilts.miniature.text import documents, pairs


def test_documents_and_pairs() -> None:
    alone, parallel = MiniatureText(parallel=False), MiniatureText(parallel=True)
    assert alone.languages() == ("en", *CODES)
    assert [e.text for e in alone.examples("qaa", 5)] == list(islice(documents("qaa"), 5))
    assert parallel.languages() == tuple(f"en-{code}" for code in CODES)
    found = [(e.text, e.translation) for e in parallel.examples("en-qaa", 5)]
    assert found == list(islice(pairs("qaa"), 5))


def test_fingerprints_differ() -> None:
    sources = [MiniatureText(parallel, seed) for parallel in (False, True) for seed in (0, 1)]
    found = {(s.fingerprint(language)) for s in sources for language in s.languages()}
    assert len(found) == sum(len(s.languages()) for s in sources)
