"""A Python that starts a script in a moment: in a fork of a process with the heavy imports done.

Scripts that train import for four seconds what computes for one. What it loads is none of ours:
each script imports soundjudge anew, from the PYTHONPATH that it is given. A script that is to be
killed needs a process of its own, and the launcher of accelerate (tests/runtime) a real Python.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

MODULES = (
    "torch.distributed.run",
    "torchaudio.compliance.kaldi",
    "transformers.modeling_utils",
    "transformers.models.clap.modeling_clap",
    "transformers.models.qwen2.modeling_qwen2",
    "transformers.models.auto.tokenization_auto",
    "accelerate",
    "scipy.optimize",
    "scipy.stats",
    "sklearn.svm",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.figure",
)
# Passes its arguments, folder, environment, input and outputs on, and ends as the script does.
CLIENT = """#!{python} -ISE
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    request = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)]).encode()
    socket.send_fds(server, [len(request).to_bytes(8, "big")], [0, 1, 2])
    server.sendall(request)
    code = server.recv(1)
sys.exit(code[0] if code else 1)
"""


@pytest.fixture(scope="session")
def warm_python() -> Iterator[Path]:
    """The path of an executable named `python` that takes a script, or -m and a module.

    torchrun starts its processes with it where PYTHON_EXEC names it.
    """
    with tempfile.TemporaryDirectory(prefix="warm-") as folder:  # sockets have short paths
        address, client = Path(folder, "socket"), Path(folder, "python")
        client.write_text(CLIENT.format(python=sys.executable, address=str(address)))
        client.chmod(0o755)
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # threads do not outlive a fork
        command = [sys.executable, __file__, str(address)]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as server:
            assert server.stdout is not None and server.stdout.readline() == b"ready\n"
            yield client
            server.kill()


def serve(address: str) -> None:
    """Loads the modules and forks for each client, for ever; only a fork returns: to run."""
    shim = importlib.import_module("soundjudge.torchaudio_shim")
    shim.install_shim()
    for name in MODULES:
        importlib.import_module(name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "soundjudge"]:
        del sys.modules[name]
    gc.collect()
    gc.freeze()
    signal.signal(signal.SIGCHLD, bury)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        os.write(1, b"ready\n")
        while True:
            client, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                break
            client.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    files, request = receive(client)
    script = os.fork()
    if script:
        os._exit(watch(script, client))
    client.close()
    become(files, *request)


def bury(*_: object) -> None:
    """Waits for forks that have ended, so that their time counts as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def watch(script: int, client: socket.socket) -> int:
    """Tells a client how its script ended; a script whose client is gone is killed."""
    while True:
        ended, status = os.waitpid(script, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            with contextlib.suppress(OSError):
                client.send(bytes([code if code >= 0 else 128 - code]))
            return 0
        if select.select([client], [], [], 0.01)[0]:  # it has no more to say
            os.kill(script, signal.SIGKILL)
            return 0


def receive(client: socket.socket) -> tuple[list[int], tuple[list[str], str, dict[str, str]]]:
    """A client's input and outputs; its arguments, folder and environment."""
    size, files, _, _ = socket.recv_fds(client, 8, 3)
    request = b""
    while len(request) < int.from_bytes(size, "big"):
        request += client.recv(1 << 16)
    return files, json.loads(request)


def become(
    files: list[int], arguments: list[str], folder: str, environment: dict[str, str]
) -> None:
    """Makes this process what the client asked for."""
    for own, file in enumerate(files):
        os.dup2(file, own)
        os.close(file)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    paths = environment.get("PYTHONPATH", "").split(os.pathsep)
    sys.path[:0] = [path for path in paths if path]


if __name__ == "__main__":
    sys.path.pop(0)  # the folder of this file
    serve(sys.argv[1])
    if sys.argv[0] == "-u":  # of torchrun
        del sys.argv[0]
    if sys.argv[0] == "-m":
        del sys.argv[0]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
    else:
        sys.path.insert(0, str(Path(sys.argv[0]).resolve().parent))
        runpy.run_path(sys.argv[0], run_name="__main__")
