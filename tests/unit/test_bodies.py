"""Function bodies stay, secrets in them do not."""

import pytest

from data_gen.profile import SchemaObject
from replay.capture.bodies import without_secrets
from replay.capture.scrub import scrubber


def scrubbed(body, kind="function"):
    made = SchemaObject(kind=kind, name="app.f()", definition=f"CREATE … AS $$ {body} $$")
    token = scrubber(key=b"k" * 32, kept=frozenset()).secret
    return without_secrets(made, token).definition.removeprefix("CREATE … AS $$ ")[:-3]


@pytest.mark.parametrize(
    "body",
    [
        "RETURN 'open'",
        "SELECT format('%s of %s', a, b)",
        "IF state IN ('queued', 'it''s done') THEN",
        "PERFORM set_config('app.tenant_id', '42', true)",
        "x := 'a_rather_long_identifier_of_the_schema'",
    ],
)
def test_what_is_no_secret_stays(body):
    assert scrubbed(body) == body


@pytest.mark.parametrize(
    ("body", "secret"),
    [
        ("v_password := 'hunter2'", "hunter2"),
        ("PERFORM login('bob', api_key => 'abc123')", "abc123"),
        ("url := 'https://bob:pw@example.org/x'", "bob:pw"),
        ("mail := 'alice.smith@example.org'", "alice.smith"),
        ("h := 'Bearer abcdefgh1234'", "abcdefgh1234"),
        ("k := 'AKIAIOSFODNN7EXAMPLE'", "IOSFODNN7"),
        ("k := '9f86d081884c7d659a2feaa0c55ad015'", "9f86d081"),
        ("c := '4111 1111 1111 1111'", "4111"),
    ],
)
def test_secrets_go(body, secret):
    made = scrubbed(body)
    assert secret not in made
    assert made.partition("'")[0] == body.partition("'")[0]


def test_a_view_keeps_its_constants():
    assert scrubbed("WHERE k = 'AKIAIOSFODNN7EXAMPLE'", "view").count("AKIAIOSFODNN7EXAMPLE") == 1
