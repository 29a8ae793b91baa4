"""The stage's one function: read the source, stream the logs, sample, scrub, assemble.

Helpers begin to read as soon as what they need is loaded; the rest is loaded meanwhile.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from replay.capture import warm
from replay.capture.captured import Captured, Options
from replay.capture.formats.columns import Hints
from replay.capture.inputs import find_inputs, server_logs
from replay.capture.lacking import require_told
from replay.capture.sampling import sampling_of
from replay.capture.workers import digesting

if TYPE_CHECKING:  # a capture of logs alone starts without, nor without a server's driver
    from replay.capture.links.linker import Linker
    from replay.capture.snapshot import Window
    from replay.capture.source import Asked


def capture(
    inputs: Sequence[Path],
    *,
    asked: "Asked | None",
    key: bytes,
    options: Options | None = None,
    window: "Window | None" = None,
    progress: Callable[[int, int], None] | None = None,
    save: Callable[[Captured], None] | None = None,
    linker: "Linker | None" = None,
) -> Captured:
    """Read log files or directories, beside what the server said of itself, into a workload.

    `key` scrubs values; `progress` is told bytes read and bytes in all; `save` is given, now and
    then, what was read so far. With `asked`, the log's lines of other databases are left out,
    unless the options name databases. `window` is what pg_stat_statements counted while the log was
    written; without it, what it has counted until now. `linker` knows the requests of the same time.
    Ctrl-C ends the reading, and what was read is returned.
    Raises InputError for input that is no log, or holds no statement, or is broken for the most
    part.
    """
    warm.ensure()
    options = options or Options()
    settings = {**(asked.source.settings if asked else {}), **options.settings}
    sampling = sampling_of(settings)
    hints = Hints(
        log_line_prefix=settings.get("log_line_prefix", ""),
        log_timezone=settings.get("log_timezone", ""),
    )
    found = find_inputs(inputs, server_logs(hints))
    filters = options.filters
    require_told(found.inputs, filters)
    if asked is not None and not filters.databases:
        filters = replace(filters, databases=(asked.source.database,), untold=True)
    with digesting(found.inputs, filters, options.jobs) as digests:
        from replay.capture.course import Course  # noqa: PLC0415 - see above

        course = Course(found, asked, key, options, filters, sampling, window, linker)
        course.read(digests, progress, save)
    return course.captured()
