import time
from pathlib import Path

import pytest

from config.errors import SettingsError
from config.settings import load_settings
from config.source import Location, Source

TEXT = """# comment
[node]
port = 1
titles = [
  "A",
]

[[destination]]
name = "a"

[[destination]]
name = '''
several lines
'''
port = 2
"""


@pytest.mark.parametrize(
    ("location", "line"),
    [
        (("node",), 2),
        (("node", "port"), 3),
        (("node", "titles"), 4),
        (("node", "titles", 0), 4),
        (("destination", 0, "name"), 9),
        (("destination", 1), 11),
        (("destination", 1, "name"), 12),
        (("destination", 1, "port"), 15),
        (("destination", 1, "host"), 11),
        (("worker", "count"), 0),
    ],
)
def test_line_is_where_a_statement_begins_or_where_its_table_does(location: Location, line: int) -> None:
    assert Source("", TEXT, {}, {}).line(location) == line


@pytest.mark.parametrize(
    "text",
    [
        '[web_destination]\nname = "x"\nurl = "https://192.0.2.1"\npassword = "hun; ter2"\n',
        'database = "postgresql://user:hun; ter2@server/db"\n',
        '[[database]]\nurl = "postgresql://user:hun; ter2@server/db"\n',
    ],
)
def test_what_stands_in_the_place_of_a_table_is_not_shown(text: str, tmp_path: Path) -> None:
    path = tmp_path / "node.toml"
    path.write_text(text)
    with pytest.raises(SettingsError) as raised:
        load_settings(path)
    assert "ter2" not in str(raised.value)
    assert "must be" in str(raised.value)


def test_line_of_a_long_file_is_found_at_once() -> None:
    text = "[node]\n" + "".join(f"k{number} = [\n1,\n]\n" for number in range(3000))
    source, begun = Source.parsed("", text, {}), time.process_time()
    assert [source.line(("node", f"k{number}")) for number in (0, 1, 1500, 2999)] == [2, 5, 4502, 8999]
    assert source.line(("node", "none")) == 1
    assert source.line(("none",)) == 0
    assert time.process_time() - begun < 20
