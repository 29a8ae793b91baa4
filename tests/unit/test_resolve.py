"""Which column each slot meets, and by which columns a statement looks for rows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_sql import BROKEN

from data_gen.profile import ColumnProfile, SchemaObject, SchemaProfile, TableProfile
from replay.sql.resolve import predicates, resolve
from replay.sql.slots import extract


def table(name: str, columns: str, schema: str = "public") -> TableProfile:
    return TableProfile(
        schema=schema,
        name=name,
        rows=1000,
        pages=10,
        dead_rows=0,
        columns=tuple(
            ColumnProfile(name=column, type="bigint", base_type="int8", not_null=False)
            for column in columns.split()
        ),
    )


SCHEMA = SchemaProfile(
    server_version=180000,
    tables=(
        table("tasks", "id project_id state created_at payload tags worker_id"),
        table("projects", "id account_id name token"),
        table("accounts", "id plan email"),
        table("tasks", "id note", schema="archive"),
        table("Odd", "Key"),
    ),
    objects=(
        SchemaObject(
            kind="view",
            name="public.doing",
            definition="CREATE VIEW public.doing AS  SELECT t.id, p.name AS project, count(*) AS n"
            "\n   FROM (public.tasks t\n     JOIN public.projects p ON ((p.id = t.project_id)))"
            "\n  WHERE (t.state = 5) GROUP BY t.id, p.name",
        ),
        SchemaObject(
            kind="materialized view",
            name='archive."Done"',
            definition='CREATE MATERIALIZED VIEW archive."Done" AS  SELECT id AS "Key" FROM public.doing'
            "\n  WITH NO DATA",
        ),
    ),
    search_path=("public", "archive"),
)

SLOTS = [
    ("select * from tasks where id = $1", "tasks.id eq"),
    ("select * from tasks where $1 < id", "tasks.id gt"),
    ("select * from tasks t where t.id <> $1 and t.state >= $2", "tasks.id ne, tasks.state ge"),
    ("select * from archive.tasks where note = $1", "archive.tasks.note eq"),
    ("select * from archive.tasks where archive.tasks.note = $1", "archive.tasks.note eq"),
    ('select * from "Odd" where "Key" = $1', "Odd.Key eq"),
    (
        "select * from tasks t join projects p on p.id = t.project_id and p.name = $1 where token = $2",
        "projects.name eq, projects.token eq",
    ),
    ("select * from tasks where id in ($1, $2, null)", "tasks.id in, tasks.id in"),
    ("select * from tasks where id not in ($1)", "tasks.id ne"),
    ("select * from tasks where id = any($1)", "tasks.id any array"),
    ("select * from tasks where id = any($1::bigint[])", "tasks.id any array"),
    ("select * from tasks where id = any(array[$1, $2::int])", "tasks.id in, tasks.id in"),
    ("select * from tasks where id <> all($1)", "tasks.id ne array"),
    ("select * from tasks where $1 = any(tags)", "tasks.tags other"),
    ("select * from tasks where id between $1 and $2", "tasks.id between, tasks.id between"),
    ("select * from tasks where (id, state) > ($1, $2)", "tasks.id gt, tasks.state gt"),
    (
        "select * from tasks where (id, state) in (($1, $2), ($3, $4))",
        "tasks.id in, tasks.state in, tasks.id in, tasks.state in",
    ),
    ("select * from projects where name like $1 or token ilike $2", "projects.name like, projects.token like"),
    ("select * from projects where name ~ $1", "projects.name like"),
    ("select * from tasks where id is not distinct from $1", "tasks.id eq"),
    ("select * from tasks where id = $1::bigint::int", "tasks.id eq"),
    ("select * from accounts where lower(email) = lower($1)", "accounts.email eq"),
    ("select * from accounts where lower(email) = $1", "accounts.email eq"),
    ("select * from accounts where email = lower($1)", "accounts.email eq"),
    ("select * from tasks where created_at > now() - $1::interval", "tasks.created_at other"),
    ("select * from tasks where payload ->> $1 = $2", "tasks.payload other, tasks.payload other"),
    ("select * from tasks where payload @> $1", "tasks.payload other"),
    ("select * from tasks where ($1::int is null or id = $1)", "tasks.id eq"),
    ("select * from tasks where id = coalesce($1, $2)", "tasks.id eq, tasks.id eq"),
    ("select * from tasks order by id limit $1 offset $2 + 1", "limit, limit"),
    ("select $1, f($2)", "other, other"),
    ("select * from nowhere where id = $1", "other"),
    ("insert into tasks values ($1, $2, default)", "tasks.id insert, tasks.project_id insert"),
    (
        "insert into tasks (state, id) values ($1, $2), (upper($3), $4::int)",
        "tasks.state insert, tasks.id insert, tasks.state insert, tasks.id insert",
    ),
    (
        "insert into tasks (project_id, state) select id, $1 from projects where token = $2",
        "tasks.state insert, projects.token eq",
    ),
    (
        "insert into tasks (id) select * from unnest($1::bigint[])",
        "tasks.id insert array",
    ),
    (
        ("insert into projects (id, name) values ($1, $2) on conflict (id) do update "
        "set name = excluded.name || $3, token = $4 where projects.account_id = $5"),
        ("projects.id insert, projects.name insert, projects.name other, projects.token set, "
        "projects.account_id eq"),
    ),
    ("update tasks set state = $1, payload = coalesce($2, payload) where id = $3",
     "tasks.state set, tasks.payload set, tasks.id eq"),
    ("update tasks set (state, payload) = ($1, $2) where id = $3", "tasks.state set, tasks.payload set, tasks.id eq"),
    (
        "update tasks set (state, payload) = (select name, $1 from projects where id = $2)",
        "tasks.payload set, projects.id eq",
    ),
    ("update tasks set worker_id = worker_id + $1", "tasks.worker_id other"),
    (
        "update tasks t set state = $1 from projects p where p.id = t.project_id and p.name = $2",
        "tasks.state set, projects.name eq",
    ),
    (
        "update tasks set state = v.s from (values ($1, $2), ($3, $4)) as v (id, s) where tasks.id = v.id",
        "tasks.id eq, tasks.state set, tasks.id eq, tasks.state set",
    ),
    (
        "update tasks set state = v.s from unnest($1::int[], $2::text[]) as v (id, s) where v.id = tasks.id",
        "tasks.id eq array, tasks.state set array",
    ),
    ("delete from tasks t using projects p where p.id = t.project_id and token = $1", "projects.token eq"),
    ("delete from tasks where id in (select id from archive.tasks where note = $1)", "archive.tasks.note eq"),
    (
        "select * from tasks where exists (select 1 from projects where id = project_id and state = $1)",
        "tasks.state eq",
    ),
    (
        "select * from (select id as number, name from projects) s where s.number = $1 and name = $2",
        "projects.id eq, projects.name eq",
    ),
    (
        ("with mine as (select id, token as t from projects where account_id = $1) "
        "select * from tasks join mine on mine.id = project_id where mine.t = $2"),
        "projects.account_id eq, projects.token eq",
    ),
    ("with tasks as (select name from projects) select * from tasks where name = $1", "projects.name eq"),
    ("with tasks as (select 1 as id) select * from tasks where id = $1", "other"),
    (
        ("with x as (select 1) select * from tasks t, lateral (select * from projects p where "
        "p.id = t.project_id and p.name = $1) y where y.token = $2"),
        "projects.name eq, projects.token eq",
    ),
    (
        "with gone as (delete from tasks where id = $1 returning id, state) select * from gone where state = $2",
        "tasks.id eq, tasks.state eq",
    ),
    (
        ("with recursive up as (select id, account_id from projects where id = $1 union all "
        "select p.id, p.account_id from projects p join up on up.account_id = p.id) "
        "select * from up where account_id = $2"),
        "projects.id eq, projects.account_id eq",
    ),
    ("select id from tasks where id = $1 union select id from projects where id = $2",
     "tasks.id eq, projects.id eq"),
    ("select * from tasks where id = (select id from projects where token = $1) + $2",
     "projects.token eq, tasks.id other"),
    (
        "with x as (select id as n from tasks) select * from (select * from x) s where s.n = $1",
        "tasks.id eq",
    ),
    (
        ("with recursive up as (select account_id as a from projects union all select p.id "
        "from projects p join up on up.a = p.id where up.a <> $1) select 1 from up"),
        "projects.account_id ne",
    ),
    ("select case when state = $1 then 1 end from tasks", "tasks.state eq"),
    (
        ("merge into tasks t using projects p on p.id = t.project_id and p.name = $1 "
        "when matched then update set state = $2 when not matched then insert (id, state) values ($3, $4)"),
        "projects.name eq, tasks.state set, tasks.id insert, tasks.state insert",
    ),
    ("select * from tasks tablesample system ($1) where id = $2", "other, tasks.id eq"),
    ("insert into tasks (id) values ($1), (nullif($2, 0))", "tasks.id insert, tasks.id insert"),
    ("explain select * from tasks where id = $1", "tasks.id eq"),
    ("begin; update tasks set state = $1; commit", "tasks.state set"),
    ("select * from doing d where d.id = $1 and project = $2 and n > $3", "tasks.id eq, projects.name eq, other"),
    ('select * from "Done" where "Key" = $1', "tasks.id eq"),
    ("with doing as (select 1 as id) select * from doing where id = $1", "other"),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), SLOTS)
def test_slots(sql, expected):
    uses = resolve(sql, SCHEMA)
    assert [use.number for use in uses] == list(range(1, len(uses) + 1))
    told = []
    for use in uses:
        name = f"{use.table}.{use.column} ".removeprefix("public.") if use.table else ""
        told.append(f"{name}{use.role}{' array' if use.array else ''}")
    assert ", ".join(told) == expected


PREDICATES = [
    ("select name from tasks where worker_id = $1 and state = 'running'", "worker_id eq, state eq"),
    ("select * from tasks where id > $1 order by created_at desc, 1 limit 5", "id range, created_at sort"),
    ("select state as s from tasks order by s", "state sort"),
    (
        "select * from tasks t join projects p on p.id = t.project_id where p.token = $1",
        "projects.id join, project_id join, projects.token eq",
    ),
    ("select * from tasks join projects using (id)", "id join, projects.id join"),
    ("select * from tasks where id in (select id from projects)", "id join, projects.id join"),
    ("select * from tasks where id in ($1, $2) and state = any($3)", "id eq, state eq"),
    ("select * from tasks where id between $1 and $2 and worker_id <> $3", "id range, worker_id other"),
    ("select * from tasks where worker_id = $1 or state = $2", "worker_id other, state other"),
    ("select * from tasks where not (worker_id = $1)", "worker_id other"),
    ("select * from tasks where worker_id is null and tags", "worker_id eq, tags eq"),
    ("select * from tasks where tags or worker_id is null", "tags other, worker_id other"),
    ("select * from tasks where not tags and worker_id is not null", "tags eq, worker_id other"),
    ("select * from tasks t join projects p on t.id = p.id and p.token is true", "id join, projects.id join, projects.token eq"),
    ("select * from accounts where lower(email) = $1 and plan::text = $2", "accounts.email other, accounts.plan other"),
    ("select * from tasks where id = project_id", "id other, project_id other"),
    ("select id = $1 from tasks", ""),
    ("update tasks set state = $1 where worker_id = $2", "worker_id eq"),
    ("delete from tasks where created_at < now() - interval '1 day'", "created_at range"),
    (
        "select * from tasks t where exists (select 1 from projects p where p.id = t.project_id or p.name = $1)",
        "projects.id other, project_id other, projects.name other",
    ),
    ("select * from tasks where (worker_id = $1 or exists (select 1 from projects where name = $2))",
     "worker_id other, projects.name eq"),
    ("with x as (select * from tasks) select * from x where state = $1", "state eq"),
    ("select * from (values (1)) v (id) join tasks using (id) where v.id = $1", "id join"),
    ("select * from doing where project = $1", "projects.id join, project_id join, state eq, projects.name eq"),
    ("select from where", ""),
]  # fmt: skip


@pytest.mark.parametrize(("sql", "expected"), PREDICATES)
def test_predicates(sql, expected):
    uses = predicates(sql, SCHEMA)
    told = [f"{use.table.removeprefix('public.')}.{use.column} {use.role}" for use in uses]
    assert ", ".join(told).replace("tasks.", "") == expected


def test_literals_of_a_real_statement_meet_their_columns():
    slotted = extract(
        "SELECT /* app */ * FROM tasks WHERE id IN (1, -2) AND state='done'"
        " AND created_at>=TIMESTAMP '2020-01-01' AND worker_id=$1::varchar(9) LIMIT 5;"
    )
    assert [(u.column, u.role) for u in resolve(slotted.sql, SCHEMA)] == [
        ("worker_id", "eq"),
        ("id", "in"),
        ("id", "in"),
        ("state", "eq"),
        ("created_at", "ge"),
        ("", "limit"),
    ]


COLUMNS = {(one.qualified, column.name) for one in SCHEMA.tables for column in one.columns}


@given(BROKEN, st.sampled_from([sql for sql, _ in (*SLOTS, *PREDICATES)]), st.integers(0, 100))
def test_of_whatever_text_only_columns_of_the_schema_are_named(text, sql, place):
    broken = extract(sql[:place] + text + sql[place:]).sql
    uses, by = resolve(broken, SCHEMA), predicates(broken, SCHEMA)
    numbers = [use.number for use in uses]
    assert numbers == sorted(set(numbers))
    assert {(use.table, use.column) for use in uses} <= COLUMNS | {("", "")}
    assert {(use.table, use.column) for use in by} <= COLUMNS


def test_what_is_too_deep_to_be_read_stays_unresolved():
    deep = "select * from tasks where id = $1" + " + $1" * 3000
    assert resolve(deep, SCHEMA) == predicates(deep, SCHEMA) == ()
