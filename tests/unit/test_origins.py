"""Routes that statements name in their comments, in each of the styles that there are."""

import re

import pytest
from made_lines import csv_line

from replay import bundle
from replay.cli import status
from replay.sql.comment import route_of, shape_of, spelling

TRACE = "traceparent='00-5bd66ef5095369c7b0d1f8f4bd33716a-c532cb4098ac3dd2-01'"


@pytest.mark.parametrize(
    ("comment", "route"),
    [
        (f"/*route='%2Ftasks%2F%3Cint%3Atask%3E',{TRACE}*/", "/tasks/<int:task>"),
        (
            f"/*db_driver='psycopg2',framework='flask',route='/tasks/%%3Cid%%3E',{TRACE}*/",
            "/tasks/<id>",
        ),
        ("/*controller='tasks',framework='django%%3A3.2',route='%%5Etasks/%%24'*/", "^tasks/$"),
        ("/*application:Shop,controller:tasks,action:show*/", "tasks#show"),
        (f"/*action='show',{TRACE}*/", ""),
        ("/* route */ WHERE route='x'", ""),
        ("", ""),
    ],
)
def test_each_style_is_read(comment, route):
    assert route_of(f"SELECT * FROM tasks {comment}".encode()) == route


def test_a_template_knows_the_routes_that_ran_it(tmp_path, capsys):
    log, out = tmp_path / "a.csv", tmp_path / "w.workload"

    def ran(number: int, sql: str) -> bytes:
        said = f"duration: 0.100 ms  statement: {sql}"
        return csv_line(line_num=str(number), message=said)

    lines = [ran(n, f"SELECT 1 FROM t WHERE a = {n} /*route='%2Fa'*/") for n in range(30)]
    lines += [ran(n, f"SELECT 1 FROM t WHERE a = {n} /*route='%2Fb'*/") for n in range(30, 40)]
    lines += [ran(n, "SELECT 2 FROM u") for n in range(40, 50)]
    log.write_bytes(b"".join(lines))
    assert status(["capture", str(log), "-o", str(out)]) == 0
    first, second = bundle.read(out).templates
    assert dict(first.routes) == pytest.approx({"/a": 0.75, "/b": 0.25})
    assert second.routes == ()
    assert status(["inspect", str(out), "--template", first.id]) == 0
    assert re.search(r"routes +/a \(75.* %\), /b \(25.* %\)", capsys.readouterr().out)


@pytest.mark.parametrize(
    "route",
    [
        *("/tasks/<int:task>/log", "/tasks/{int}/log", "/tasks/:task/log", "/tasks/{id}/log/"),
        # Django's, of path() and of re_path(), and Rails'.
        *("tasks/<int:task>/log/", "^tasks/(?P<task>[0-9]+)/log/$", "^tasks/([^/]+)/log/?$"),
        "/tasks/:task/log(.:format)",
    ],
)
def test_a_route_is_the_same_however_its_values_are_written(route):
    assert shape_of(route) == "/tasks/{}/log"
    assert (
        spelling(["GET /tasks/{int}/log", "GET /tasks"])(route, "select") == "GET /tasks/{int}/log"
    )


def test_what_is_no_path_stays_as_it_is():
    shown = spelling(["GET /", "GET /tasks", "POST /tasks"])
    assert shown("tasks#show", "select") == "tasks#show"
    assert shown("^$", "select") == "GET /"
    assert shown("tasks/", "select") == "tasks/"  # one of two
    assert shown("tasks/", "insert") == "POST /tasks"
