"""The MQTT source keeps the contract of sources, on every transport and both versions."""

from typing import Literal

import pytest
import trio

from tests.contracts import SOURCE_RULES, SourceRule, name_of
from tests.mqtt_house import RememberingRoute
from tests.rig.certs import Certs
from tests.scripted_broker import Transport, open_broker

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("transport", ["tcp", "tls", "ws", "wss"])
@pytest.mark.parametrize("rule", SOURCE_RULES, ids=name_of)
async def test_the_source_keeps_the_contract_with_a_scripted_broker(
    rule: SourceRule, transport: Transport, version: Literal["5", "3.1.1"], certs: Certs
) -> None:
    async with open_broker(transport, certs) as broker, trio.open_nursery() as nursery:
        route = RememberingRoute(broker, broker.settings(version=version))
        nursery.start_soon(route.serve)
        await rule(route)
        nursery.cancel_scope.cancel()
