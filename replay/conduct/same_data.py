"""The same data for each replay of a proof: databases beside the target, made anew from one of them.

The base is generated as the target was, with the same seed, scale and moment; of a restored copy it is
a copy as it stands. Where the user may not make databases the target itself is used, as earlier runs
left it.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from psycopg import conninfo

from data_gen.load import Order
from replay import bundle, target
from replay.conduct.prepare import generate_staging
from replay.errors import InputError

Fresh = Callable[[], AbstractContextManager[str]]  # a DSN whose data is the base's


@contextlib.contextmanager
def same_data(
    workload: Path, dsn: str, *, identity: bool, say: Callable[[str], None]
) -> Iterator[Fresh | None]:
    """A way to databases of the same data; None where the user may not make any."""
    if not target.may_create(dsn):
        say("data        databases cannot be made here: replays go on with the target as it is")
        yield None
        return
    mark = uuid.uuid4().hex[:8]
    base, copy = f"replay_proof_{mark}", f"replay_proof_{mark}_run"
    try:
        _make_base(workload, dsn, base, identity=identity, say=say)

        @contextlib.contextmanager
        def fresh() -> Iterator[str]:
            try:
                yield target.create_beside(dsn, copy, of=base)
            finally:
                target.drop_beside(dsn, copy)

        yield fresh
    finally:
        target.drop_beside(dsn, base)


def _make_base(
    workload: Path, dsn: str, base: str, *, identity: bool, say: Callable[[str], None]
) -> None:
    if identity:
        name = conninfo.conninfo_to_dict(dsn).get("dbname")
        if not name:
            raise InputError("name the database in the DSN: it is copied for each replay")
        target.create_beside(dsn, base, of=str(name))
        return
    with target.connect_target(dsn) as connection:
        made = target.read_generated(connection)
    if made is None or made.workload_id != bundle.workload_id(workload):
        raise InputError(
            "the target's data was not generated from this workload; fill it with replay generate"
        )
    say("data        generated again, so that each replay begins on the same rows")
    order = Order(seed=made.seed, scale=made.scale, base_time=made.base_time, jobs=2)
    generate_staging(workload, target.create_beside(dsn, base), order)
