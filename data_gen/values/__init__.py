"""One type family per file; GENERATORS says which serves which type.

A new type is one entry here: what is not here cannot be generated, and stays empty.
"""

from collections.abc import Mapping
from functools import partial

from data_gen.profile import ColumnProfile
from data_gen.values import arrays, bits, documents, geometric, ranges, spatial, vectors
from data_gen.values.blobs import addresses, byteas, uuids
from data_gen.values.coded import labelled
from data_gen.values.composites import composites
from data_gen.values.family import Generator
from data_gen.values.integers import LIMITS, booleans, integers
from data_gen.values.numerics import floats, numerics
from data_gen.values.text import documents as json_documents
from data_gen.values.text import texts
from data_gen.values.times import dates, intervals, times, timestamps

GENERATORS: Mapping[str, Generator] = {
    **dict.fromkeys(LIMITS, integers),
    **dict.fromkeys(("text", "varchar", "bpchar", "citext"), texts),
    **dict.fromkeys(("json", "jsonb"), json_documents),
    **dict.fromkeys(("float4", "float8"), floats),
    **dict.fromkeys(("timestamp", "timestamptz"), timestamps),
    **dict.fromkeys(("time", "timetz"), times),
    **dict.fromkeys(("inet", "cidr"), addresses),
    **dict.fromkeys(("bit", "varbit"), bits.bits),
    **dict.fromkeys(("macaddr", "macaddr8"), bits.hardware),
    **dict.fromkeys(
        ("point", "lseg", "box", "circle", "line", "path", "polygon"), geometric.geometric
    ),
    **dict.fromkeys(("geometry", "geography"), spatial.places),
    **dict.fromkeys(("vector", "halfvec"), vectors.vectors),
    "bool": booleans,
    "bytea": byteas,
    "char": bits.letters,
    "date": dates,
    "hstore": documents.stores,
    "interval": intervals,
    "ltree": documents.paths,
    "money": bits.money,
    "name": documents.names,
    "numeric": numerics,
    "pg_lsn": bits.positions,
    "sparsevec": vectors.sparse,
    "tsvector": documents.lexemes,
    "uuid": uuids,
    "xml": documents.markup,
}


def generator_of(column: ColumnProfile) -> Generator | None:
    """Who makes a column's values; None for a type that nobody makes."""
    if column.type_kind == "c":
        return partial(composites, generator_of=generator_of) if column.fields else None
    if column.type_kind in "rm":
        return ranges.ranges if column.element in ranges.SUBTYPES else None
    if column.base_type.startswith("_"):
        element = generator_of(arrays.element_of(column))
        return partial(arrays.arrays, element=element) if element is not None else None
    if column.enum_labels:
        return labelled
    if column.base_type in ("geometry", "geography") and not spatial.is_made(column):
        return None
    return GENERATORS.get(column.base_type)
