"""What a killed command baked goes with the next that writes or reads its run, and nothing else."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from replay.conduct.beside import beside, sweep
from replay.conduct.salvage import salvage
from replay.errors import InputError

BAKES = """
import sys
from pathlib import Path
from replay.conduct.beside import beside

with beside(Path(sys.argv[1])) as baking:
    baking.mkdir()
    (baking / "shard-0.bin").write_bytes(bytes(1000))
    print(baking.parent, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "a[1].run"


@pytest.fixture
def killed(out: Path) -> Iterator[Path]:
    """What a command that is killed while it bakes leaves."""
    with subprocess.Popen(
        [sys.executable, "-c", BAKES, str(out)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert process.stdout is not None
            left = Path(process.stdout.readline().strip())
            sweep(out)
            assert (left / "load" / "shard-0.bin").is_file()  # it lives
        finally:
            process.kill()
    assert left.is_dir()
    return left


def test_the_next_run_removes_what_a_killed_one_baked(out: Path, killed: Path) -> None:
    with beside(out) as baking:
        assert not killed.exists()
        assert baking.parent.is_dir()
    assert not list(out.parent.iterdir())


def test_a_report_removes_it_though_there_is_no_run(out: Path, killed: Path) -> None:
    with pytest.raises(InputError):
        salvage(out)
    assert not killed.exists()


def test_what_is_of_another_name_or_not_ours_stays(out: Path, killed: Path) -> None:
    mine = out.parent / f".{out.name}-backup"
    mine.mkdir()
    sweep(out.with_name("a1.run"))
    assert killed.is_dir()
    sweep(out)
    assert not killed.exists()
    assert mine.is_dir()
