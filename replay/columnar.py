"""The workload's types by columns: the way from values to columns and back.

Most of a workload is made by columns, written by columns and read by columns; the frozen types are
for those who look at single ones.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from itertools import accumulate, chain, groupby, islice, pairwise
from operator import attrgetter, itemgetter
from typing import Any, TypeVar

import pyarrow as pa

from replay.made import Made
from replay.requests import Link, Ran, Request, Route
from replay.schemas import (
    ACTIVITY_SCHEMA,
    CONFLICT_SCHEMA,
    LINK_SCHEMA,
    PLACE_SCHEMA,
    RAN_SCHEMA,
    REQUEST_SCHEMA,
    ROUTE_SCHEMA,
    STANDING_SCHEMA,
    STATEMENT_SCHEMA,
    TEMPLATE_SCHEMA,
    TRANSACTION_SCHEMA,
)
from replay.workload import (
    Activity,
    Conflict,
    Counters,
    Place,
    SessionSettings,
    Statement,
    Template,
    Transaction,
)

T = TypeVar("T")
Batch = tuple[pa.RecordBatch, ...]
"""Rows of one table, or of the tables of transactions and of their statements."""

ROWS = 8 * 1024  # of a batch
TRANSACTIONS = ROWS // 2  # of a batch: they and their statements come together


class Tabled(Made[T]):
    """Items that are made by columns, batch after batch, and one by one only for those who ask."""

    def __init__(
        self,
        count: int,
        batches: Callable[[], Iterator[Batch]],
        items: Callable[[Batch], Iterable[T]],
    ) -> None:
        super().__init__(count, lambda: chain.from_iterable(map(items, batches())))
        self.batches = batches


def transaction_batches(transactions: Iterable[Transaction]) -> Iterator[Batch]:
    """Transactions and their statements by columns."""
    if isinstance(transactions, Tabled):
        yield from transactions.batches()
        return
    transactions = iter(transactions)
    while some := list(islice(transactions, TRANSACTIONS)):
        rows = (row for transaction in some for row in _statement_rows(transaction))
        yield (
            _batch(TRANSACTION_SCHEMA, map(_transaction_row, some)),
            _batch(STATEMENT_SCHEMA, rows),
        )


def place_batches(places: Iterable[Place]) -> Iterator[Batch]:
    """Places of the sample by columns."""
    return (
        places.batches()
        if isinstance(places, Tabled)
        else _batches(PLACE_SCHEMA, _place_row, places)
    )


def template_batches(templates: Iterable[Template]) -> Iterator[Batch]:
    """Templates by columns."""
    return _batches(TEMPLATE_SCHEMA, _template_row, templates)


def conflict_batches(conflicts: Iterable[Conflict]) -> Iterator[Batch]:
    """Conflicts by columns."""
    return _batches(CONFLICT_SCHEMA, _conflict_row, conflicts)


def activity_batches(activity: Iterable[Activity]) -> Iterator[Batch]:
    """Activity by columns."""
    return _batches(
        ACTIVITY_SCHEMA,
        lambda one: (one.state, one.wait_type, one.wait, one.template, one.sessions),
        activity,
    )


def standing_batches(standing: Iterable[SessionSettings]) -> Iterator[Batch]:
    """Sessions' settings by columns."""
    return _batches(STANDING_SCHEMA, lambda one: (one.session, one.statements), standing)


def route_batches(routes: Iterable[Route]) -> Iterator[Batch]:
    """Routes by columns."""
    return _batches(ROUTE_SCHEMA, _route_row, routes)


def request_batches(requests: Iterable[Request]) -> Iterator[Batch]:
    """Requests by columns."""
    return _batches(REQUEST_SCHEMA, _request_row, requests)


def link_batches(links: Iterable[Link]) -> Iterator[Batch]:
    """Links by columns."""
    return _batches(LINK_SCHEMA, _link_row, links)


def ran_batches(ran: Iterable[Ran]) -> Iterator[Batch]:
    """What routes ran, by columns."""
    return _batches(RAN_SCHEMA, _ran_row, ran)


def transactions_of(batch: Batch) -> Iterator[Transaction]:
    """Transactions, from them and their statements by columns."""
    statements: dict[int, list[Statement]] = {}
    wholes, parts = batch
    for row in _rows(parts):
        statements.setdefault(row.pop("transaction"), []).append(Statement(**row))
    for row in _rows(wholes):
        yield Transaction(**row, statements=tuple(statements.get(row["id"], ())))


