"""Which session each request is of, as a number: its cookie's, else its authorization's, else its client's."""

import re

import numpy as np

from replay.capture.formats.columns import Ints
from replay.capture.formats.texts import Spans, Texts
from replay.capture.kernels import Bytes, Hashes, compiled, place
from replay.capture.priority import mix, mixed
from replay.capture.requests import names, shapes
from replay.capture.requests.columns import Requests, is_absent
from replay.capture.words import holds

# The cookie that stands for a session, of all that a client sends.
_SESSION = re.compile(
    rb"(?i)(?:^|;\s*)(?:[\w.-]*sess[\w.-]*|sid|connect\.sid|jsessionid|phpsessid|auth[\w.-]*|token)=([^;]+)"
)


def sessions_of(found: Requests) -> Ints:
    """A number for each request's session."""
    sessions = np.empty(len(found), np.uint64)
    client, agent, own = found.client, found.agent, found.authorization
    agents = agent.data, agent.begins, agent.ends
    _sessions(client.data, client.begins, client.ends, *agents, sessions)
    if not is_absent(own):
        _instead(own.data, own.begins, own.ends, sessions)
    if not is_absent(found.cookie):
        _of_cookies(found.cookie, sessions)
    return sessions.view(np.int64)


def _of_cookies(cookies: Texts, sessions: Hashes) -> None:
    """Sessions of those that sent a cookie."""
    if not _has_names(cookies.data, cookies.begins, cookies.ends):
        _instead(cookies.data, cookies.begins, cookies.ends, sessions)
        return
    codes, firsts = names.codes(cookies)
    sent = cookies.only(firsts).to_pylist()
    told = shapes.hashes_of(Texts.holding([_session_of(cookie) for cookie in sent]))
    is_sent = cookies.ends > cookies.begins
    sessions[is_sent] = mix(told)[codes[is_sent]]


def _session_of(cookie: bytes) -> bytes:
    found = _SESSION.search(cookie)
    return found[1] if found else cookie


@compiled
def _sessions(
    data: Bytes,
    begins: Spans,
    ends: Spans,
    agents: Bytes,
    first: Spans,
    behind: Spans,
    sessions: Hashes,
) -> None:
    """By client and agent."""
    for row in range(sessions.size):
        client = names.hashed(data, place(begins[row]), place(ends[row]))
        agent = names.hashed(agents, place(first[row]), place(behind[row]))
        sessions[row] = mixed(mixed(client) ^ agent)


@compiled
def _instead(data: Bytes, begins: Spans, ends: Spans, sessions: Hashes) -> None:
    """By what is told better, where it is told."""
    for row in range(sessions.size):
        begin, end = place(begins[row]), place(ends[row])
        if begin < end:
            sessions[row] = mixed(names.hashed(data, begin, end))


@compiled
def _has_names(data: Bytes, begins: Spans, ends: Spans) -> bool:
    """Whether any cookie is told with its name."""
    for row in range(begins.size):
        if holds(data, place(begins[row]), place(ends[row]), 61):
            return True
    return False
