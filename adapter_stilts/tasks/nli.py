"""Labels and readers that SNLI, MultiNLI, ANLI and XNLI share: the natural language inference tasks."""

from __future__ import annotations

from collections.abc import Callable

from adapter_stilts.formats.examples import PairClassificationExample
from adapter_stilts.tasks.base import INDEX, Files, Row
from adapter_stilts.tasks.columns import label, text, value

LABELS = ("entailment", "neutral", "contradiction")
"""In the order of the hub's class labels, so that published heads can be read."""

ANNOTATORS = ("label1", "label2", "label3", "label4", "label5")
"""Columns with what each annotator said."""


def pairs(
    premise: str, hypothesis: str, relation: str, *, undecided: str | None
) -> Callable[[Row], PairClassificationExample | None]:
    """A function from a row with these columns to its example.

    Rows whose label is ``undecided``, because the annotators did not agree, are skipped. The id is the row's
    number, which release and hub share; `pairID` is not on the hub.
    """

    def example(row: Row) -> PairClassificationExample | None:
        if value(row, relation) == undecided:
            return None
        return PairClassificationExample(
            id=str(row[INDEX]),
            premise=text(row, premise),
            hypothesis=text(row, hypothesis),
            label=label(row, relation, LABELS),
        )

    return example


TRANSLATED_LABELS = {"contradictory": "contradiction"}
"""XNLI's machine-translated train files have a word of their own for this one."""


def translated_row(row: Row) -> PairClassificationExample:
    """A row of XNLI-MT's ``multinli.train.<language>.tsv``: premise, hypo, label."""
    told = text(row, "label")
    return PairClassificationExample(
        id=str(row[INDEX]),
        premise=text(row, "premise"),
        hypothesis=text(row, "hypo"),
        label=label({"label": TRANSLATED_LABELS.get(told, told)}, "label", LABELS),
    )


def unlabelled(row: Row) -> PairClassificationExample:
    """A row of sentence pairs without their relation."""
    return hub_unlabelled({**row, "premise": value(row, "sentence1"), "hypothesis": value(row, "sentence2")})


def hub_unlabelled(row: Row) -> PairClassificationExample:
    return PairClassificationExample(str(row[INDEX]), text(row, "premise"), text(row, "hypothesis"), None)


def xtreme_files(*patterns: str, labelled: bool = True) -> Files:
    """Files as XTREME's scripts write them: tabs, quotes where needed, no header, no labels in test."""
    columns = ("sentence1", "sentence2", "gold_label")[: 3 if labelled else 2]
    row = release_row if labelled else unlabelled
    return Files(patterns, "csv", row, options={"columns": columns, "delimiter": "\t"})


def release_row(row: Row) -> PairClassificationExample | None:
    """A row of the authors' tables, of GLUE's or of XNLI's."""
    # Rows may end after any annotator's label, so that their length tells neither a tab too many nor a lost line end.
    for column in ANNOTATORS:
        if row.get(column) not in (None, "", "-"):
            label(row, column, LABELS)
    return _release_pair(row)


_release_pair = pairs("sentence1", "sentence2", "gold_label", undecided="-")
hub_row = pairs("premise", "hypothesis", "label", undecided=None)
