"""Forms with files, multipart/form-data, taken apart and put together (RFC 7578).

A captured form keeps its fields' names and the kinds of its files, and gets a boundary of ours: the client's
was drawn for it alone.
"""

from collections.abc import Iterable
from dataclasses import dataclass

FORM_DATA = "multipart/form-data"
_BOUNDARY = "staging-replay-part"
CONTENT_TYPE = f"{FORM_DATA}; boundary={_BOUNDARY}"
"""Of what `written` writes."""
_FILE_AT_MOST = 4096  # characters; of a longer file so much is sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A field of a form, or a file."""

    name: str
    content: str
    file: str | None = None  # its name; None: a field
    kind: str = ""  # as application/json; empty where it is not told


def parts(body: str, content_type: str) -> tuple[Part, ...]:
    """The parts of a body; raises ValueError where it is none of that type."""
    import email  # noqa: PLC0415 - what parses mail takes a while to load, and few logs have forms
    from email import policy  # noqa: PLC0415

    head = f"Content-Type: {content_type}\r\n\r\n".encode()
    whole = email.message_from_bytes(head + body.encode("utf-8", "replace"), policy=policy.HTTP)
    found = list(whole.iter_parts()) if whole.get_content_type() == FORM_DATA else []
    made = []
    for part in found:
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes):
            raise ValueError(FORM_DATA)  # noqa: TRY004 - what was sent is not so
        kind = part.get_content_type() if "content-type" in part else ""
        content, file = payload.decode("utf-8", "replace"), part.get_filename()
        made.append(Part(name=name, content=content, file=file, kind=kind))
    if not made:
        raise ValueError(FORM_DATA)
    return tuple(made)


def written(made: Iterable[Part]) -> str:
    """A body of CONTENT_TYPE."""
    lines = []
    for part in made:
        file = "" if part.file is None else f'; filename="{_quoted(part.file)}"'
        lines += [
            f"--{_BOUNDARY}",
            f'Content-Disposition: form-data; name="{_quoted(part.name)}"{file}',
            *([f"Content-Type: {part.kind}"] if part.kind else []),
            *("", part.content),
        ]
    return "\r\n".join((*lines, f"--{_BOUNDARY}--", ""))


def filler(content: str) -> str:
    """What stands for a file's content: as much of it, if it is not long."""
    return "x" * min(len(content), _FILE_AT_MOST)


def lightened(body: str, content_type: str) -> tuple[str, str]:
    """A form without what its files hold, and its type; anything else as it is."""
    try:
        found = parts(body, content_type)
    except ValueError:
        return body, content_type
    light = (
        part
        if part.file is None
        else Part(name=part.name, content=filler(part.content), file=part.file, kind=part.kind)
        for part in found
    )
    return written(light), CONTENT_TYPE


def is_form(content_type: str) -> bool:
    """Whether a body of that type is such a form."""
    return content_type.lower().startswith(FORM_DATA)


def _quoted(text: str) -> str:
    """A name between quotes, as browsers write it."""
    return text.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
