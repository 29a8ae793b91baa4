"""Compiles all loops, once after an installation, in a process of its own: a compiler takes memory.

Run as a program it captures small logs, which calls every loop there is: those of the database, or of
requests.
"""

import logging
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from replay import cached
from replay.capture import kernels, library
from replay.objectcode import machine

log = logging.getLogger(__name__)

_MARK = "compiled"
_CACHE = "cache"
_ALIKE = "[0-9a-f]*"  # what directories of compiled loops are called
_TIME = "2026-03-01 12:00:00"
_SQL = "SELECT a FROM t WHERE b = 10 AND c = 'word'"
_CSV = (
    f'{_TIME}.000 UTC,"u","d",7,"[local]",69a42c40.7,{{line}},"SELECT",{_TIME} UTC,3/4,0,{{level}},'
    '00000,"{message}",,,,,,"{sql}",,,"a","client backend",,5\n'
)
_JSON = (
    f'{{"timestamp":"{_TIME}.000 UTC","pid":8,"session_id":"69a42c40.8","line_num":1,'
    f'"session_start":"{_TIME} UTC","error_severity":"LOG","backend_type":"client backend",'
    f'"message":"duration: 0.100 ms  statement: {_SQL}\\n"}}\n'
)
_STDERR = f"{_TIME}.000 UTC [9] u@d {{level}}:  {{message}}\n"
_REQUEST = (
    '10.0.0.1 - - [01/Mar/2026:12:00:00 +0000] "GET /a/7b HTTP/1.1" 200 5 "-" "curl/8" 0.100\n'
)
_IN_JSON = (
    '{"msec":"1772366400.000","request":"GET /a HTTP/1.1","status":200,"session":"{cookie}",'
    '"http_route":"/a","http_user_agent":"{agent}"}\n'
)


def is_due(*, requests: bool = False) -> bool:
    """Whether loops are to be compiled first, which takes a while."""
    return kernels.COMPILES not in os.environ and not _mark(requests=requests).exists()


def in_words() -> str:
    """What is done, and how long it takes, for who waits for it."""
    told = "compiling the loops that read logs"
    if kernels.UNKEPT:
        why = f"they cannot be kept ({kernels.UNKEPT})"
        return f"{told}: about a minute, and again each time, as {why}; {cached.ADVICE}"
    return f"{told}, once after an installation: about a minute"


def ensure(*, requests: bool = False) -> None:
    """See to it that all loops are compiled; where they cannot be kept, each run compiles them.

    Where no library can be made of them, numba's own cache is filled.
    """
    if not is_due(requests=requests):
        return
    directory = Path(kernels.CACHE)
    for where in (kernels.LIBRARY, _CACHE):
        done = subprocess.run(
            [sys.executable, "-m", "replay.capture.warm", *["requests"] * requests],
            env={
                **os.environ,
                kernels.COMPILES: where,
                "XDG_CACHE_HOME": str(directory.parent.parent),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode == 0:
            _mark(requests=requests).touch()
            library.look_again()
            if not kernels.UNKEPT:
                cached.sweep(_ALIKE)
            return
        log.debug("no %s of loops: %s", where, done.stderr.decode(errors="replace"))


def _mark(*, requests: bool) -> Path:
    return Path(kernels.CACHE) / f"{_MARK}{'-requests' * requests}-{machine()}"


def _compile_requests() -> None:
    from replay.capture.bottomk import SORTED_AT_MOST  # noqa: PLC0415 - as below
    from replay.capture.ciphers import token_of  # noqa: PLC0415
    from replay.capture.requests.stage import read_requests  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        log, as_json = (Path(directory) / name for name in ("a.log", "b.json"))
        log.write_text(_REQUEST * (2 * SORTED_AT_MOST))
        told = [("s1", "curl/8"), ("sid=s1", '\\"q\\"')]  # the second is read as JSON
        lines = [_IN_JSON.replace("{cookie}", one).replace("{agent}", agent) for one, agent in told]
        as_json.write_text("".join(lines))
        for file in (log, as_json):
            read = read_requests([file])
            linker = read.linker()
            read.made(b"none")
    texts, at = np.zeros(20, np.uint8), np.array([0, 20])
    linker.pairs(texts, at, np.array([0, 1]), np.zeros(1, np.int64), np.zeros(1, np.int64))
    linker.alone(np.zeros(1, np.int64), np.zeros(1, np.int64))
    linker.candidates(np.zeros(1, np.int64), np.zeros(1, np.int64), 1)
    token_of("word", (np.uint64(1), np.uint64(2)))


def _compile() -> None:
    # capture itself asks for this module
    from replay.capture import Options, capture  # noqa: PLC0415
    from replay.capture.bottomk import SORTED_AT_MOST, BottomK  # noqa: PLC0415
    from replay.capture.ciphers import token_of  # noqa: PLC0415
    from replay.capture.stored import pieces  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as directory:
        csv, jsonlog, stderr = (Path(directory) / name for name in ("a.csv", "b.json", "c.log"))
        ran = f"duration: 0.100 ms  statement: {_SQL}"
        csv.write_text(
            _CSV.format(line=1, level="LOG", message=ran, sql="")
            + _CSV.format(line=2, level="ERROR", message="it failed", sql=_SQL)
        )
        jsonlog.write_text(_JSON)
        stderr.write_text(
            _STDERR.format(level="LOG", message=ran) * 9
            + _STDERR.format(level="ERROR", message="it failed")
            + _STDERR.format(level="STATEMENT", message=_SQL)
        )
        captured = capture([csv, jsonlog, stderr], asked=None, key=b"none", options=Options())
        assert len(tuple(captured.workload.transactions)) == 13
    pieces(np.zeros(2, np.uint8), np.array([0]), np.array([1]))
    token_of("word", (np.uint64(1), np.uint64(2)))
    many = np.arange(SORTED_AT_MOST + 1)
    BottomK(1).wanted(np.zeros_like(many), many.astype(np.uint64), many)


def _main(*, requests: bool) -> None:
    if requests:
        _compile_requests()
    else:
        _compile()
    if os.environ.get(kernels.COMPILES) == kernels.LIBRARY:
        from replay.capture.linking import link  # noqa: PLC0415 - numba is loaded by now

        link("requests" if requests else "logs")


if __name__ == "__main__":
    _main(requests="requests" in sys.argv)
