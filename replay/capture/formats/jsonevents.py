"""JSON objects of a cloud's export: one a line, or in an array, printed in whatever way."""

import json
import re
from collections.abc import Iterator
from typing import TypeVar

import msgspec

from replay.capture.formats.columns import Broken

_T = TypeVar("_T")

BEGINS = re.compile(rb"^[\[\s]*\{", re.MULTILINE)
_BETWEEN = re.compile(rb"[\s,\[\]]*")
_scan = json.JSONDecoder().raw_decode

BROKEN_JSON = "no valid JSON"
UNKNOWN = "JSON, but no entry of this log"
CUT_OFF = "entry is cut off"


def objects(block: bytes, decoder: msgspec.json.Decoder[_T]) -> Iterator[tuple[int, _T | Broken]]:
    """The objects of a block, and where they begin."""
    at = _skipped(block, 0)
    latin = ""
    while at < len(block):
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        line = block[at:end].rstrip(b" \t\r,]")
        try:
            yield at, decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            latin = latin or block.decode("latin-1")  # bytes and characters are at the same places
            try:
                end = _scan(latin, at)[1]
            except (ValueError, RecursionError):
                following = BEGINS.search(block, end)
                if following is None:
                    yield at, Broken(offset=at, reason=CUT_OFF, cut_off=True)
                    return
                yield at, Broken(offset=at, reason=BROKEN_JSON)
                end = following.start()
            else:
                entry = _decoded(block[at:end], decoder)
                yield at, Broken(offset=at, reason=UNKNOWN) if entry is None else entry
        at = _skipped(block, end)


def _decoded(text: bytes, decoder: msgspec.json.Decoder[_T]) -> _T | None:
    """One object, in whatever encoding; None where it is of another kind."""
    for spelled in (text, text.decode("latin-1").encode()):
        try:
            return decoder.decode(spelled)
        except msgspec.ValidationError:
            break
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
    return None


def _skipped(block: bytes, at: int) -> int:
    match = _BETWEEN.match(block, at)
    return match.end() if match else at
