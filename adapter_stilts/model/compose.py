"""Composing bundles without training: an expression over bundles to one bundle.

0.7*mnli.bundle + 0.3*squad.bundle          weighted sum of changes (the mean of adapters)
full.bundle - 0.5*other.bundle              a space on both sides of the minus: names hold hyphens
stack(hellaswag.bundle, mnli.bundle)        both at work: for low-rank updates, their sum
soup(a, b, c)                               the mean of one task's runs with several seeds, heads and all
ties(a, b, c, density=0.3, rank=8)          any of `merge.METHODS`, over terms with weights of their own
0.5*'train-mnli+qqp-12/bundle' + b          quotes around a name that holds a plus or a blank
"""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from adapter_stilts.errors import BundleError, UnknownNameError, UsageError
from adapter_stilts.model.bundle import bundle_digest, read_bundle, write_bundle
from adapter_stilts.model.bundle_info import NO_HEAD, BundleInfo
from adapter_stilts.model.merge import METHODS, Merge, equal_weights
from adapter_stilts.model.soup import check_soup
from adapter_stilts.model.tuning import get_tuning
from adapter_stilts.runtime import versions

_TOKEN = re.compile(r"""\s*("[^"]*"|'[^']*'|[()*,+=]|[^\s()*,+="']+|["'])""")
_OPTIONS = {"density": float, "rank": int, "seed": int}


@dataclass(frozen=True)
class Term:
    """A bundle, or a function of terms, and what it weighs.

    Args:
        source: the folder, or a function's name.
        terms: of the function; empty for a bundle.
        options: of the function.
    """

    weight: float
    source: str
    terms: tuple[Term, ...] = ()
    options: tuple[tuple[str, Any], ...] = ()

    def bundles(self) -> list[Path]:
        """Every bundle below."""
        if not self.terms:
            return [Path(self.source)]
        return [bundle for term in self.terms for bundle in term.bundles()]

    def located(self, locate: Callable[[str], Path]) -> Term:
        """The same with the folder of every bundle in place of its address."""
        if not self.terms:
            return replace(self, source=str(locate(self.source)))
        return replace(self, terms=tuple(term.located(locate) for term in self.terms))


def parse(expression: str) -> tuple[Term, ...]:
    """A sum of terms. Raises UsageError with the place that cannot be read."""
    tokens = _TOKEN.findall(expression)
    if "'" in tokens or '"' in tokens:
        raise UsageError(f"a quotation mark is not closed in the expression {expression!r}")
    try:
        terms, rest = _sum(tokens)
    except RecursionError as error:
        raise UsageError(
            f"the expression nests {expression.count('(')} brackets, which are too many"
        ) from error
    if rest:
        raise UsageError(
            f"cannot read {' '.join(rest)!r} of the expression {expression!r}: bundles stand with + or - between them, "
            "a weight with * before each, as in '0.7*A + 0.3*B'"
        )
    return terms


def _sum(tokens: list[str]) -> tuple[tuple[Term, ...], list[str]]:
    terms: list[Term] = []
    sign = 1.0
    while True:
        found, tokens = _term(tokens)
        terms += [_weighted(term, sign) for term in found]
        if not tokens or tokens[0] not in ("+", "-"):
            return tuple(terms), tokens
        sign = 1.0 if tokens[0] == "+" else -1.0
        tokens = tokens[1:]


