"""Measuring train sets: read, sampled, encoded and embedded, and kept beside encoded data in the cache."""

from __future__ import annotations

import contextlib
import errno
import logging
import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from adapter_stilts.errors import UsageError, cause_of
from adapter_stilts.formats import get_format
from adapter_stilts.formats.examples import Example, first_examples
from adapter_stilts.formats.features import Features
from adapter_stilts.io import digest_of, disk_errors, remove_partials, whole_directory, write_bytes
from adapter_stilts.select.train_set import TrainSet
from adapter_stilts.stages.data import CachedTokenizer
from adapter_stilts.stages.drawing import Draw
from adapter_stilts.stages.parts import Reading
from adapter_stilts.stages.planning.reading import reading
from adapter_stilts.stages.planning.request import Request
from adapter_stilts.tasks.base import Task
from adapter_stilts.tasks.sources import with_labels
from adapter_stilts.version import __version__

if TYPE_CHECKING:
    from adapter_stilts.select.short import Short

SCHEMA = 1
"""Raised when what is kept in the cache changes."""
FILE = "measured.npz"
INSTEAD = "another place with $ADAPTER_STILTS_CACHE"
FOLDER = "train_sets"
TOKENIZERS = "tokenizers"
LIBRARIES = ("tokenizers", "transformers")
"""Which make a tokenizer of an encoder's files."""
DIGEST = re.compile("[0-9a-f]{64}")

Arrays = dict[str, npt.NDArray[Any]]

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Sample:
    """Some examples of a train set as an encoder reads them, and how many the whole has."""

    features: Features
    examples: int


