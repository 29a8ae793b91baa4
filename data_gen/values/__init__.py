"""One type family per file; GENERATORS says which serves which type.

A new type is one entry here: what is not here cannot be generated, and stays empty.
"""

from collections.abc import Mapping

from data_gen.profile import ColumnProfile
from data_gen.values.arrays import ELEMENTS, arrays
from data_gen.values.blobs import addresses, byteas, uuids
from data_gen.values.coded import labelled
from data_gen.values.family import Generator
from data_gen.values.integers import LIMITS, booleans, integers
from data_gen.values.numerics import floats, numerics
from data_gen.values.text import documents, texts
from data_gen.values.times import dates, intervals, times, timestamps

GENERATORS: Mapping[str, Generator] = {
    **dict.fromkeys(LIMITS, integers),
    **dict.fromkeys(("text", "varchar", "bpchar", "citext"), texts),
    **dict.fromkeys(("json", "jsonb"), documents),
    **dict.fromkeys(("float4", "float8"), floats),
    **dict.fromkeys(("timestamp", "timestamptz"), timestamps),
    **dict.fromkeys(("time", "timetz"), times),
    **dict.fromkeys(("inet", "cidr"), addresses),
    **dict.fromkeys(ELEMENTS, arrays),
    "bool": booleans,
    "bytea": byteas,
    "date": dates,
    "interval": intervals,
    "numeric": numerics,
    "uuid": uuids,
}


def generator_of(column: ColumnProfile) -> Generator | None:
    """Who makes a column's values; None for a type that nobody makes."""
    return labelled if column.enum_labels else GENERATORS.get(column.base_type)