def _term(tokens: list[str]) -> tuple[tuple[Term, ...], list[str]]:
    if not tokens or tokens[0] in "*,+=)":
        raise UsageError(
            "the expression breaks off where a bundle should stand" if not tokens
            else f"{tokens[0]!r} stands where a bundle should"
        )  # fmt: skip
    if len(tokens) > 1 and tokens[1] == "*":
        try:
            weight = float(tokens[0])
        except ValueError as error:
            raise UsageError(f"{tokens[0]!r} stands before a '*', where a number should") from error
        terms, rest = _term(tokens[2:])
        weighted = tuple(_weighted(term, weight) for term in terms)
        if not all(math.isfinite(term.weight) for term in weighted):
            raise UsageError(
                f"{tokens[0]!r} before a '*' makes a weight that is not finite: name another number"
            )
        return weighted, rest
    if tokens[0] == "(":
        terms, rest = _sum(tokens[1:])
        return terms, _closed(rest)
    if len(tokens) > 1 and tokens[1] == "(":
        return _function(tokens[0], tokens[2:])
    return (Term(1.0, tokens[0].strip("\"'")),), tokens[1:]


def _function(name: str, tokens: list[str]) -> tuple[tuple[Term, ...], list[str]]:
    if name not in ("stack", *METHODS):
        hint = (
            "A fusion is trained on its target: adapter-stilts train --combine fuse."
            if name == "fuse"
            else ""
        )
        raise UnknownNameError("function", name, ("stack", *METHODS), hint)
    terms: list[Term] = []
    options: dict[str, Any] = {}
    while True:
        if len(tokens) > 2 and tokens[1] == "=":
            if tokens[0] not in _OPTIONS:
                raise UnknownNameError(f"option of {name}", tokens[0], tuple(_OPTIONS))
            try:
                options[tokens[0]] = _OPTIONS[tokens[0]](tokens[2])
            except ValueError as error:
                raise UsageError(f"{name}: {tokens[0]} = {tokens[2]!r} is no number") from error
            tokens = tokens[3:]
        else:
            found, tokens = _sum(tokens)
            terms += found
        if not tokens or tokens[0] != ",":
            break
        tokens = tokens[1:]
    if not terms:
        raise UsageError(f"{name}() names no bundle")
    return (Term(1.0, name, tuple(terms), tuple(sorted(options.items()))),), _closed(tokens)


def _closed(tokens: list[str]) -> list[str]:
    if not tokens or tokens[0] != ")":
        raise UsageError(f"a ')' is missing before {repr(' '.join(tokens)) if tokens else 'the end'}")
    return tokens[1:]


def _weighted(term: Term, factor: float) -> Term:
    return Term(factor * term.weight, term.source, term.terms, term.options)


def compose(
    terms: Sequence[Term],
    out: Path,
    base: Any,
    tokenizer: Any,
    command: str | None = None,
    keep_head: bool = True,
) -> BundleInfo:
    """Write the bundle of an expression into an empty folder.

    Args:
        base: the `ResolvedBase` that all bundles were trained on.
        command: what makes it, for its card.
        keep_head: of bundles whose heads are of one shape, keep their mean; else the result has no head.

    Raises:
        UsageError, BundleError: bundles that do not go together, or a method that their tuning does not have.
    """
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.name}.") as aside:
        if len(terms) == 1 and terms[0].terms and terms[0].weight == 1:
            return _apply(terms[0], out, Path(aside), base, tokenizer, command, keep_head)
        term = Term(1.0, "linear", tuple(terms))
        return _apply(term, out, Path(aside), base, tokenizer, command, keep_head)


def _apply(
    term: Term, out: Path, aside: Path, base: Any, tokenizer: Any, command: str | None, keep_head: bool
) -> BundleInfo:
    inputs = []
    for number, inner in enumerate(term.terms):
        path = Path(inner.source)
        if inner.terms:
            path = aside / f"{term.source}-{number}"
            path.mkdir()
            (aside / f"{number}").mkdir(exist_ok=True)
            _apply(inner, path, aside / f"{number}", base, tokenizer, None, keep_head)
        inputs.append(path)
    weights = tuple(inner.weight for inner in term.terms)
    if term.source == "soup" and set(weights) == {1.0}:
        weights = equal_weights(len(weights))
    tunings = {read_bundle(path).tuning for path in inputs}
    if term.source == "stack" and not all(map(_is_low_rank, tunings)):
        raise UsageError(
            f"stack({', '.join(map(str, inputs))}): only low-rank updates stack without training (lora, rslora), "
            f"these are {', '.join(sorted(tunings))}; a weighted sum, e.g. 0.5*A + 0.5*B, is defined for them"
        )
    method = "linear" if term.source == "stack" else term.source
    how = Merge(method, weights, **dict(term.options))
    return merge_bundles(inputs, how, out, base, tokenizer, command=command, keep_head=keep_head)


