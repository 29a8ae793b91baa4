"""The service before the database: where it is, and that it is staging's.

A load on production's service is production's outage. So nothing is sent to a host that is not this
machine, unless it says of itself that it is staging: it answers a path that only staging answers.
"""

import http.client
import ipaddress
import socket
import ssl
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from replay.errors import EnvironmentFaultError, InputError, RefusedError

MARKER = "/.well-known/replay-staging"
_SAYS = b"staging"
_TIMEOUT_S = 5.0


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
    if parts.scheme not in ("http", "https") or not parts.hostname or not port:
        raise InputError(f"--service {url}: write http://HOST:PORT, or https://")
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise EnvironmentFaultError(f"--service {url}: no such host: {error}") from error
    family, _, _, _, address = found[0]
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
        status, body = _ask(service)
    except (OSError, http.client.HTTPException) as error:
        raise EnvironmentFaultError(
            f"{service.url}: does not answer: {error}; start the service, and name its port"
        ) from error
    if service.is_here or (status == http.client.OK and _SAYS in body):
        return
    raise RefusedError(
        f"{service.url}: is not proven to be staging: it is another machine, and {MARKER} does not "
        f"answer 200 with the word {_SAYS.decode()!r} there. Serve that path on staging, and nowhere else"
    )


def connection(service: Service) -> http.client.HTTPConnection:
    """A connection to it that waits; not opened yet."""
    if service.tls is None:
        return http.client.HTTPConnection(service.host, service.port, timeout=_TIMEOUT_S)
    return http.client.HTTPSConnection(
        service.host, service.port, timeout=_TIMEOUT_S, context=service.tls
    )


def _ask(service: Service) -> tuple[int, bytes]:
    made = connection(service)
    try:
        made.request("GET", service.base + MARKER)
        answer = made.getresponse()
        return answer.status, answer.read(1024)
    finally:
        made.close()


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
