"""Which of a pool's free sessions a transaction gets.

One to a database is like any other, and they take turns. One to a service is a client's: a captured session
goes over the connection that it has, where that is free. Where it has none it takes a place in which no
connection is open, or that of another client: of those that have asked for as much as production's sessions
did, the one that was idle longest. Where none has, it goes over the connection that was idle longest, which
stays its owner's: of a sample each session has a few requests alone, and if each of them connected anew, the
service would be busy with greetings as it never was.
"""

from collections import OrderedDict, deque
from typing import Any, Protocol

from replay.load.carrier import Heard
from replay.load.session import Session
from replay.load.shard import Arrival


class Free(Protocol):
    """The free sessions of a pool."""

    def __len__(self) -> int:
        """How many there are."""

    def add(self, session: Session) -> None:
        """One has become free."""

    def take(self, arrival: Arrival) -> Session:
        """The one for a transaction, which is free no more."""

    def remove(self, session: Session) -> None:
        """One is gone."""


class InTurn:
    """The one that became free first is taken first."""

    def __init__(self) -> None:
        self._sessions: deque[Session] = deque()

    def __len__(self) -> int:
        """How many there are."""
        return len(self._sessions)

    def add(self, session: Session) -> None:
        """One has become free."""
        self._sessions.append(session)

    def take(self, _arrival: Arrival) -> Session:
        """The first."""
        return self._sessions.popleft()

    def remove(self, session: Session) -> None:
        """One is gone."""
        self._sessions.remove(session)


class OfClient(Session):
    """A session whose connection is a client's; see httpsession."""

    __slots__ = ("_per_client", "asked", "client", "is_open", "opened")

    def __init__(self, slot: int, loop: Any, heard: Heard, per_client: int) -> None:
        """`per_client` requests are what a session of production's asked for, on average."""
        super().__init__(slot, loop, heard)
        self._per_client = per_client
        self.asked = 0  # requests that went over it since it is this client's
        self.client = b""  # the captured session
        self.is_open = False
        self.opened = 0  # times

    def may_be_anothers(self) -> bool:
        """Whether another client can have its place."""
        return not self.is_open or self.asked >= self._per_client


class ByClient:
    """A client's own, where it is free."""

    def __init__(self) -> None:
        self._idle: OrderedDict[OfClient, None] = OrderedDict()  # longest first
        self._to_have: OrderedDict[OfClient, None] = OrderedDict()  # of these, for another client
        self._own: dict[bytes, list[OfClient]] = {}

    def __len__(self) -> int:
        """How many there are."""
        return len(self._idle)

    def add(self, session: Session) -> None:
        """One has become free."""
        assert isinstance(session, OfClient)
        self._idle[session] = None
        if session.is_open:
            self._own.setdefault(session.client, []).append(session)
        if session.may_be_anothers():
            self._to_have[session] = None

    def take(self, arrival: Arrival) -> Session:
        """The client's own, of several the last one used; else one that it can have, or share."""
        own = self._own.get(arrival.lines[0].values[1] or b"")
        session = own[-1] if own else next(iter(self._to_have or self._idle))
        self.remove(session)
        return session

    def remove(self, session: Session) -> None:
        """One is gone."""
        assert isinstance(session, OfClient)
        del self._idle[session]
        self._to_have.pop(session, None)
        own = self._own.get(session.client, [])
        if session in own:
            own.remove(session)
            if not own:
                del self._own[session.client]
