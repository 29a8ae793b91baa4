"""What lies between a request's bytes and the socket's: nothing, or TLS."""

import ssl

_CHUNK = 1 << 16


class Plain:
    """Bytes go as they are."""

    def encode(self, data: bytes) -> bytes:
        """What to send for these."""
        return data

    def decode(self, data: bytes) -> bytes:
        """What these that came mean."""
        return data

    def pending(self) -> bytes:
        """What must be sent besides."""
        return b""


class Tls:
    """TLS of a client, its handshake included; raises ssl.SSLError, an OSError, where it fails."""

    def __init__(self, context: ssl.SSLContext, host: str) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname=host)
        self._waiting = b""  # for the handshake
        self._shaken = False

    def encode(self, data: bytes) -> bytes:
        """What to send for these: they wait for the handshake."""
        self._waiting += data
        self._go_on()
        return self._out.read()

    def decode(self, data: bytes) -> bytes:
        """What these that came mean."""
        self._in.write(data)
        self._go_on()
        if not self._shaken:
            return b""
        parts = []
        while True:
            try:
                part = self._tls.read(_CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLZeroReturnError:
                break
            if not part:
                break
            parts.append(part)
        return b"".join(parts)

    def pending(self) -> bytes:
        """What must be sent besides: the handshake's part."""
        return self._out.read()

    def _go_on(self) -> None:
        if not self._shaken:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                return
            self._shaken = True
        if self._waiting:
            self._tls.write(self._waiting)
            self._waiting = b""
