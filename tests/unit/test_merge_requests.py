"""Workloads with requests merged are the capture of all their logs: routes, requests, links."""

import json
from dataclasses import replace

import pytest
from made_requests import service

from replay import bundle
from replay.capture.requests.merge import merge_requests
from replay.cli import status
from replay.errors import InputError

HOSTS = range(2)


@pytest.fixture(scope="module")
def workloads(tmp_path_factory):
    """One workload of each host, and one of both."""
    directory = tmp_path_factory.mktemp("hosts")
    outs = [directory / f"{host}.workload" for host in HOSTS]
    for host in HOSTS:
        made = service(400 + 500 * host, per_s=20, told="trace", seed=host, host=host)
        (directory / f"{host}.csv").write_bytes(made.sql())
        (directory / f"{host}.json").write_text("".join(f"{one}\n" for one in made.requests))
    for hosts, out in [
        *(([host], outs[host]) for host in HOSTS),
        (HOSTS, directory / "both.workload"),
    ]:
        logs = [str(directory / f"{host}.csv") for host in hosts]
        requests = [part for host in hosts for part in ("--http", str(directory / f"{host}.json"))]
        options = ["--per-stratum", "16", "--key-file", str(directory / "key"), "-o", str(out)]
        assert status(["capture", *logs, *requests, *options]) == 0
    return outs, directory / "both.workload"


def pairs(workload, requests) -> set:
    """Links by what they link, whatever numbers it has."""
    target = {one.id: (one.start_us, one.target) for one in requests.kept}
    unit = {one.id: (one.start_us, one.session) for one in workload.transactions}
    return {
        (target[link.request], unit[link.transaction], link.how, link.sure)
        for link in requests.links
    }


@pytest.mark.parametrize("turned", [False, True])
def test_a_merge_is_the_capture_of_all_logs(workloads, tmp_path, turned, capsys):
    parts, both = workloads
    out = tmp_path / "merged.workload"
    order = map(str, reversed(parts) if turned else parts)
    assert status(["merge", *order, "-o", str(out)]) == 0
    assert "GET  /tasks/{int}" in capsys.readouterr().out
    merged, whole = bundle.read_requests(out), bundle.read_requests(both)
    assert merged.routes == whole.routes
    assert [replace(one, weight=0) for one in merged.kept] == [
        replace(one, weight=0) for one in whole.kept
    ]
    for one, same in zip(merged.kept, whole.kept, strict=True):
        assert one.weight == pytest.approx(same.weight)
    assert sorted(merged.places, key=repr) == sorted(whole.places, key=repr)
    assert len(merged.links) > 100
    assert pairs(bundle.read(out), merged) == pairs(bundle.read(both), whole)
    for one, same in zip(merged.ran, whole.ran, strict=True):
        assert (one.route, one.template, one.how, one.sure) == (
            *(same.route, same.template, same.how, same.sure),
        )
        assert one.calls == pytest.approx(same.calls)
        assert one.requests == same.requests
    log = replace(whole.log, notes=merged.log.notes, sessions=merged.log.sessions)
    log = replace(log, peak_concurrency=merged.log.peak_concurrency, inputs=merged.log.inputs)
    assert merged.log == log
    assert any("requests were merged" in note for note in merged.log.notes)


def test_requests_that_are_in_two_workloads_are_refused(workloads):
    requests = bundle.read_requests(workloads[0][0])
    with pytest.raises(InputError, match="b: holds requests that a holds too"):
        merge_requests({"a": requests, "b": requests}, per_stratum=16)
    assert merge_requests({"a": None}, per_stratum=16) is None
    one = merge_requests({"a": requests, "b": None}, per_stratum=16)
    assert one.routes == requests.routes
    assert [kept.weight for kept in one.kept] == pytest.approx([k.weight for k in requests.kept])
    assert "b holds no requests" in one.log.notes


def test_workloads_of_requests_alone_are_merged(tmp_path, capsys):
    outs = []
    for host in HOSTS:
        made = service(50, per_s=20, seed=host)
        log, out = tmp_path / f"{host}.json", tmp_path / f"{host}.workload"
        log.write_text("".join(f"{one}\n" for one in made.requests))
        key = ["--key-file", str(tmp_path / "key")]
        assert status(["capture", "--http", str(log), *key, "-o", str(out)]) == 0
        outs.append(str(out))
    capsys.readouterr()
    assert status(["merge", *outs, "--json", "-o", str(tmp_path / "all.workload")]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["requests"]["requests"] == 100
    assert sum(route["calls"] for route in document["routes"]) == 100
