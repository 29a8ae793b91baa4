"""Locust's master concludes for all its workers."""

from pathlib import Path

from replay.errors import NotValidError
from replay.load.cluster import Ended
from replay.load.merging import in_words, merge, write_merged


def conclude(
    ended: Ended, *, duration_s: float, objective_ms: float, run_directory: str | None
) -> int:
    """Tell the whole of what the workers did, leave it in the directory, and give the exit code."""
    whole = merge(
        ended.shares,
        ended.lost,
        planned=ended.planned,
        duration_s=duration_s,
        objective_ms=objective_ms,
    )
    for line in in_words(whole, len(ended.shares) + len(ended.lost)):
        print(line)
    for share in ended.shares.values():
        for line in share.told:
            print(line)
    if run_directory:
        Path(run_directory).mkdir(parents=True, exist_ok=True)
        write_merged(Path(run_directory), whole)
    return ended.exit_code or (NotValidError.exit_code if whole.why_not else 0)