def transactions_in_order(
    wholes: Iterable[pa.RecordBatch], parts: Iterable[pa.RecordBatch]
) -> Iterator[Transaction]:
    """The same of tables that are both in order of the transactions' ids, a batch in memory of each."""
    statements = groupby(chain.from_iterable(map(_rows, parts)), key=itemgetter("transaction"))
    number, rows = next(statements, (-1, iter(())))
    for row in chain.from_iterable(map(_rows, wholes)):
        held: tuple[Statement, ...] = ()
        if number == row["id"]:
            names = STATEMENT_SCHEMA.names[1:]
            held = tuple(Statement(**{name: one[name] for name in names}) for one in rows)
            number, rows = next(statements, (-1, iter(())))
        yield Transaction(**row, statements=held)


def templates_of(table: pa.Table) -> Iterator[Template]:
    """Templates from columns."""
    for row in _rows(table):
        counted = row.pop("counted")
        yield Template(**row, counted=Counters(**counted) if counted is not None else None)


def conflicts_of(table: pa.Table) -> Iterator[Conflict]:
    """Conflicts from columns."""
    return (Conflict(**row) for row in _rows(table))


def activity_of(table: pa.Table) -> Iterator[Activity]:
    """Activity from columns."""
    return (Activity(**row) for row in _rows(table))


def standing_of(table: pa.Table) -> Iterator[SessionSettings]:
    """Sessions' settings from columns."""
    return (SessionSettings(**row) for row in _rows(table))


def places_of(table: pa.Table | pa.RecordBatch) -> Iterator[Place]:
    """Places from columns."""
    return (Place(**row) for row in _rows(table))


def routes_of(table: pa.Table) -> Iterator[Route]:
    """Routes from columns."""
    return (Route(**row) for row in _rows(table))


def requests_of(table: pa.Table) -> Iterator[Request]:
    """Requests from columns."""
    return (Request(**row) for row in _rows(table))


def links_of(table: pa.Table) -> Iterator[Link]:
    """Links from columns."""
    return (Link(**row) for row in _rows(table))


def ran_of(table: pa.Table) -> Iterator[Ran]:
    """What routes ran, from columns."""
    return (Ran(**row) for row in _rows(table))


def _batches(
    schema: pa.Schema, row: Callable[[T], tuple[Any, ...]], items: Iterable[T]
) -> Iterator[Batch]:
    items = iter(items)
    while some := list(islice(items, ROWS)):
        yield (_batch(schema, map(row, some)),)


def _batch(schema: pa.Schema, rows: Iterable[Sequence[Any]]) -> pa.RecordBatch:
    columns = list(zip(*rows, strict=True)) or [()] * len(schema)
    arrays = [_array(c, f.type) for c, f in zip(columns, schema, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """A column; pyarrow takes pairs as dictionaries only, of which a workload has a hundred thousand."""
    if not (pa.types.is_list(kind) and pa.types.is_struct(kind.value_type)):
        return pa.array(values, kind)
    members = list(kind.value_type)
    columns = list(zip(*chain.from_iterable(values), strict=True)) or [()] * len(members)
    items = pa.StructArray.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, members, strict=True)], fields=members
    )
    offsets = pa.array(accumulate(map(len, values), initial=0), pa.int32())
    return pa.ListArray.from_arrays(offsets, items, type=kind)


def _rows(table: pa.Table | pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows of a table; made of whole columns, as a workload may have a hundred thousand templates."""
    columns = map(_values, table.columns)
    return (dict(zip(table.schema.names, row, strict=True)) for row in zip(*columns, strict=True))


def _values(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values; lists come as tuples, and so do the pairs in them."""
    column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    if not pa.types.is_list(column.type):
        return list(column.to_pylist())
    items = column.values
    if pa.types.is_struct(items.type):
        flat = list(zip(*(field.to_pylist() for field in items.flatten()), strict=True))
    else:
        flat = items.to_pylist()
    return [tuple(flat[begin:end]) for begin, end in pairwise(column.offsets.to_pylist())]


def _template_row(template: Template) -> tuple[Any, ...]:
    row = list(_template_fields(template))
    if template.counted is not None:
        row[TEMPLATE_SCHEMA.get_field_index("counted")] = asdict(template.counted)
    return tuple(row)


_template_fields = attrgetter(*TEMPLATE_SCHEMA.names)
_route_row = attrgetter(*ROUTE_SCHEMA.names)
_conflict_row = attrgetter(*CONFLICT_SCHEMA.names)
_place_row = attrgetter(*PLACE_SCHEMA.names)
_request_row = attrgetter(*REQUEST_SCHEMA.names)
_link_row = attrgetter(*LINK_SCHEMA.names)
_ran_row = attrgetter(*RAN_SCHEMA.names)
_transaction_row = attrgetter(*TRANSACTION_SCHEMA.names)
_statement_row = attrgetter(*STATEMENT_SCHEMA.names[1:])


def _statement_rows(transaction: Transaction) -> Iterable[tuple[Any, ...]]:
    for statement in transaction.statements:
        yield (transaction.id, *_statement_row(statement))
