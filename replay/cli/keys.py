"""The scrub key's file: made once with a mode that lets only its owner read it."""

import os
import secrets
from pathlib import Path

from replay.errors import InputError

_BYTES = 32


def read_or_draw(path: Path | None, workload: Path) -> tuple[bytes, Path]:
    """The key and where it lies, or will lie: `path`, or NAME.workload.key beside the workload.

    Raises InputError where it would lie inside the workload, which is there to be passed on, or
    where the file holds no key.
    """
    file = path or workload.with_name(f"{workload.name}.key")
    if file.resolve().is_relative_to(workload.resolve()):
        raise InputError(
            f"{file}: lies inside the workload, which must not hold its key; name another place"
        )
    try:
        text = file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return secrets.token_bytes(_BYTES), file
    except UnicodeDecodeError:
        text = ""
    try:
        key = bytes.fromhex(text)
    except ValueError:
        key = b""
    if len(key) != _BYTES:
        raise InputError(
            f"{file}: holds no scrub key ({2 * _BYTES} hex digits); name another file with "
            "--key-file, or remove this one and a new key is made"
        )
    return key, file


def keep(key: bytes, file: Path) -> None:
    """Write a key that was drawn; one that was read is there."""
    if file.exists():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, f"{key.hex()}\n".encode("ascii"))
    finally:
        os.close(handle)
