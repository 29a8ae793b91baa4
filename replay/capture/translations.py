"""What PostgreSQL's messages are in other languages: strings of its message catalogues, a server's own.

Renew the table from an installed server's catalogues (Debian has them below /usr/share/locale):
python -m replay.capture.translations /usr/share/locale 15 > replay/capture/translations.json
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from gettext import GNUTranslations
from pathlib import Path

Strings = Mapping[str, Sequence[str]]
"""Translations by PostgreSQL's English; those of its plurals, too."""

_COUNTS = (1, 2, 5)  # one of each form that a language has
_TABLE = Path(__file__).with_name("translations.json")
_LANGUAGES = {
    "de": "German",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "ka": "Georgian",
    "ko": "Korean",
    "pt_BR": "Portuguese",
    "ru": "Russian",
    "sv": "Swedish",
    "uk": "Ukrainian",
    "zh_CN": "Chinese",
    "zh_TW": "Chinese (Taiwan)",
}
# Of statements (postgres.c), the commonest first; the SQL comes last. `execute` is a string of its own.
STATEMENTS = (
    "duration: %s ms  statement: %s",
    "duration: %s ms  execute fetch from %s%s%s: %s",
    "duration: %s ms  execute %s%s%s: %s",
    "duration: %s ms  bind %s%s%s: %s",
    "duration: %s ms  parse %s: %s",
    "statement: %s",
    "execute fetch from %s%s%s: %s",
    "execute %s%s%s: %s",
)
BARE = "duration: %s ms"
# Of locks (proc.c, deadlock.c, postgres.c, heapam.c, lockcmds.c), and what they are on (lmgr.c).
LOCKS = (
    "process %d still waiting for %s on %s after %ld.%03d ms",
    "process %d acquired %s on %s after %ld.%03d ms",
    "process %d failed to acquire %s on %s after %ld.%03d ms",
    "process %d avoided deadlock for %s on %s by rearranging queue order after %ld.%03d ms",
    "process %d detected deadlock while waiting for %s on %s after %ld.%03d ms",
    "Process holding the lock: %s. Wait queue: %s.",
    "Process %d waits for %s on %s; blocked by process %d.",
    "Process %d: %s",
    'while updating tuple (%u,%u) in relation "%s"',
    'while deleting tuple (%u,%u) in relation "%s"',
    'while locking tuple (%u,%u) in relation "%s"',
    'while locking updated version (%u,%u) of tuple in relation "%s"',
    'while inserting index tuple (%u,%u) in relation "%s"',
    'while checking uniqueness of tuple (%u,%u) in relation "%s"',
    'while rechecking updated tuple (%u,%u) in relation "%s"',
    'while checking exclusion constraint on tuple (%u,%u) in relation "%s"',
)
# Of failures: a stderr log has behind them at which character.
FAILURES = (
    "canceling statement due to lock timeout",
    'could not obtain lock on row in relation "%s"',
    'could not obtain lock on relation "%s"',
)
OBJECTS = (
    "tuple (%u,%u) of relation %u of database %u",
    "extension of relation %u of database %u",
    "page %u of relation %u of database %u",
    "relation %u of database %u",
    "virtual transaction %d/%u",
    "speculative token %u of transaction %u",
    "transaction %u",
    "object %u of class %u of database %u",
    "user lock [%u,%u,%u]",
    "advisory lock [%u,%u,%u,%u]",
    "pg_database.datfrozenxid of database %u",
)


@cache
def table() -> Mapping[str, Strings]:
    """All that are known, by language."""
    found: Mapping[str, Strings] = json.loads(_TABLE.read_bytes())
    return found


def knows(lc_messages: str) -> bool:
    """Whether a server's messages are known with that setting, `de_DE.UTF-8` for example."""
    locale = lc_messages.partition(".")[0].partition("@")[0]
    names = {_LANGUAGES.get(locale), _LANGUAGES.get(locale.partition("_")[0])}
    is_english = locale in {"", "C", "POSIX"} or locale.startswith("en")
    return is_english or not names.isdisjoint(table())


def of_catalogue(file: Path) -> dict[str, list[str]]:
    """Those of one of a server's catalogues, `postgres-15.mo`."""
    with file.open("rb") as stream:
        catalogue = GNUTranslations(stream)
    found = {
        english: list(dict.fromkeys(_translated(english, catalogue)))
        for english in (*STATEMENTS, BARE, *LOCKS, *FAILURES, *OBJECTS)
    }
    return {
        english: others
        for english, told in found.items()
        if (others := [one for one in told if one != english])
    }


def _translated(english: str, catalogue: GNUTranslations) -> Iterator[str]:
    word = "execute fetch from" if "execute fetch from" in english else "execute"
    ahead, is_apart, behind = english.partition(word)
    if not is_apart:
        yield catalogue.gettext(english)
        yield from (catalogue.ngettext(english, english, count) for count in _COUNTS)
        return
    frame = f"{ahead}%s{behind}"
    pieces = catalogue.gettext(frame).split("%s")
    place = ahead.count("%s") + 1
    yield catalogue.gettext(word).join(("%s".join(pieces[:place]), "%s".join(pieces[place:])))


def _main(directory: Path, version: str) -> None:
    found = {}
    for code, language in _LANGUAGES.items():
        file = directory / code / "LC_MESSAGES" / f"postgres-{version}.mo"
        if file.is_file():
            found[language] = of_catalogue(file)
    json.dump(found, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2])
