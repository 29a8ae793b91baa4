"""A folder into an Incident: incident.toml checked against the types, names against each other.

Files beside it: schema.sql (tables and rows of production), migration.sql (a release in the middle
of the replay), fix.sql (what ends it), migration_fixed.sql (the release done right).
"""

import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from replay.errors import InputError
from replay.gallery.incident import (
    Expectation,
    Incident,
    Replay,
    Request,
    Step,
    Traffic,
    Value,
)
from replay.sql.fingerprint import fingerprint
from replay.sql.split import statements

FILE = "incident.toml"
_RELEASE = "migration"  # name of the statements of migration.sql
_PLACEHOLDER = re.compile(r"%\(\w+\)s")
_KEYS = (
    "title",
    "source",
    "story",
    "traffic",
    "request",
    "values",
    "names",
    "replay",
    "expect",
    "fix",
)
_T = TypeVar("_T")
_CONTROL = frozenset({"begin", "commit", "rollback", "set", "savepoint"})


def gallery() -> tuple[Incident, ...]:
    """The published incidents that come with this program, by name."""
    return tuple(read(folder) for folder in sorted(_folders()) if (folder / FILE).is_file())


def find(name: str) -> Incident:
    """The incident of that name in the gallery, or in the folder of that path."""
    for folder in (*(f for f in _folders() if f.name == name), Path(name)):
        if (folder / FILE).is_file():
            return read(folder)
    raise InputError(
        f"no incident is called {name}, and no folder {name} holds an {FILE}; "
        "replay incident --list shows what there is"
    )


def read(folder: Path) -> Incident:
    """Read one folder; raises InputError that names file and key."""
    file = folder / FILE
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InputError(f"{file}: {error}") from error
    try:
        return _incident(folder, document)
    except (msgspec.ValidationError, KeyError) as error:
        what = f"lacks {error}" if isinstance(error, KeyError) else str(error)
        raise InputError(f"{file}: {what}; docs/incidents.md says what belongs there") from error


def numbered(sql: str) -> str:
    """The statement with each distinct %(name)s a $n, as psycopg sends it."""
    numbers: dict[str, int] = {}
    return _PLACEHOLDER.sub(lambda m: f"${numbers.setdefault(m[0], len(numbers) + 1)}", sql)


def _incident(folder: Path, document: Mapping[str, Any]) -> Incident:
    _check_keys(document, _KEYS, "the file")
    traffic = _traffic(document)
    fixed = _fixed(traffic, document.get("fix", {}))
    names = _names(traffic, document.get("names", {})) | _release(folder)
    replay = _one(document.get("replay", {}), Replay)
    incident = Incident(
        folder=folder,
        title=document["title"],
        source=document["source"],
        story=" ".join(document.get("story", "").split()),
        traffic=traffic,
        fixed_traffic=fixed,
        replay=replay,
        expects=_expected(folder, document["expect"], names),
        names=names,
    )
    for name in replay.boost:
        if name != "rare":
            _named(folder, names, name)
    return incident


def _expected(
    folder: Path, given: Mapping[str, Any], names: Mapping[str, tuple[str, ...]]
) -> Expectation:
    """What must be found: all statements of the requests and steps, and one of a release's several."""
    _check_keys(given, ("rule", "templates"), "expect")
    templates, one_of = list[str](), list[str]()
    for name in msgspec.convert(given.get("templates", ()), tuple[str, ...]):
        ids = _named(folder, names, name)
        (one_of if name == _RELEASE and len(ids) > 1 else templates).extend(ids)
    return Expectation(
        rule=msgspec.convert(given["rule"], int), templates=tuple(templates), one_of=tuple(one_of)
    )


def _traffic(document: Mapping[str, Any]) -> Traffic:
    whole = {
        **document.get("traffic", {}),
        "requests": [_request(given) for given in document.get("request", ())],
        "values": document.get("values", {}),
    }
    for name, given in whole["values"].items():
        _check_keys(given, _fields(Value), f"value {name}")
    return _one(whole, Traffic)


def _fixed(traffic: Traffic, fix: Mapping[str, Any]) -> Traffic | None:
    """Traffic of the application with its fix: requests of the same name are replaced."""
    if "request" not in fix:
        return None
    new = {r.name: r for r in (_one(_request(given), Request) for given in fix["request"])}
    kept = [new.pop(request.name, request) for request in traffic.requests]
    return replace(traffic, requests=(*kept, *new.values()), seed=traffic.seed + 1)


def _request(given: Mapping[str, Any]) -> dict[str, Any]:
    """A request as its type has it; `sql` stands for a single step."""
    request = dict(given)
    steps = request.pop("step", None) or [{"sql": request.pop("sql")}]
    _check_keys(request, _fields(Request), f"request {given.get('name')}")
    for step in steps:
        _check_keys(step, _fields(Step), f"a step of request {given.get('name')}")
    return {**request, "steps": steps}


def _names(traffic: Traffic, given: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
    """Request or step -> ids of its templates, control statements left out."""
    names: dict[str, dict[str, None]] = {}
    for name, sql in (*given.items(), *_statements(traffic)):
        found = fingerprint(numbered(sql))
        if found.kind not in _CONTROL:
            names.setdefault(name, {})[found.id] = None
    return {name: tuple(ids) for name, ids in names.items()}


def _release(folder: Path) -> dict[str, tuple[str, ...]]:
    """The statements of migration.sql go by the name of "migration", but for what frames them."""
    file = folder / "migration.sql"
    if not file.is_file():
        return {}
    script = file.read_text(encoding="utf-8")
    found = (fingerprint(sql) for _, sql in statements(script))
    return {_RELEASE: tuple(one.id for one in found if one.kind not in _CONTROL)}


def _statements(traffic: Traffic) -> Iterator[tuple[str, str]]:
    for request in traffic.requests:
        for step in request.steps:
            yield request.name, step.sql
            if step.name:
                yield step.name, step.sql


def _named(folder: Path, names: Mapping[str, tuple[str, ...]], name: str) -> tuple[str, ...]:
    if name not in names:
        raise InputError(f"{folder / FILE}: no request, step or name is called {name!r}")
    return names[name]


def _check_keys(given: Mapping[str, Any], known: Collection[str], where: str) -> None:
    unknown = sorted(given.keys() - set(known))
    if unknown:
        raise msgspec.ValidationError(f"{where} has {', '.join(unknown)}, which nobody reads")


def _fields(kind: type) -> list[str]:
    return [field.name for field in fields(kind)]


def _one(given: Mapping[str, Any], kind: type[_T]) -> _T:
    _check_keys(given, _fields(kind), kind.__name__.lower())
    return msgspec.convert(given, kind, strict=False)


def _folders() -> tuple[Path, ...]:
    spec = find_spec("scenarios")
    places = [] if spec is None else list(spec.submodule_search_locations or ())
    return tuple(f for place in places for f in (Path(place) / "incidents").glob("*") if f.is_dir())
