"""Tokens: what is cut, how it is numbered, and that train alone decides."""

from __future__ import annotations

import json
import re
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import CountVectorizer

from torchwork.data.memory import Texts
from torchwork.data.tokens import FIRST, PADDING, UNKNOWN, Tokenize
from torchwork.data.transform import Pipeline
from torchwork.types import InputError, Schema

TEXTS = st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1, max_size=8)
SCHEMA = Schema("text", "class")


def _learnt(texts: list[str], **options: object) -> Tokenize:
    tokenize = Tokenize(**options)
    tokenize.learn(texts)
    return tokenize


@given(TEXTS)
def test_bytes_give_every_text_back(texts: list[str]) -> None:
    numbers = _learnt(texts, unit="bytes", lowercase=False, length=200).encode(texts)
    kept = [bytes(row[row != PADDING].sub(FIRST).tolist()) for row in numbers]
    assert kept == [text.encode()[:200] for text in texts]


@given(TEXTS)
def test_characters_give_every_text_back(texts: list[str]) -> None:
    longest = max(1, *map(len, texts))
    tokenize = _learnt(texts, unit="characters", lowercase=False, length=longest, min_count=1)
    numbers = tokenize.encode(texts)
    assert numbers.shape == (len(texts), longest)
    kept = ["".join(tokenize.vocabulary[n - FIRST] for n in row[row != PADDING]) for row in numbers]
    assert kept == texts


@given(TEXTS)
def test_words_leave_nothing_out_but_space(texts: list[str]) -> None:
    tokenize = _learnt(texts, lowercase=False, length=300, min_count=1)
    for text, row in zip(texts, tokenize.encode(texts), strict=True):
        joined = "".join(tokenize.vocabulary[n - FIRST] for n in row[row != PADDING])
        assert joined == re.sub(r"\s", "", text)


def test_words_are_runs_of_letters_and_single_digits_and_symbols() -> None:
    tokenize = _learnt(["£1,000 for Ärger_日本語 x2!"], min_count=1)
    assert sorted(tokenize.vocabulary) == sorted(["£", "1", ",", "0", "for", "ärger", "_", "日本語", "x", "2", "!"])


@given(st.lists(st.text("ab c1!", max_size=12), min_size=1, max_size=8), st.integers(1, 3), st.integers(3, 8))
def test_the_vocabulary_is_the_commonest_tokens_by_count_then_text(
    texts: list[str], min_count: int, max_tokens: int
) -> None:
    counts = Counter(token for text in texts for token in re.findall(r"[^\W\d_]+|\S", text))
    ranked = sorted((-count, token) for token, count in counts.items() if count >= min_count)
    tokenize = _learnt(texts, min_count=min_count, max_tokens=max_tokens)
    assert tokenize.vocabulary == [token for _, token in ranked][: max_tokens - 2]
    assert tokenize.num_tokens == len(tokenize.vocabulary) + 2 <= max_tokens
    assert tokenize.vocabulary == _learnt(texts[::-1], min_count=min_count, max_tokens=max_tokens).vocabulary


def test_counts_are_those_of_scikit_learn() -> None:
    texts = ["Call me now!", "now or never: call 08-00", "Never call."]
    counter = CountVectorizer(token_pattern=r"[^\W\d_]+|\S", lowercase=True)
    expected = counter.fit_transform(texts).toarray()
    tokenize = _learnt(texts, min_count=1, length=50)
    numbers = tokenize.encode(texts)
    for token, column in counter.vocabulary_.items():
        number = FIRST + tokenize.vocabulary.index(token)
        np.testing.assert_array_equal((numbers == number).sum(1), expected[:, column])


def test_a_word_of_val_alone_is_unknown() -> None:
    source = Texts(["spam spam ham", "ham ham eggs", "eggs spam"], np.array(["a", "b", "a"], object), SCHEMA)
    pipeline = Pipeline([{"name": "Tokenize", "min_count": 1, "length": 3}], SCHEMA)
    pipeline.fit(source, np.array([0]))
    assert pipeline.facts()["vocabulary"] == ["spam", "ham"]
    assert pipeline.prepare(source.texts).tolist() == [[2, 2, 3], [3, 3, UNKNOWN], [UNKNOWN, 2, PADDING]]


