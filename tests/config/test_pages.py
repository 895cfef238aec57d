"""What the pages say about installing holds, and every page can be found."""

import re
from pathlib import Path

import pytest

from config.settings import load_settings

ROOT = Path(__file__).parents[2]


def test_settings_of_the_installation_page_are_read(tmp_path: Path) -> None:
    page = (ROOT / "docs" / "installation.md").read_text(encoding="utf-8")
    [block] = [text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "[node]" in text]
    file = tmp_path / "node.toml"
    file.write_text(block, encoding="utf-8")
    settings = load_settings(file)

    assert settings.node.data_dir == Path("/var/lib/paxnode")
    assert [destination.name for destination in settings.destinations] == ["pacs"]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_readme_leads_to_every_page(page: Path) -> None:
    assert f"(docs/{page.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
