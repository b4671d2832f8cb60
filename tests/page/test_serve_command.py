"""`soundjudge serve` as a command: its socket, and its sentences."""

import socket
import sys

import pytest
from typer.testing import CliRunner

from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError


def test_without_the_extra_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "soundjudge.page.serve", raising=False)
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "pip install 'soundjudge[page]'" in result.stderr


def test_a_port_in_use_is_a_sentence_before_a_judge_is_loaded():
    pytest.importorskip("uvicorn", reason="an extra: pip install 'soundjudge[page]'")
    from soundjudge.page.serve import open_socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", "--port", str(port), "--model", "/nowhere"])
        assert result.exit_code == 2
        assert f"port {port} cannot be served" in result.stderr
        with pytest.raises(SoundjudgeError, match="choose another --port"):
            open_socket("127.0.0.1", port)


def test_the_socket_is_of_this_machine_alone_unless_told_otherwise():
    pytest.importorskip("uvicorn", reason="an extra: pip install 'soundjudge[page]'")
    from soundjudge.page.serve import open_socket

    with open_socket("127.0.0.1", 0) as opened:
        assert opened.getsockname()[0] == "127.0.0.1"
    with pytest.raises(SoundjudgeError, match="cannot be served"):
        open_socket("no.such.name.invalid", 0)
