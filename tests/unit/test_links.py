"""Requests are linked with the transactions that they ran, each link with how it is known and how sure."""

import json
import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_requests import service

from replay import bundle, replayed
from replay.capture import blocks
from replay.capture.formats.texts import Texts
from replay.capture.links import flights, ids
from replay.capture.links.timed import by_time
from replay.capture.requests.stage import read_requests
from replay.capture.store import Store
from replay.cli import status


def captured(tmp_path, made, *options: str):
    log, requests = tmp_path / "a.csv", tmp_path / "b.json"
    out = tmp_path / f"w{len(list(tmp_path.iterdir()))}.workload"
    log.write_bytes(made.sql())
    requests.write_text("".join(f"{line}\n" for line in made.requests))
    arguments = ["--http", str(requests), "--key-file", str(tmp_path / "key"), *options]
    assert status(["capture", str(log), *arguments, "-o", str(out)]) == 0
    return out


def beginning(sql: str) -> str:
    return (
        sql.split("?", maxsplit=1)[0].rstrip("( ")
        if "values" in sql
        else sql.split("?", maxsplit=1)[0]
    )


def ran(out) -> dict:
    """By method, path and statement's beginning what is told of it."""
    workload, requests = bundle.read(out), bundle.read_requests(out)
    routes = {r.id: (r.method, r.route.replace("{int}", "{}")) for r in requests.routes}
    sql = {template.id: beginning(template.sql) for template in workload.templates}
    return {(*routes[one.route], sql[one.template]): one for one in requests.ran}


def truth(made) -> Counter:
    return Counter(
        {
            (*key[:2], key[2].rstrip("( ") if "values" in key[2] else key[2]): n
            for key, n in made.ran.items()
        }
    )


@pytest.mark.parametrize(
    ("told", "how", "sure"),
    [("trace", "trace", 1.0), ("id", "request id", 0.95), ("name", "request id", 0.95)],
)
def test_ids_tell_exactly_what_each_route_runs(tmp_path, told, how, sure):
    made = service(1500, per_s=400, told=told)
    out = captured(tmp_path, made)
    found = ran(out)
    assert {key: one.calls for key, one in found.items()} == truth(made)
    assert {(one.how, one.sure) for one in found.values()} == {(how, sure)}
    workload, requests = bundle.read(out), bundle.read_requests(out)
    assert {(link.how, link.sure) for link in requests.links} == {(how, sure)}
    # Whatever a kept request ran is kept too, and is its own.
    runs = Counter(link.request for link in requests.links)
    routes = {route.id: route.route for route in requests.routes}
    for request in requests.kept:
        assert runs[request.id] == 1 + routes[request.route].endswith("all")
    weights = Counter()
    for transaction in workload.transactions:
        for statement in transaction.statements:
            weights[statement.template] += transaction.weight
    for template in workload.templates:
        assert weights[template.id] == pytest.approx(template.calls, rel=0.01)
    (job,) = (template for template in workload.templates if "queue" in template.sql)
    assert job.routes == ()


def test_time_tells_what_mostly_runs_while_a_route_is_in_flight(tmp_path):
    made = service(1500, per_s=100)
    found = ran(captured(tmp_path, made))
    expected = truth(made)
    for key, calls in expected.items():
        assert found[key].how == "time"
        assert found[key].calls == pytest.approx(calls, rel=0.15)
        assert 0.5 < found[key].sure < 1
    wrong = {key: one.calls for key, one in found.items() if key not in expected}
    assert sum(wrong.values()) < 0.05 * sum(expected.values())


def test_a_comment_that_names_a_route_limits_who_it_was(tmp_path):
    made = service(1000, per_s=200, told="route")
    out = captured(tmp_path, made)
    found = ran(out)
    for key, calls in truth(made).items():
        assert found[key].how == "comment"
        assert found[key].calls == pytest.approx(calls, rel=0.1)
    (insert,) = (t for t in bundle.read(out).templates if "insert" in t.sql)
    assert (insert.routes, insert.routes_by) == ((("tasks/", 1.0),), "comment")
    seen = replayed.read(out, service=False).templates
    (insert,) = (t for t in seen if "insert" in t.sql)
    assert insert.routes == (("POST /tasks", 1.0),)


def files(out) -> dict[str, bytes]:
    names = (bundle.LINKS, bundle.RAN, bundle.TRANSACTIONS, bundle.TEMPLATES, bundle.PLACES)
    return {name: (out / name).read_bytes() for name in names}


