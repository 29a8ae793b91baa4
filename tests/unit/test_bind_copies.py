"""Captured values bound to generated keys and values: as hot, as spread, never colliding."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest
from made_manifest import manifest_of

from data_gen.keys import key_domains
from data_gen.profile import (
    ColumnProfile,
    Constraint,
    ForeignKey,
    IndexProfile,
    SchemaProfile,
    TableProfile,
)
from data_gen.rows import column_values
from replay.bind import Binder
from replay.sql.slots import extract
from replay.target import Generated
from replay.workload import Statement, Transaction, Workload

BEGIN = datetime(2026, 3, 2, tzinfo=UTC)
TAKEN = datetime(2026, 3, 1, tzinfo=UTC)
GENERATED = Generated(workload_id="w", seed=7, scale=1.0, base_time=TAKEN + timedelta(days=30))
PROJECTS, TASKS = 2000, 50_000


def column(name: str, base_type: str = "int8", **figures) -> ColumnProfile:
    spelled = {"int8": "bigint", "timestamptz": "timestamp with time zone"}.get(
        base_type, base_type
    )
    figures = {"type": spelled, "not_null": True, "analyzed": True, **figures}
    return ColumnProfile(name=name, base_type=base_type, **figures)


def bounds(rows: int) -> tuple[str, ...]:
    return tuple(str(1 + number * (rows - 1) // 100) for number in range(101))


def table(name: str, rows: int, *columns: ColumnProfile, unique=(), keys=(), indexes=()):
    return TableProfile(
        schema="public",
        name=name,
        rows=rows,
        pages=rows // 50,
        dead_rows=0,
        columns=columns,
        constraints=(
            Constraint(name=f"{name}_p", kind="p", columns=("id",), definition="PRIMARY KEY (id)"),
            *(
                Constraint(
                    name=f"{name}_{'_'.join(names)}",
                    kind="u",
                    columns=names,
                    definition=f"UNIQUE ({', '.join(names)})",
                )
                for names in unique
            ),
        ),
        foreign_keys=tuple(
            ForeignKey(
                name=f"{name}_{child}",
                columns=(child,),
                parent=parent,
                parent_columns=("id",),
                definition=f"FOREIGN KEY ({child}) REFERENCES {parent}(id)",
            )
            for child, parent in keys
        ),
        indexes=indexes,
    )


PROFILE = SchemaProfile(
    server_version=180000,
    taken_at_us=round(TAKEN.timestamp() * 1e6),
    tables=(
        table(
            "projects",
            PROJECTS,
            column("id", histogram=bounds(PROJECTS)),
            column("name", "text"),
            column("email", "text"),
            unique=(("name",),),
            indexes=(
                IndexProfile(
                    name="projects_email",
                    definition="CREATE UNIQUE INDEX projects_email ON public.projects (lower(email))",
                    columns=("",),
                    unique=True,
                    valid=True,
                    bytes=1,
                ),
            ),
        ),
        table(
            "tasks",
            TASKS,
            column("id", histogram=bounds(TASKS)),
            column(
                "project_id",
                n_distinct=PROJECTS,
                common_values=("77",),
                common_fractions=(0.2,),
                histogram=bounds(PROJECTS),
            ),
            column(
                "worker",
                "text",
                n_distinct=9000,
                common_values=("w-hot", "w-warm"),
                common_fractions=(0.6, 0.2),
            ),
            column("state", "task_state", n_distinct=2, common_values=("a", "b"), common_fractions=(0.5, 0.5), enum_labels=("a", "b")),
            column("at", "timestamptz", common_values=("2026-02-01 00:00:00+00",), common_fractions=(0.1,), n_distinct=100),
            column("code", "varchar", type="character varying(6)"),
            unique=(("project_id", "state", "at"), ("code",)),
            keys=(("project_id", "public.projects"),),
        ),
        table(
            "notes",
            1000,
            column("id", default="nextval('notes_id_seq'::regclass)", histogram=bounds(1000)),
            column("project_id", n_distinct=500, histogram=bounds(PROJECTS)),
            column("line", "int2", n_distinct=9, common_values=("1",), common_fractions=(0.5,)),
            column("place", "int2", n_distinct=9),
            column("task_id", n_distinct=500, histogram=bounds(TASKS)),
            column("author", n_distinct=-0.5, common_values=("7",), common_fractions=(0.2,), histogram=("1", "900000000")),
            column("price", "numeric", type="numeric(9,2)", n_distinct=-0.9, common_values=("5.00",), common_fractions=(0.1,), histogram=("1.00", "900000.00")),
            column("day", "date", n_distinct=-0.3, histogram=("1950-01-01", "2026-02-28")),
            unique=(("project_id", "line"), ("project_id", "task_id"), ("id", "place")),
            keys=(("project_id", "public.projects"), ("task_id", "public.tasks")),
        ),
    ),
)  # fmt: skip


def unit(number: int, *statements: tuple[str, tuple[str | None, ...]], weight: float = 1.0):
    made = []
    for sql, values in statements:
        slotted = extract(sql)
        made.append(
            Statement(
                template=f"{hash(slotted.sql) & (1 << 64) - 1:016x}",
                sql=slotted.sql,
                slots=slotted.slots,
                values=values + slotted.literals,
                prepared="",
                offset_us=0,
                duration_us=1,
            )
        )
    return Transaction(
        id=number, session="s", start_us=0, weight=weight, shape="", statements=tuple(made)
    )


def workload(*units: Transaction) -> Workload:
    manifest = manifest_of(BEGIN, transactions=len(units))
    return Workload(manifest=manifest, templates=(), transactions=units)


def binder(*units: Transaction, profile: SchemaProfile = PROFILE, scale: float = 1.0) -> Binder:
    return Binder(workload(*units), profile, replace(GENERATED, scale=scale), identity=False)


def copies(bound: Binder, transaction: Transaction, number: int = 200):
    rng = np.random.default_rng(1)
    return [bound.bind(transaction, rng) for _ in range(number)]


def test_hot_keys_stay_and_cold_ones_are_drawn_anew_in_their_span():
    by_id = "select * from tasks where id = $1"
    units = [unit(n, (by_id, (str(20_000 + n * 100),))) for n in range(50)]
    units += [unit(50 + n, (by_id, ("777",))) for n in range(10)]
    bound = binder(*units)
    ((_, hot),) = Counter(values[0][0] for values in copies(bound, units[-1])).most_common(1)
    assert hot >= 170
    cold = [int(values[0][0]) for values in copies(bound, units[3])]
    assert len(set(cold)) > 150
    assert 19_500 < min(cold) < 21_000
    assert 24_000 < max(cold) < 25_500


def test_common_values_of_a_foreign_key_are_hot_though_seen_once():
    one = unit(0, ("update projects set name = 'x' where id = $1", ("77",)))
    assert {values[0][0] for values in copies(binder(one), one)} == {"77"}


def test_keys_younger_than_the_statistics_are_spread_as_wide_as_they_were_many():
    by_id = "update tasks set worker = null where id = $1"
    units = [unit(n, (by_id, (str(10**9 + n),)), weight=20.0) for n in range(50)]
    drawn = [int(values[0][0]) for values in copies(binder(*units), units[0])]
    assert len(set(drawn)) > 150
    assert min(drawn) >= TASKS - 1100


def test_equal_keys_of_a_domain_stay_equal_inside_a_copy_also_in_lists():
    one = unit(
        0,
        ("select * from projects where id = any($1)", ("{5,NULL,6}",)),
        ("select * from tasks where project_id = $1 and id <> 9", ("5",)),
        ("select * from projects where id in ($1, 6)", ("5",)),
    )
    for values in copies(binder(one), one, 50):
        first, second = (values[0][0].strip("{}").split(",")[at] for at in (0, 2))
        assert values[0][0] == "{" + first + ",NULL," + second + "}"
        assert values[1][0] == first
        assert values[2] == (first, second)


def test_ranges_of_keys_keep_their_order_and_width():
    one = unit(0, ("select * from tasks where id between $1 and $2", ("1000", "1500")))
    widths = {int(b) - int(a) for ((a, b),) in copies(binder(one), one)}
    starts = {a for ((a, _),) in copies(binder(one), one)}
    assert len(starts) > 100
    assert max(widths) in range(495, 506)
    assert sum(width in range(495, 506) for width in widths) >= len(widths) * 0.5
    assert min(widths) >= 0


def test_hot_keys_have_rows_of_their_own_where_the_data_is_scaled_down():
    by_id = "select * from tasks where id = $1"
    units = [unit(n, (by_id, (str(1000 + n // 2),))) for n in range(40)]
    bound = binder(*units, scale=0.01)
    assert len({copies(bound, one, 1)[0][0][0] for one in units}) == 20


def test_inserted_keys_are_fresh_and_who_reads_them_reads_the_same():
    one = unit(
        0,
        ("select * from projects where name = $1", ("ann",)),
        ("insert into projects (id, name) values ($1, $2)", ("900", "ann")),
        ("insert into tasks (id, project_id, code) values ($1, $2, 'ABCD')", ("5", "900")),
    )
    bound = binder(one)
    seen = copies(bound, one, 500)
    for read, project, task in seen:
        assert read[0] == project[1]
        assert task[1] == project[0]
        assert int(project[0]) > PROJECTS
        assert len(task[2]) <= 6
    for values in (
        [p[0] for _, p, _ in seen],
        [p[1] for _, p, _ in seen],
        [t[2] for *_, t in seen],
    ):
        assert len(set(values)) == 500
    domain = key_domains(PROFILE, 1.0, 7, GENERATED.base_time)["public.projects", "id"]
    assert not {p[0] for _, p, _ in seen} & {domain.at(n) for n in range(domain.size)}


def test_an_insert_that_met_a_row_meets_one_again():
    one = unit(0, ("insert into projects (id, name) values ($1, $2)", ("90", "ann")))
    failed = replace(one, statements=(replace(one.statements[0], error="23505"),))
    domain = key_domains(PROFILE, 1.0, 7, GENERATED.base_time)["public.projects", "id"]
    there = {domain.at(n) for n in range(domain.size)}
    assert {values[0][0] for values in copies(binder(failed), failed)} <= there


def test_what_an_expression_makes_unique_is_fresh_too():
    one = unit(0, ("update projects set email = $1 where id = 3", ("a.b@shop.test",)))
    emails = {values[0][0] for values in copies(binder(one), one)}
    assert len(emails) == 200
    assert all(email.endswith("@shop.test") for email in emails)


def test_only_what_can_be_fresh_is_and_all_of_it_is_of_its_type():
    one = unit(
        0,
        (
            "insert into tasks (project_id, state, at) values ($1, $2, $3)",
            ("5", "a", "2026-02-28 10:00:00+00"),
        ),
    )
    at = set()
    for ((_, state, moment),) in copies(binder(one), one):
        assert state == "a"
        at.add(datetime.fromisoformat(moment))
    assert len(at) == 200
    begin = datetime(2026, 3, 30, 10, tzinfo=UTC)
    assert all(begin <= moment < begin + timedelta(seconds=2) for moment in at)


def test_one_column_of_an_inserted_key_is_fresh_and_who_reads_it_meets_the_row():
    one = unit(
        0,
        (
            "insert into notes (project_id, line, place, task_id) values ($1, $2, 3, $3), ($1, $4, 3, $5)",
            ("5", "1", "20", "2", "21"),
        ),
        ("update notes set place = 4 where project_id = $1 and line = $2", ("5", "1")),
    )
    lines = []
    for added, changed in copies(binder(one), one):
        project, first, task, second, _, *places = added
        assert 1 <= int(project) <= PROJECTS
        assert 1 <= int(task) <= TASKS
        assert places == ["3", "3"]  # a sequence makes the rest of its key
        assert changed == (project, first, "4")
        lines += [int(first), int(second)]
    assert len(set(lines)) == 400
    assert 20_000 <= min(lines) <= max(lines) <= 32_767


def test_a_small_number_is_fresh_only_where_an_inserted_row_would_collide():
    update = unit(0, ("update notes set line = $1 where id = 3", ("1",)))
    assert {values[0][0] for values in copies(binder(update), update)} == {"1"}
    upsert = (
        "insert into notes (project_id, line) values (5, $1) on conflict (project_id, line) do "
    )
    one = unit(0, (upsert + "update set place = 2", ("1",)))
    assert {values[0][0] for values in copies(binder(one), one)} == {"1"}


def test_an_upsert_meets_rows_that_are_there():
    sql = "insert into projects (id, name) values ($1, 'n') on conflict (id) do "
    update = unit(0, (sql + "update set name = 'm'", ("5",)))
    assert all(int(v[0][0]) <= PROJECTS for v in copies(binder(update), update))
    nothing = unit(0, (sql + "nothing", ("5",)))
    assert all(int(v[0][0]) > PROJECTS for v in copies(binder(nothing), nothing))


def test_text_looks_for_values_that_the_generated_column_holds():
    looked = unit(0, ("delete from tasks where worker = $1", ("w-zzz",)))
    common = unit(1, ("delete from tasks where worker = $1", ("w-hot",)))
    written = unit(2, ("update tasks set worker = $1", ("w-new",)))
    bound = binder(looked, common, written)
    rows = np.arange(TASKS)
    held = column_values(
        PROFILE, "public.tasks", "worker", rows, scale=1.0, seed=7, base_time=GENERATED.base_time
    )
    found = {values[0][0] for values in copies(bound, looked)}
    assert len(found) > 50
    assert found <= set(held) - {"w-hot", "w-warm"}
    assert {values[0][0] for values in copies(bound, common)} == {"w-hot"}
    assert {values[0][0] for values in copies(bound, written)} == {"w-new"}


@pytest.mark.parametrize(
    ("name", "token"), [("author", "123"), ("price", "4.99"), ("day", "1971-03-04")]
)
def test_numbers_and_days_too_are_looked_for_where_the_column_holds_them(name, token):
    cold = unit(0, (f"select * from notes where {name} = $1 or {name} in ($2)", (token, token)))
    many = unit(1, (f"select * from notes where {name} = any($1)", ("{" + token + ",NULL}",)))
    held = column_values(
        PROFILE, "public.notes", name, np.arange(1000), scale=1.0, seed=7, base_time=GENERATED.base_time
    )  # fmt: skip
    found = copies(binder(cold), cold)
    assert {first for ((first, _),) in found} <= set(held)
    assert all(first == second for ((first, second),) in found)
    assert len(set(found)) > 50
    hot = copies(binder(cold, many), many)
    assert len(set(hot)) == 1
    assert hot[0][0][0].strip("{}").split(",")[0] in held


def test_a_common_number_and_one_that_is_written_or_bounds_a_range_stay():
    for sql in ("select * from notes where author = $1", "delete from notes where author > $1"):
        one = unit(0, (sql, ("7",)))
        assert {values[0][0] for values in copies(binder(one), one)} == {"7"}
    priced = unit(0, ("select * from notes where price = $1", ("5",)))
    assert {values[0][0] for values in copies(binder(priced), priced)} == {"5"}
    for sql in ("update notes set author = $1", "select * from notes where author >= $1"):
        one = unit(0, (sql, ("123",)))
        assert {values[0][0] for values in copies(binder(one), one)} == {"123"}


def test_a_day_that_the_data_holds_stays_as_long_ago_as_it_was():
    held = column_values(
        PROFILE, "public.notes", "day", np.arange(9), scale=1.0, seed=7, base_time=GENERATED.base_time
    )  # fmt: skip
    assert held[3] is not None
    day = date.fromisoformat(held[3]) - timedelta(days=30)
    one = unit(0, ("select * from notes where day = $1", (day.isoformat(),)))
    assert {values[0][0] for values in copies(binder(one), one)} == {held[3]}


@pytest.mark.parametrize(
    ("sql", "token", "bound_to"),
    [
        ("select * from tasks where at > $1", "2026-02-01 00:00:00+00", "2026-03-03 00:00:00+00:00"),
        ("select * from tasks where at > $1", "9999-12-31 23:59:59+00", "9999-12-31 23:59:59+00"),
        ("select * from tasks where at > $1", "2026-02-31 00:00", "2026-02-31 00:00"),
        ("select * from tasks where at > $1", "infinity", "infinity"),
        ("select * from tasks where at > now() - $1::interval", "1 day", "1 day"),
        ("select * from nowhere where at > $1", "2026-02-01", "2026-03-03"),
        ("select * from tasks where worker > $1", "2026-02-01", "2026-02-01"),
        ("select * from tasks where state = $1", "a", "a"),
        ("select * from tasks limit $1", "5", "5"),
        ("select * from tasks where id = $1", None, None),
    ],
)  # fmt: skip
def test_what_stays_and_what_moves_with_time(sql, token, bound_to):
    one = unit(0, (sql, (token,)))
    assert copies(binder(one), one, 3) == [((bound_to,),)] * 3


def test_statistics_without_a_moment_move_nothing():
    one = unit(0, ("select * from tasks where at > $1", ("2026-02-01 00:00:00+00",)))
    bound = binder(one, profile=replace(PROFILE, taken_at_us=0))
    assert datetime.fromisoformat(copies(bound, one, 1)[0][0][0]) == datetime(
        2026, 2, 1, tzinfo=UTC
    )


def test_same_seed_same_keys():
    one = unit(0, ("select * from tasks where id = $1 and worker = $2", ("5", "w-zzz")))
    assert copies(binder(one), one) == copies(binder(one), one)


def test_identity_binds_what_was_captured():
    one = unit(0, ("select * from tasks where id = $1", ("5",)))
    bound = Binder(workload(one), None, None, identity=True)
    assert bound.bind(one, np.random.default_rng(0)) == (("5",),)
    assert bound.summary == {}


def test_summary_counts_slots_by_how_they_are_bound():
    one = unit(
        0,
        ("insert into projects (id, name) values ($1, $2)", ("1", "x")),
        ("select f($1) from tasks where id = $2 and worker = $3 limit 5", ("1", "2", "w")),
    )
    assert binder(one).summary == {"fresh": 2, "unresolved": 1, "key": 1, "value": 1, "constant": 1}
