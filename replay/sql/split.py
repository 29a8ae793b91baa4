"""A script into its statements, as psql splits one: at the semicolons that end them.

A semicolon inside brackets (CREATE RULE) or inside BEGIN ATOMIC … END ends nothing. Strings, dollar
quotes and comments are the scanner's.
"""

from collections.abc import Iterator

from replay.sql.scanner import placed


def statements(script: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every statement, without its semicolon and the comments around it."""
    begin, end = -1, 0
    open_brackets = open_blocks = 0  # a block: BEGIN ATOMIC, and CASE inside of one
    before = ""
    for at, token in placed(script):
        word = token.lower()
        if word == ";" and not open_brackets and not open_blocks:
            if begin >= 0:
                yield _line(script, begin), script[begin:end]
            begin, before = -1, ""
            continue
        if not word:  # the end of the text
            continue
        if word in "()":
            open_brackets = max(open_brackets + (1 if word == "(" else -1), 0)
        elif (word == "atomic" and before == "begin") or (word == "case" and open_blocks):
            open_blocks += 1
        elif word == "end" and open_blocks:
            open_blocks -= 1
        begin = at if begin < 0 else begin
        end, before = at + len(token), word
    if begin >= 0:
        yield _line(script, begin), script[begin:end]


def _line(script: str, at: int) -> int:
    return script.count("\n", 0, at) + 1
