"""Secrets and personal values: nothing of them survives, wherever they stand, and their form does."""

import json
import logging
import re
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from urllib.parse import parse_qsl, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_gen.profile import ColumnProfile, SchemaProfile, TableProfile
from replay.capture.policy import KEPT, POLICY, is_secretive
from replay.capture.recognise import is_card, luhn, ulid
from replay.capture.scrub import KeepValues, Scrubber, scrubber
from replay.sql.fingerprint import fingerprint
from replay.sql.slots import extract

TODAY = date(2026, 3, 1)
SCRUBBER = Scrubber(b"a key", frozenset(), TODAY)
RUN = re.compile(r"[^\W_]{5,}")


def token(text: str) -> str:
    found = SCRUBBER.value(text)
    assert found is not None
    return found


def digits(count: int) -> st.SearchStrategy[str]:
    return st.text("0123456789", min_size=count, max_size=count)


def letters(alphabet: str, count: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=count, max_size=count)


def _with_check_digit(number: str) -> str:
    return next(number + d for d in "0123456789" if luhn(number + d) == 0)


_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
_BASE62 = _UPPER + _UPPER.lower() + "0123456789"
CARDS = st.one_of(
    st.builds(str.__add__, st.sampled_from(["4000", "5412", "2230", "6011"]), digits(11)),
    st.builds(str.__add__, st.just("37"), digits(12)),
    st.builds(str.__add__, st.just("3056"), digits(9)),
).map(_with_check_digit)
SECRETS = st.one_of(
    CARDS,
    letters(_BASE62, 24).map(lambda body: f"sk_live_{body}"),
    letters(_BASE62, 36).map(lambda body: f"ghp_{body}"),
    letters(_UPPER + "234567", 16).map(lambda body: f"AKIA{body}"),
    st.tuples(*[letters(_BASE62 + "-_", n) for n in (20, 40, 43)]).map(
        lambda parts: f"eyJ{parts[0]}.eyJ{parts[1]}.{parts[2]}"
    ),
    st.builds("GB{}NWBK{}".format, digits(2), digits(14)),
    st.builds("+49 17{} {}".format, digits(1), digits(7)),
    st.emails(),
    st.builds("session={}; Path=/; HttpOnly".format, letters("0123456789abcdef", 32)),
    st.builds("SCRAM-SHA-256$4096:{}==$".format, letters(_BASE62, 22)),
    st.builds("md5{}".format, letters("0123456789abcdef", 32)),
    st.builds("host=db user=app password={}".format, letters(_BASE62, 10)),
)
PLACES = {
    "alone": lambda secret: secret,
    "in a text": lambda secret: f"see: {secret} - as told",
    "in an array": lambda secret: '{"' + secret.replace('"', "") + '",NULL}',
    "in JSON": lambda secret: json.dumps({"of": [secret]}),
    "in a URL": lambda secret: "https://shop.example/?" + urlencode({"q": secret, "page": "2"}),
}


@settings(max_examples=400, deadline=None)
@given(SECRETS, st.sampled_from(sorted(PLACES)))
def test_nothing_of_a_secret_survives_wherever_it_stands(secret, place):
    text = PLACES[place](secret)
    found = token(text)
    assert found == Scrubber(b"a key", frozenset(), TODAY).value(text)
    assert len(found) == len(text) or re.search(r"\\u|%", text)
    told = {run.lower() for run in RUN.findall(secret)}
    assert not told & {run.lower() for run in RUN.findall(found)} - {"00000"}
    if place == "in JSON":
        assert isinstance(json.loads(found), dict)
    if place == "in a URL":
        assert len(parse_qsl(found.partition("?")[2])) == 2


@settings(deadline=None)
@given(CARDS, st.sampled_from(["", " ", "-"]))
def test_a_card_number_is_one_token_of_its_length_and_no_card(card, mark):
    groups = (4, 4, 4, 4) if len(card) == 16 else (4, 6, len(card) - 10)
    ends = [sum(groups[:n]) for n in range(len(groups) + 1)]
    written = mark.join(card[a:b] for a, b in pairwise(ends))
    alone = token(card)
    assert is_card(card)
    assert alone.isdecimal()
    assert len(alone) == len(card)
    assert alone != card
    assert not is_card(alone)
    assert token(f"paid with {written}.").translate({32: None, 45: None}).endswith(f"{alone}.")


def test_an_address_of_mail_stays_one_and_its_parts_are_equal_wherever_they_stand():
    found = token("john.doe@example.com")
    assert re.fullmatch(r"[a-z]{4}\.[a-z]{3}@[a-z]{7}\.[a-z]{3}", found)
    assert token("mail to john.doe@example.com!").endswith(f" {found}!")
    assert token("jane.roe@example.com").partition("@")[2] == found.partition("@")[2]


_MOMENTS = st.datetimes(datetime.fromisoformat("2011-01-01"), datetime.fromisoformat("2040-01-01"))


