"""Tokens on a real server: each is still of its value's type."""

import psycopg
import pytest

from replay.capture.scrub import Scrubber

VALUES = {
    "int4": ["7", "-10000", "1400000000"],
    "int8": ["9999", "123456789012", "6000000000000000000"],
    "numeric": ["12345.678", "-0.5", "1e30", "NaN"],
    "float8": ["1.5e-07", "Infinity", "20000.25"],
    "bool": ["t", "false"],
    "text": ["Alice O'Brien", "john@example.com", "4111 1111 1111 1111", "é東"],
    "uuid": ["018f3b6e-7b1c-7abc-8def-0123456789ab", "6ba7b810-9dad-41d1-80b4-00c04fd430c8"],
    "date": ["1980-02-29", "2026-02-27", "0001-01-01", "infinity"],
    "timestamptz": ["2026-02-27 12:00:00.123+00", "1999-12-31 23:59:59+05:30"],
    "time": ["12:30:59.5"],
    "interval": ["1 mon 2 days 03:04:05"],
    "bytea": [r"\x00ffab"],
    "jsonb": ['{"mail": "a@b.co", "card": 4111111111111111, "n": [1.5e3, null, "2020-02-02"]}'],
    "inet": ["192.168.7.9", "2001:db8::ff00:42", "10.2.0.0/16"],
    "cidr": ["10.2.0.0/16"],
    "macaddr": ["08:00:2b:01:02:03"],
    "int4[]": ["{20000,NULL,3}"],
    "text[]": ['{plain,"two words","quo\\"te"}'],
    "int4range": ["[20000,30000)", "empty"],
    "tstzrange": ['["2020-01-01 00:00:00+00","2021-01-01 00:00:00+00")'],
    "point": ["(1.5,20000.25)"],
}


@pytest.mark.parametrize("kind", VALUES)
def test_tokens_are_of_the_type_of_their_values(server, kind):
    with psycopg.connect(server.dsn(), autocommit=True) as connection:
        for key in (b"a", b"b", b"c"):
            scrubber = Scrubber(key, frozenset())
            for value in VALUES[kind]:
                found = scrubber.value(value)
                row = connection.execute(f"SELECT ({psycopg.sql.quote(found)}::{kind}) IS NOT NULL")
                assert row.fetchone() == (True,), f"{value} became {found}"
