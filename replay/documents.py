"""JSON documents on disk: written whole or not at all, and known again by kind and version."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from replay.errors import InputError

MANIFEST = "manifest.json"
JSON_VERSION = 1  # of the documents that `--json` prints


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A directory that this program writes, told by its manifest."""

    name: str  # workload, run
    version: int
    made_by: str  # the command to make one

    def write_manifest(self, directory: Path, manifest: object, **more: object) -> None:
        """Write the manifest, and what else its document holds."""
        document = {"kind": self.name, "version": self.version, "manifest": manifest, **more}
        write(directory / MANIFEST, document)

    def read_manifest(self, directory: Path) -> dict[str, Any]:
        """The manifest's document; raises InputError where the directory is none of this kind."""
        try:
            document: dict[str, Any] = read(directory / MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            document = {}
        if document.get("kind") != self.name:
            raise InputError(f"{directory}: is not a {self.name}; make one with {self.made_by}")
        if document.get("version") != self.version:
            raise InputError(
                f"{directory}: has format version {document.get('version')}, this program reads "
                f"{self.version}; make it again with {self.made_by}"
            )
        return document


def write(file: Path, value: object) -> None:
    """Write a document whole, or leave the earlier one."""
    part = file.with_suffix(".part")
    part.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")
    part.replace(file)


def read(file: Path) -> Any:
    """Read a document; raises InputError where it is no JSON, and what opening it raises."""
    try:
        return json.loads(file.read_bytes())
    except ValueError as error:
        raise InputError(f"{file}: is not readable: {error}") from error


def read_given(file: Path) -> Any:
    """A user's document, JSON or YAML by its name; raises InputError where it cannot be read."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error}") from error
    try:
        is_json = file.suffix.lower() == ".json"
        return msgspec.json.decode(content) if is_json else msgspec.yaml.decode(content)
    except ImportError:
        raise InputError(
            f"{file}: to read YAML pip install pyyaml, or give the document as JSON"
        ) from None
    except msgspec.DecodeError as error:
        raise InputError(f"{file}: is no document that can be read: {error}") from error


def base_of(openapi: Mapping[str, Any]) -> str:
    """The path ahead of all paths of an OpenAPI document, without a slash at its end."""
    base = str(openapi.get("basePath", "")).rstrip("/")
    for server in openapi.get("servers") or ():
        where = str(server.get("url", "")) if isinstance(server, dict) else ""
        base = base or re.sub(r"^[a-z]+://[^/]*", "", where).rstrip("/")
    return base