@dataclass(frozen=True)
class TrainSets:
    """Train sets under a recipe.

    Args:
        request: the recipe, its data and its encoder.
        cache: folder of encoded data.
        device: ``cpu`` or ``cuda``, where the encoder runs.
        draw: how many examples of each train set are measured, and the seed that draws them; all, where it has fewer.
    """

    request: Request
    cache: Path
    device: str
    draw: Draw
    _samples: dict[str, Sample] = field(default_factory=dict, init=False, repr=False, compare=False)
    _made: list[str] = field(default_factory=list, init=False, repr=False, compare=False)

    @cached_property
    def tokenizer(self) -> CachedTokenizer:
        """The encoder's tokenizer."""
        from adapter_stilts.model.backbone import load_tokenizer

        return CachedTokenizer(load_tokenizer(self.request.base), self.cache)

    @cached_property
    def tokenizer_fingerprint(self) -> str:
        """The tokenizer's, kept by the encoder that it is of: what was measured is told without loading a library."""
        versions = [__version__, *map(version, LIBRARIES)]
        place = self.cache / TOKENIZERS / digest_of([self.request.base.fingerprint, *versions])
        with contextlib.suppress(OSError, ValueError):
            if DIGEST.fullmatch(held := place.read_text(encoding="ascii")):
                return held
        found = self.tokenizer.fingerprint
        with disk_errors(place, INSTEAD):
            place.parent.mkdir(parents=True, exist_ok=True)
        write_bytes(place, found.encode("ascii"), INSTEAD, flush=False)
        return found

    @cached_property
    def encoder(self) -> Any:
        """The untouched encoder in fp32, loaded where the cache does not know a train set."""
        from adapter_stilts.model.build import build_encoder

        encoder = build_encoder(self.request.base, None, None, "fp32", device=self.device)
        return encoder.to(self.device).eval()

    @property
    def made(self) -> int:
        """How many measurements were made by this object; what the cache held is none of them."""
        return len(self._made)

    def measure(self, task: Task, limit: int | None) -> TrainSet:
        """A task's train set, in the first language that it is trained in; without its embedding.

        Args:
            limit: the first so many examples are its train set; None takes all.

        Raises:
            UsageError, DataError: it cannot be read or encoded.
        """

        def count() -> Arrays:
            sample = self.sample(task, limit)
            ids, special = sample.features.input_ids, self.tokenizer.tokenizer.all_special_ids
            counts = np.bincount(
                ids.values[~np.isin(ids.values, special)], minlength=len(self.tokenizer.tokenizer)
            )
            return {
                "examples": np.asarray(sample.examples),
                "pieces": counts / sample.features.num_examples,
                "length": np.asarray(ids.lengths.mean()),
            }

        held = self.kept(self.key(task, limit), ("examples", "pieces", "length"), count)
        return TrainSet(task.format, int(held["examples"]), held["pieces"], float(held["length"]))

    def embedded(self, task: Task, limit: int | None) -> TrainSet:
        """The same, with its embedding."""

        def run() -> Arrays:
            from adapter_stilts.select.embedding import embed

            return {"embedding": embed(self.encoder, self.sample(task, limit).features)}

        key = {**self.key(task, limit), "encoder": self.request.base.fingerprint}
        return replace(self.measure(task, limit), embedding=self.kept(key, ("embedding",), run)["embedding"])

    def trained(self, found: TrainSet, task: Task, limit: int | None, short: Short) -> TrainSet:
        """A measured train set with what a short training of it tells."""

        def run() -> Arrays:
            from adapter_stilts.select.fisher import fisher
            from adapter_stilts.select.short import new_model, train_short

            features = self.sample(task, limit).features
            model = new_model(self.labelled(task), self.request.base, short, self.device)
            train_short(model, features, short, self.device)
            return dict(fisher(model, features))

        key = {
            **self.key(task, limit),
            "encoder": self.request.base.fingerprint,
            "labels": self.labelled(task).labels,
            "fisher": short.to_json(),
        }
        return replace(found, fisher=self.kept(key, None, run))

    def labelled(self, task: Task) -> Task:
        """A task with the labels that its data have."""
        return with_labels(task, self.request.source, reading(self.request, task, trains=False).options)

    def key(self, task: Task, limit: int | None) -> dict[str, Any]:
        """Of a measurement. Labels are no part of it: an encoder does not see them."""
        read = reading(self.request, task, trains=False)
        return {
            "schema": SCHEMA,
            "data": self.request.source.fingerprint(task, "train", task.trained_in[0], read.options),
            "tokenizer": self.tokenizer_fingerprint,
            "format": [task.format, get_format(task.format).SCHEMA, read.settings.reading()],
            "limit": limit,
            "draw": [self.draw.count, self.draw.seed],
        }

    def kept(
        self, key: Mapping[str, Any], names: tuple[str, ...] | None, make: Callable[[], Arrays]
    ) -> Arrays:
        """Arrays from the cache, or made and kept there.

        Args:
            names: of the arrays; None takes all that are there.
        """
        digest = digest_of(key)
        place = self.cache / FOLDER / digest[:2] / digest
        if (place / FILE).is_file():
            try:
                with (place / FILE).open("rb") as file, np.load(file) as held:
                    return {name: held[name] for name in (held.files if names is None else names)}
            except Exception as error:  # numpy and zipfile raise many kinds at bytes that are not theirs
                _log.warning("%s: damaged (%s): measured again", place, cause_of(error))
                shutil.rmtree(place, ignore_errors=True)
        elif place.exists() and not place.is_dir():
            _log.warning("%s: damaged (a file, not a folder): measured again", place)
            place.unlink(missing_ok=True)
        found = make()
        self._made.append(digest)
        remove_partials(self.cache, (f"{FOLDER}/*/*",))
        try:
            with whole_directory(place, INSTEAD) as aside:
                np.savez(aside / FILE, **found)  # type: ignore[arg-type]
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process was quicker
                raise
        return found

    def sample(self, task: Task, limit: int | None) -> Sample:
        """Read and encoded once in a process: pieces are counted in it, and then the encoder reads it."""
        digest = digest_of(self.key(task, limit))
        if digest not in self._samples:
            source, read = self.request.source, reading(self.request, task, trains=False)
            labelled = self.labelled(task)
            examples = first_examples(
                source.examples(labelled, "train", task.trained_in[0], read.options), limit
            )
            features = self._encoded(labelled, read, some(examples, self.draw))
            self._samples[digest] = Sample(features, len(examples))
        return self._samples[digest]

    def _encoded(self, task: Task, read: Reading, sample: list[Example]) -> Features:
        try:
            return get_format(task.format).encode(
                sample, self.tokenizer.tokenizer, read.settings, task.labels
            )
        except ValueError as error:
            raise UsageError(f"{task.name} train ({task.trained_in[0]}): {error}") from error


def some(examples: list[Example], draw: Draw) -> list[Example]:
    """So many of the examples, each as likely as another, in their order; all where there are fewer.

    Not balanced by label as `stages.drawing.drawn` does: a train set is measured as it is.
    """
    if draw.count >= len(examples):
        return examples
    rows = np.random.default_rng([draw.seed, 3]).permutation(len(examples))[: draw.count]
    return [examples[row] for row in sorted(rows.tolist())]
