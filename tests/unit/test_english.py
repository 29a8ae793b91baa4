"""Messages in other languages: whatever stands in a translated frame stands in the English one."""

import re
from itertools import count
from pathlib import Path

import pytest
from made_log import Log

from replay.capture import capture
from replay.capture.english import language
from replay.capture.formats.leads import language as spoken
from replay.capture.translations import (
    BARE,
    FAILURES,
    LOCKS,
    OBJECTS,
    STATEMENTS,
    knows,
    of_catalogue,
    table,
)

CONVERSION = re.compile(r"%(?:(\d)\$)?(l?[du]|03d|s)")
RESTS = (": %s", "statement: %s")
SQL = "SELECT a -- duration: x\nFROM t WHERE b = ': %s  Anweisung: '"
SAME = {  # two English strings that a language has one for: the first is taken
    ("French", FAILURES[2]),
    ("Korean", FAILURES[2]),
}


def written(frame: str, values: list[str]) -> str:
    """As the server writes it."""
    number = count()
    return CONVERSION.sub(
        lambda found: values[int(found[1]) - 1 if found[1] else next(number)], frame
    )


def values_of(english: str) -> list[str]:
    found = [
        {"s": f"na/me{place}", "03d": "007"}.get(conversion[2], str(70 + place))
        for place, conversion in enumerate(CONVERSION.finditer(english))
    ]
    if english.startswith("duration"):
        found[0] = "1234.567"
    if english in STATEMENTS:
        found[-1] = SQL
    if " on %s" in english:
        found[2] = "tuple (3,4) of relation 5 of database 6"
    return found


@pytest.mark.parametrize("name", table())
def test_what_a_message_holds_is_put_into_the_english_one(name):
    its, strings = language(name), table()[name]
    for english in (*STATEMENTS, BARE, *LOCKS, *FAILURES):
        for frame in strings.get(english, ()):
            values = values_of(english.replace("%s%s%s", "%s"))
            expected = written(english.replace("%s%s%s", "%s"), values)
            if " on %s" in english and OBJECTS[0] in strings:
                values[2] = written(strings[OBJECTS[0]][0], ["3", "4", "5", "6"])
            text = written(frame.replace("%s%s%s", "%s"), values)
            if (name, english) not in SAME:
                assert its.message(text.encode()) == expected.encode()
                if max(text) < "\u0100":
                    told = its.message(text.encode("latin-1"))
                    assert told == expected.encode("latin-1")


@pytest.mark.parametrize("name", table())
def test_every_language_has_what_a_capture_needs(name):
    missing = {*STATEMENTS, BARE} - set(table()[name])
    assert missing <= {STATEMENTS[6]}  # Georgian leaves it in English


@pytest.mark.parametrize("name", table())
def test_a_language_is_told_by_any_of_its_messages(name):
    for english in (*STATEMENTS, BARE):
        for frame in table()[name].get(english, ()):
            begins = frame.partition("%s")[0]
            found = spoken([b"connection received: host=[local]", begins.encode()])
            # Ukrainian has a word of Russian's, with the same meaning.
            assert found == name or (found, begins) == ("Russian", "оператор: ")


def test_another_text_stays():
    for text in (b"", b"Verbindung empfangen", b"Dauer: x ms", b"Dauer: 1.234 ms  "):
        assert language("German").message(text) == text
    assert language("Klingon") is None


@pytest.mark.parametrize(
    ("setting", "known"),
    [
        *((one, True) for one in ("C", "", "POSIX", "en_GB.UTF-8", "C.UTF-8", "de_AT@euro")),
        *((one, True) for one in ("zh_TW.UTF-8", "sv_SE", "ja_JP.eucJP")),
        *((one, False) for one in ("pl_PL.UTF-8", "pt_BR", "tr_TR")),
    ],
)
def test_a_servers_setting_tells_whether_its_language_is_known(setting, known):
    assert knows(setting) == known


def test_the_table_is_that_of_an_installed_server():
    """Renew it: python -m replay.capture.translations /usr/share/locale 15 > …"""
    files = sorted(Path("/usr/share/locale").glob("*/LC_MESSAGES/postgres-15.mo"))
    if not files:
        pytest.skip("no PostgreSQL 15 with translated messages")
    found = [of_catalogue(file) for file in files]
    assert found == [*map(dict, (strings for strings in table().values() if strings in found))]


def test_where_in_the_statement_it_failed_is_no_part_of_a_message():
    text = "konnte Sperre für Relation »a.b« nicht setzen bei Zeichen 15".encode()
    assert language("German").message(text) == b'could not obtain lock on relation "a.b"'


def test_a_log_of_two_languages_is_read_whole(tmp_path):
    log = Log()
    log.ran("SELECT 1")
    log.line(message="durée : 0.100 ms, instruction : SELECT 2, 3")
    log.line(message="Dauer: 0.010 ms  Binden s1/c: SELECT 4, 5, $1", detail="Parameter: $1 = '7'")
    log.line(
        message="Dauer: 2.000 ms  Ausführen s1/c: SELECT 4, 5, $1", detail="Parameter: $1 = '7'"
    )
    log.line(
        message="Division durch Null",
        error_severity="FEHLER",
        state_code="22012",
        statement="SELECT 6, 7, 8, $1 / 0",
        context="unbenanntes Portal mit Parametern: $1 = '9'",
    )
    found = capture([log.write(tmp_path / "a.json")], asked=None, key=b"k").workload
    assert {t.sql: (t.calls, t.errors, t.total_ms) for t in found.templates} == {
        "select ?": (1, 0, 0.1),
        "select ?, ?": (1, 0, 0.1),
        "select ?, ?, $1": (1, 0, pytest.approx(2.01)),
        "select ?, ?, ?, $1 / ?": (1, 1, 0),
    }
    kept = {s.sql: (s.prepared, s.values) for t in found.transactions for s in t.statements}
    assert kept["select $2, $3, $1"] == ("s1", ("7", "4", "5"))
    assert kept["select $2, $3, $4, $1 / $5"] == ("", ("9", "6", "7", "8", "0"))
    assert not found.manifest.notes
