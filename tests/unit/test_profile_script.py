"""The script for psql: what it says it does; and what its output must be to be believed."""

import re

import pytest

from replay.capture.answers import UnansweredError
from replay.capture.profile_file import Recorded
from replay.capture.profile_script import FIRST, LAST, script
from replay.capture.questions import COUNTERS, SCHEMA, questions
from replay.cli import status
from replay.errors import InputError
from replay.workload import Counters

WHOLE = (
    f'{FIRST}\n# identity\n{{"database":"a\u2028b"}}\n# end 00000\n# tables\n# end 42501\n{LAST}\n'
)


def recorded(tmp_path, text):
    file = tmp_path / "profile.out"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return Recorded(file)


def test_every_question_is_asked_once_and_marked_as_ours():
    text = script()
    for name in (*SCHEMA, *COUNTERS):
        assert text.count(f"\\qecho '# {name}'\n") == 1
    assert set(questions()) == {*SCHEMA, *COUNTERS}
    assert "{" not in re.sub(r"'\{\}'", "", text)  # no place is left unfilled
    code = re.sub(r"^ *--.*|^\\(?!gexec).*", "", text, flags=re.MULTILINE)
    code = re.sub(r"'(?:[^']|'')*'", "''", code)  # a statement inside a text is none
    statements = [one.strip() for one in re.split(r";|\\gset|\\gexec", code) if one.strip()]
    bare = {one for one in statements if "replay_profile" not in one}
    assert bare == {"BEGIN READ ONLY", "ROLLBACK"}  # those that capture knows for its own besides


def test_the_script_says_what_it_reads_and_that_its_output_holds_values():
    head = script().partition("\n\\set")[0]
    assert all(line.startswith("--") or not line for line in head.splitlines())
    assert "THE OUTPUT HOLDS VALUES OF YOUR TABLES" in head
    assert "psql -X -d DATABASE -f profile.sql -o profile.out" in head
    for query in questions().values():
        assert query.startswith("--")
    assert script().isascii()  # whatever the server's encoding


def test_the_command_prints_the_script(capsys):
    assert status(["profile", "--sql"]) == 0
    assert capsys.readouterr().out == script() + "\n"
    assert status(["profile"]) == 2


def test_answers_are_rows_or_the_reason_of_a_refusal(tmp_path):
    for text in (WHOLE, WHOLE.replace("\n", "\r\n")):
        answers = recorded(tmp_path, text)
        assert answers.rows("identity") == [{"database": "a\u2028b"}]
        with pytest.raises(UnansweredError, match="refused to tell its tables") as refused:
            answers.rows("tables")
        assert refused.value.sqlstate == "42501"
        with pytest.raises(InputError, match="no answer for columns"):
            answers.rows("columns")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"profile\.out:1: is ''"),
        ("Expanded display is off.\n" + WHOLE, "1: is 'Expanded display is off.'"),
        (WHOLE.replace(LAST, ""), "breaks off"),
        (WHOLE[:40], "breaks off"),
        (WHOLE.replace('{"', "Time: 3 ms\n{"), "5: the answer for identity before this line"),
        (WHOLE.encode("utf-16"), "no UTF-8"),
    ],
)
def test_an_output_that_is_not_whole_is_refused_by_its_line(tmp_path, text, told):
    with pytest.raises(InputError, match=told):
        recorded(tmp_path, text)


def test_an_absent_output_is_told_with_how_to_make_it(tmp_path):
    with pytest.raises(InputError, match="is no file; make it with replay profile --sql"):
        Recorded(tmp_path / "absent")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--stats", "host=x", "--profile", "p"], "give one of them"),
        (["x.log", "--for", "10m"], "--for needs --stats DSN"),
        (["--for", "10m", "--profile", "p"], "--for needs --stats DSN"),
        (["--stats", "host=x", "--for", "10m", "--between", "a", "b"], "excludes --between"),
        (["--stats", "host=x", "--for", "soon"], "'soon' is no length of time"),
        (["--stats", "host=x", "--for", "0m"], "'0m' is no length of time"),
        ([], "name the LOGs to read"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    arguments, told, capsys, monkeypatch, tmp_path
):
    monkeypatch.delenv("REPLAY_SOURCE", raising=False)
    monkeypatch.chdir(tmp_path)
    assert status(["capture", "-o", "w.workload", *arguments]) == 2
    assert told in " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90.0), ("1.5s", 1.5), ("10m", 600.0), ("2h", 7200.0)]
)
def test_lengths_of_time(given, seconds, monkeypatch, tmp_path):
    seen = {}

    def capture_workload(*_, **options):
        seen.update(options)
        raise InputError("enough")

    monkeypatch.setattr("replay.conduct.capturing.capture_workload", capture_workload)
    out = str(tmp_path / "w.workload")
    assert status(["capture", "--stats", "host=x", "--for", given, "-o", out]) == 2
    assert seen["follow_s"] == seconds


def test_counters_add_up_and_subtract_where_both_have_the_figure():
    one = Counters(calls=1, total_ms=0.1, rows=5, shared_hit=3, wal_bytes=10)
    two = Counters(calls=2, total_ms=0.2, rows=6, read_ms=1.0)
    both = one + two
    assert (both.calls, both.rows, both.shared_hit, both.wal_bytes) == (3, 11, 3, None)
    assert both - two == Counters(
        calls=1, total_ms=pytest.approx(0.1), rows=5, shared_hit=3, wal_bytes=None
    )
    assert one.is_less_than(two)
    assert not both.is_less_than(two)
    assert not Counters(calls=3, total_ms=0.0, rows=11, shared_hit=3).is_less_than(both)
