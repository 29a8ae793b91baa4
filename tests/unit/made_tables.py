"""Small table profiles, by hand."""

from data_gen.profile import ColumnProfile, Constraint, ForeignKey, SchemaProfile, TableProfile


def column(name, base_type="int8", *, not_null=True, kind=None, **statistics):
    """A column; analysed where any statistic is given."""
    return ColumnProfile(
        name=name,
        type=kind or base_type,
        base_type=base_type,
        not_null=not_null,
        analyzed=bool(statistics),
        **statistics,
    )


def table(name, rows, *columns, keys=(), foreign=(), checks=()):
    """A table of schema public: the first of the keys is primary, foreign ones as (own, parent, theirs)."""
    return TableProfile(
        schema="public",
        name=name,
        rows=rows,
        pages=1,
        dead_rows=0,
        columns=columns,
        constraints=tuple(
            Constraint(name=f"k{n}", kind="u" if n else "p", columns=key, definition="")
            for n, key in enumerate(keys)
        )
        + tuple(
            Constraint(name=f"c_{own}", kind="c", columns=(own,), definition=definition)
            for own, definition in checks
        ),
        foreign_keys=tuple(
            ForeignKey(
                name=f"f_{own}",
                columns=own if isinstance(own, tuple) else (own,),
                parent=f"public.{parent}",
                parent_columns=theirs if isinstance(theirs, tuple) else (theirs,),
                definition="",
            )
            for own, parent, theirs in foreign
        ),
    )


def schema(*tables, **fields):
    """A schema of these tables."""
    return SchemaProfile(server_version=180000, tables=tables, **fields)