def test_texts_are_tokenised_where_the_config_names_no_step() -> None:
    source = Texts(["a b c", "a b", "a"], np.array(["x", "y", "x"], object), SCHEMA)
    bare, named = Pipeline([], SCHEMA), Pipeline([{"name": "Tokenize"}], SCHEMA)
    for pipeline in (bare, named):
        pipeline.fit(source, np.arange(3))
    x = bare.finish(bare.prepare(source.texts))
    assert x.dtype == torch.int64
    assert x.tolist() == [[2, 3, 1], [2, 3, 0], [2, 0, 0]]
    assert torch.equal(x, named.finish(named.prepare(source.texts)))


def test_the_length_is_that_of_99_percent_of_train_and_how_many_are_cut_is_told() -> None:
    texts = ["a " * count for count in range(1, 201)]
    tokenize = _learnt(texts)
    assert tokenize.length == 198
    assert tokenize.num_cut == 2
    assert "2 texts of train are cut" in repr(tokenize)
    assert _learnt(["a " * 900] * 3).length == 512
    assert _learnt(["", " "]).length == 1
    assert _learnt(["a b c"], length=2).num_cut == 1
    assert tokenize.encode(["a " * 300]).shape == (1, 198)


def test_what_was_learnt_passes_through_json() -> None:
    source = Texts(["Ein Wort €", "ein Satz ein Wort"], np.array(["x", "y"], object), SCHEMA)
    pipeline = Pipeline([{"name": "Tokenize", "min_count": 1}], SCHEMA)
    pipeline.fit(source, np.arange(2))
    again = Pipeline([{"name": "Tokenize", "min_count": 1}], SCHEMA)
    again.load(pipeline.state(), json.loads(json.dumps(pipeline.facts())))
    new = ["ein neuer Satz", "€€"]
    assert torch.equal(again.prepare(new), pipeline.prepare(new))
    assert again.describe() == pipeline.describe()
    assert pipeline.facts()["num_tokens"] == 6


def test_the_bytes_of_a_chunk_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Texts([f"word{place % 7} and{place % 3}" for place in range(50)], np.arange(50) % 2, SCHEMA)
    whole, cut = Pipeline([], SCHEMA), Pipeline([], SCHEMA)
    whole.fit(source, np.arange(50))
    monkeypatch.setattr("torchwork.data.resident.CHUNK_ROWS", 3)
    cut.fit(source, np.arange(50))
    assert whole.facts() == cut.facts()


def upper(text: str) -> str:
    return text.upper()


def test_a_function_of_ones_own_comes_before_the_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "mine", sys.modules[__name__])
    steps = [{"name": "mine:upper"}, {"name": "Tokenize", "lowercase": False, "min_count": 1}]
    pipeline = Pipeline(steps, SCHEMA)
    pipeline.fit(Texts(["aa bb"], None, SCHEMA), np.arange(1))
    assert pipeline.facts()["vocabulary"] == ["AA", "BB"]
    assert pipeline.describe()[0] == "mine:upper"


@pytest.mark.parametrize(
    ("steps", "schema", "words"),
    [
        ([{"name": "Tokenize"}, {"name": "Tokenize"}], SCHEMA, "Tokenize stands after Tokenize"),
        ([{"name": "Resize", "size": 8}], SCHEMA, "the samples are texts"),
        ([{"name": "Normalize"}], SCHEMA, "the samples are texts"),
        ([{"name": "Tokenize"}], Schema("image", "class"), "Tokenize is for"),
        ([{"name": "Tokenize", "unit": "letters"}], SCHEMA, "'bytes' or 'characters' or 'words'"),
        ([{"name": "Tokenize", "length": 0, "min_count": 0}], SCHEMA, "min_count is 0"),
    ],
)
def test_steps_that_do_not_fit_are_refused(steps: list[dict[str, object]], schema: Schema, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Pipeline(steps, schema)