@pytest.mark.parametrize("told", ["trace", ""])
def test_links_are_the_same_however_the_logs_are_cut(tmp_path, monkeypatch, told):
    made = service(600, per_s=200, told=told)
    whole = files(captured(tmp_path, made))
    monkeypatch.setattr(blocks, "_BLOCK", 30_000)
    assert files(captured(tmp_path, made, "--jobs", "2")) == whole


def test_memory_is_bounded_and_every_kept_request_is_linked(tmp_path, monkeypatch):
    made = service(3000, per_s=10, told="trace")
    monkeypatch.setattr(flights, "AT_MOST", 1500)
    monkeypatch.setattr(blocks, "_BLOCK", 60_000)
    out = captured(tmp_path, made, "--per-stratum", "8")
    found = ran(out)
    for key, calls in truth(made).items():
        if calls > 200:
            assert 0.1 * calls < found[key].requests < 0.7 * calls
            assert found[key].calls == pytest.approx(calls, rel=0.05)
    requests = bundle.read_requests(out)
    assert {link.request for link in requests.links} == {one.id for one in requests.kept}


def test_where_nothing_is_kept_nothing_is_linked(tmp_path):
    (tmp_path / "a.json").write_text("\n".join(service(20, per_s=100).requests))
    linker = read_requests([tmp_path / "a.json"]).linker()
    nothing = np.empty(0, np.int64)
    found = by_time(linker, Store(), nothing, np.empty(0), np.empty(0, np.bool_))
    assert (found.found, found.counts) == ([], {})
    assert found.requests.sum() == 20


def test_inspect_shows_what_each_route_runs(tmp_path, capsys):
    out = captured(tmp_path, service(300, per_s=100, told="trace"))
    capsys.readouterr()
    assert status(["inspect", str(out), "--routes"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"insert into t\S* .* +1 +100.0 % +trace +100%", shown)
    assert "linked with statements: 8 by trace" in shown
    assert status(["inspect", str(out), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    (route,) = (route for route in document["routes"] if route["method"] == "POST")
    (insert,) = (t for t in document["templates"] if "insert" in t["sql"])
    (run,) = (run for run in route["runs"] if run["template"] == insert["id"])
    assert (run["per_request"], run["share"], run["how"], run["sure"]) == (1, 1, "trace", 1)
    assert insert["routes"] == {"POST /tasks": 1.0}
    assert insert["routes_by"] == "trace"
    assert document["requests"]["links"]["trace"] > 100
    assert status(["inspect", str(out), "--template", insert["id"]]) == 0
    assert re.search(r"routes +POST /tasks \(100.0 %\); known by trace\n", capsys.readouterr().out)


TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
UUID = "6ba7b810-9dad-11d1-80b4-00c04fd430c8"


def hashed(*texts: str) -> list[int]:
    return ids.hashes(Texts.holding([text.encode() for text in texts])).tolist()


@pytest.mark.parametrize(
    ("header", "record"),
    [
        (f"00-{TRACE}-00f067aa0ba902b7-01", f"/*traceparent='00-{TRACE}-1234567812345678-00'*/"),
        (TRACE, f"SELECT 1 /* trace_id:{TRACE.upper()} */"),
        (f"Root=1-{TRACE[:8]}-{TRACE[8:]};Sampled=1", f"traceparent='00-{TRACE}-{'0' * 16}-01'"),
        (UUID, f"app=web,application_name=api-{UUID},"),
        (UUID, UUID.replace("-", "")),
        ("req_8dK3jv92mQz1", '"application_name":"8dK3jv92mQz1"'),
    ],
)
def test_an_id_is_found_wherever_it_stands(header, record):
    wanted = ids.Wanted(np.array(hashed(header), np.uint64), np.array([7]))
    texts = np.frombuffer(f"other text {record} behind".encode(), np.uint8)
    assert wanted.first(texts, np.array([0, 5, texts.size])).tolist() == [-1, 7]


def test_what_is_no_id_is_none():
    assert hashed("", "-", "web", "1234567", "a-long-name-of-no-digit", "12345678901") == [0] * 6


@settings(max_examples=100, deadline=None)
@given(st.lists(st.text("0123456789abcdef", min_size=16, max_size=32), min_size=1, unique=True))
def test_ids_are_told_apart(found):
    known = [one for one in found if any(c.isdigit() for c in one)]
    hashes = np.array(hashed(*known), np.uint64)
    wanted = ids.Wanted(hashes, np.arange(len(known)))
    pieces = [f"/*{one}*/".encode() for one in known]
    places = np.cumsum([0, *map(len, pieces)])
    data = np.frombuffer(b"".join(pieces) or b"", np.uint8)
    assert wanted.first(data, places).tolist() == list(range(len(known)))
