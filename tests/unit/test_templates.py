"""Texts by template: what one process has learned, another knows."""

import pytest

from replay.capture import templates
from replay.capture.formats.texts import Texts
from replay.capture.templates import Templates

FIRST = [b"SELECT 1", b"UPDATE t SET a = 5 WHERE b = 'x'", b"SELECT 2", b"DELETE FROM t"]
THEN = [b"DELETE FROM t", b"SELECT 7 FROM t", b"UPDATE t SET a = 77 WHERE b = 'yes'"]


def ids(known: Templates, texts: list[bytes]) -> list[str]:
    numbers = known.numbers_of(Texts.holding(texts))
    return [known.known[number].id for number in numbers.tolist()]


@pytest.fixture
def counted(monkeypatch):
    """The texts that were parsed."""
    parsed = []
    parse = templates.fingerprint
    monkeypatch.setattr(templates, "fingerprint", lambda sql: parsed.append(sql) or parse(sql))
    return parsed


def test_what_another_process_learned_is_not_parsed_again(counted):
    one, other = Templates(), Templates()
    expected = ids(one, FIRST + THEN)
    assert len(counted) == len(set(expected)) == 4
    ids(other, THEN)
    counted.clear()
    other.learn(one.news())
    assert ids(other, FIRST + THEN) == expected
    assert not counted


def test_what_is_learned_twice_is_held_once_and_told_once():
    one, other = Templates(), Templates()
    ids(one, FIRST)
    news = one.news()
    for _ in range(3):
        other.learn(news)
    assert other._held == one._held == 3
    assert not one.news()[1]
    assert not other.news()[1]  # it is no news to those who told it
    ids(one, THEN)
    assert [found.sql for found in one.news()[1]] == ["select ? from t"]


def test_a_table_that_grows_keeps_what_was_learned(counted):
    texts = [f"SELECT a{n} FROM t".encode() for n in range(templates._ROOM)]
    one, other = Templates(), Templates()
    expected = ids(one, texts)
    other.learn(one.news())
    counted.clear()
    assert ids(other, texts) == expected
    assert not counted
