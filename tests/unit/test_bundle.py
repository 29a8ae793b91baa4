"""The workload directory: what is written is read, and what stands there is not lost."""

import errno
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_run import workload

from replay import bundle
from replay.errors import EnvironmentFaultError, InputError
from replay.workload import Activity, SessionSettings, Statement

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
STATEMENTS = st.builds(
    Statement,
    template=st.just("00000000000000aa"),
    sql=TEXT,
    slots=st.text("psnb", max_size=5),
    values=st.lists(st.none() | TEXT, max_size=5).map(tuple),
    prepared=st.none() | TEXT,
    offset_us=st.integers(0, 2**40),
    duration_us=st.integers(0, 2**40),
    error=st.sampled_from(["", "40P01"]),
)


@settings(deadline=None, max_examples=25)
@given(st.lists(STATEMENTS, min_size=1, max_size=4).map(tuple))
def test_what_is_written_is_read(tmp_path_factory, statements):
    path = tmp_path_factory.mktemp("bundle") / "x.workload"
    made = workload()
    first = replace(made.transactions[0], statements=statements)
    activity = Activity(state="active", wait_type="Lock", wait="tuple", template="", sessions=0.5)
    standing = SessionSettings(session=first.session, statements=("set a = 1", "set b = 2"))
    made = replace(
        made,
        transactions=(first, *made.transactions[1:]),
        activity=(activity,),
        standing=(standing,),
    )
    bundle.write(path, made, None)
    assert bundle.read(path) == made


def test_a_full_disk_leaves_what_stood_there(tmp_path, monkeypatch):
    path = tmp_path / "x.workload"
    bundle.write(path, workload(), None)
    before = {file.name: file.read_bytes() for file in path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(bundle, "_write_tables", full)
    with pytest.raises(EnvironmentFaultError, match="No space left on device; make room"):
        bundle.write(path, workload(), None)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["x.workload"]


def test_a_new_workload_takes_the_place_of_an_old_one(tmp_path):
    path = tmp_path / "x.workload"
    bundle.write(path, workload(), None)
    first = bundle.workload_id(path)
    fewer = replace(workload(), transactions=())
    bundle.write(path, fewer, None)
    assert bundle.workload_id(path) != first
    assert bundle.read(path).transactions == ()


def test_what_is_no_workload_is_not_overwritten(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mother.txt").write_text("dear")
    with pytest.raises(InputError, match="exists and is no workload"):
        bundle.write(tmp_path / "letters", workload(), None)
    assert (tmp_path / "letters" / "mother.txt").read_text() == "dear"


def test_a_changed_file_is_noticed(tmp_path):
    path = tmp_path / "x.workload"
    bundle.write(path, workload(), None)
    (path / bundle.STATEMENTS).write_bytes(b"PAR1")
    with pytest.raises(InputError, match="does not match its checksum"):
        bundle.read(path)
