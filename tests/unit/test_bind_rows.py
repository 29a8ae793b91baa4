"""Keys of several columns: what is bound in one row's columns stands in one generated row."""

import numpy as np
from made_tables import column, schema, table
from test_bind import NOW, made, statement

from data_gen.rows import column_values
from replay.bind import Binder
from replay.target import Generated

FIND = "select * from items where id = $2 and tenant = $1"
NOTES = "select * from notes where tenant = $1 and item = $2"
NUMBERED = "select * from notes where tenant = $1 and item = $2 and number = $3"


def shop():
    """Everything has its tenant in its key."""
    tenants = table("tenants", 20, column("id", n_distinct=-1.0), keys=(("id",),))
    items = table(
        "items",
        2000,
        column("tenant", n_distinct=20.0, histogram=("1", "20")),
        column("id", n_distinct=-1.0, histogram=("1", "2000")),
        keys=(("tenant", "id"),),
        foreign=(("tenant", "tenants", "id"),),
    )
    notes = table(
        "notes",
        8000,
        column("tenant", n_distinct=20.0, histogram=("1", "20")),
        column("item", n_distinct=-0.2, histogram=("1", "2000")),
        column("number", "int4", n_distinct=6.0, histogram=("1", "3", "6")),
        keys=(("tenant", "item", "number"),),
        foreign=((("tenant", "item"), "items", ("tenant", "id")),),
    )
    return schema(tenants, items, notes, taken_at_us=int(NOW.timestamp() * 1e6))


def rows(profile, name, *columns):
    numbers = np.arange(profile.table(f"public.{name}").rows)
    return [
        column_values(profile, f"public.{name}", one, numbers, scale=1.0, seed=1, base_time=NOW)
        for one in columns
    ]


def test_keys_of_several_columns_meet_a_row_and_the_same_one_again():
    profile = shop()
    units = [
        (statement(FIND, "3", str(n)), statement(NOTES, "3", str(n)), statement(FIND, "4", str(n)))
        for n in range(30)
    ]
    workload = made(*units)
    generated = Generated(workload_id="w", seed=1, scale=1.0, base_time=NOW)
    binder, rng = Binder(workload, profile, generated), np.random.default_rng(2)
    items = set(zip(*rows(profile, "items", "tenant", "id"), strict=True))
    seen = set()
    for unit in workload.transactions * 3:
        first, second, third = binder.bind(unit, rng)
        assert first in items
        assert third in items
        assert first == second
        seen.add(first)
    assert len(seen) > 40


def test_the_last_column_of_a_key_is_one_of_its_row():
    profile = shop()
    workload = made(*[(statement(NUMBERED, "3", str(n), "2"),) for n in range(30)])
    generated = Generated(workload_id="w", seed=1, scale=1.0, base_time=NOW)
    binder, rng = Binder(workload, profile, generated), np.random.default_rng(2)
    notes = set(zip(*rows(profile, "notes", "tenant", "item", "number"), strict=True))
    assert len(notes) == 8000
    for unit in workload.transactions:
        (bound,) = binder.bind(unit, rng)
        assert bound in notes
