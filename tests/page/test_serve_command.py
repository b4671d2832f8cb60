"""`soundjudge serve` as a command: its socket, and its sentences."""

import re
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
import tiny_judge
from typer.testing import CliRunner

import soundjudge.page
from soundjudge.cli import app
from soundjudge.errors import SoundjudgeError


def test_without_the_extra_the_remedy_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    monkeypatch.delitem(sys.modules, "soundjudge.page.application", raising=False)
    monkeypatch.delattr(soundjudge.page, "application", raising=False)
    result = CliRunner().invoke(app, ["serve"])
    assert result.exit_code == 2
    assert "pip install 'soundjudge[page]'" in result.stderr


def test_a_port_in_use_is_a_sentence_before_a_judge_is_loaded():
    pytest.importorskip("uvicorn", reason="an extra: pip install 'soundjudge[page]'")
    from soundjudge.page.application import open_socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(app, ["serve", "--port", str(port), "--model", "/nowhere"])
        assert result.exit_code == 2
        assert f"port {port} cannot be served" in result.stderr
        with pytest.raises(SoundjudgeError, match="choose another --port"):
            open_socket("127.0.0.1", port)


def test_the_socket_is_of_this_machine_alone_unless_told_otherwise():
    pytest.importorskip("uvicorn", reason="an extra: pip install 'soundjudge[page]'")
    from soundjudge.page.application import open_socket

    with open_socket("127.0.0.1", 0) as opened:
        assert opened.getsockname()[0] == "127.0.0.1"
    with pytest.raises(SoundjudgeError, match="cannot be served"):
        open_socket("no.such.name.invalid", 0)


@pytest.mark.slow
def test_the_command_serves_until_it_is_interrupted(tmp_path):
    pytest.importorskip("uvicorn", reason="an extra: pip install 'soundjudge[page]'")
    judge = tiny_judge.build(tmp_path / "checkpoints/judge", tmp_path)
    command = [sys.executable, "-m", "soundjudge", "serve", "--port", "0", "--model", str(judge)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        line = next(line for line in lines if "http://" in line)
        address = re.search(r"http://127\.0\.0\.1:\d+", line)[0]
        assert line.startswith("tiny@1.0+")
        with urllib.request.urlopen(address) as page:
            assert b"How well does this sound match this text?" in page.read()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 0
    assert "Traceback" not in rest
