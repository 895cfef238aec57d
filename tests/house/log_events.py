"""Every event that the node's log may name, collected from the calls that log it."""

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house.pages import ROOT

LOGGERS = ("log.", "get_logger().")
PASSED_ON = "event"
"""The name under which functions take an event from their callers, and choose one before they log it."""


def log_events() -> dict[str, str]:
    """Return each event with the module that logs it, such as "node started" with "node/service.py".

    Raises:
        ValueError: A call logs an event that cannot be read off the code.
    """
    modules = [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in sources()]
    tellers = {name for _, tree in modules for name in _tellers(tree)}
    return {
        event: str(path.relative_to(ROOT)) for path, tree in modules for event in _events(path, tree, tellers)
    }


def sources() -> Iterator[Path]:
    """Yield the modules of the node that log, or have `node.refusals` log."""
    for path in sorted((ROOT / "node").rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if "get_logger" in text or "refusals.note" in text:
            yield path


def _tellers(tree: ast.Module) -> Iterator[str]:
    """Yield the functions to which an event is handed as text."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef):
            stated = {each.arg: ast.unparse(each.annotation) for each in node.args.args if each.annotation}
            if stated.get(PASSED_ON) == "str":
                yield node.name


def _events(path: Path, tree: ast.Module, tellers: set[str]) -> Iterator[str]:
    chosen = _chosen_loggers(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and _names(node) == [PASSED_ON]:
            yield from _constants(node.value)
        elif isinstance(node, ast.Call) and node.args:
            if _is_logger(node.func, chosen):
                yield from _read(path, node.args[-1])
            elif isinstance(node.func, ast.Attribute) and node.func.attr in tellers:
                yield from _constants(node.args[0])


def _read(path: Path, told: ast.expr) -> Iterator[str]:
    found = list(_constants(told))
    if not found and ast.unparse(told) != PASSED_ON:
        raise ValueError(f"{path.name}:{told.lineno}: {ast.unparse(told)} is no event that can be read here")
    yield from found


def _chosen_loggers(tree: ast.Module) -> set[str]:
    """Return names that stand for a method of the logger: `tell = log.info if new else log.warning`."""
    return {
        name
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        and isinstance(node.value, ast.IfExp)
        and _is_logger(node.value, set())
        for name in _names(node)
    }


def _is_logger(called: ast.expr, chosen: set[str]) -> bool:
    words = ast.unparse(called)
    return words.startswith(LOGGERS) or words in chosen


def _names(assignment: ast.Assign) -> list[str]:
    return [target.id for target in assignment.targets if isinstance(target, ast.Name)]


def _constants(told: ast.expr) -> Iterator[str]:
    if isinstance(told, ast.Constant) and isinstance(told.value, str):
        yield told.value
    elif isinstance(told, ast.IfExp):
        yield from _constants(told.body)
        yield from _constants(told.orelse)
