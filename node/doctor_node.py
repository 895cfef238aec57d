"""The doctor with this node itself: settings, model, disk, database, clocks, ports, certificate."""

import hashlib
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import Engine, false, func, select, update
from sqlalchemy.exc import SQLAlchemyError

from ai.errors import AiError
from ai.onnx_segmenter import OnnxSegmenter
from ai.radiograph import Radiograph
from ai.segmenter import Segmenter
from config.settings import DEFAULT_FILE, Settings
from node.certificates import EXPIRES_SOON_DAYS, days_left
from node.check import (
    check_data_folder,
    check_database,
    check_model,
    check_port,
    check_tls,
    check_tls_port,
)
from node.check_peers import CheckResult
from node.database import existing_engine, is_current, jobs, queue_identity, reading, translated, writing
from node.doctor_dicom import STEP_TIMEOUT_S
from node.doctor_steps import Finding, Step, Task, carried_out, failed, not_asked, passed
from node.doors import listening_socket
from node.errors import NodeError, TlsError
from node.model import load_segmenter
from node.probe import told_by_node
from node.reader import read_radiograph
from node.spool import MEGABYTE

SAMPLE = Path(__file__).parent / "sample" / "radiograph.dcm"
"""The radiograph on which the model is timed; the README beside it tells which one."""

APART_S = 2.0
"""Clocks that differ by more are told. Leases do not mind (`node.clock`); readers of logs do."""

FOLDER_ADVICE = "make room, correct the folder's owner and mode, or name another one in [node] data_dir"


@dataclass(frozen=True)
class Told:
    """What the one who asks knows of the settings.

    Attributes:
        file: Where they were read from; None: the packaged one.
        version: Which version of them is active; empty: versions are not kept.
    """

    file: Path | None = None
    version: str = ""


UNTOLD = Told()
"""Nothing is known of them."""


