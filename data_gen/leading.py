"""Unique keys of several columns: in each one column leads, and the others count on beside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from data_gen.drafts import KeyDraft, Made
from data_gen.pairing import paired
from data_gen.shuffle import key_of
from data_gen.sources import Following, Own, Paired

if TYPE_CHECKING:
    from data_gen.plan import TablePlan

_PAIR = 2
_MANY_MORE = 1.5  # the longest order has about as many lines as there are line numbers


def lead(table: "TablePlan", key: tuple[str, ...]) -> None:
    """A unique key of several columns: the one with most values leads, the others follow."""
    free = [name for name in key if name in table.drafts and name not in table.filled]
    led = [name for name in key if name in table.leads]
    if table.unique.intersection(key) or not free or len(free) + len(led) < _PAIR:
        return
    first = led[0] if led else max(free, key=lambda name: table.drafts[name].distinct)
    followers = [name for name in free if name != first]
    made = {name: table.drafts[name].made(table.rows) for name in (first, *followers)}
    if led:
        made[first] = replace(made[first], spread=table.leads[first].spread)
    for name in sorted(followers, key=lambda name: -table.drafts[name].distinct):
        others = math.prod(made[other].spread.values for other in followers if other != name)
        wanted = -(-made[first].spread.most // others)
        if wanted > made[name].spread.values:
            made[name] = table.drafts[name].made(table.rows, distinct=wanted)
    room = math.prod(made[name].spread.values for name in followers)
    if room < made[first].spread.most and not led:
        distinct = max(-(-table.rows // room), table.drafts[first].distinct)
        made[first] = table.drafts[first].made(table.rows, distinct=distinct, most=room)
    if not led:
        spread = made[first].spread
        table.leads[first] = Own(spread, table.order(table.column(first), spread))
        table.place(first, table.leads[first], made[first])
    _follow(table, table.leads[first], followers, made)


def _follow(
    table: "TablePlan", leader: Own, followers: Sequence[str], made: Mapping[str, Made]
) -> None:
    if len(followers) == 1 and isinstance(table.drafts[followers[0]], KeyDraft):
        (name,) = followers
        seed = key_of(table.plan.seed, "pair", table.table.qualified, name)
        found = paired(leader.spread, made[name].spread, seed)
        if found is not None:
            table.place(name, Paired(leader, found), made[name])
            return
    step = 1
    for name in followers:
        seed = key_of(table.plan.seed, "follow", table.table.qualified, name)
        anywhere = table.drafts[name].rotates or _leaves_out(
            table, name, made[name].spread.values / (leader.spread.most / step)
        )
        key = seed if anywhere else None
        table.place(name, Following(leader, made[name].spread, step, key), made[name])
        step *= made[name].spread.values


def _leaves_out(table: "TablePlan", name: str, more: float) -> bool:
    """Whether counting from the start would leave out values of a column, or of those that it may have.

    That has so many times `more` of them than ever come in turn; one that must differ from another
    column cannot always begin with the same.
    """
    return more > _MANY_MORE or any(name in pair for pair in table.checks.unlike)
