"""The memory of a process, as Linux counts it: proc(5), /proc/PID/status and clear_refs.

getrusage(2) will not do: the peak that it tells is inherited from the process that started this one.
"""

from pathlib import Path

FORGET_PEAK = "5"


def forget_peak(pid: int | str = "self") -> float:
    """Let the most resident memory be counted anew; return what is resident now, MB of 10^6 bytes."""
    Path(f"/proc/{pid}/clear_refs").write_text(FORGET_PEAK, encoding="ascii")
    return _mb(pid, "VmRSS:")


def peak_mb(pid: int | str = "self") -> float:
    """Return the most resident memory since `forget_peak`, MB of 10^6 bytes."""
    return _mb(pid, "VmHWM:")


def _mb(pid: int | str, key: str) -> float:
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024 / 1e6
