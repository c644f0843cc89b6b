"""What must be ours before anything starts: folders, the lock on them, the listening socket, the local secrets (spec X0)."""

import fcntl
import hashlib
import os
import secrets
import socket
import tempfile
from pathlib import Path
from types import TracebackType

from levqor.domain.errors import UsageError

BACKLOG = 2_048


def claim_folder(path: Path, mode: int = 0o755) -> None:
    """Make the folder if it is missing and prove that we can write in it. Raises UsageError with one line."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=mode)
        if mode == 0o700:
            path.chmod(mode)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise UsageError(f"cannot write in folder {path}: {error.strerror or error}") from error


class Lock:
    """One agent per data folder: the kernel drops the lock however we end."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def __enter__(self) -> "Lock":
        """Raises UsageError naming the process that holds it."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            raise UsageError(f"folder {self._path.parent} is in use by another levqor, process {holder or 'unknown'}") from error
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"{os.getpid()}\n".encode("ascii"))
        self._descriptor = descriptor
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def listen(host: str, port: int) -> socket.socket:
    """The listening socket. Ours, so that a control plane which dies refuses no connection. Raises UsageError when it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except socket.gaierror as error:
        raise UsageError(f"HOST {host} is no address of this machine: {error.strerror}") from error
    listener = socket.socket(family, kind, protocol)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise UsageError(f"cannot listen on {host} port {port}: {error.strerror or error}; choose another with --port") from error
    return listener


def local_secret(path: Path) -> bool:
    """Make a secret of 32 random bytes, readable by us alone, unless there is one; True when it was made now."""
    if path.exists():
        path.chmod(0o600)
        return False
    write_private(path, secrets.token_urlsafe(32) + "\n")
    return True


def write_private(path: Path, text: str) -> None:
    """Replace a file whole, for our eyes only: write, fsync, rename, fsync of the folder (spec P4)."""
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def agent_id(data: Path) -> str:
    """The same for every agent that this folder will see on this host; the process namespace tells containers of one host name apart."""
    namespace = Path("/proc/self/ns/pid")
    place = f"{namespace.readlink() if namespace.exists() else ''}:{data.resolve()}"
    return f"{socket.gethostname()}-{hashlib.sha256(place.encode()).hexdigest()[:6]}"
