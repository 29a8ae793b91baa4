"""The user's own login: a Python function, called once for each captured session before the load begins.

`def login(number, client)`: `number` counts the sessions from 0, `client` sends requests to the service and
keeps its cookies. What it returns, a mapping or nothing, is sent as headers with all of the session's
requests.
"""

import importlib
import importlib.util
import json
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from http import HTTPMethod
from pathlib import Path
from typing import Any

from replay.errors import EnvironmentFaultError, InputError
from replay.load.clients import Clients, is_page
from replay.service import Service, connection

_AT_ONCE = 16


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    content: bytes

    @property
    def text(self) -> str:
        """The content as text."""
        return self.content.decode("utf-8", "replace")

    def json(self) -> Any:
        """The content as JSON; raises ValueError where it is none."""
        return json.loads(self.content)


class LoginClient:
    """Sends a session's requests while it logs in; cookies are the session's own."""

    def __init__(self, service: Service, clients: Clients, session: bytes) -> None:
        self._service = service
        self._clients = clients
        self._session = session

    @property
    def cookies(self) -> dict[str, str]:
        """The session's cookies, to be read and set."""
        return self._clients.client(self._session).cookies

    @property
    def token(self) -> str:
        """The token against forgery of the last page that had one, for a form's field."""
        return self._clients.client(self._session).token

    def request(
        self,
        method: str,
        path: str,
        body: bytes | str | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send a request, a mapping as JSON, a text as a form, and wait for the answer.

        Redirects are not followed.
        """
        given = {"Host": self._service.named, **(headers or {})}
        if isinstance(body, Mapping):
            body = json.dumps(body)
            given.setdefault("Content-Type", "application/json")
        elif isinstance(body, str):
            given.setdefault("Content-Type", "application/x-www-form-urlencoded")
        if self.cookies:
            given.setdefault("Cookie", "; ".join(map("=".join, self.cookies.items())))
        made = connection(self._service)
        try:
            made.request(method, self._service.base + path, body, given)
            answer = made.getresponse()
            content = answer.read()
        finally:
            made.close()
        self._clients.set_cookies(self._session, answer.headers.get_all("Set-Cookie") or [])
        if is_page(answer.headers.get("Content-Type")):
            self._clients.take_page(self._session, content)
        told = {name.lower(): value for name, value in answer.headers.items()}
        return Answer(answer.status, told, content)

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """As `request`."""
        return self.request(HTTPMethod.GET, path, None, headers)

    def post(
        self,
        path: str,
        body: bytes | str | Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """As `request`."""
        return self.request(HTTPMethod.POST, path, body, headers)


Login = Callable[[int, LoginClient], Mapping[str, str] | None]


def hook(name: str) -> Login:
    """The function of `module:function` or `file.py:function`; raises InputError where there is none.

    What stands beside a file can be imported by it, as by any script.
    """
    place, _, function = name.rpartition(":")
    try:
        if place.endswith(".py"):
            sys.path.insert(0, str(Path(place).absolute().parent))
            spec = importlib.util.spec_from_file_location(Path(place).stem, place)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
        else:
            module = importlib.import_module(place)
        found: Login = getattr(module, function)
    except Exception as error:
        raise InputError(
            f"--login {name}: {type(error).__name__}: {error}; write module:function, or file.py:function"
        ) from error
    return found


def log_in(login: Login, service: Service, clients: Clients, sessions: Iterable[bytes]) -> None:
    """Log all sessions in, some at once; raises EnvironmentFaultError with what the first one said."""
    left = deque(enumerate(sessions))
    failed: list[EnvironmentFaultError] = []

    def work() -> None:
        while left and not failed:
            number, session = left.popleft()
            try:
                headers = dict(login(number, LoginClient(service, clients, session)) or {})
            except Exception as error:  # noqa: BLE001 - the user's own, told as it is
                failed.append(
                    EnvironmentFaultError(
                        f"--login: session {number} could not log in: {type(error).__name__}: {error}"
                    )
                )
                return
            clients.client(session).headers.update(headers)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(min(_AT_ONCE, len(left)))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0] from failed[0].__context__
