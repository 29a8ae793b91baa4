"""From production to a workload on disk."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from replay import bundle
from replay.capture import Captured, Options, capture
from replay.capture.assemble import moment

if TYPE_CHECKING:
    from replay.capture.snapshot import Window
    from replay.capture.source import Asked


def capture_workload(
    inputs: Sequence[Path],
    out: Path,
    *,
    stats_dsn: str | None = None,
    profile: Path | None = None,
    key: bytes | None = None,
    options: Options | None = None,
    between: tuple[Path, Path] | None = None,
    follow_s: float | None = None,
    progress: Callable[[int, int], None] | None = None,
    saved: Callable[[], None] | None = None,
) -> Captured:
    """Read logs and statistics, write the workload directory; what was read is never lost.

    Without `inputs` the workload is what pg_stat_statements counted, with synthesised values;
    `between` names two snapshots, and only what was counted between them is taken; `follow_s` takes
    them itself, so many seconds apart. Of the logs, the same window is taken unless the options name
    one. `profile` is what the script of `replay profile --sql` wrote, and stands for `stats_dsn`.

    `key` scrubs values; without one a key is drawn and forgotten, so that no later capture gives
    the same tokens. While logs are read, what was read so far is written now and then beside `out`,
    and `saved` is called.
    """
    bundle.require_writable(out)
    options, key = options or Options(), key or secrets.token_bytes(32)
    asked, window = None, None
    if stats_dsn or profile or between:
        asked, window = _asked(stats_dsn, profile, between, follow_s)
    if not inputs:
        from replay.capture.counted import capture_counted  # noqa: PLC0415 - as in _asked

        captured = capture_counted(
            asked,
            window,
            key=key,
            seed=options.seed,
            per_stratum=options.per_stratum,
            keep_values=options.keep_values,
            inputs=tuple(file.name for file in between or ()),
        )
        bundle.write(out, captured.workload, captured.profile)
        return captured
    if window is not None and options.begin is None and options.end is None:
        options = replace(options, begin=moment(window.begin_us), end=moment(window.end_us))

    def save(part: Captured) -> None:
        bundle.write_unfinished(out, part.workload, part.profile)
        if saved is not None:
            saved()

    captured = capture(
        inputs, asked=asked, key=key, options=options, window=window, progress=progress, save=save
    )
    bundle.write(out, captured.workload, captured.profile)
    return captured


def _asked(
    stats_dsn: str | None,
    profile: Path | None,
    between: tuple[Path, Path] | None,
    follow_s: float | None,
) -> "tuple[Asked | None, Window | None]":
    """What the server says of itself, and what it counted in a window, as far as either is asked for."""
    # The driver and all that asks through it: a capture of logs alone starts without them.
    from replay.capture import snapshot  # noqa: PLC0415
    from replay.capture.follow import follow  # noqa: PLC0415
    from replay.capture.source import ask, read_answers  # noqa: PLC0415

    window = snapshot.between(*map(snapshot.read, between)) if between else None
    if follow_s is not None and stats_dsn is not None:
        window = follow(stats_dsn, follow_s)
    asked = read_answers(profile) if profile else ask(stats_dsn) if stats_dsn else None
    if window is not None and asked is not None:
        snapshot.require_same(window.source, asked.source)
    return asked, window
