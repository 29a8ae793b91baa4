"""Requests that write: which body they are sent with, and what is left out."""

import json
import random
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replay import multipart
from replay.conduct import bodies, visits
from replay.conduct.openapi import OpenApi
from replay.errors import InputError
from replay.load.clients import CSRF_MARK, special_fields
from replay.outcome import LEFT_OUT_ASKED
from replay.requests import REQUEST, Request, is_called
from replay.workload import Template

DOCUMENT = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://api.example.com/v1"}],
    "paths": {
        "/tasks/{task}": {
            "post": {
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Task"}}
                    }
                }
            },
            "put": {},
            "patch": {"requestBody": {"content": {"image/png": {"schema": {"type": "string"}}}}},
        },
        "/form": {
            "post": {
                "parameters": [
                    {"in": "formData", "name": "n", "type": "integer", "required": True},
                    {"in": "path", "name": "m"},
                ]
            }
        },
    },
    "components": {
        "schemas": {
            "Base": {
                "type": "object",
                "required": ["worker_id", "kind"],
                "properties": {
                    "worker_id": {"type": ["string", "null"]},
                    "kind": {"enum": ["a", "b"]},
                    "made_at": {"type": "string", "readOnly": True},
                },
            },
            "Task": {
                "allOf": [
                    {"$ref": "#/components/schemas/Base"},
                    {
                        "required": ["n", "of", "at"],
                        "properties": {
                            "n": {"type": "integer", "minimum": 3, "maximum": 5},
                            "of": {"type": "array", "minItems": 2, "items": {"type": "number"}},
                            "at": {"type": "string", "format": "date-time"},
                            "inner": {"$ref": "#/components/schemas/Task"},
                        },
                    },
                ]
            },
        }
    },
}


@pytest.fixture
def openapi(tmp_path):
    file = tmp_path / "api.json"
    file.write_text(json.dumps(DOCUMENT))

    def drawn(name, number):
        return {("worker_id", False): "w7"}.get((name, number))

    return OpenApi(file, drawn, random.Random(3))


def test_a_body_is_what_the_document_allows(openapi):
    for _ in range(50):
        kind, content = openapi.body("POST", "/v1/tasks/{int}")
        made = json.loads(content)
        assert kind == "application/json"
        assert made["worker_id"] == "w7"  # of the target's rows
        assert made["kind"] in ("a", "b")
        assert 3 <= made["n"] <= 5
        assert len(made["of"]) >= 2
        assert "made_at" not in made
    kind, content = openapi.body("POST", "/v1/form")
    assert kind == visits.bodies.FORM
    assert content.startswith(b"n=")


def test_no_body_is_made_up(openapi):
    assert openapi.body("PUT", "/v1/tasks/{x}") == ("", b"")
    assert openapi.body("PATCH", "/v1/tasks/{x}") is None
    assert openapi.body("POST", "/elsewhere") is None


def test_what_is_no_openapi_document_is_refused(tmp_path):
    file = tmp_path / "x.json"
    for text, said in (("{}", "no `paths`"), ("[", "cannot|no document")):
        file.write_text(text)
        with pytest.raises(InputError, match=said):
            OpenApi(file, lambda *_: None, random.Random(1))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_a_body_with_its_own_values_is_itself(value):
    body = json.dumps(value)
    own = [found for _, found in bodies.named_values(body, "application/json")]
    assert json.loads(bodies.filled(body, "application/json", own)) == value


def test_values_of_a_body_are_named_and_exchanged():
    body = '{"task": {"id": 7, "tags": ["x", true]}}'
    assert list(bodies.named_values(body, "")) == [("id", "7"), ("tags", "x")]
    assert bodies.filled(body, "", ["8", 'y"']) == b'{"task":{"id":8,"tags":["y\\"",true]}}'
    assert bodies.filled("a=1&b=x+y", bodies.FORM, ["2", "&"]) == b"a=2&b=%26"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=8)


@given(st.lists(st.tuples(texts, st.booleans()), min_size=1, max_size=3))
def test_a_form_with_files_takes_other_values_and_keeps_its_parts(told):
    parts = [
        multipart.Part(name=f"n{at}", content=content, file=f"f{at}.png" if is_file else None)
        for at, (content, is_file) in enumerate(told)
    ]
    kind, body = multipart.CONTENT_TYPE, multipart.written(parts)
    assert multipart.parts(body, kind) == tuple(parts)
    fields = [part for part in parts if part.file is None]
    assert list(bodies.named_values(body, kind)) == [(one.name, one.content) for one in fields]
    sent = bodies.filled(body, kind, ["7"] * len(fields)).decode()
    assert multipart.parts(sent, kind) == tuple(
        part if part.file is not None else replace(part, content="7") for part in parts
    )


