"""Where Orthanc's plugin is looked for."""

from pathlib import Path

import pytest

from tests.viewers.orthanc import DICOMWEB_PLUGIN, PLUGIN_FOLDERS, NotInstalledError, dicomweb_plugin, found


@pytest.mark.parametrize("folder", PLUGIN_FOLDERS)
def test_the_plugin_is_found_beside_the_program(tmp_path: Path, folder: str) -> None:
    plugin = tmp_path / folder / DICOMWEB_PLUGIN
    plugin.parent.mkdir(parents=True)
    plugin.touch()
    assert dicomweb_plugin(str(tmp_path / "sbin" / "Orthanc")) == plugin


def test_a_missing_plugin_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotInstalledError, match=DICOMWEB_PLUGIN):
        dicomweb_plugin(str(tmp_path / "sbin" / "Orthanc"))


def test_a_missing_program_is_named() -> None:
    with pytest.raises(NotInstalledError, match="no-such-viewer is not installed"):
        found("no-such-viewer")
