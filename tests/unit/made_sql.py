"""Strategies for SQL: statements whose literals, spacing and case vary, and texts that are broken."""

from hypothesis import strategies as st

# What reads as a value: every way of writing one, over any content.
_CONTENT = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)


def _plain(text: str) -> str:
    return text.replace("'", "''")


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")


STRINGS = st.one_of(
    _CONTENT.map(lambda text: f"'{_plain(text)}'"),
    _CONTENT.map(lambda text: f"E'{_escaped(text)}'"),
    _CONTENT.map(lambda text: f"U&'{_plain(text).replace(chr(92), chr(92) * 2)}'"),
    _CONTENT.filter(lambda text: "$" not in text).map(lambda text: f"$tag${text}$tag$"),
    _CONTENT.filter(lambda text: "$" not in text).map(lambda text: f"$${text}$$"),
    st.tuples(_CONTENT, _CONTENT).map(lambda two: f"'{_plain(two[0])}'\n  '{_plain(two[1])}'"),
)
NUMBERS = st.one_of(
    st.integers(-(10**20), 10**20).map(str),
    st.decimals(-1000, 1000, places=3).map(lambda number: f"{number:f}"),
    st.sampled_from(["1e5", "-2.5E-3", "0x1F", "0o17", "0b101", "1_000", ".5", "5.", "007", "+3"]),
)
BITS = st.sampled_from(["B'101'", "X'1F'", "b''", "x'00fF'"])
LITERALS = st.one_of(STRINGS, NUMBERS, BITS)

# {} takes a literal; words are parted by single spaces, so that they can be spaced otherwise.
SHAPES = (
    "SELECT a , b FROM t WHERE c = {} AND d <> {} ORDER BY a LIMIT 5",
    "SELECT count ( * ) FROM public.t AS x JOIN u ON x.id = u.t_id WHERE x.v BETWEEN {} AND {}",
    "INSERT INTO t ( a , b ) VALUES ( {} , $1 ) RETURNING id",
    'UPDATE t SET a = {} , b = b + {} WHERE "C_d" = $2 AND e = $1',
    "DELETE FROM t WHERE ( a , b ) > ( {} , {} ) OR c IS NOT NULL",
    "SELECT CASE WHEN a > {} THEN {} ELSE - b END , a - {} , a :: text || {} FROM t",
    "WITH x AS ( SELECT a FROM t WHERE b = {} ) SELECT * FROM x WHERE a ->> {} = $1",
    "SELECT * FROM t WHERE a = ANY ( $1 ) AND b LIKE {} AND t.c [ 1 ] = {}",
)
_BLANKS = st.sampled_from(
    [" ", "\n", "\t ", "  ", " /* a /* nested ' */ one */ ", " -- to the end '\n"]
)


def literals(shape):
    """As many literals as the shape takes."""
    return st.tuples(*[LITERALS] * shape.count("{}"))


@st.composite
def written(draw, shape):
    """The shape with any literals, in any spacing and case, and semicolons behind it."""
    left = iter(draw(literals(shape)))
    upper = draw(st.booleans())
    text = draw(st.sampled_from(["", " ", "/* app */"]))
    for word in shape.split(" "):
        text += next(left) if word == "{}" else word if '"' in word or upper else word.lower()
        text += draw(_BLANKS)
    return text + draw(st.sampled_from(["", ";", " ; ;"]))


STATEMENTS = st.sampled_from(SHAPES).flatmap(written)

# Anything that a log may hold: pieces of SQL in any order, cut off anywhere.
BROKEN = st.lists(
    st.one_of(
        st.sampled_from(
            [
                "select",
                "in (",
                "values (",
                "array[",
                ")",
                "]",
                "(",
                ",",
                ";",
                ".",
                "..",
                ":",
                "::",
                "'",
                "''",
                "E'\\",
                "U&'",
                "$$",
                "$a$",
                "$1",
                "$99999999999",
                "$",
                '"',
                'U&"',
                "/*",
                "*/",
                "--",
                "\n",
                " ",
                "-",
                "+",
                "1",
                ".5",
                "1e",
                "0x",
                "?",
                "...",
                "é",
                "\u3000",
                "{}",
                "from",
                "with x as (",
                "null",
                "is",
                "interval",
                "varchar(",
                "update",
                "uescape '!'",
            ]
        ),
        st.text(max_size=3),
    ),
    max_size=40,
).map("".join)