class NodeExamination:
    """Looks at this node, whether it runs or not; nothing is made and nothing changed.

    Args:
        settings: Its settings.
        told: Where they come from.
    """

    def __init__(self, settings: Settings, told: Told = UNTOLD) -> None:
        self._settings = settings
        self._told = told
        self._began = time.time(), time.monotonic()

    def steps(self) -> tuple[Step, ...]:
        """Try everything, in order."""
        database = carried_out(
            (
                Task("database", self._database, is_needed=True),
                Task("database writing", self._writing),
                Task("database clock", self._database_clock),
            )
        )
        return (
            *carried_out((Task("settings", self._read), Task("data folder", self._folder))),
            *carried_out((Task("watermarks", self._watermarks),)),
            *database,
            *carried_out((Task("port", self._port), Task("TLS certificate", self._certificate))),
            *carried_out((Task("TLS port", self._tls_port), Task("web port", self._web_port))),
            *carried_out((Task("model", self._model, is_needed=True), Task("model speed", self._speed))),
            *carried_out((Task("clock", self._clock),)),
        )

    # ---- settings and disk

    def _read(self) -> Finding:
        file = self._told.file or DEFAULT_FILE
        try:
            digest = hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        except OSError as error:
            return failed(f"{file} cannot be read any more: {error.strerror}")
        version = f", version {self._told.version}" if self._told.version else ""
        return passed(f"{file}{version}, sha256 {digest}; AE title {self._settings.node.ae_title}")

    def _folder(self) -> Finding:
        node = self._settings.node
        return _taken_over(check_data_folder(node.data_dir, node.disk_reserve_mb), FOLDER_ADVICE)

    def _watermarks(self) -> Finding:
        node, warning_mb = self._settings.node, self._settings.retention.disk_warning_mb
        folder = node.data_dir.resolve()
        place = next(place for place in (folder, *folder.parents) if place.exists())
        try:
            free_mb = shutil.disk_usage(place).free // MEGABYTE
        except OSError as error:
            return failed(f"the free space of {place} cannot be told: {error.strerror}", FOLDER_ADVICE)
        words = f"{free_mb} MB free; warned of below {warning_mb} MB, refused below {node.disk_reserve_mb} MB"
        if free_mb < node.disk_reserve_mb:
            return failed(words, "make room: senders are told to come again later; results keep leaving")
        return passed(words, "make room soon" if free_mb < warning_mb else "")

    # ---- database

    def _database(self) -> Finding:
        return _taken_over(check_database(self._settings), "is the server up, and [database] url right?")

    def _in_database(self, look: Callable[[Engine], Finding]) -> Finding:
        """Look into the queue, if there is one."""
        url = self._settings.database.url.get_secret_value()
        try:
            engine = existing_engine(url, self._settings.node.data_dir)
            if engine is None or not is_current(engine):
                return not_asked("the tables are made, or brought up to date, when the node starts")
            try:
                return look(engine)
            finally:
                engine.dispose()
        except (NodeError, SQLAlchemyError) as error:
            return failed(str(error).splitlines()[0], "the database's log says more")

    def _writing(self) -> Finding:
        """Begin a transaction that writes, with a statement that changes no row."""

        def look(engine: Engine) -> Finding:
            with writing(engine) as connection:
                connection.execute(update(queue_identity).where(false()).values(passes=0))
            return passed("takes transactions that write")

        return self._in_database(look)

    def _database_clock(self) -> Finding:
        def look(engine: Engine) -> Finding:
            if engine.dialect.name == "sqlite":
                return passed("is this machine's")
            with translated(), engine.connect() as connection:
                began = datetime.now(tz=UTC)
                theirs: datetime = connection.execute(select(func.clock_timestamp())).scalar_one()
                ours = began + (datetime.now(tz=UTC) - began) / 2
            apart_s = (theirs - ours).total_seconds()
            words = f"{abs(apart_s):.1f} s {'before' if apart_s > 0 else 'behind'} this machine's"
            return passed(words, "set both by NTP" if abs(apart_s) > APART_S else "")

        return self._in_database(look)

    # ---- ports

    def _port(self) -> Finding:
        if self._settings.tls.only:
            return not_asked("only TLS is spoken")
        return _taken_over(
            check_port(self._settings.node), "stop the other program, or set another [node] port"
        )

    def _certificate(self) -> Finding:
        if not self._settings.tls.certificate:
            return not_asked("[tls] names none: no TLS is spoken")
        found = check_tls(self._settings.tls)
        try:
            days = days_left(Path(self._settings.tls.certificate), datetime.now(tz=UTC))
        except TlsError:  # `found` says so
            days = 0
        soon = days < EXPIRES_SOON_DAYS
        return _taken_over(found, "put the file right", "have a new one signed now" if soon else "")

    def _tls_port(self) -> Finding:
        if not self._settings.tls.certificate:
            return not_asked("no TLS is spoken")
        found = check_tls_port(self._settings.node.host, self._settings.tls)
        return _taken_over(found, "stop the other program, or set another [tls] port")

    def _web_port(self) -> Finding:
        """See whether the port can be listened on, or the node has it and says that it is ready."""
        web = self._settings.web
        if not web.enabled:
            return not_asked("health and metrics are not served")
        place = f"{web.host}:{web.port}"
        try:
            with listening_socket(web.host, web.port):
                return passed(f"{place} is free")
        except OSError as error:
            why = (error.strerror or str(error)).partition(" (while")[0]
        problems = told_by_node(web, timeout_s=STEP_TIMEOUT_S)
        if problems is None:
            return failed(
                f"cannot listen on {place}: {why}", "stop the other program, or set another [web] port"
            )
        if problems:
            return failed(f"the node runs and is not ready: {'; '.join(problems)}", "its log says more")
        return passed(f"the node runs and says at {place} that it is ready")

    # ---- model

    def _model(self) -> Finding:
        found = check_model(self._settings.model)
        if not found.passed:
            return _taken_over(found, "install the bundle again, or correct [model] bundle")
        return passed(found.words)

    def _speed(self) -> Finding:
        try:
            segmenter = load_segmenter(self._settings.model)
            radiograph = read_radiograph(SAMPLE).radiograph
            seconds = min(_seconds(segmenter, radiograph) for _ in range(2))  # the first one warms up
        except (AiError, NodeError, OSError) as error:
            return failed(f"the sample radiograph cannot be segmented ({type(error).__name__}: {error})")
        device = segmenter.providers[0] if isinstance(segmenter, OnnxSegmenter) else "no network"
        digest = segmenter.model.sha256[:12]
        return passed(f"{seconds:.2f} s for the sample radiograph with {device}; sha256 {digest}")

    # ---- clock

    def _clock(self) -> Finding:
        """Compare the wall clock with the one that never jumps, and with the newest job."""
        wall_s, counted_s = time.time() - self._began[0], time.monotonic() - self._began[1]
        if abs(wall_s - counted_s) > APART_S:
            words = f"it jumped by {wall_s - counted_s:.1f} s while the doctor looked"
            return failed(words, "let NTP slew it, not set it")
        newest = self._newest()
        now = datetime.now(tz=UTC)
        if newest is not None and (newest - now).total_seconds() > APART_S:
            words = (
                f"it is {now:%Y-%m-%d %H:%M:%S} UTC, and the newest job came at {newest:%Y-%m-%d %H:%M:%S}"
            )
            return failed(words, "set this machine's clock by NTP")
        return passed(f"{now:%Y-%m-%d %H:%M:%S} UTC, it goes evenly")

    def _newest(self) -> datetime | None:
        found: list[datetime] = []

        def look(engine: Engine) -> Finding:
            with reading(engine) as connection:
                found.extend(
                    connection.scalars(select(jobs.c.created_at).order_by(jobs.c.id.desc()).limit(1))
                )
            return passed("")

        self._in_database(look)
        return found[0] if found else None


def _taken_over(found: CheckResult, if_failed: str, if_passed: str = "") -> Finding:
    return passed(found.words, if_passed) if found.passed else failed(found.words, if_failed)


def _seconds(segmenter: Segmenter, radiograph: Radiograph) -> float:
    begun = time.perf_counter()
    segmenter.segment([radiograph])
    return time.perf_counter() - begun
