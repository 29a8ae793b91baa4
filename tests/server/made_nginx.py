"""nginx before a service, where it is installed: as production has it."""

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
_DOCUMENT = Path(__file__).parents[2] / "docs" / "requests.md"
_CONFIGURATION = """
daemon off; worker_processes 1; pid {home}/pid; error_log {home}/error.log;
events {{ worker_connections 64; }}
http {{
  {temporary} {log}
  server {{
    listen 127.0.0.1:{port};
    location / {{ proxy_pass {url}; proxy_http_version 1.1; {more} }}
  }}
}}
"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")


def advised_format() -> str:
    """The log_format `replay` that our documentation advises."""
    found = re.search(r"log_format replay .*?;\n", _DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    return found[0]


@contextmanager
def nginx(home: Path, url: str, *, access_log: Path | None = None, more: str = "") -> Iterator[str]:
    """Its URL; `access_log` is written as advised, `more` are directives of the place that is passed on."""
    port = _free_port()
    log = f"{advised_format()} access_log {access_log} replay;" if access_log else "access_log off;"
    configuration = _CONFIGURATION.format(
        home=home,
        port=port,
        url=url,
        log=log,
        more=more,
        temporary=" ".join(f"{kind}_temp_path {home}/{kind};" for kind in _TEMPORARY),
    )
    (home / "nginx.conf").write_text(configuration)
    server = subprocess.Popen([str(NGINX), "-p", str(home), "-c", str(home / "nginx.conf")])
    try:
        _await(port)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait(10)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _await(port: int) -> None:
    deadline = time.monotonic() + 10
    while True:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)
