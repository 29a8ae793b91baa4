"""Streams of logs: plain or packed, known by their first bytes, whatever the file's name."""

import gzip
import io
import lzma
import zlib
from collections.abc import Callable
from typing import IO, cast

import pyarrow as pa

BREAKS_OFF = (OSError, EOFError, zlib.error, lzma.LZMAError)
"""What reading a damaged or truncated archive raises, after all that can be read of it."""

_GZIP, _XZ, _ZSTD = b"\x1f\x8b", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd"
_PIECE = 1 << 18  # bytes unpacked at a time: what a truncated archive loses at most


class Source(io.RawIOBase):
    """Bytes as they lie on disk: those already taken first; counts what was read."""

    def __init__(self, taken: bytes, rest: IO[bytes]) -> None:
        super().__init__()
        self._taken = taken
        self._rest = rest
        self.count = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, into: object) -> int:
        """Fill a buffer, or what is there to fill it with."""
        view = memoryview(cast("bytearray", into)).cast("B")
        if self._taken:
            count = min(len(self._taken), len(view))
            view[:count] = self._taken[:count]
            self._taken = self._taken[count:]
        else:
            count = cast("io.RawIOBase", self._rest).readinto(view) or 0
        self.count += count
        return count

    def close(self) -> None:
        """Close what lies below."""
        self._rest.close()
        super().close()


class LogStream(io.RawIOBase):
    """The unpacked bytes; `read(n)` gives n of them as long as there are so many.

    What breaks off is read to its end: the error comes with the read after the last bytes.
    """

    def __init__(self, source: Source, magic: bytes) -> None:
        super().__init__()
        self._source = source
        self._piece = _unpacking(source, magic)
        self._plain = not _is_packed(magic)
        self._error: Exception | None = None

    def readable(self) -> bool:
        """Yes."""
        return True

    @property
    def position(self) -> int:
        """Bytes on disk read so far."""
        return self._source.count

    def read(self, size: int = -1) -> bytes:
        """So many bytes, less at the end only; raises one of BREAKS_OFF once they are given out."""
        pieces: list[bytes] = []
        wanted = size if size >= 0 else 1 << 62
        while wanted and self._error is None:
            try:
                piece = self._piece(wanted)
            except BREAKS_OFF as error:
                self._error = error
                break
            if not piece:
                break
            pieces.append(piece)
            wanted -= len(piece)
        if self._error is not None and not pieces:
            raise self._error
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readinto(self, into: object) -> int:
        """As `read`, into a buffer."""
        if self._plain and self._error is None:
            return self._source.readinto(into)
        view = memoryview(cast("bytearray", into)).cast("B")
        part = self.read(len(view))
        view[: len(part)] = part
        return len(part)

    def close(self) -> None:
        """Close the file."""
        self._source.close()
        super().close()


def _unpacking(source: Source, magic: bytes) -> Callable[[int], bytes]:
    """What reads at most so many unpacked bytes; empty at the end."""
    if magic.startswith(_GZIP):
        packed: gzip.GzipFile | lzma.LZMAFile = gzip.GzipFile(fileobj=source)
    elif magic.startswith(_XZ):
        packed = lzma.LZMAFile(cast("IO[bytes]", source))  # noqa: SIM115 (closed with its source)
    elif _is_packed(magic):
        frames = pa.CompressedInputStream(pa.PythonFile(source, mode="r"), "zstd")
        return lambda size: cast("bytes", frames.read(min(size, _PIECE)))
    else:
        return lambda size: source.read(min(size, 1 << 26)) or b""
    return lambda size: packed.read1(min(size, _PIECE))


def _is_packed(magic: bytes) -> bool:
    return magic.startswith((_GZIP, _XZ, _ZSTD)) or _skippable(magic)


def _skippable(magic: bytes) -> bool:
    """Whether a zstd archive begins with a frame of others' data (RFC 8878, 3.1.2), as pzstd's."""
    return magic[1:4] == b"\x2a\x4d\x18" and magic[0] >> 4 == 5
