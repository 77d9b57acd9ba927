"""A small server for one person's own browser: this machine only, a token in the address, a fixed list of routes."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import secrets
import socketserver
import sys
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from torchwork import processes, rundir
from torchwork.types import Finding, InputError
from torchwork.watch import seen

HOST = "127.0.0.1"
_NAMES = (HOST, "localhost", "[::1]")  # any port: it may be reached through a tunnel
_REQUEST_SECONDS = 10.0
_OPEN_SECONDS = 5.0  # a page that has not asked for so long is closed, or sleeps
_REPORT_RULES = (  # a sandbox: whatever a report holds, it is no page of this server and can ask it for nothing
    "sandbox allow-scripts allow-downloads; default-src 'none'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; img-src data:; font-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


class Answer(NamedTuple):
    """What is sent back: ``rules`` is the content security policy; after the ``last`` the server ends."""

    status: HTTPStatus
    content: bytes = b""
    kind: str = "text/plain; charset=utf-8"
    rules: str = "default-src 'none'; frame-ancestors 'none'"
    last: bool = False


class Server(ThreadingHTTPServer):
    """Serves one run directory, which may be exchanged while it serves.

    Whenever somebody asks for the state, `rundir.WATCHED` is touched, so that the training makes pictures.

    Raises:
        InputError: the port is taken, or not allowed.
    """

    daemon_threads = True

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self.token = secrets.token_urlsafe(24)
        self.ending = False  # the page is told to fetch what it still lacks, and says good-bye
        self.told_the_end = threading.Event()
        self.page, self.page_rules = _page()
        self._asked: set[processes.Process] = set()
        self._asked_at = -math.inf
        try:
            super().__init__((HOST, port), _Request)
        except OSError as error:
            message = f"port {port} cannot be used: {error.strerror or error}"
            raise InputError(
                Finding("port", "error", "--port", message, "take another, or 0 for a free one")
            ) from error

    def server_bind(self) -> None:
        """Bind without asking the network for this machine's name, as the standard library's own does."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = HOST, self.server_address[1]

    @property
    def address(self) -> str:
        """Where the page is: whoever knows this address may watch and stop the run."""
        return f"http://{HOST}:{self.server_port}/{self.token}/"

    def turn_to(self, directory: Path) -> None:
        """Serve another run from now on."""
        _touch(self.directory, gone=True)
        self.directory = directory

    def end(self) -> None:
        """Give a page that is open the last word, then stop serving."""
        self.ending = True
        if time.monotonic() - self._asked_at < _OPEN_SECONDS:
            self.told_the_end.wait(_OPEN_SECONDS)
        self.shutdown()

    def server_close(self) -> None:
        """Stop listening; the sign of somebody who watches goes too."""
        super().server_close()
        _touch(self.directory, gone=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Keep quiet where a browser has gone while it was answered."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def state(self) -> Answer:
        """Answer where the run stands."""
        _touch(self.directory)
        self._asked_at = time.monotonic()
        ending = self.ending  # before it is looked at the run: what the page is told last is how it ended
        return _json({**seen.state(self.directory), "ending": ending})

    def stop(self) -> Answer:
        """Interrupt the run as Ctrl-C does, once: a second time would end it without saving."""
        process = seen.process_of(self.directory)
        state = seen.state(self.directory)
        if process is None or not state["can_stop"]:
            return _said(HTTPStatus.CONFLICT, "There is nothing here to stop.")
        if process in self._asked:
            return _said(HTTPStatus.CONFLICT, "It was asked to stop before.")
        try:
            processes.interrupt(process)
        except OSError as error:
            return _said(HTTPStatus.CONFLICT, f"It cannot be stopped from here: {error}.")
        self._asked.add(process)
        return _said(HTTPStatus.ACCEPTED, "Asked to stop: the running step is finished and saved first.")


def _page() -> tuple[bytes, str]:
    """Return the page and its content security policy, which lets run what the page itself holds and nothing else."""
    here = resources.files("torchwork.watch")
    css = resources.files("torchwork.report").joinpath("page.css").read_text("utf-8")
    css += here.joinpath("page.css").read_text("utf-8")
    script = "".join(here.joinpath(name).read_text("utf-8") for name in ("curves.js", "page.js"))
    page = here.joinpath("page.html").read_text("utf-8").replace("{css}", css).replace("{script}", script)
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (css, script)]
    rules = (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return page.encode(), rules


def _file(server: Server, name: str, kind: str, rules: str = "default-src 'none'") -> Answer:
    try:
        return Answer(HTTPStatus.OK, (server.directory / seen.FILES[name]).read_bytes(), kind, rules)
    except OSError:
        return _said(HTTPStatus.NOT_FOUND, "There is no such file yet.")


def _json(content: Any) -> Answer:
    return Answer(HTTPStatus.OK, seen.encoded(content), "application/json")


def _said(status: HTTPStatus, text: str) -> Answer:
    return Answer(status, text.encode())


_HTML = "text/html; charset=utf-8"
ROUTES: dict[tuple[str, str], Callable[[Server], Answer]] = {
    ("GET", ""): lambda server: Answer(HTTPStatus.OK, server.page, _HTML, server.page_rules),
    ("GET", "state"): Server.state,
    ("GET", "history"): lambda server: _json(seen.history(server.directory)),
    ("GET", "worst"): lambda server: _json(seen.worst(server.directory)),
    ("GET", "batch"): lambda server: _file(server, "batch", "image/png"),
    ("GET", "report"): lambda server: _file(server, "report", _HTML, _REPORT_RULES),
    ("GET", "bye"): lambda server: Answer(HTTPStatus.OK, last=server.ending),
    ("POST", "stop"): Server.stop,
}


class _Request(BaseHTTPRequestHandler):
    """One request. What it names is compared with what there is; nothing of it ever becomes a path."""

    server: Server
    server_version, sys_version = "torchwork", ""
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        self._send(self._answer("GET"))

    def do_POST(self) -> None:
        self._send(self._answer("POST"))

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no request that could be understood, or of another method, without a page that repeats it."""
        self._send(_said(HTTPStatus.METHOD_NOT_ALLOWED if code == HTTPStatus.NOT_IMPLEMENTED else HTTPStatus(code), ""))

    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the address holds the token."""

    def _answer(self, method: str) -> Answer:
        host = self.headers.get("Host", "")
        token, slash, name = self.path.partition("?")[0].removeprefix("/").partition("/")
        known = hmac.compare_digest(token.encode(errors="replace"), self.server.token.encode())
        if re.sub(r":\d+$", "", host) not in _NAMES or not known:
            return _said(HTTPStatus.FORBIDDEN, "The address is not whole: it holds a token, which torchwork printed.")
        if method == "POST" and self.headers.get("Origin") != f"http://{host}":
            return _said(HTTPStatus.FORBIDDEN, "This was not asked by the page itself.")
        route = ROUTES.get((method, name)) if slash else None
        if route is not None:
            return route(self.server)
        there = any(name == other for _, other in ROUTES)
        return _said(HTTPStatus.METHOD_NOT_ALLOWED if there and slash else HTTPStatus.NOT_FOUND, "")

    def _send(self, answer: Answer) -> None:
        self.close_connection = True
        self.send_response(answer.status)
        headers = {
            "Content-Type": answer.kind,
            "Content-Length": str(len(answer.content)),
            "Content-Security-Policy": answer.rules,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "same-origin",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Connection": "close",
        }
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.content)
        if answer.last:
            self.server.told_the_end.set()


def _touch(directory: Path, *, gone: bool = False) -> None:
    path = directory / rundir.WATCHED
    try:
        if gone:
            path.unlink(missing_ok=True)
        else:
            path.touch()
    except OSError:  # somebody else's run, which can only be looked at: the training then makes no pictures
        return
