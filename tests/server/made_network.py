"""A network of the tests' own: a proxy before the server that can be cut, and hosts that are
network namespaces on one bridge.
"""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path


class Proxy:
    """Forwards TCP to a server's Unix socket, until told otherwise."""

    def __init__(self, server: Path, host: str = "127.0.0.1") -> None:
        self._server = str(next(server.glob(".s.PGSQL.*[0-9]")))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self.accepted = 0  # connections so far
        self._flowing = threading.Event()
        self._flowing.set()
        self._listener = socket.create_server((host, 0), backlog=512)
        self.host, self.port = self._listener.getsockname()[:2]
        threading.Thread(target=self._accept, daemon=True).start()

    def dsn(self, database_dsn: str) -> str:
        """The same database through this proxy."""
        rest = " ".join(part for part in database_dsn.split() if not part.startswith("host="))
        return f"host={self.host} port={self.port} {rest}"

    def stall(self) -> None:
        """From now on nothing passes, and nobody is told: a cable is out."""
        self._flowing.clear()

    def flow(self) -> None:
        """What waited passes."""
        self._flowing.set()

    def reset(self) -> None:
        """Every connection ends with a reset."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with contextlib.suppress(OSError):
                    linger = (1).to_bytes(4, "little") + (0).to_bytes(4, "little")
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    end.shutdown(socket.SHUT_RD)
                end.close()

    def close(self) -> None:
        self._listener.close()
        self.flow()
        self.reset()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.accepted += 1
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self._server)
            except OSError:
                near.close()
                far.close()
                continue
            self._pairs.append((near, far))
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._forward, args=pair, daemon=True).start()

    def _forward(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextlib.contextmanager
def proxied(server: Path, host: str = "127.0.0.1") -> Iterator[Proxy]:
    proxy = Proxy(server, host)
    try:
        yield proxy
    finally:
        proxy.close()


@dataclass(frozen=True, kw_only=True)
class Hosts:
    """Network namespaces on one bridge, and our own address on it."""

    address: str
    names: list[str] = field(default_factory=list)

    def on(self, number: int) -> tuple[str, ...]:
        """What a command on one of them begins with."""
        return ("ip", "netns", "exec", self.names[number])


def why_no_hosts() -> str:
    """Why this machine cannot make namespaces; empty where it can."""
    try:
        _ip("netns", "add", f"replay-try-{os.getpid()}")
    except FileNotFoundError:
        return "no ip command (iproute2)"
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not allowed: {error.stderr.decode().strip()}"
    _ip("netns", "del", f"replay-try-{os.getpid()}")
    return ""


@contextlib.contextmanager
def hosts(count: int) -> Iterator[Hosts]:
    """So many hosts, each with an address of its own and nothing but the bridge to reach."""
    tag = f"{os.getpid() % 0xFFFF:04x}"
    net = f"10.213.{os.getpid() % 250}"
    bridge = f"rb{tag}"
    found = Hosts(address=f"{net}.1")
    with contextlib.ExitStack() as stack:
        _ip("link", "add", bridge, "type", "bridge")
        stack.callback(_ip, "link", "del", bridge)
        _ip("addr", "add", f"{found.address}/24", "dev", bridge)
        _ip("link", "set", bridge, "up")
        for number in range(count):
            name, near, far = f"replay-{tag}-{number}", f"rv{tag}{number}", f"rw{tag}{number}"
            _ip("netns", "add", name)
            stack.callback(_ip, "netns", "del", name)
            _ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", name)
            _ip("link", "set", near, "master", bridge, "up")
            _ip("-n", name, "addr", "add", f"{net}.{number + 10}/24", "dev", far)
            _ip("-n", name, "link", "set", far, "up")
            _ip("-n", name, "link", "set", "lo", "up")
            found.names.append(name)
        yield found


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
