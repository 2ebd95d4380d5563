"""The words of texts: how a text is standardised and split, for whoever counts them.

The graph does the same with the same expressions (`features.text.Words`). RE2 is in both. Letters
are lower-cased as by ICU's root locale with Unicode 13, which TensorFlow has.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from tfspark.config.recipe import Feature, Text

LOCALE = {"İ": "i̇", "Ì": "ì", "Í": "í", "Ĩ": "ĩ", "Į": "į"}
"""Letters that ICU lower-cases otherwise where the machine's locale is Turkish or Lithuanian."""

_BREAKS = (r"(?i)<br\s*/?>", " ")
_APOSTROPHES = ("['’]", "")
_SPACE = r"\s\p{Z}\p{Cc}"
_SIGNS = r"\p{P}\p{S}\x{2FFC}-\x{2FFF}\x{31EF}"  # Arrow's RE2 alone knows the last five
_NEWER = re.compile("([ⰯꟀꟐꟖꟘ\U00010570-\U00010595])")  # capitals of Unicode 14


def replacements(standardize: str) -> list[tuple[str, str]]:
    """RE2 expressions and what is put in their place, in their order.

    After the last one, words stand between single spaces.
    """
    if "strip" in standardize:
        return [_BREAKS, _APOSTROPHES, (f"[{_SIGNS}{_SPACE}]+", " ")]
    return [(f"[{_SPACE}]+", " ")]


def lowers(standardize: str) -> bool:
    return "lower" in standardize


def key_of(feature: Text) -> str:
    """What the statistics of a column call the words of such a feature."""
    return f"{feature.standardize} {feature.ngrams}"


@dataclass(frozen=True)
class Counted:
    """Words that are to be counted for the statistics.

    Attributes:
        most: how many are kept, the most frequent first.
        alone: whether nothing else asks for the column's whole values.
    """

    column: str
    standardize: str
    ngrams: int
    most: int
    alone: bool

    @property
    def key(self) -> str:
        return f"{self.standardize} {self.ngrams}"


def counted_words(features: Sequence[Feature]) -> tuple[Counted, ...]:
    """What the features' vocabularies of words are made from, in a fixed order."""
    texts = [one for one in features if isinstance(one, Text)]
    others = {name for one in features if not isinstance(one, Text) for name in one.columns}
    most: dict[tuple[str, str, int], int] = {}
    for one in filter(lambda one: one.counted, texts):
        asked = (one.column, one.standardize, one.ngrams)
        most[asked] = max(one.size, most.get(asked, 0))
    return tuple(
        Counted(*asked, size, asked[0] not in others) for asked, size in sorted(most.items())
    )


def words_of(texts: pa.Array, standardize: str, ngrams: int) -> pa.Array:
    """All words of texts, and the runs of 2 to `ngrams` of them, joined by a space.

    Args:
        texts: strings, without null.
    """
    for pattern, by in replacements(standardize):
        texts = pc.replace_substring_regex(texts, pattern=pattern, replacement=by)
    lists = pc.split_pattern(texts, " ")
    words, rows = pc.list_flatten(lists), pc.list_parent_indices(lists)
    there = pc.not_equal(words, "")
    words, rows = words.filter(there), rows.filter(there)
    if lowers(standardize):
        unique = words.dictionary_encode()
        lowered = pa.array([_lower(word) for word in unique.dictionary.to_pylist()], pa.string())
        words = lowered.take(unique.indices)
    return pa.concat_arrays([words, *_runs(words, rows, ngrams)])


def _runs(words: pa.Array, rows: pa.Array, ngrams: int) -> Sequence[pa.Array]:
    found = []
    for size in range(2, ngrams + 1):
        count = max(0, len(words) - size + 1)
        parts = [words.slice(start, count) for start in range(size)]
        same = pc.equal(rows.slice(0, count), rows.slice(size - 1, count))
        found.append(pc.binary_join_element_wise(*parts, " ").filter(same))
    return found


def _lower(word: str) -> str:
    pieces = _NEWER.split(word)
    return "".join(p if _NEWER.fullmatch(p) else p.lower() for p in pieces)
