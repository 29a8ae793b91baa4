"""What a recorded request asks for, on which connection, and when: columns, lanes, seconds."""

from dataclasses import replace

import pytest
from made_tables import column, schema, table

from replay.conduct import targets
from replay.conduct.columns import NOTHING, Columns
from replay.conduct.lanes import lanes
from replay.conduct.met import met
from replay.conduct.seconds import spread
from replay.requests import BY_TRACE, Link, Request
from replay.workload import Statement, Transaction

PROFILE = schema(
    table("users", 100, column("id"), column("email", "text"), keys=[("id",), ("email",)]),
    table(
        "tasks",
        1000,
        column("id"),
        column("user_id"),
        column("callback_id", "text"),
        column("state", "text"),
        column("at", "timestamptz"),
        keys=[("id",)],
        foreign=[("user_id", "users", "id")],
    ),
)
ROUTES = {"j": "/jobs/{int}", "u": "/users/{int}/jobs", "s": "/signup"}


def request(number, route, target, *, start_us=0, duration_us=10, session="s"):
    return Request(
        id=number,
        route=route,
        session=session,
        start_us=start_us,
        duration_us=duration_us,
        method="GET",
        target=target,
        status=200,
        size=0,
        agent="program",
        trace="",
        request_id="",
        weight=1.0,
    )


def transaction(number, *statements):
    return Transaction(
        id=number,
        session="x",
        start_us=number,
        weight=1.0,
        shape="",
        statements=tuple(
            Statement(
                template="t",
                sql=sql,
                slots="p" * len(values),
                values=values,
                prepared=None,
                offset_us=0,
                duration_us=1,
            )
            for sql, *values in ((one[0], *one[1:]) for one in statements)
            for values in (tuple(values),)
        ),
    )


def found(asked, ran, *, sure=1.0):
    """The statement by which each value is looked up: names -> text, of one route's requests."""
    links = [
        Link(request=one.id, transaction=other.id, how=BY_TRACE, sure=sure)
        for one, other in zip(asked, ran, strict=True)
    ]
    told = met(
        asked, links, ran, PROFILE, lambda one: targets.named_values(one.target, ROUTES[one.route])
    )
    return {(place[1], place[2]): text for place, text in told.items()}


def test_a_value_meets_the_column_that_the_statements_compare_it_with():
    """No table is called jobs, and no column `for`."""
    asked = [request(n, "j", f"/jobs/{70_000 + n}?for={n}&page=3") for n in (5, 6)]
    ran = [
        transaction(
            n,
            ("SELECT * FROM tasks WHERE id = $1 AND user_id = $2 LIMIT $3", f"{70_000 + n}", f"{n}", "3"),
        )
        for n in (5, 6)
    ]  # fmt: skip
    assert found(asked, ran) == {
        (("jobs",), 0): 'SELECT FROM "public"."tasks" WHERE "id" = $1',
        (("for",), 0): 'SELECT FROM "public"."tasks" WHERE "user_id" = $1',
    }
    assert found(asked, ran, sure=0.4) == {}


def test_one_small_number_may_stand_anywhere_by_chance():
    asked, ran = [request(1, "j", "/jobs/7")], [
        transaction(1, ("SELECT * FROM tasks WHERE user_id = $1", "7"))
    ]  # fmt: skip
    assert found(asked, ran) == {}
    asked = [request(1, "j", "/jobs/70000")]
    ran = [transaction(1, ("SELECT * FROM tasks WHERE user_id = $1", "70000"))]
    assert list(found(asked, ran)) == [(("jobs",), 0)]


def test_what_most_requests_do_not_show_is_not_believed():
    asked = [request(n, "j", f"/jobs/{70_000 + n}") for n in range(5)]
    other = [("SELECT * FROM tasks WHERE id = $1", "1")]
    same = [("SELECT * FROM tasks WHERE id = $1", "70000")]
    assert (
        found(asked, [transaction(0, *same), *(transaction(n, *other) for n in range(1, 5))]) == {}
    )


