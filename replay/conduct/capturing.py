"""From production to a workload on disk."""

import logging
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from replay import __version__, bundle
from replay.capture.captured import Captured, Options, kept_values, key_id
from replay.capture.inputs import STDIN
from replay.capture.policy import KEPT, POLICY
from replay.workload import Manifest, Workload

if TYPE_CHECKING:
    from replay.capture.requests.stage import ReadRequests, RequestOptions
    from replay.capture.snapshot import Window
    from replay.capture.source import Asked

log = logging.getLogger(__name__)


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
    requests: "tuple[Sequence[Path], RequestOptions] | None" = None,
    plans: str | None = None,
    seen: Callable[[Workload], None] | None = None,
) -> Captured:
    """Read logs and statistics, write the workload directory; what was read is never lost.

    Without `inputs` the workload is what pg_stat_statements counted, with synthesised values;
    `between` names two snapshots, and only what was counted between them is taken; `follow_s` takes
    them itself, so many seconds apart. Of the logs, the same window is taken unless the options name
    one. `profile` is what the script of `replay profile --sql` wrote, and stands for `stats_dsn`.
    `plans`, values or generic, takes the shapes of production's plans, from `stats_dsn`.
    `requests` names request logs, and what to take of them: they are read first, so that transactions
    of the requests that are kept can be. Where the statements of some show that they are routes of
    their own, all is read once more with them apart.

    `key` scrubs values; without one a key is drawn and forgotten, so that no later capture gives
    the same tokens. While logs are read, what was read so far is written now and then beside `out`,
    and `saved` is called. `seen` is shown the whole workload but for its transactions, which helpers make
    meanwhile, before it is written.
    """
    bundle.require_writable(out)
    options, key = options or Options(), key or secrets.token_bytes(32)
    asked, window = None, None
    if stats_dsn or profile or between:
        asked, window = _asked(stats_dsn, profile, between, follow_s)
    read = None
    if requests is not None:
        paths, chosen = requests
        chosen = replace(chosen, kept=kept_values(asked), linked=bool(inputs))
        read = _read(paths, chosen, progress)
    if read is not None and (read.interrupted or not (inputs or asked or window)):
        return _requests_alone(out, read, key)
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
        return _written(out, _with_activity(captured, window), key, read, seen=seen)
    # What reads the database's log: requests alone are captured without it.
    from replay.capture.stage import capture  # noqa: PLC0415

    if window is not None and options.begin is None and options.end is None:
        from replay.capture.assemble import moment  # noqa: PLC0415 - as in _asked

        options = replace(options, begin=moment(window.begin_us), end=moment(window.end_us))

    def save(part: Captured) -> None:
        bundle.write_unfinished(out, part.workload, part.profile)
        if saved is not None:
            saved()

    def captured_beside(read: "ReadRequests | None") -> Captured:
        return capture(
            inputs,
            asked=asked,
            key=key,
            options=options,
            window=window,
            progress=progress,
            save=save,
            linker=None if read is None else read.linker(),
        )

    captured = captured_beside(read)
    if read is not None and requests is not None and not captured.interrupted:
        apart = captured.told.apart if captured.told is not None else frozenset()
        if apart and _can_be_read_again([*inputs, *requests[0]]):
            log.info(
                "%d paths run other statements than their routes: all is read again", len(apart)
            )
            again = _read(requests[0], replace(read.options, apart=apart), progress)
            beside = captured if again.interrupted else captured_beside(again)
            if not (again.interrupted or beside.interrupted):
                read, captured = again, beside
    taken: bundle.Plans | None = None
    if asked is not None and stats_dsn and not captured.interrupted:
        captured, taken = _looked_up(captured, asked, stats_dsn, plans)
    captured = _with_activity(captured, window)
    return _written(out, captured, key, read, taken, seen=seen)


def _can_be_read_again(paths: Sequence[Path]) -> bool:
    """Whether none of them is standard input or a pipe; those that name several files are none."""
    patterns = (path for path in paths if not path.exists())
    streams = [path for path in paths if path.exists() and not (path.is_file() or path.is_dir())]
    if streams or STDIN in patterns:
        log.warning(
            "some paths that look like names run other statements than these: capture from files, or "
            "name their routes with --routes FILE"
        )
        return False
    return True


def _with_activity(captured: Captured, window: "Window | None") -> Captured:
    """What was captured, with what production's sessions were at meanwhile."""
    if window is None or not window.activity:
        return captured
    return replace(captured, workload=replace(captured.workload, activity=window.activity))


def _looked_up(
    captured: Captured, asked: "Asked", dsn: str, how: str | None
) -> "tuple[Captured, bundle.Plans | None]":
    """What production is asked once its statements are known; nothing raw is kept."""
    from replay.capture import known  # noqa: PLC0415 - as in _asked
    from replay.target import connect_source  # noqa: PLC0415 - the same

    with connect_source(dsn) as connection:
        raw = captured.raw
        profile = known.with_known_keys(asked.profile, raw, connection)
        taken = None
        if how is not None:
            generic, version = how == "generic", asked.profile.server_version
            taken = known.plans(raw, connection, generic=generic, version=version)
    assert captured.scrubbed is not None
    return replace(captured, profile=captured.scrubbed(profile)), taken


def _read(
    paths: Sequence[Path],
    options: "RequestOptions",
    progress: Callable[[int, int], None] | None,
) -> "ReadRequests":
    from replay.capture.requests.stage import read_requests  # noqa: PLC0415 - as in _asked

    return read_requests(paths, options=options, progress=progress)


def _written(
    out: Path,
    captured: Captured,
    key: bytes,
    read: "ReadRequests | None",
    plans: bundle.Plans | None = None,
    *,
    seen: Callable[[Workload], None] | None,
) -> Captured:
    """Write what was captured, with the requests beside it."""
    requests = None if read is None else read.made(key, captured.told)
    if seen is not None:
        seen(replace(captured.workload, transactions=(), places=()))
    bundle.write(out, captured.workload, captured.profile, requests, plans)
    return captured


def _requests_alone(out: Path, requests: "ReadRequests", key: bytes) -> Captured:
    """A workload of requests, without a statement."""
    read, options = requests.made(key), requests.options
    log = read.log
    manifest = Manifest(
        tool_version=__version__,
        format=log.format,
        inputs=log.inputs,
        begin=log.begin,
        end=log.end,
        slice_s=log.slice_s,
        seed=options.seed,
        per_stratum=options.per_stratum,
        scrub=KEPT if options.keep_values else POLICY,
        records=0,
        executions=0,
        transactions=0,
        sessions=0,
        complete=log.complete,
        key_id=key_id(key),
        notes=("requests alone: no log of the database was read",),
    )
    captured = Captured(
        workload=Workload(manifest=manifest, templates=(), transactions=()),
        profile=None,
        interrupted=log.interrupted,
    )
    bundle.write(out, captured.workload, None, read)
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
