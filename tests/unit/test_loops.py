"""Compiled loops: those of a library give what numba's give, and a capture starts without numba."""

import subprocess
import sys
from importlib import import_module
from pkgutil import walk_packages

import numpy as np
import pytest
from made_lines import csv_line, json_line

from replay import capture
from replay.capture import library, warm
from replay.capture.kernels import CACHE, LOOPS, Loop, as_bytes, compiled, place

LINKS = """
import sys
from pathlib import Path
from replay.capture import kernels
kernels.CACHE = sys.argv[1]
import test_loops
test_loops.calls()
from replay.capture.linking import link
link("some")
"""
RUNS = """
import sys
from replay.capture import kernels
kernels.CACHE = sys.argv[1]
import test_loops
print(test_loops.calls(), "numba" in sys.modules)
"""
LOOKS_AGAIN = """
import gc, sys
from replay.capture import kernels, library
kernels.CACHE = sys.argv[1]
import test_loops
before = test_loops.calls()
library.look_again()
gc.collect()
held = [bytearray(1 << 20) for _ in range(64)]  # where the code was, if it went
print(before == test_loops.calls())
"""
CAPTURES = """
import sys
from replay.cli import status
code = status(sys.argv[1:])
late = "numba data_gen.profile replay.capture.links.linker rich.progress pyarrow.dataset"
print(code, {*late.split()} & {*sys.modules} or "none of them")
"""


@compiled
def of_all(data, table, pair, number, wide, share, flag):
    """Something of every kind of argument; it gives numbers of three kinds."""
    for row in range(table.shape[0]):
        table[row, 1] += row
    total = place(pair[0].sum()) + place(data[0]) + number + place(wide) + place(table[1, 1])
    return np.int64(pair[1]) - 1, total, flag and share > 0.5


@compiled
def of_nothing(data):
    """It gives nothing."""
    data[0] = 7


def calls() -> list[object]:
    """What the loops give, and what they write."""
    table = np.zeros((3, 4), np.int64)
    aslant = np.zeros((4, 6), np.int64)[::2, 1::2]
    words, written = np.arange(3, dtype=np.uint64), np.zeros(1, np.uint8)
    found: list[object] = []
    for one in (table, aslant):
        args = np.uint64(5), 9, 0.75, True
        found.append(of_all(as_bytes(b"ab"), one, (words, np.uint8(3)), *args))
    return [*found, of_nothing(written), table.tolist(), aslant.tolist(), written.tolist()]


def ran(program: str, *args: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, args)],
        env={**warm.os.environ, "PYTHONPATH": ":".join(sys.path), "REPLAY_COMPILES": "library"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_library_gives_what_numba_gives_and_does_not_need_it(tmp_path):
    ran(LINKS, tmp_path)
    assert len(list(tmp_path.glob("some-*.o"))) == 1
    expected = [(2, 5 + 9 + 3 + 97 + 1, True)] * 2
    assert ran(RUNS, tmp_path) == f"{calls()} False\n"
    assert calls()[:2] == expected
    assert ran(LOOKS_AGAIN, tmp_path) == "True\n"
    (code,) = tmp_path.glob("*.o")
    code.write_bytes(b"damaged")
    assert ran(RUNS, tmp_path) == f"{calls()} True\n"


@pytest.mark.parametrize("value", [np.float32(1), 2**63, "text", np.zeros(2, "U1")])
def test_what_no_library_has_is_asked_of_numba(value):
    assert library.entry("/nowhere", "loop", library.kinds_of((value,))) is None


def test_arrays_of_other_kinds_are_told_apart():
    table = np.zeros((4, 4), np.int64)
    readonly = np.zeros(4, np.int64)
    readonly.flags.writeable = False
    arrays = [table, table.T, table[::2], table[0], readonly, table.view(np.uint64)]
    assert len({library.kinds_of((array,)) for array in arrays}) == len(arrays)
    assert library.kinds_of((table[0],)) == library.kinds_of((np.ones(2, np.int64),))


def test_a_capture_starts_without_the_compiler(tmp_path):
    warm.ensure()
    logs = [tmp_path / "a.csv", tmp_path / "b.json", tmp_path / "c.log"]
    logs[0].write_bytes(csv_line(line_num="1") + csv_line(line_num="2"))
    logs[1].write_bytes(json_line(session_id="69a42c40.9") * 2)
    line = "2026-03-01 12:10:00.123 UTC [9] LOG:  duration: 0.1 ms  statement: SELECT 'word'\n"
    logs[2].write_text(line * 3)
    said = ran(CAPTURES, "capture", *logs, "-o", tmp_path / "a.workload", "--jobs", "2")
    assert said.splitlines()[-1] == "0 none of them"


def test_the_library_has_all_loops_that_python_calls():
    for requests in (False, True):
        warm.ensure(requests=requests)
    library.look_again()  # another process may have made one
    for found in walk_packages(capture.__path__, "replay.capture."):
        if found.name.rpartition(".")[2] not in ("linking", "instructions"):  # numba's
            import_module(found.name)
    loops = [loop for loop in LOOPS if loop.name.startswith("replay.")]
    inner = {
        callee.name
        for loop in loops
        for name in loop.__wrapped__.__code__.co_names
        if isinstance(callee := loop.__wrapped__.__globals__.get(name), Loop)
    }
    outer = {loop.name for loop in loops if not loop.makes_arrays} - inner
    assert outer - library.names(CACHE) == set()


def test_a_loop_is_known_by_its_module():
    assert isinstance(of_all, Loop)
    assert of_all.name == f"{__name__}.of_all"
