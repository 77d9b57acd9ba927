"""The server: who may ask, what for, and what it answers."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from torchwork import processes, rundir
from torchwork.types import InputError
from torchwork.watch import server as served
from torchwork.watch.server import ROUTES, Server
from watch.made_live import finished, going_on


@pytest.fixture
def serving():
    """Serve a run directory from a thread of this process, until the test ends."""
    started = []

    def start(directory):
        server = Server(directory)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        started.append((server, thread))
        return server

    yield start
    for server, thread in started:
        server.shutdown()
        thread.join()
        server.server_close()


def ask(server, path, method="GET", **headers):
    """Send a request as it stands; return status, headers and body."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=60)
    try:
        connection.putrequest(method, path, skip_host="Host" in headers, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


def origin(server):
    return f"http://127.0.0.1:{server.server_port}"


@pytest.mark.parametrize("name", ["", "state", "history", "worst", "report", "batch"])
def test_every_route_needs_the_token(name, serving, tmp_path):
    server = serving(finished(tmp_path / "run"))
    other = Server(tmp_path / "run")
    other.server_close()
    wrong = ["", "x", server.token[:-1], server.token + "x", server.token.swapcase(), other.token, "%00", "猫"]
    for token in wrong:
        for path in (f"/{token}/{name}", f"/{name}?token={token}", f"//{token}/{name}"):
            path = path.encode().decode("latin-1").replace("猫".encode().decode("latin-1"), "%E7%8C%AB")
            assert ask(server, path)[0] == 403, path
    assert ask(server, f"/{server.token}/{name}")[0] in (200, 404)


def test_what_can_be_asked_for_is_answered_and_never_kept(serving, tmp_path):
    directory = going_on(tmp_path / "run")
    (directory / rundir.SAMPLES / rundir.LAST_BATCH).write_bytes(b"\x89PNG")
    server = serving(directory)
    kinds = {"": "text/html", "state": "application/json", "history": "application/json", "worst": "application/json"}
    for name, kind in {**kinds, "batch": "image/png"}.items():
        status, headers, body = ask(server, f"/{server.token}/{name}")
        assert (status, headers["Content-Type"].partition(";")[0]) == (200, kind), name
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert int(headers["Content-Length"]) == len(body)
    assert ask(server, f"/{server.token}/batch?v=1")[2] == b"\x89PNG"
    assert json.loads(ask(server, f"/{server.token}/state")[2])["phase"] == "training"
    assert len(json.loads(ask(server, f"/{server.token}/history")[2])["rows"]) == 3


def test_the_page_may_run_only_the_script_and_style_that_it_holds(serving, tmp_path):
    import base64
    import hashlib

    server = serving(going_on(tmp_path / "run"))
    _, headers, body = ask(server, f"/{server.token}/")
    page, rules = body.decode(), headers["Content-Security-Policy"]
    for element in ("script", "style"):
        (text,) = re.findall(f"<{element}>(.*?)</{element}>", page, flags=re.DOTALL)
        wanted = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{element}-src 'sha256-{wanted}'" in rules
    assert "unsafe" not in rules
    assert server.token not in page
    assert not re.findall(r"""(?:src|href)=["'](?!data:,|report)""", page)


def test_the_report_is_shut_into_a_sandbox(serving, tmp_path):
    server = serving(finished(tmp_path / "run"))
    status, headers, body = ask(server, f"/{server.token}/report")
    assert (status, b"The report" in body) == (200, True)
    rules = headers["Content-Security-Policy"]
    assert rules.startswith("sandbox allow-scripts")
    assert "allow-same-origin" not in rules
    assert "connect-src" not in rules
    assert "default-src 'none'" in rules


@pytest.mark.parametrize(
    "name",
    [
        "../config.yaml",
        "..%2fconfig.yaml",
        "%2e%2e/config.yaml",
        "config.yaml",
        "log.txt",
        "samples/last-batch.png",
        "/etc/passwd",
        "./state",
        "state/",
        "state/..",
        "batch/../../config.yaml",
        "report%00.html",
        ".watched",
        "STATE",
        "..\\config.yaml",
        "state;x",
    ],
)
def test_no_path_reaches_a_file_that_is_not_on_the_list(name, serving, tmp_path):
    server = serving(finished(tmp_path / "run"))
    status, _, body = ask(server, f"/{server.token}/{name}")
    assert (status, body) == (404, b"")


@pytest.mark.parametrize(
    "host",
    [
        *("evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "localhost.evil.example", "0.0.0.0"),
        *("127.0.0.1:x", "user@127.0.0.1", "[::2]", "127.0.0.1:80:80"),
    ],
)
def test_another_hosts_name_is_refused_as_when_a_name_is_bound_anew(host, serving, tmp_path):
    server = serving(going_on(tmp_path / "run"))
    assert ask(server, f"/{server.token}/state", Host=host)[0] == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8000", "[::1]:9"])
def test_this_machine_may_be_called_by_any_of_its_names_and_through_a_tunnel(host, serving, tmp_path):
    server = serving(going_on(tmp_path / "run"))
    assert ask(server, f"/{server.token}/state", Host=host)[0] == 200


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PROPFIND", "get"])
def test_other_methods_are_refused_without_a_word(method, serving, tmp_path):
    server = serving(going_on(tmp_path / "run"))
    for name in ("", "state", "stop"):
        status, _, body = ask(server, f"/{server.token}/{name}", method, Origin=origin(server))
        assert (status, body) == (405, b""), name


def test_what_is_to_be_read_cannot_be_posted_to_and_what_acts_cannot_be_read(serving, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "interrupt", lambda process: pytest.fail("it was stopped"))
    server = serving(going_on(tmp_path / "run"))
    for method, name in ROUTES:
        other = "POST" if method == "GET" else "GET"
        assert ask(server, f"/{server.token}/{name}", other, Origin=origin(server))[0] == 405


def test_nothing_that_is_sent_comes_back(serving, tmp_path):
    server = serving(going_on(tmp_path / "run"))
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(b"<script> /<script> HTTP/1.1\r\nHost: <script>\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.0 405 ")
    assert b"script" not in answer


@pytest.mark.parametrize(
    "line", [b"\r\n", b"GET\r\n\r\n", b"GET / HTTP/1.1 x\r\n\r\n", b"\x00\xff\r\n\r\n", b"GET / HTTP/x\r\n\r\n"]
)
def test_what_is_no_request_does_not_end_the_server(line, serving, tmp_path, capfd):
    server = serving(going_on(tmp_path / "run"))
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(line)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(4096):
            pass
    assert ask(server, f"/{server.token}/state")[0] == 200
    assert capfd.readouterr().err == ""


def test_a_browser_that_goes_away_while_it_is_answered_is_no_matter(serving, tmp_path, capfd):
    directory = finished(tmp_path / "run")
    (directory / rundir.REPORT).write_bytes(b"x" * 50_000_000)
    server = serving(directory)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=60) as connection:
        connection.sendall(f"GET /{server.token}/report HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        connection.recv(10)
    assert ask(server, f"/{server.token}/state")[0] == 200
    assert capfd.readouterr().err == ""


def test_only_this_machine_can_reach_it(serving, tmp_path):
    server = serving(going_on(tmp_path / "run"))
    assert server.server_address[0] == "127.0.0.1"
    assert server.address == f"http://127.0.0.1:{server.server_port}/{server.token}/"
    assert len(server.token) >= 32


def test_a_port_that_is_taken_is_told(serving, tmp_path):
    server = serving(going_on(tmp_path / "run"))
    with pytest.raises(InputError, match=f"--port: port {server.server_port} cannot be used"):
        Server(tmp_path / "run", server.server_port)


@pytest.fixture
def asked(monkeypatch):
    """The processes that were interrupted, none of them truly."""
    found = []
    monkeypatch.setattr(processes, "interrupt", found.append)
    return found


def test_the_page_stops_the_run_once(serving, tmp_path, asked):
    server = serving(going_on(tmp_path / "run"))
    status, _, body = ask(server, f"/{server.token}/stop", "POST", Origin=origin(server))
    assert (status, asked) == (202, [processes.current()])
    assert b"saved first" in body
    assert ask(server, f"/{server.token}/stop", "POST", Origin=origin(server))[0] == 409
    assert len(asked) == 1, "a second one would end it without saving"


@pytest.mark.parametrize(
    "claimed",
    [None, "null", "http://evil.example", "https://127.0.0.1:{port}", "http://127.0.0.1", "http://localhost:{port}"],
)
def test_another_page_that_knows_the_address_cannot_stop_the_run(claimed, serving, tmp_path, asked):
    server = serving(going_on(tmp_path / "run"))
    headers = {} if claimed is None else {"Origin": claimed.format(port=server.server_port)}
    assert ask(server, f"/{server.token}/stop", "POST", **headers)[0] == 403
    assert asked == []


def test_without_the_token_nothing_is_stopped(serving, tmp_path, asked):
    server = serving(going_on(tmp_path / "run"))
    assert ask(server, "/wrong/stop", "POST", Origin=origin(server))[0] == 403
    assert asked == []


@pytest.mark.parametrize(
    "process",
    [
        processes.current()._replace(started="another boot 1"),
        processes.current()._replace(host="node7"),
        processes.current()._replace(pid=2**22 + 1),
        processes.current()._replace(started=""),
    ],
    ids=["number-used-again", "another-machine", "gone", "unknown"],
)
def test_a_process_that_is_not_the_runs_own_is_never_signalled(process, serving, tmp_path, asked):
    server = serving(going_on(tmp_path / "run", process))
    status, _, body = ask(server, f"/{server.token}/stop", "POST", Origin=origin(server))
    assert (status, asked) == (409, [])
    assert body == b"There is nothing here to stop."


def test_a_signal_that_is_refused_is_told(serving, tmp_path, monkeypatch):
    def refuse(process):
        raise PermissionError("process 7 is another user's")

    monkeypatch.setattr(processes, "interrupt", refuse)
    server = serving(going_on(tmp_path / "run"))
    status, _, body = ask(server, f"/{server.token}/stop", "POST", Origin=origin(server))
    assert (status, body) == (409, b"It cannot be stopped from here: process 7 is another user's.")


def test_who_asks_for_the_state_leaves_a_sign_that_goes_with_the_server(tmp_path):
    directory = going_on(tmp_path / "run")
    with Server(directory) as server:
        assert not (directory / rundir.WATCHED).exists()
        server.state()
        assert (directory / rundir.WATCHED).exists()
    assert not (directory / rundir.WATCHED).exists()


def test_a_directory_that_cannot_be_written_is_watched_all_the_same(tmp_path, monkeypatch):
    server = Server(tmp_path / "not there")
    assert json.loads(server.state().content)["phase"] == "idle"
    server.server_close()


def test_a_page_that_is_open_gets_the_last_word(tmp_path, monkeypatch):
    directory = going_on(tmp_path / "run")
    with Server(directory) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert json.loads(server.state().content)["ending"] is False
        assert ask(server, f"/{server.token}/bye")[0] == 200
        assert not server.told_the_end.is_set(), "it is not ending yet"
        monkeypatch.setattr(served, "_OPEN_SECONDS", 1e6)  # the page is open, and will ask
        ending = threading.Thread(target=server.end)
        ending.start()
        while not server.ending:
            time.sleep(0.001)
        assert json.loads(ask(server, f"/{server.token}/state")[2])["ending"] is True
        assert ask(server, f"/{server.token}/history")[0] == 200, "it still answers"
        assert not server.told_the_end.is_set()
        assert ask(server, f"/{server.token}/bye")[0] == 200
        ending.join()
        thread.join()


def torchwork(*arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "torchwork", *map(str, arguments)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("make", [going_on, finished], ids=["going-on", "finished"])
def test_watching_prints_the_address_and_ends_by_ctrl_c_with_130(make, tmp_path):
    with torchwork("watch", make(tmp_path / "run")) as process:
        title, address, end = (process.stdout.readline().strip() for _ in range(3))
        port, path = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/.*)", address).groups()
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=60)
        connection.request("GET", path)
        body = connection.getresponse().read()
        connection.close()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err.strip()) == ("", "interrupted")
    if make is finished:
        assert title == f"{tmp_path / 'run'} is finished; its report"
        assert b"The report" in body
        assert end == "Ctrl-C ends the serving"
    else:
        assert title == f"{tmp_path / 'run'}: Training"
        assert end == "Ctrl-C ends the watching, not the run"


def test_watching_no_run_is_wrong_input(tmp_path):
    with torchwork("watch", tmp_path) as process:
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "is not a run directory" in err


def test_watching_loads_neither_torch_nor_plots():
    code = (
        "import sys, torchwork.watch.serving\n"
        "print([name for name in ('torch', 'matplotlib', 'pydantic', 'yaml', 'rich', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