@settings(deadline=None)
@given(_MOMENTS, st.timedeltas(timedelta(milliseconds=1), timedelta(days=900)), st.booleans())
def test_identifiers_that_begin_with_their_time_keep_its_order(moment, later, lower):
    def made(at: datetime, drawn: int) -> tuple[str, str]:
        ms = int(at.replace(tzinfo=UTC).timestamp() * 1000)
        stamp = f"{ms:012x}"
        version7 = f"{stamp[:8]}-{stamp[8:]}-7abc-8{drawn:03x}-{drawn:012x}"
        first = ulid(ms, drawn)
        return first.lower() if lower else first, version7

    for one, other in zip(made(moment, 77), made(moment + later, 5), strict=True):
        assert token(one) < token(other)
        assert len(token(one)) == len(one)
        assert token(one)[-4:] != one[-4:]
        assert token(one.upper()) == token(one).upper()
    stamp = int(token(made(moment, 77)[1]).replace("-", "")[:12], 16)
    moved = date.fromisoformat(token(moment.date().isoformat()))
    assert datetime.fromtimestamp(stamp / 1000, UTC).date() == moved


@settings(deadline=None)
@given(st.integers(0, 10**9), st.integers(1, 10**6))
def test_numbers_behind_zeros_keep_width_and_order(number, step):
    low, high = (token(f"{n:014}") for n in (number, number + step))
    assert low < high
    assert len(low) == len(high) == 14


@given(st.sampled_from(["1234", "true", "english", "2001-01-01", "12:30", "queued", "{5}"]))
def test_no_short_or_special_secret_stays(secret):
    with_kept = Scrubber(b"a key", frozenset({"queued"}), TODAY)
    assert with_kept.secret(secret) != secret
    assert len(with_kept.secret(secret)) == len(secret)


UTILITY = [
    "ALTER ROLE bob PASSWORD 'hunter2'",
    "ALTER USER bob WITH ENCRYPTED PASSWORD $$hunter2$$ VALID UNTIL '2030-01-01'",
    "ALTER ROLE bob PASSWORD 'hunter2",
    "alter role bob password hunter2",
    'create user bob password "hunter2"',
    "CREATE ROLE bob LOGIN PASSWORD 'SCRAM-SHA-256$4096:hunter2==$abc=:def='",
    "CREATE ROLE bob PASSWORD E'md5hunter2'",
    "CREATE USER MAPPING FOR bob SERVER s OPTIONS (user 'x', password 'hunter2')",
    "CREATE SUBSCRIPTION s CONNECTION 'host=a password=hunter2' PUBLICATION p",
    "ALTER SUBSCRIPTION s CONNECTION 'host=a password=hunter2'",
    "SELECT * FROM dblink('host=a password=hunter2', U&'select hunter2') AS t (a int)",
    "COPY t FROM PROGRAM 'curl -H \"Authorization: hunter2\" x'",
    "SET \"my.secret\" = 'hunter2'",
    "SELECT set_config('my.secret', 'hunter2', false)",
    "SELECT 1 /* password: hunter2 */ -- hunter2",
    "DO $body$ BEGIN PERFORM login('hunter2'); END $body$",
    "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS $$ SELECT 'hunter2' $$",
    "UPDATE t SET j = '{\"hunter2\": 1}' WHERE k = 'it''s hunter2'",
]


@pytest.mark.parametrize("sql", UTILITY)
def test_no_template_holds_a_password(sql):
    slotted = extract(sql)
    assert "hunter2" not in fingerprint(sql).sql
    assert "hunter2" not in slotted.sql
    assert not any("hunter2" in token(literal) for literal in slotted.literals)
    assert fingerprint(fingerprint(sql).sql) == fingerprint(sql)


def test_utility_statements_with_secrets_are_told_from_others():
    secretive = [sql for sql in UTILITY if is_secretive(fingerprint(sql).sql)]
    assert len(secretive) == 12
    assert not is_secretive("set lock_timeout = ?")
    assert not is_secretive("update users set password = ? where id = ?")
    assert fingerprint("create table t (id int, password text)").sql.endswith("password text)")


def test_values_are_kept_by_a_flag_only_loudly_and_on_record(caplog):
    column = ColumnProfile(
        name="n", type="text", base_type="text", not_null=True, common_values=("Alice",)
    )
    table = TableProfile(schema="public", name="t", rows=1, pages=1, dead_rows=0, columns=(column,))
    profile = SchemaProfile(server_version=180000, tables=(table,), taken_at_us=10**15)
    with caplog.at_level(logging.WARNING):
        plain = scrubber(key=b"k", kept=frozenset(), today=TODAY)
        assert not caplog.records
        kept = scrubber(key=b"k", kept=frozenset(), today=TODAY, keep_values=True)
    assert "--keep-values" in caplog.text
    assert isinstance(kept, KeepValues)
    assert (plain.policy, kept.policy) == (POLICY, KEPT)
    assert "kept" in kept.policy
    assert "kept" not in plain.policy
    assert kept.value("Alice") == "Alice" != plain.value("Alice")
    assert kept.bits("B'101'") == "B'101'"
    assert kept.profile(profile) == profile != plain.profile(profile)
    assert kept.secret("hunter2") != "hunter2"
    assert kept.token("session") == plain.token("session")


def test_a_histogram_of_numbers_stays_in_order_with_a_card_number_among_them():
    bounds = ("1000000000000000", "4111111111111111", "9000000000000000")
    column = ColumnProfile(
        name="n", type="bigint", base_type="int8", not_null=True, histogram=bounds
    )
    table = TableProfile(schema="public", name="t", rows=9, pages=1, dead_rows=0, columns=(column,))
    profile = SchemaProfile(server_version=180000, tables=(table,), taken_at_us=10**15)
    for key in (b"a", b"b", b"c", b"d"):
        scrubbed = Scrubber(key, frozenset(), TODAY).profile(profile)
        found = [int(bound) for bound in scrubbed.tables[0].columns[0].histogram]
        assert found == sorted(found)
