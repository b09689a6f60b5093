"""docs/websocket-clients.md, done: its session is typed at the real program, with its own table."""

from collections.abc import Callable
from itertools import groupby

import pytest
import trio

from tests.ack_house import ACK, Speaker
from tests.docs_pages import blocks, read
from tests.raw_websocket import connect
from tests.rig.daemon import Routerd
from tests.rig.mockkafka import MockKafka

PAGE = read("websocket-clients.md")


@pytest.mark.slow
async def test_the_session_of_the_page_goes_as_it_says(
    mockkafka: MockKafka, start_routerd: Callable[..., Routerd]
) -> None:
    [table] = blocks(PAGE, "toml")
    table = table.replace("127.0.0.1:8800", "127.0.0.1:0")
    table = table.replace("127.0.0.1:9092", mockkafka.bootstrap)
    table += '[admin]\nlisten = "127.0.0.1:0"\n' * ("[admin]" not in table)
    await trio.to_thread.run_sync(mockkafka.create_topic, "chat", 1)
    routerd = await trio.to_thread.run_sync(start_routerd, table)
    client = await connect(routerd.ws_address[1])
    await client.open("/chat/lobby", ACK)
    speaker = Speaker(client)
    [session] = blocks(PAGE, "text")
    for direction, lines in groupby(session.splitlines(), key=lambda line: line[0]):
        texts = [line[2:] for line in lines]
        if direction == ">":
            await speaker.say(*texts)
        else:
            # What others say and the answers come in no certain order.
            assert sorted(await speaker.hear(len(texts))) == sorted(texts)
    await client.aclose()
    records = await trio.to_thread.run_sync(lambda: mockkafka.records.read("chat"))
    assert [record.value for record in records] == [b'{"text":"hello"}', b'{"text":"bye"}']
