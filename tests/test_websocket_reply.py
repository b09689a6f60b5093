"""Answers to the sender alone."""

from routerd.connectors.websocket.codecs import CODECS
from routerd.connectors.websocket.handshake import parse
from routerd.connectors.websocket.reply import ReplySink
from routerd.connectors.websocket.session import Session
from routerd.message import Message
from routerd.receipt import SinkCounts
from tests.raw_websocket import request


class Answers:
    """What one client was sent."""

    def __init__(self, *, codec: str = "raw", is_gone: bool = False) -> None:
        self.frames: list[bytes] = []
        self.is_gone = is_gone
        self.session = Session(
            parse(request()), peer="192.0.2.1:7", codec=CODECS[codec], send=self._send
        )

    def says(self, payload: bytes, kind: str | None = None) -> Message:
        return Message(b"/echo", payload, is_text=True, origin=self.session, type=kind)

    def _send(self, frame: bytes) -> bool:
        self.frames.append(frame)
        return not self.is_gone


async def test_each_answer_goes_to_the_sender_of_its_message() -> None:
    one, two, counts = Answers(), Answers(), SinkCounts()
    sink = ReplySink(counts=counts, kind=None)
    receipt = await sink.accept([one.says(b"a"), two.says(b"b"), one.says(b"c")])
    assert receipt.pending == 0
    assert one.frames == [b"\x81\x01a", b"\x81\x01c"]
    assert two.frames == [b"\x81\x01b"]
    assert (counts.delivered, counts.failed) == (3, 0)


async def test_an_answer_has_the_type_that_the_table_says_or_keeps_its_own() -> None:
    client = Answers(codec="kratos")
    for kind in (None, "7"):
        await ReplySink(counts=SinkCounts(), kind=kind).accept([client.says(b"x", "1")])
    assert [frame[2:] for frame in client.frames] == [b"\x01\0\0\0x", b"\x07\0\0\0x"]


async def test_an_answer_to_one_who_has_gone_fails_and_so_does_one_that_cannot_be_encoded() -> None:
    gone, there, counts = Answers(is_gone=True), Answers(codec="event"), SinkCounts()
    sink = ReplySink(counts=counts, kind="x")
    receipt = await sink.accept([gone.says(b"a"), there.says(b"\xff"), there.says(b"b")])
    assert receipt.pending == 0
    assert {index: str(error) for index, error in receipt.failures.items()} == {
        0: "the client that it would be an answer to has gone",
        1: "its payload is not UTF-8, and the listener's codec carries text only",
    }
    assert (counts.delivered, counts.failed) == (1, 2)
