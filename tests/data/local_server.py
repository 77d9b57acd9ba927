"""A web server on this machine that behaves as badly as a test asks it to."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = Callable[["Request"], None]


class Request(BaseHTTPRequestHandler):
    """One request; the first of the server's ``script`` answers it, and the last of them all that follow."""

    def do_GET(self) -> None:
        server = self.server
        server.asked.append((self.path, self.headers.get("Range"), self.headers.get("If-Range")))
        script = server.script
        (script.pop(0) if len(script) > 1 else script[0])(self)

    def log_message(self, *_: object) -> None:
        pass

    def give(
        self,
        content: bytes,
        *,
        etag: str = "",
        ranges: bool = True,
        cut: int | None = None,
        chunked: bool = False,
        wrong_part: bool = False,
    ) -> None:
        """Answer as a good server would, or with less than was promised."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range") or "")
        known = self.headers.get("If-Range") in (None, etag)
        start = int(found[1]) if found and ranges and known else 0
        if start and start >= len(content):
            self.refuse(416)
            return
        body = content[start:]
        self.send_response(206 if start else 200)
        if start:
            first = start + 1 if wrong_part else start
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        if etag:
            self.send_header("ETag", etag)
        if not chunked:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.wfile.flush()
        self.close_connection = True

    def refuse(self, code: int) -> None:
        """Answer with an error."""
        self.send_response(code)
        self.send_header("Content-Length", "0")
        self.end_headers()


class Server(ThreadingHTTPServer):
    """Holds what the test asked for and what the server was asked."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """The other side has gone: as it should where a test breaks off."""


@contextmanager
def serving(*script: Answer) -> Iterator[tuple[str, list[tuple[str, str | None, str | None]]]]:
    """Serve by a script; give the address, which ends in /, and the list of requests (path, Range, If-Range)."""
    server = Server(("127.0.0.1", 0), Request)
    server.script, server.asked = list(script), []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/", server.asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def good(content: bytes, **options: object) -> Answer:
    """Give that content, or the part asked for."""
    return lambda request: request.give(content, **options)


def cut(content: bytes, after: int, **options: object) -> Answer:
    """Break off after so many bytes."""
    return lambda request: request.give(content, cut=after, **options)


def error(code: int) -> Answer:
    """Answer with that code."""
    return lambda request: request.refuse(code)


def redirect(to: str) -> Answer:
    """Send the client elsewhere."""

    def answer(request: Request) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def stall(content: bytes, after: int, until: threading.Event) -> Answer:
    """Give so many bytes, and then nothing until the test says so."""

    def answer(request: Request) -> None:
        request.give(content, cut=after)
        until.wait(20)

    return answer


def drip(content: bytes, seconds: float, until: threading.Event) -> Answer:
    """Give a byte now and then."""

    def answer(request: Request) -> None:
        request.give(content, cut=0)
        for byte in content:
            if until.is_set():
                return
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(seconds)

    return answer
