"""Locust's --tags choose transactions by what they do."""

import dataclasses

import pytest

from replay.conduct.tags import tagged
from replay.errors import InputError
from replay.requests import REQUEST
from replay.workload import Statement, Template, Transaction, Workload

SELECT, UPDATE, BEGIN, SET = (letter * 16 for letter in "abcd")


def template(name: str, kind: str, *tables: str, rare: bool = False) -> Template:
    return Template(
        id=name, sql="", kind=kind, tables=tables, calls=1, errors=0, total_ms=0.0, rare=rare
    )


def transaction(number: int, *templates: str, sql: str = "") -> Transaction:
    return Transaction(
        id=number,
        session="",
        start_us=number,
        weight=1.0,
        shape="",
        statements=tuple(
            Statement(
                template=name,
                sql=sql,
                slots="",
                values=(),
                prepared=None,
                offset_us=0,
                duration_us=0,
            )
            for name in templates
        ),
    )


WORKLOAD = Workload(
    manifest=None,  # type: ignore[arg-type]
    templates=(
        template(SELECT, "select", "public.tasks"),
        template(UPDATE, "update", "queue", rare=True),
        template(BEGIN, "begin"),
    ),
    transactions=(transaction(0, SELECT), transaction(1, BEGIN, UPDATE), transaction(2, BEGIN)),
)


@pytest.mark.parametrize(
    ("tags", "excluded", "left"),
    [
        ((), (), [0, 1, 2]),
        (("select",), (), [0]),
        (("tasks",), (), [0]),
        (("public.tasks", "queue"), (), [0, 1]),
        (("rare",), (), [1]),
        ((UPDATE,), (), [1]),
        ((), ("update",), [0, 2]),
        (("begin",), ("rare",), [2]),
    ],
)
def test_tags_choose_whole_transactions(
    tags: tuple[str, ...], excluded: tuple[str, ...], left: list[int]
) -> None:
    assert [t.id for t in tagged(WORKLOAD, tags, excluded).transactions] == left


@pytest.mark.parametrize(
    ("tags", "excluded", "left"),
    [
        (("get",), (), [0]),
        ((), ("POST /tasks/{int}",), [0]),
        (("/tasks/{int}",), ("post",), [0]),
        (("rare",), (), [1]),
    ],
)
def test_tags_choose_requests_by_method_and_route(
    tags: tuple[str, ...], excluded: tuple[str, ...], left: list[int]
) -> None:
    asked = Workload(
        manifest=None,  # type: ignore[arg-type]
        templates=tuple(
            dataclasses.replace(template(name, REQUEST, rare=rare), sql=sql)
            for name, sql, rare in (
                (SELECT, "GET /tasks/{int}", False),
                (UPDATE, "POST /tasks/{int}", True),
            )
        ),
        transactions=(transaction(0, SELECT), transaction(1, UPDATE)),
    )
    assert [t.id for t in tagged(asked, tags, excluded).transactions] == left


def test_tags_that_leave_nothing_name_those_that_there_are() -> None:
    with pytest.raises(
        InputError, match=r"begin, public\.tasks, queue, rare, select, tasks, update"
    ):
        tagged(WORKLOAD, ("insert",), ())


def test_what_sessions_set_is_in_force_for_those_that_are_left():
    sets = template(SET, "set")
    first, *others = WORKLOAD.transactions
    source = dataclasses.replace(
        WORKLOAD,
        templates=(*WORKLOAD.templates, sets),
        transactions=(transaction(3, SET, sql="SET search_path = x"), first, *others),
    )
    assert [one.id for one in tagged(source, ("update",), ()).transactions] == [3, 1]
    assert [one.id for one in tagged(source, (), ("update", "set")).transactions] == [0, 2]
    with pytest.raises(InputError, match="no transaction is left"):
        tagged(source, ("insert",), ())
