"""The service before the database: where it is, and that it is staging's.

A load on production's service is production's outage. So nothing is sent to a host that is not this
machine, unless it says of itself that it is staging: by a path that only staging answers, or by a header
that only staging adds. What is asked is the very address that the load goes to: a name may have several.
"""

import contextlib
import http.client
import ipaddress
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from replay.errors import EnvironmentFaultError, InputError, RefusedError

MARKER = "/.well-known/replay-staging"
HEADER = "Replay-Staging"
_SAYS = "staging"
_TIMEOUT_S = 5.0

Found = tuple[int, int, int, str, tuple[Any, ...]]
"""As socket.getaddrinfo gives an address."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service's address, looked up once."""

    url: str
    host: str
    port: int
    base: str  # path ahead of all that is asked for; no slash at its end
    family: int
    address: tuple[Any, ...]
    tls: ssl.SSLContext | None

    @property
    def named(self) -> str:
        """The Host header's value."""
        usual = 443 if self.tls is not None else 80
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == usual else f"{host}:{self.port}"

    @property
    def is_here(self) -> bool:
        """Whether it is this machine's own."""
        return _is_loopback(self.address)


def find(url: str, *, ca: str = "", insecure: bool = False) -> Service:
    """The service at http://host:port/base; raises InputError where that is none.

    Its certificate must be signed by those in the file `ca`, or by one that this machine knows; any is
    good where `insecure` says so, and of this machine's own services, where no `ca` is given.
    """
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        port = 0
    if parts.username or parts.password:
        raise InputError(
            "--service has a user's name or a password in it: write http://HOST:PORT alone, and have a "
            "function of --login return the Authorization header"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        raise InputError(f"--service {url}: write http://HOST:PORT, or https://")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EnvironmentFaultError(f"--service {url}: no such host: {error}") from error
    family, _, _, _, address = _listening(found)
    return Service(
        url=url,
        host=parts.hostname,
        port=port,
        base=parts.path.rstrip("/"),
        family=family,
        address=address,
        tls=_context(ca, insecure=insecure or (not ca and _is_loopback(address)))
        if parts.scheme == "https"
        else None,
    )


def require_staging(service: Service) -> None:
    """Raise RefusedError where a service is not proven to be staging's.

    EnvironmentFaultError where nothing answers at its address.
    """
    try:
        says = _asked_again(service)
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentFaultError(
            f"{service.url}: does not answer: {error}; start the service, and name its port"
        ) from error
    if service.is_here or _SAYS in says:
        return
    raise RefusedError(
        f"{service.url}: is not proven to be staging: it is another machine, and neither does {MARKER} "
        f"answer 200 with the word {_SAYS!r} alone there, nor has the answer a header "
        f"{HEADER}: {_SAYS}. Serve one of them on staging, and nowhere else"
    )


def connection(service: Service) -> http.client.HTTPConnection:
    """A connection to it that waits, open; raises OSError where it cannot be had."""
    made = http.client.HTTPConnection(service.host, service.port, timeout=_TIMEOUT_S)
    sock = socket.socket(service.family, socket.SOCK_STREAM)
    try:
        sock.settimeout(_TIMEOUT_S)
        sock.connect(service.address)
        if service.tls is not None:
            sock = service.tls.wrap_socket(sock, server_hostname=service.host)
    except OSError:
        sock.close()
        raise
    made.sock = sock
    return made


def _asked_again(service: Service) -> tuple[str, str]:
    """What `_asked` tells, asked once more where a busy service let the connection go without an answer."""
    with contextlib.suppress(ConnectionResetError):
        return _asked(service)
    return _asked(service)


def _asked(service: Service) -> tuple[str, str]:
    """What it says of itself: all that the marker's path answers, and the header's value."""
    made = connection(service)
    try:
        made.request("GET", service.base + MARKER, headers={"Host": service.named})
        answer = made.getresponse()
        told = answer.read(1024).decode("latin-1").strip()
        return told if answer.status == http.client.OK else "", answer.headers.get(HEADER, "")
    finally:
        made.close()


def _listening(found: Sequence[Found]) -> Found:
    """The first address of a name at which somebody listens; the first of all where nobody does."""
    for one in found if len(found) > 1 else ():
        with socket.socket(one[0], socket.SOCK_STREAM) as probe:
            probe.settimeout(_TIMEOUT_S)
            if probe.connect_ex(one[4]) == 0:
                return one
    return found[0]


def _is_loopback(address: tuple[Any, ...]) -> bool:
    return ipaddress.ip_address(address[0]).is_loopback


def _context(ca: str, *, insecure: bool) -> ssl.SSLContext:
    """Certificates are looked at, but for those of this machine's own services, which nobody signs."""
    try:
        context = ssl.create_default_context(cafile=ca or None)
    except (OSError, ssl.SSLError) as error:
        raise InputError(f"--ca {ca}: holds no certificates that can be read: {error}") from error
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
