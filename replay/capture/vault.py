"""A file of values that nobody else can read: it has no name, and its bytes are enciphered.

Production's values never reach the disk as they are. The key is drawn for the file and is gone with
the process.
"""

import hashlib
import os
import secrets
import tempfile
import weakref
from functools import lru_cache

import numpy as np

_PAGE = 1 << 16  # bytes
_PAGES_HELD = 64  # deciphered, in memory


class Vault:
    """Bytes by their offset; what is put stays."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="replay-", buffering=0)  # noqa: SIM115 - closed with us
        weakref.finalize(self, self._file.close)
        self._key = secrets.token_bytes(32)
        self._pages = 0
        self._page = lru_cache(maxsize=_PAGES_HELD)(self._read_page)

    def put(self, text: memoryview) -> int:
        """Put bytes into pages of their own; says at which offset."""
        offset = self._pages * _PAGE
        for begin in range(0, len(text), _PAGE):
            page = bytes(text[begin : begin + _PAGE]).ljust(_PAGE, b"\0")
            self._file.seek(self._pages * _PAGE)
            self._file.write(self._ciphered(self._pages, page))
            self._pages += 1
        return offset

    def read(self, begin: int, end: int) -> bytes:
        """The bytes from one offset to another."""
        first, last = begin // _PAGE, max(end - 1, begin) // _PAGE
        pages = b"".join(map(self._page, range(first, last + 1)))
        return pages[begin - first * _PAGE : end - first * _PAGE]

    def _read_page(self, number: int) -> bytes:
        # Not by the file's position: processes that are made of this one share it.
        page = os.pread(self._file.fileno(), _PAGE, number * _PAGE)
        return self._ciphered(number, page)

    def _ciphered(self, number: int, page: bytes) -> bytes:
        """XOR with a stream of the key and the page's number, which serves no other page."""
        stream = hashlib.shake_256(self._key + number.to_bytes(8, "big")).digest(len(page))
        mixed: bytes = np.bitwise_xor(
            np.frombuffer(page, np.uint8), np.frombuffer(stream, np.uint8)
        ).tobytes()
        return mixed
