"""DDL: order of statements, names quoted, what cannot be rebuilt is said."""

import dataclasses

import pytest
from made_tables import column, schema, table

from data_gen.ddl import after_load, before_load, schema_sql
from data_gen.labels import allowed_values, schema_literals
from data_gen.profile import Constraint, EnumType, IndexProfile


def index(name, order, *, valid=True):
    return IndexProfile(
        name=name,
        definition=f"CREATE INDEX {name} ON public.t USING btree (a) WHERE (state = 'queued'::text)",
        columns=("a",),
        unique=False,
        valid=valid,
        bytes=0,
        order=order,
    )


def constraint(name, kind, order=0, definition="UNIQUE (a)"):
    return Constraint(name=name, kind=kind, columns=("a",), definition=definition, order=order)


def test_indexes_come_in_productions_order_and_invalid_ones_not_at_all():
    made = dataclasses.replace(
        table("t", 1, column("a")),
        constraints=(constraint("late_key", "u", 3), constraint("early_key", "p", 1)),
        indexes=(index("middle", 2), index("broken", 0, valid=False)),
    )
    names = [
        next(name for name in ("late_key", "early_key", "middle", "broken") if name in statement)
        for statement in after_load(schema(made))
    ]
    assert names == ["early_key", "middle", "late_key"]


def test_foreign_keys_come_after_every_key():
    parent = table("parent", 1, column("id"), keys=[("id",)])
    child = table("child", 1, column("id"), keys=[("id",)], foreign=[("id", "parent", "id")])
    statements = after_load(schema(child, parent))
    assert [" f_id " in statement for statement in statements] == [False, False, True]


def test_columns_are_written_as_they_are():
    made = table(
        "Order",
        1,
        dataclasses.replace(column("id"), identity="a", sequence="public.order_id_seq"),
        dataclasses.replace(column("user", "text", not_null=False), default="'x'::text"),
        dataclasses.replace(column("twice"), generated="s", default="(id * 2)"),
    )
    (statement,) = before_load(schema(dataclasses.replace(made, options=("fillfactor=70",))))
    assert statement == (
        'CREATE TABLE public."Order" (\n'
        "    id int8 GENERATED ALWAYS AS IDENTITY (SEQUENCE NAME public.order_id_seq) NOT NULL,\n"
        "    \"user\" text DEFAULT 'x'::text,\n"
        "    twice int8 GENERATED ALWAYS AS ((id * 2)) STORED NOT NULL\n"
        ") WITH (fillfactor=70)"
    )


def test_serial_columns_own_their_sequences():
    serial = dataclasses.replace(
        column("id", "int4"),
        sequence="app.t_id_seq",
        default="nextval('app.t_id_seq'::regclass)",
    )
    script = schema_sql(schema(table("t", 1, serial), unsupported=("public.v: a view\nis not",)))
    assert "CREATE SCHEMA IF NOT EXISTS app;" in script
    assert script.index("CREATE SEQUENCE app.t_id_seq AS integer;") < script.index("CREATE TABLE")
    assert "ALTER SEQUENCE app.t_id_seq OWNED BY public.t.id;" in script
    assert "setval('app.t_id_seq'" in script
    assert "-- not rebuilt: public.v: a view is not\n" in script


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        ("CHECK ((a = ANY (ARRAY['x'::text, 'it''s'::text])))", ("x", "it's")),
        (
            "CHECK (((a)::text = ANY ((ARRAY['x'::character varying, 'y'::character varying])::text[])))",
            ("x", "y"),
        ),
        ("CHECK ((a = ANY (ARRAY[1, 2, '-3'::integer])))", ("1", "2", "-3")),
        ("CHECK ((a > 0))", ()),
        ("CHECK (((a = ANY (ARRAY[1, 2])) OR (b > 3)))", ()),
    ],
)
def test_lists_in_checks_are_read(definition, expected):
    made = dataclasses.replace(
        table("t", 1, column("a")), constraints=(constraint("c", "c", definition=definition),)
    )
    assert allowed_values(made, made.columns[0]) == expected


def test_literals_are_those_of_labels_checks_predicates_and_defaults():
    made = dataclasses.replace(
        table("t", 1, dataclasses.replace(column("a", "text"), default="'draft'::text")),
        constraints=(constraint("c", "c", definition="CHECK ((a <> 'it''s'::text))"),),
        indexes=(index("i", 0),),
    )
    enums = (EnumType(schema="public", name="mood", labels=("so so",)),)
    assert schema_literals(schema(made, enums=enums)) == {"so so", "draft", "it's", "queued"}