def _is_low_rank(tuning: str) -> bool:
    """Whether a tuning's modules are low-rank updates, which alone have a singular value decomposition."""
    try:
        get_tuning(tuning).check_merge(Merge("svd", equal_weights(2)))
    except UsageError:
        return False
    return True


def _precision(infos: Sequence[BundleInfo]) -> dict[str, str]:
    """The precisions the inputs were trained under, where that was not fp32."""
    known = dict.fromkeys(str(info.settings.get("precision", "fp32")) for info in infos)
    return {} if list(known) == ["fp32"] else {"precision": ", ".join(known)}


def merge_bundles(
    bundles: Sequence[Path],
    how: Merge,
    out: Path,
    base: Any,
    tokenizer: Any,
    parents: tuple[str, ...] = (),
    command: str | None = None,
    keep_head: bool = True,
) -> BundleInfo:
    """Write the merge of bundles into an empty folder.

    Args:
        parents: keys of the stages that made them; empty records their digests.
        command: what makes the merge, for its card.
        keep_head: of bundles whose heads are of one shape, keep their mean.

    Raises:
        UsageError: their tuning has no such merge, or the heads that are to be kept have no mean.
        BundleError: the bundles do not go together.
    """
    from adapter_stilts.model.quantisation import prepare_bitsandbytes

    prepare_bitsandbytes()
    infos = [read_bundle(bundle) for bundle in bundles]
    first = infos[0]
    for bundle, info in zip(bundles, infos, strict=True):
        if info.tuning != first.tuning:
            raise BundleError(
                f"{bundle} was trained with --mode {info.tuning}, {bundles[0]} with --mode {first.tuning}: "
                "only bundles of one mode merge"
            )
        if info.base_fingerprint != base.fingerprint:
            raise BundleError(
                f"{bundle} was trained on {info.base!r} (fingerprint {info.base_fingerprint[:12]}), the base is "
                f"{base.id!r} ({base.fingerprint[:12]}): only bundles of one base merge"
            )
    same_head = len({(info.format, info.labels, info.pooler) for info in infos}) == 1
    # Several heads of one bundle have no counterparts in another.
    with_head = keep_head and same_head and first.format != NO_HEAD and not first.heads
    tuning = get_tuning(first.tuning)
    tuning.check_merge(how)
    tuning.check_bundles("merge", bundles, None, base.config)
    if how.method == "soup":
        check_soup(bundles, infos, with_head)
    if with_head and not how.has_mean:
        raise UsageError(
            f"weights that sum to {sum(how.weights):g} leave no head of {first.format}, which is their mean: compose "
            "them without one (--no-head), e.g. to train a head anew on a target"
        )
    tuning.merge(bundles, how, out, base, with_head)
    info = BundleInfo(
        tuning=first.tuning,
        base=base.id,
        base_revision=base.commit,
        base_fingerprint=base.fingerprint,
        task="+".join(dict.fromkeys(info.task for info in infos)),
        format=first.format if with_head else NO_HEAD,
        labels=first.labels if with_head else (),
        pooler=first.pooler and with_head,
        settings={"merge": how.settings(), **_precision(infos)},
        parents=parents or tuple(bundle_digest(bundle) for bundle in bundles),
        metrics={},
        versions=versions(),
        command=command,
        declared={name: values for each in infos for name, values in each.declared.items()},
    )
    write_bundle(out, info, tokenizer)
    return info
