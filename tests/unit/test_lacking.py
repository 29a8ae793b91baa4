"""Part of a log: refused where its records do not tell what they are part of, or none is of it."""

from pathlib import Path

import pytest
from made_log import Log

from replay.capture import Filters, Options, capture
from replay.errors import InputError

FILTERS = {
    "user": Filters(users=("alice",)),
    "database": Filters(databases=("shop",)),
    "application": Filters(applications=("api",)),
}
WHO = (("alice", "shop", "api"), ("bob", "store", "batch"))
# A prefix, and what it tells: of %* the name stands there, and nobody knows whose it is.
PREFIXES = {
    "%m [%p] %q%u@%d,app=%a ": {"user", "database", "application"},
    "%m [%p] %q%u@%d ": {"user", "database"},
    "%t:%r:%u@%d:[%p]:": {"user", "database"},
    "%m [%p] ": set(),
    "%t-%c-": set(),
    "%m [%p] %* ": set(),
}
CASES = [(prefix, what) for prefix in PREFIXES for what in FILTERS]


def stderr(file: Path, prefix: str, lead: str = "") -> Path:
    lines = []
    for n in range(40):
        user, database, application = WHO[n % 2]
        time = f"2026-03-01 12:00:{n:02}"
        fields = {
            "%q": "",
            "%m": f"{time}.000 UTC",
            "%t": f"{time} UTC",
            "%p": f"{7 + n % 2}",
            "%c": f"69a42a40.{7 + n % 2:x}",
            "%r": "10.0.0.1(5432)",
            "%*": f"{user} {database}",
            "%u": user,
            "%d": database,
            "%a": application,
        }
        told = prefix
        for escape, value in fields.items():
            told = told.replace(escape, value)
        lines.append(f"{lead}{told}LOG:  duration: 0.100 ms  statement: SELECT {n}\n")
    file.write_text("".join(lines))
    return file


def taken(*files: Path, filters: Filters) -> int:
    found = capture(files, asked=None, key=b"k", options=Options(filters=filters))
    return found.workload.manifest.executions


@pytest.mark.parametrize(("prefix", "what"), CASES)
def test_a_filter_takes_what_it_names_or_says_what_the_prefix_lacks(tmp_path, prefix, what):
    file = stderr(tmp_path / "a.log", prefix)
    if what in PREFIXES[prefix]:
        assert taken(file, filters=FILTERS[what]) == 20
        return
    with pytest.raises(InputError) as refused:
        taken(file, filters=FILTERS[what])
    told = str(refused.value)
    assert told.startswith("a.log: stderr with log_line_prefix '")
    assert f"does not tell the {what} of --{what}; " in told
    assert f"put %{what[0]} into log_line_prefix" in told
    assert ("where %* is" in told) == ("%*" in prefix)


def test_a_log_in_a_clouds_envelopes_is_asked_for_what_it_holds(tmp_path):
    file = stderr(tmp_path / "a.log", "%t:%r:%u@%d:[%p]:", lead="2026-03-01T12:00:00.000Z ")
    assert taken(file, filters=FILTERS["user"]) == 20
    with pytest.raises(InputError, match=r"a\.log: CloudWatch, stderr .* the application of"):
        taken(file, filters=FILTERS["application"])


def test_one_log_of_several_that_lacks_a_name_is_named(tmp_path):
    whole = stderr(tmp_path / "a.log", "%m [%p] %q%u@%d,app=%a ")
    bare = stderr(tmp_path / "b.log", "%m [%p] ")
    with pytest.raises(InputError, match=r"b\.log: .* does not tell the user"):
        taken(whole, bare, filters=FILTERS["user"])


def test_whose_statements_a_log_has_is_said_where_none_is_of_those_asked_for(tmp_path):
    log = Log()
    for n in range(7):
        log.ran("SELECT 1", user=f"user{n}")
    file = log.write(tmp_path / "a.json")
    with pytest.raises(InputError) as refused:
        taken(file, filters=Filters(users=("alice", "bob")))
    assert str(refused.value) == (
        "a.json: no statement of user 'alice', 'bob': the log has 'user0', 'user1', 'user2', "
        "'user3', 'user4' and 2 more"
    )
