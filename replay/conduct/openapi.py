"""Bodies that an OpenAPI document describes, filled with values that the target's data holds.

A log of requests seldom has bodies. Where the service's document says what one looks like, one is made:
a property that is called like a column takes values of that column's rows, any other what its schema
allows. OpenAPI 3 (requestBody) and Swagger 2 (parameters in body and formData) are read.
"""

import random
import string
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import msgspec

from replay import documents
from replay.errors import InputError
from replay.sql.comment import shape_of

FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"
_DEPTH = 12  # schemas inside of schemas: a document may refer to itself
_MAYBE = 0.5  # a property that is not required
_MOST_ITEMS = 3
_LENGTHS = (4, 16)  # of a text whose schema tells none
_HIGHEST = 1000

Drawn = Callable[[str, bool], str | None]
"""A value that rows of the target hold, by a property's name and whether it is a number."""


class OpenApi:
    """The bodies of a document's operations; `drawn` gives values that the target's rows hold."""

    def __init__(self, file: Path, drawn: Drawn, rng: random.Random) -> None:
        """Raises InputError where the file is no OpenAPI document."""
        self._document = documents.read_given(file)
        self._drawn = drawn
        self._rng = rng
        paths = self._document.get("paths") if isinstance(self._document, dict) else None
        if not isinstance(paths, dict):
            raise InputError(f"{file}: has no `paths`; name an OpenAPI document with --openapi")
        base = documents.base_of(self._document)
        self._operations: dict[tuple[str, str], dict[str, Any]] = {
            (method.upper(), shape_of(base + path)): operation
            for path, item in paths.items()
            for method, operation in (item if isinstance(item, dict) else {}).items()
            if isinstance(operation, dict)
        }

    def knows(self, method: str, route: str) -> bool:
        """Whether the document has that operation, and its body can be made."""
        return self.body(method, route) is not None

    def body(self, method: str, route: str) -> tuple[str, bytes] | None:
        """A body for a request of that route, and its media type; None where the document has none.

        An operation that takes no body gives an empty one, of no type.
        """
        operation = self._operations.get((method, shape_of(route)))
        if operation is None:
            return None
        content = self._content(operation)
        if not content:
            return "", b""
        for kind, schema in content.items():
            if kind == _JSON or kind.endswith("+json"):
                return kind, msgspec.json.encode(self._made(schema, "", 0))
            if kind == FORM:
                made = self._made(schema, "", 0)
                return kind, urlencode(made if isinstance(made, dict) else {}).encode()
        return None  # a file, say: nobody can make one up

    def _content(self, operation: Mapping[str, Any]) -> dict[str, Any]:
        """Schema by media type."""
        asked = self._resolved(operation.get("requestBody", {}))
        if content := asked.get("content"):
            return {kind.partition(";")[0]: _with_example(told) for kind, told in content.items()}
        given = [self._resolved(one) for one in operation.get("parameters", ())]
        for one in given:
            if one.get("in") == "body":
                return {_JSON: one.get("schema", {})}
        form = {one["name"]: one for one in given if one.get("in") == "formData"}
        needed = [name for name, one in form.items() if one.get("required")]
        return {FORM: {"type": "object", "properties": form, "required": needed}} if form else {}

    def _resolved(self, schema: Any) -> dict[str, Any]:
        """What a `$ref` inside of the document stands for."""
        for _ in range(_DEPTH):
            if not isinstance(schema, dict) or "$ref" not in schema:
                break
            found: Any = self._document
            for step in str(schema["$ref"]).removeprefix("#/").split("/"):
                name = step.replace("~1", "/").replace("~0", "~")
                found = found.get(name, {}) if isinstance(found, dict) else {}
            schema = found
        return schema if isinstance(schema, dict) else {}

    def _made(self, schema: Any, name: str, depth: int) -> Any:
        """A value of a schema, for a property called so."""
        schema = self._whole(schema)
        kind = _kind(schema)
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._rng.choice(schema["enum"])
        if kind == "object" and depth < _DEPTH:
            return self._object(schema, depth)
        if kind == "array":
            least, most = schema.get("minItems", 1), schema.get("maxItems", _MOST_ITEMS)
            count = self._rng.randint(least, max(least, min(most, _MOST_ITEMS)))
            inner = partial(self._made, schema.get("items", {}), name, depth + 1)
            return [inner() for _ in range(count if depth < _DEPTH else least)]
        return self._scalar(schema, kind, name)

    def _whole(self, schema: Any) -> dict[str, Any]:
        """A schema with what it is put together of."""
        schema = self._resolved(schema)
        if choices := schema.get("oneOf") or schema.get("anyOf"):
            real = [one for one in map(self._resolved, choices) if one.get("type") != "null"]
            rest = {name: told for name, told in schema.items() if name not in ("oneOf", "anyOf")}
            return {**rest, **self._whole(real[0] if real else {})}
        parts: list[dict[str, Any]] = [self._whole(part) for part in schema.get("allOf") or ()]
        if not parts:
            return dict(schema)
        parts.append({name: told for name, told in schema.items() if name != "allOf"})
        whole: dict[str, Any] = {}
        for part in parts:
            properties = {**whole.get("properties", {}), **part.get("properties", {})}
            required = [*whole.get("required", ()), *part.get("required", ())]
            whole = {**whole, **part, "properties": properties, "required": required}
        return whole

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        needed = set(schema.get("required") or ())
        return {
            name: self._made(inner, name, depth + 1)
            for name, inner in (schema.get("properties") or {}).items()
            if not self._resolved(inner).get("readOnly")
            and (name in needed or self._rng.random() < _MAYBE)
        }

    def _scalar(self, schema: Mapping[str, Any], kind: str, name: str) -> Any:
        if kind == "boolean":
            return self._rng.random() < 0.5
        number = kind in ("integer", "number")
        found = self._drawn(name, number) if name else None
        if found is not None and number:
            return float(found) if kind == "number" else round(float(found))
        if found is not None:
            return found
        if "example" in schema:
            return schema["example"]
        if not number:
            return self._text(schema)
        least = schema.get("minimum", min(0, schema.get("maximum", 0)))
        most = schema.get("maximum", max(least, 0) + _HIGHEST)
        drawn = self._rng.uniform(least, most)
        return round(drawn, 2) if kind == "number" else int(drawn)

    def _text(self, schema: Mapping[str, Any]) -> str:
        at = datetime.now(UTC) - timedelta(seconds=self._rng.randrange(30 * 86_400))
        word = "".join(self._rng.choices(string.ascii_lowercase, k=self._length(schema)))
        formats = {
            "uuid": str(uuid.UUID(int=self._rng.getrandbits(128), version=4)),
            "date-time": at.isoformat(timespec="seconds"),
            "date": at.date().isoformat(),
            "email": f"{word}@example.com",
            "uri": f"https://example.com/{word}",
            "hostname": f"{word}.example.com",
            "ipv4": f"192.0.2.{self._rng.randrange(1, 255)}",
        }
        return formats.get(str(schema.get("format")), word)

    def _length(self, schema: Mapping[str, Any]) -> int:
        least = int(schema.get("minLength", min(_LENGTHS[0], schema.get("maxLength", _LENGTHS[0]))))
        most = int(schema.get("maxLength", max(least, _LENGTHS[1])))
        return self._rng.randint(least, max(least, min(most, max(least, _LENGTHS[1]))))


def _with_example(told: Any) -> dict[str, Any]:
    schema = dict(told.get("schema") or {}) if isinstance(told, dict) else {}
    if isinstance(told, dict) and not schema and "example" in told:
        schema["const"] = told["example"]
    return schema


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):  # OpenAPI 3.1: ["string", "null"]
        kind = next((one for one in kind if one != "null"), "string")
    if kind:
        return str(kind)
    return "object" if schema.get("properties") else "array" if "items" in schema else "string"
