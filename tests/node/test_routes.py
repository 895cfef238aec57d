from pathlib import Path

from config.settings import AnyDestination, Destination, Settings, WebDestination
from node.outcome import Verdict
from node.routes import Routes, routes_of
from node.transport import Outgoing, PlainTransport


def test_each_kind_of_destination_has_its_transport() -> None:
    dimse, web = PlainTransport(), PlainTransport()
    routes = Routes(dimse, web)
    outgoing = Outgoing("1.2.3", Path("a.dcm"))
    for place in (
        Destination(name="pacs", ae_title="PACS", host="h", port=104),
        WebDestination(name="web", url="http://h"),
    ):
        assert [o.verdict for o in routes.send(place, [outgoing])] == [Verdict.STORED]
    assert (dimse.sent, web.sent) == ([("pacs", "1.2.3")], [("web", "1.2.3")])


def test_settings_give_both_transports() -> None:
    gone = Outgoing("1.2.3", Path("gone.dcm"))
    places: list[AnyDestination] = [
        Destination(name="pacs", ae_title="PACS", host="h", port=104),
        WebDestination(name="web", url="http://127.0.0.1:1"),
    ]
    for place in places:
        [outcome] = routes_of(Settings()).send(place, [gone])
        assert outcome.verdict is Verdict.PERMANENT
