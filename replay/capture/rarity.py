"""What counts as a rare path."""

_ALWAYS = 1e-4  # share of all calls under which a template is rare
_WHEN_SCATTERED = 1e-3  # the same, for one that is seen only now and then
_SCATTERED = 0.25  # share of the window's slices
_PATHS = frozenset({"select", "insert", "update", "delete", "merge"})


def is_rare(*, kind: str, calls: int, executions: int, slices_seen: int, slices: int) -> bool:
    """Whether a template with `calls` of all `executions` is rare.

    `slices_seen` of the window's `slices` hold a call of it. Only what reads or writes rows is a
    path: transaction control, settings and administration are never rare.
    """
    if kind not in _PATHS or calls == 0:
        return False
    return is_rare_share(calls=calls, of=executions, slices_seen=slices_seen, slices=slices)


def is_rare_share(*, calls: int, of: int, slices_seen: int, slices: int) -> bool:
    """Whether so many of all are rare, or few and seen only now and then."""
    share = calls / of
    return share < _ALWAYS or (share < _WHEN_SCATTERED and slices_seen <= _SCATTERED * slices)
