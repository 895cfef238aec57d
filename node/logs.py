"""Log lines that can be given away: what happened to which job, and never to which patient.

Every line passes `admit`, which knows each key and what its value may look like. A key that is not in
`KEYS` does not get out, nor does a value of another shape; the line then says how many were withheld. Lines
of the libraries under us, which may quote a data set, are reduced to who spoke and how loudly.
"""

import logging
import re
import sys
import warnings
from contextlib import suppress
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor, WrappedLogger

_NUMBER = re.compile(r"-?\d{1,15}(\.\d{1,9})?(e-?\d+)?")
_UID = re.compile(r"[0-9.]{1,64}")  # PS3.5 9.1
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
_NAME = re.compile(r"[\w .:-]{1,64}")  # given by the admin
_WORDS = re.compile(r"[a-z][a-z0-9 ,:'-]{0,119}")  # our own constant phrases
_AE_TITLE = re.compile(r"[ -\[\]-~]{0,16}")  # PS3.5 6.2: no backslash, no control character
_STATUS = re.compile(r"0x[0-9A-F]{4}")
_ADDRESS = re.compile(r"[0-9A-Fa-f.:]{1,45}")
_PLACE = re.compile(r"[A-Za-z0-9_./-]{1,200}:\d{1,6}")
_REASON = re.compile(r"[\w .,:;()\[\]/\\%+='-]{1,300}")  # a sentence that went through `reason_for_log`
_QUOTED = re.compile(r"(?<!\w)'.*?'(?!\w)")

MAX_FRAMES = 40
"""Of a trace."""

KEYS = {
    "event": _WORDS,  # what happened: a constant of ours
    "level": _WORDS,
    "timestamp": re.compile(r"[0-9T:.+Z-]{1,40}"),
    "job_id": _IDENTIFIER,
    "delivery_id": _IDENTIFIER,
    "worker_id": _IDENTIFIER,
    "sop_class_uid": _UID,
    "sop_instance_uid": _UID,
    "transfer_syntax_uid": _UID,
    "study_instance_uid": _UID,
    "result_uid": _UID,
    "kind": _IDENTIFIER,
    "state": _WORDS,
    "verdict": _WORDS,
    "status": _STATUS,
    "destination": _NAME,
    "calling_ae_title": _AE_TITLE,
    "called_ae_title": _AE_TITLE,
    "address": _ADDRESS,
    "port": _NUMBER,
    "tls_port": _NUMBER,
    "days_left": _NUMBER,
    "bytes": _NUMBER,
    "count": _NUMBER,
    "jobs": _NUMBER,
    "rows": _NUMBER,
    "attempts": _NUMBER,
    "seconds": _NUMBER,
    "retry_in_s": _NUMBER,
    "breaker": _WORDS,
    "model_id": _IDENTIFIER,
    "model_version": _IDENTIFIER,
    "provider": _IDENTIFIER,
    "threads": _NUMBER,
    "looks": _WORDS,
    "version": _IDENTIFIER,
    "signal": _IDENTIFIER,
    "error": _IDENTIFIER,  # an error's class; its message may quote a data set and stays in the database
    "reason": _REASON,
    "place": _PLACE,  # file:line of an unexpected error
    "library": _IDENTIFIER,
}
"""Every key that a log line may have, and what its value must look like."""


def admit(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Return the line with only what `KEYS` admits; a structlog processor.

    >>> admit(None, "info", {"event": "image received", "patient": "..."})
    {'event': 'image received', 'withheld': 1}
    """
    admitted = {key: value for key, value in line.items() if _is_admitted(key, value)}
    withheld = len(line) - len(admitted)
    return admitted | ({"withheld": withheld} if withheld else {})


def _is_admitted(key: str, value: object) -> bool:
    pattern = KEYS.get(key)
    return pattern is not None and pattern.fullmatch(str(value)) is not None


def reason_for_log(reason: str) -> str:
    """Return a reason without the values that it quotes, which came from outside; the database has them.

    >>> reason_for_log("Body Part Examined 'FOOT': only the chest is served")
    "Body Part Examined '...': only the chest is served"
    """
    return _QUOTED.sub("'...'", reason)[:300]


class _Writer(structlog.WriteLogger):
    """Writes lines; a full disk under the log, or its end, never stops the node."""

    def msg(self, message: str) -> None:
        with suppress(OSError, ValueError):
            super().msg(message)

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg


def configure_logs(
    level: str = "INFO", style: Literal["json", "console"] = "json", to: TextIO | None = None
) -> None:
    """Send all log lines of this process to `to`, filtered; those of the libraries included.

    Args:
        level: The least level written, such as "INFO".
        style: One JSON object in a line, or columns for a person.
        to: Where lines go; None: whatever standard error is at that moment.
    """
    _configure_structlog(level, style, to)
    _quieten_libraries()


def _configure_structlog(level: str, style: str, to: TextIO | None) -> None:
    renderer: Processor = structlog.processors.JSONRenderer()
    if style == "console":
        renderer = structlog.dev.ConsoleRenderer(colors=(to or sys.stderr).isatty())
    stamp = structlog.processors.TimeStamper(fmt="iso", utc=True)
    structlog.configure(
        processors=[structlog.processors.add_log_level, stamp, admit, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: _Writer(to or sys.stderr),
        cache_logger_on_first_use=False,
    )


def get_logger() -> FilteringBoundLogger:
    """Return the logger of this project; its methods take an event and the keys of `KEYS`.

    Nothing unfiltered is ever written: without `configure_logs`, warnings go to standard error as JSON.
    """
    if not structlog.is_configured():
        _configure_structlog("WARNING", "json", None)
    logger: FilteringBoundLogger = structlog.get_logger()
    return logger


class _Reduced(logging.Handler):
    """Passes on that a library said something, not what."""

    def emit(self, record: logging.LogRecord) -> None:
        name = record.name if _IDENTIFIER.fullmatch(record.name) else "unknown"
        get_logger().log(record.levelno, "a library logged a message", library=name)


def _quieten_libraries() -> None:
    from pynetdicom import _config  # here, for commands that speak no DICOM log as well

    _config.LOG_REQUEST_IDENTIFIERS = False
    _config.LOG_RESPONSE_IDENTIFIERS = False
    _config.LOG_HANDLER_LEVEL = "none"
    root = logging.getLogger()
    root.handlers = [_Reduced(logging.WARNING)]
    root.setLevel(logging.WARNING)
    # Peers that reject or abort are reported by the listener and the sender in our own words.
    logging.getLogger("pynetdicom").setLevel(logging.CRITICAL)
    logging.captureWarnings(True)
    # A warning about a value quotes it, so that each patient would be a line of its own.
    warnings.simplefilter("ignore")


def frames_of(error: BaseException) -> str:
    """Return where an unexpected error came from: "file:line function" in lines, the innermost last.

    Nothing else: a message may quote a data set. Where the error was raised from another one, the frames of
    that one follow. At most `MAX_FRAMES`, the innermost.
    """
    frames: list[str] = []
    cause: BaseException | None = error
    while cause is not None and len(frames) < MAX_FRAMES:
        trace = cause.__traceback__
        while trace is not None:
            code = trace.tb_frame.f_code
            frames.append(f"{_short(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
            trace = trace.tb_next
        cause = cause.__cause__
    return "\n".join(frames[-MAX_FRAMES:])


def place_of(error: BaseException) -> str:
    """Return "file:line" of where an unexpected error was raised, for the log."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "unknown:0"
    return f"{_short(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}"


def _short(filename: str) -> str:
    return "/".join(filename.replace("\\", "/").split("/")[-2:])
