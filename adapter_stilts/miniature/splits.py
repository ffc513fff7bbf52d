"""Which split a meaning belongs to: the one partition that all tasks and the pretraining text share."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from adapter_stilts.miniature.meaning import Clause
from adapter_stilts.miniature.world import canonical
from adapter_stilts.tasks.base import Split


def split_of(clauses: Sequence[Clause]) -> Split:
    """The split that a document belongs to, by what its first two clauses mean.

    Every task and the pretraining text draw their documents from their own part, so nothing that is evaluated on
    was read before: not in another task, style or language. Two clauses, because a prompt may show no more than
    the opening.
    """
    said = repr([(c.predicate, c.roles, c.negated) for c in map(canonical, clauses[:2])])
    bucket = hashlib.blake2b(said.encode(), digest_size=1).digest()[0] % 8
    return "dev" if bucket == 6 else "test" if bucket == 7 else "train"