@pytest.mark.parametrize(
    ("statements", "text"),
    [
        (
            [("SELECT FROM users WHERE email = $1", "x@y"), ("INSERT INTO users (email) VALUES ($1)", "x@y")],
            'INSERT INTO "public"."users" ("email") VALUES ($1)',
        ),
        (
            [("SELECT FROM users WHERE lower(email) = $1", "x@y")],
            'SELECT FROM "public"."users" WHERE lower("email") = $1',
        ),
        ([("UPDATE users SET email = $1", "x@y")], 'UPDATE "public"."users" SET "email" = $1'),
        ([("UPDATE tasks SET state = $1", "x@y")], None),
        ([("SELECT FROM tasks WHERE at >= $1", "x@y")], 'SELECT FROM "public"."tasks" WHERE "at" >= $1'),
    ],
)  # fmt: skip
def test_a_value_is_bound_as_what_was_done_with_it(statements, text):
    """What is looked for and then made is new; what is written into any column stays as it came."""
    told = found([request(1, "s", "/signup?of=x%40y")], [transaction(1, *statements)])
    assert told.get((("of",), 0)) == text


def test_two_values_of_one_name_are_told_apart():
    asked = [request(n, "s", f"/signup?of={n + 70_000}&of={n + 80_000}") for n in range(3)]
    ran = [
        transaction(
            n,
            ("SELECT FROM tasks WHERE id = $1", f"{n + 80_000}"),
            ("SELECT FROM users WHERE id = $1", f"{n + 70_000}"),
        )
        for n in range(3)
    ]
    assert found(asked, ran) == {
        (("of",), 0): 'SELECT FROM "public"."users" WHERE "id" = $1',
        (("of",), 1): 'SELECT FROM "public"."tasks" WHERE "id" = $1',
    }


@pytest.mark.parametrize(
    ("name", "value", "column"),
    [
        ("tasks", "7", '"tasks" WHERE "id"'),
        ("user", "7", '"users" WHERE "id"'),
        ("callback", "cb-1", '"tasks" WHERE "callback_id"'),
        ("callbacks", "cb-1", '"tasks" WHERE "callback_id"'),
        ("callbacks", "7", ""),
        ("limit", "7", ""),
    ],
)
def test_names_tell_the_column_where_nothing_else_does(name, value, column):
    told = Columns(PROFILE).looking_up((name,), value)
    assert told == (f'SELECT FROM "public".{column} = $1' if column else NOTHING)


def test_what_ran_at_once_in_a_session_has_a_connection_each():
    asked = [
        request(0, "j", "/", start_us=0, duration_us=100_000),
        request(1, "j", "/", start_us=50_000, duration_us=100_000),  # beside it
        request(2, "j", "/", start_us=60_000, duration_us=-1, session="other"),
        request(3, "j", "/", start_us=99_000, duration_us=5_000),  # stamps are cut to milliseconds
        request(4, "j", "/", start_us=101_000, duration_us=5_000),  # both are busy
        request(5, "j", "/", start_us=400_000),
        request(
            6, "j", "/", start_us=500_000, duration_us=-1, session="other"
        ),  # as long as 2 may last
        request(7, "j", "/", start_us=600_000, duration_us=-1, session="other"),
    ]
    assert lanes(asked) == {0: 0, 1: 1, 2: 0, 3: 0, 4: 2, 5: 0, 6: 1, 7: 0}


@pytest.mark.parametrize("took_us", [-1, 30_000])
def test_what_is_stamped_in_whole_seconds_is_spread_over_them(took_us):
    """nginx writes a line when a request is over, and its begin is that less its duration."""
    seconds = [7] * 4 + [8] * 5 + [10]
    asked = [
        request(n, "j", "/", start_us=s * 1_000_000 - max(took_us, 0), duration_us=took_us)
        for n, s in enumerate(seconds)
    ]
    moved = [one.start_us + max(took_us, 0) for one in spread(asked)]
    assert moved == [
        *(7_000_000, 7_250_000, 7_500_000, 7_750_000),
        *(8_000_000, 8_200_000, 8_400_000, 8_600_000, 8_800_000, 10_000_000),
    ]
    finer = [replace(asked[0], start_us=7_000_001), *asked[1:]]
    assert spread(finer) == tuple(finer)
    assert spread(asked[:3]) == tuple(asked[:3])
