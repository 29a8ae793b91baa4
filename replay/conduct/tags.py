"""Which transactions Locust's `--tags` and `--exclude-tags` choose.

A transaction's tags are those of its statements: the verb (select, update …), the tables as written
and without their schema, the template's id, and rare where it is. A request's are its method (get, post …),
its path and its route (`POST /tasks/{int}`), the route's id, and rare.
"""

from collections.abc import Collection
from dataclasses import replace

from replay.errors import InputError
from replay.load.settings import only_sets
from replay.requests import REQUEST
from replay.workload import Template, Workload

_SHOWN = 30


def tagged(workload: Workload, tags: Collection[str], excluded: Collection[str]) -> Workload:
    """The workload with the transactions that have one of the tags and none of the excluded ones.

    Without tags all are taken but the excluded. Rates stay what they are. What sessions set is taken, too:
    the others run with it. Raises InputError where nothing is left.
    """
    if not tags and not excluded:
        return workload
    of = {template.id: _tags(template) for template in workload.templates}
    chosen = []
    left = False
    for transaction in workload.transactions:
        has = {tag for statement in transaction.statements for tag in of[statement.template]}
        if has & set(excluded):
            continue
        is_asked_for = not tags or bool(has & set(tags))
        left |= is_asked_for
        if is_asked_for or only_sets(transaction):
            chosen.append(transaction)
    if not left:
        ids = {template.id for template in workload.templates}
        known = sorted({tag for found in of.values() for tag in found} - ids)
        raise InputError(
            f"no transaction is left by the tags given; there are {', '.join(known[:_SHOWN])}"
        )
    return replace(workload, transactions=tuple(chosen))


def _tags(template: Template) -> set[str]:
    tables = {table.rpartition(".")[2] for table in template.tables}
    rare = {"rare"} if template.rare else set()
    if template.kind == REQUEST:
        method, _, path = template.sql.partition(" ")
        return {method.lower(), path, template.sql, template.id, *rare}
    return {template.kind, template.id, *template.tables, *tables, *rare}
