"""What counts as a rare path."""

_ALWAYS = 1e-4  # share of all calls under which a template is rare
_WHEN_SCATTERED = 1e-3  # the same, for one that is seen only now and then
_SCATTERED = 0.25  # share of the window's slices
_CONTROL = frozenset({"begin", "commit", "rollback", "savepoint"})


def is_rare(*, kind: str, calls: int, executions: int, slices_seen: int, slices: int) -> bool:
    """Whether a template with `calls` of all `executions` is rare.

    `slices_seen` of the window's `slices` hold a call of it. Transaction control is never rare: it
    says nothing about a path by itself.
    """
    if kind in _CONTROL or calls == 0:
        return False
    share = calls / executions
    return share < _ALWAYS or (share < _WHEN_SCATTERED and slices_seen <= _SCATTERED * slices)
