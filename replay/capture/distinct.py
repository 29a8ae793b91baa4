"""Tokens of many values at once: the plain ones by compiled code, the others one by one."""

from collections.abc import Callable, Iterable
from datetime import date

import numpy as np
import pyarrow as pa

from replay.capture import forms
from replay.capture.formats.texts import Texts
from replay.capture.kernels import Hashes, Ints
from replay.capture.plain import ASCII, LARGE, LETTER, MARK, ODD, Maps, Room, hash_of, scrub
from replay.capture.tokens import Tokens

_CHARACTERS = 0x110000
_UNITS = [unit + end for unit in forms.UNITS.split("|") for end in ("", "s")]
# Whole values, and words, by which SQL itself names something: a form of their own.
_WHOLES = [*forms.WORDS.split("|"), *_UNITS]
_WORDS = ["true", "false", "null", *forms.ZONES.split("|"), *_UNITS]
_WORDS += ["ago", *(f"{unit}ago" for unit in _UNITS)]


class Distinct:
    """Tokens of distinct values; `one` gives that of a value of any form."""

    def __init__(
        self,
        tokens: Tokens,
        kept: Iterable[str],
        today: date,
        days: int,
        further: int,
        one: Callable[[str], str],
    ) -> None:
        self._one = one
        self._kinds = np.zeros(_CHARACTERS, np.uint8)
        self._small = np.zeros(_CHARACTERS, np.int32)
        self._kinds[: ASCII.size] = ASCII
        self._small[:128] = [ord(chr(code).lower()) for code in range(128)]
        self._maps = Maps(
            *tokens.word_key,
            *tokens.steps(),
            tokens.knots,
            today.toordinal(),
            days,
            further,
            _hashes([*_WHOLES, *kept]),
            _hashes([*_WORDS, *kept]),
            self._kinds,
            self._small,
        )

    def tokens(self, values: pa.BinaryArray) -> pa.StringArray:
        """The tokens of distinct values in UTF-8, none of them NULL."""
        if not len(values):
            return pa.array([], pa.string())
        texts = Texts.of(values)
        offsets, data = np.append(texts.begins, texts.ends[-1:]).astype(np.int64), texts.data
        self._learn(data[: offsets[-1]])
        # A number gains a digit at most.
        out = np.empty(int(offsets[-1] - offsets[0]) + len(values), np.uint8)
        ends = np.empty(len(values), np.int64)
        scrub(data, offsets, self._maps, out, ends, Room.make())
        plain = _texts(np.maximum.accumulate(ends), out)
        left = np.flatnonzero(ends < 0)
        if not left.size:
            return plain
        import pyarrow.compute as pc  # noqa: PLC0415 - takes as long to load as all of this stage

        texts = values.take(pa.array(left)).cast(pa.string()).to_pylist()
        mask = pa.array(ends < 0)
        return pc.replace_with_mask(plain, mask, pa.array(map(self._one, texts), pa.string()))

    def _learn(self, data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        """See to it that all characters of these texts are known."""
        if not (data >= 0x80).any():
            return
        codes = np.unique(np.frombuffer(data.tobytes().decode().encode("utf-32-le"), np.uint32))
        for code in codes[self._kinds[codes] == 0].tolist():
            self._kinds[code], self._small[code] = _kind(chr(code))


def _kind(letter: str) -> tuple[int, int]:
    """What a character is, and its small one; what has no plain small one, or folds to ASCII, is odd."""
    if not letter.isalnum():
        return MARK, ord(letter)
    small = letter.lower()
    odd = letter.isdecimal() or letter == "Σ" or small.isascii() or letter.upper().isascii()
    if odd or len(small) != 1 or len(small.encode()) != len(letter.encode()):
        return ODD, ord(letter)
    return LARGE if letter.isupper() else LETTER, ord(small)


def _texts(ends: Ints, data: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> pa.StringArray:
    offsets = np.concatenate(([0], np.maximum(ends, 0))).astype(np.int32)
    return pa.StringArray.from_buffers(ends.size, pa.py_buffer(offsets), pa.py_buffer(data))


def _hashes(words: Iterable[str]) -> Hashes:
    texts = (np.frombuffer(word.encode(), np.uint8) for word in words)
    return np.unique(np.array([hash_of(text, 0, text.size) for text in texts], np.uint64))