def request(method, *, body=None, target="/v1/tasks/5", status=200):
    return Request(
        id=0,
        route="r",
        session="s",
        start_us=0,
        duration_us=1,
        method=method,
        target=target,
        status=status,
        size=0,
        agent="program",
        trace="",
        request_id="",
        weight=1.0,
        body=body,
        content_type="application/json" if body else "",
    )


def planned(asked, more=(), **options):
    """The plan of a request of POST /v1/tasks/{int}, and the counts of how."""
    found = visits.Visits(
        workload=None,
        requests={0: asked},
        routes={"r": SimpleNamespace(id="r", method=asked.method, route="/v1/tasks/{int}")},
        service=SimpleNamespace(base="", named="here", tls=None),
        planned=Counter(),
        **options,
    )
    bound = [[value] for value in ("9", "w1", "x")[: 1 + (asked.body or "").count(":")]]
    return found.plan(5, SimpleNamespace(id=0), bound, dict(more)), found.planned


def test_what_writes_is_left_out_unless_it_is_allowed(openapi):
    plan, _ = planned(request("DELETE"))
    assert plan.left_out == visits.WRITES
    plan, how = planned(request("DELETE"), allow_writes=True)
    assert plan.statements[0].values[0].startswith(b"DELETE /v1/tasks/9 HTTP/1.1\r\n")
    assert how == {visits.AS_CAPTURED: 1}
    plan, _ = planned(request("POST"), allow_writes=True)
    assert plan.left_out == visits.NO_BODY
    plan, how = planned(request("POST"), allow_writes=True, openapi=openapi)
    head, _, body = plan.statements[0].values
    assert b"Content-Type: application/json\r\n" in head
    assert json.loads(body)["worker_id"] == "w7"
    assert how == {visits.MADE_BODY: 1}


def test_what_kind_of_answer_was_wanted_is_wanted_again():
    asked = replace(request("GET"), headers="Accept: text/html\nRange: bytes=0-9")
    head = planned(asked)[0].statements[0].values[0]
    assert head.endswith(b"\r\nAccept: text/html\r\nRange: bytes=0-9\r\n")


def test_routes_that_are_named_are_left_out():
    plan, how = planned(request("GET"), leave_out=frozenset({"r"}))
    assert (plan.left_out, how) == (LEFT_OUT_ASKED, {})


def test_all_that_writes_may_be_left_out_by_one_word():
    methods = ("GET", "HEAD", "POST", "DELETE", "OPTIONS")
    routes = [SimpleNamespace(id=method, method=method) for method in methods]
    assert set(visits._called(routes, ["writes"])) == {"POST", "DELETE", "OPTIONS"}


def test_only_get_and_head_are_sent_unless_more_is_allowed():
    for method in ("OPTIONS", "POST", "PUT", "PATCH", "DELETE", "TRACE"):
        assert planned(request(method))[0].left_out == visits.WRITES
    for method in ("GET", "HEAD"):
        assert planned(request(method))[0].statements[0].values[2] is None
    plan, _ = planned(request("OPTIONS"), allow_writes=True)
    assert plan.statements[0].values[0].startswith(b"OPTIONS /v1/tasks/9 HTTP/1.1\r\n")


def test_what_ran_at_once_in_a_recorded_session_is_on_other_connections():
    """The second connection of a session comes with its first request; its cookies are the session's."""
    recorded = {"session": "s", "connect_us": 0}
    first, _ = planned(request("GET"), more=recorded)
    second, _ = planned(request("GET"), more=recorded, lanes={0: 1})
    assert (first.session, first.connect_us) == ("s", 0)
    assert (second.session, second.connect_us) == ("s 1", 5)
    mixed, _ = planned(request("GET"), lanes={0: 1})
    assert mixed.session == ""
    assert first.statements[0].values[1] == second.statements[0].values[1] == b"s"


def test_fields_that_are_filled_when_they_are_sent_have_a_mark():
    asked = request("POST", body='{"worker":"token","csrf_token":"old"}')
    special = special_fields((), ())
    found, _ = planned(asked, allow_writes=True, special=special)
    assert json.loads(found.statements[0].values[2]) == {"worker": "w1", "csrf_token": CSRF_MARK}


@pytest.mark.parametrize(
    ("name", "means"),
    [
        ("ab", True),
        ("GET /tasks/{id}/log", True),
        ("/tasks/<int:task>/log", True),
        ("POST /tasks/{id}/log", False),
        ("/tasks/{id}", False),
    ],
)
def test_a_route_may_be_named_by_itself(name, means):
    route = Template(
        id="ab12",
        sql="GET /tasks/{int}/log",
        kind=REQUEST,
        tables=(),
        calls=1,
        errors=0,
        total_ms=1.0,
    )
    assert is_called(route, name) == means


def test_the_body_of_the_log_comes_first(openapi):
    asked = request("POST", body='{"worker":"token"}')
    plan, how = planned(asked, allow_writes=True, openapi=openapi)
    assert plan.statements[0].values[2] == b'{"worker":"w1"}'
    assert how == {visits.WITH_BODY: 1}
