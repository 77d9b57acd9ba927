"""From texts to tokens: numbers that a model looks up in a table."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from torchwork.data.wording import counted

Unit = Literal["bytes", "characters", "words"]

PADDING, UNKNOWN = 0, 1
FIRST = 2  # the number of the first token of the vocabulary; bytes begin there as well

# A word is a run of letters; each digit and each other symbol is a token of its own, so that no number is unknown.
WORD = re.compile(r"[^\W\d_]+|\S")

# Where no length is given: all of this share of the training texts, in whole, but at most so many tokens.
SHARE = 0.99
MOST = 512


class Tokenize:
    """Cut texts into tokens and number them: 0 is padding, 1 a token that the vocabulary lacks, the others follow.

    The vocabulary is that of the training split, the commonest token first and equally common ones in the order of
    their characters; it is kept with the model. Bytes are those of UTF-8 and need none: byte b is token b + 2. Words
    are runs of letters (of any script), and each digit or other symbol that is no space is a word of its own.

    Args:
        unit: What a token is: bytes, characters (code points of Unicode) or words.
        lowercase: Whether texts are made lower case before.
        max_tokens: The greatest number of tokens, padding and the unknown one among them; the rarest are left out.
        min_count: How often a token must occur in the training split. With 1, nothing there is unknown, and the vector
            of the unknown token is never trained.
        length: The tokens of every sample: shorter texts are padded, of longer ones the end is cut off. Left out, the
            length in which 99% of the training texts fit whole, at most 512.

    >>> tokenize = Tokenize(min_count=1)
    >>> tokenize.learn(["Call 12!", "call me"])
    >>> tokenize.vocabulary, tokenize.encode(["Call you 1"]).tolist()
    (['call', '!', '1', '2', 'me'], [[2, 1, 4, 0]])
    """

    def __init__(
        self,
        unit: Unit = "words",
        lowercase: bool = True,
        max_tokens: int = 20_000,
        min_count: int = 2,
        length: int | None = None,
    ) -> None:
        given = [("max_tokens", max_tokens, FIRST + 1), ("min_count", min_count, 1), ("length", length, 1)]
        wrong = [f"{name} is {v}; expected {least} or more" for name, v, least in given if v is not None and v < least]
        if wrong:
            raise ValueError("; ".join(wrong))
        self.unit: Unit = unit
        self.lowercase = lowercase
        self.max_tokens = max_tokens
        self.min_count = min_count
        self.length = length
        self.num_cut: int | None = None  # training texts that are longer
        self.vocabulary: list[str] = []
        self._number_of: dict[str, int] = {}

    @property
    def num_tokens(self) -> int:
        """How many different numbers there are: the rows of a table of embeddings."""
        return FIRST + (256 if self.unit == "bytes" else len(self.vocabulary))

    def learn(self, texts: Iterable[str]) -> None:
        """Fix vocabulary and length from the texts of the training split."""
        counts: Counter[Any] = Counter()
        lengths = []
        for text in texts:
            tokens = self._cut(text)
            lengths.append(len(tokens))
            if self.unit != "bytes":
                counts.update(tokens)
        if self.length is None:
            shortest = np.quantile(lengths, SHARE, method="inverted_cdf") if lengths else 1
            self.length = int(np.clip(shortest, 1, MOST))
        self.num_cut = sum(count > self.length for count in lengths)
        kept = sorted(
            (token for token, count in counts.items() if count >= self.min_count), key=lambda t: (-counts[t], t)
        )
        self._set(kept[: self.max_tokens - FIRST])

    def _set(self, vocabulary: Sequence[str]) -> None:
        self.vocabulary = list(vocabulary)
        self._number_of = {token: number for number, token in enumerate(self.vocabulary, FIRST)}

    def _cut(self, text: str) -> Sequence[Any]:
        if self.lowercase:
            text = text.lower()
        if self.unit == "bytes":
            return text.encode("utf-8", "surrogatepass")
        return text if self.unit == "characters" else WORD.findall(text)

    def encode(self, texts: Sequence[str]) -> Tensor:
        """Return the numbers of the tokens, int64 [B, length]."""
        assert self.length is not None, "the length is learnt first"
        numbers = np.full((len(texts), self.length), PADDING, np.int64)
        number = self._number()
        for row, text in zip(numbers, texts, strict=True):
            tokens = self._cut(text)[: self.length]
            row[: len(tokens)] = [number(token) for token in tokens]
        return torch.from_numpy(numbers)

    def _number(self) -> Callable[[Any], int]:
        if self.unit == "bytes":
            return FIRST.__add__
        get = self._number_of.get
        return lambda token: get(token, UNKNOWN)

    def facts(self) -> dict[str, Any]:
        """Return what was learnt, as JSON can hold it."""
        return {
            "vocabulary": self.vocabulary,
            "num_tokens": self.num_tokens,
            "text_length": self.length,
            "num_texts_cut": self.num_cut,
        }

    def load_facts(self, facts: Mapping[str, Any]) -> None:
        """Take back what ``facts`` gave, instead of ``learn``."""
        self.length, self.num_cut = facts["text_length"], facts["num_texts_cut"]
        self._set(facts["vocabulary"])

    def __repr__(self) -> str:
        if self.length is None or self.num_cut is None:
            return f"Tokenize({self.unit}, learnt from train)"
        cut = counted(self.num_cut, "text of train is", "texts of train are")
        return f"Tokenize({self.unit}, {self.num_tokens:,} different, {self.length} a text; {cut} cut to that)"
