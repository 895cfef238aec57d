import pytest

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
