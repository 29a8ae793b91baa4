"""Object identifiers of types: binary arrays and rows name the types in them.

Those of built-in types never change (pg_type.dat of PostgreSQL 18); others are the target's own.
"""

from collections.abc import Mapping

from data_gen.profile import ColumnProfile

BUILT_IN = {
    "bool": 16, "bytea": 17, "char": 18, "name": 19, "int8": 20, "int2": 21, "int4": 23, "text": 25,
    "oid": 26, "json": 114, "xml": 142, "point": 600, "lseg": 601, "path": 602, "box": 603,
    "polygon": 604, "line": 628, "cidr": 650, "float4": 700, "float8": 701, "circle": 718,
    "macaddr8": 774, "money": 790, "macaddr": 829, "inet": 869, "bpchar": 1042, "varchar": 1043,
    "date": 1082, "time": 1083, "timestamp": 1114, "timestamptz": 1184, "interval": 1186,
    "timetz": 1266, "bit": 1560, "varbit": 1562, "numeric": 1700, "uuid": 2950, "pg_lsn": 3220,
    "tsvector": 3614, "jsonb": 3802, "int4range": 3904, "numrange": 3906, "tsrange": 3908,
    "tstzrange": 3910, "daterange": 3912, "int8range": 3926,
}  # fmt: skip


def oid_of(column: ColumnProfile, oids: Mapping[str, int]) -> int:
    """The OID of a column's type; 0 where no target has told its own yet."""
    return oids.get(column.type) or BUILT_IN.get(column.base_type, 0)
