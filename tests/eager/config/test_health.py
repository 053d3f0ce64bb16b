"""The check of a web process, asked over a real connection."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from socketserver import StreamRequestHandler, TCPServer
from typing import Any

import pytest

from handoffs.config.health import VARIABLE, main
from tests.servers.ports import free_port


@pytest.fixture(autouse=True)
def nothing_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process has said nothing in its file."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "health.json"))


@contextlib.contextmanager
def _listening(server: TCPServer) -> Iterator[str]:
    """The URL of a server, while it serves."""
    with server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/healthcheck"
        finally:
            server.shutdown()
            thread.join()


def _website(status: int) -> HTTPServer:
    """A web server that answers every request with this status."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    return HTTPServer(("127.0.0.1", 0), Handler)


class _NoWebsite(StreamRequestHandler):
    def handle(self) -> None:
        self.rfile.readline()
        self.wfile.write(b"SSH-2.0-OpenSSH_9.9\r\n")


def _checked(url: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    status = main(url)
    [line] = capsys.readouterr().out.splitlines()
    return status, line


def test_it_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """A web process that answers is ready."""
    with _listening(_website(200)) as url:
        assert _checked(url, capsys) == (0, "ready: answers 200")


@pytest.mark.parametrize("status", [401, 503])
def test_it_refuses(status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """A web process that answers with an error is not ready, and the check says with which."""
    with _listening(_website(status)) as url:
        ended, line = _checked(url, capsys)
    assert ended == 1
    assert f"HTTP Error {status}" in line


def test_something_else_answers(capsys: pytest.CaptureFixture[str]) -> None:
    """What does not speak HTTP is not ready, and the check says so in one line."""
    with _listening(TCPServer(("127.0.0.1", 0), _NoWebsite)) as url:
        ended, line = _checked(url, capsys)
    assert ended == 1
    assert "does not answer: SSH-2.0" in line


def test_nobody_listens(capsys: pytest.CaptureFixture[str]) -> None:
    """Where nobody listens, the check says so in one line."""
    ended, line = _checked(f"http://127.0.0.1:{free_port()}/", capsys)
    assert ended == 1
    assert "refused" in line


def test_no_proxy_is_asked(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The process itself is asked, whatever proxy the environment names: Docker may give one to every container."""
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{free_port()}")
    with _listening(_website(200)) as url:
        assert _checked(url, capsys) == (0, "ready: answers 200")
