"""What can go wrong while tables are read or made; whoever calls gives it an exit code."""


class DataGenError(Exception):
    """A table cannot be made as its profile says: the message names it, and what to do next."""
