"""Wire formats: what a message's type and payload are in one frame, both ways.

A codec is one file here and one line in the table below.
"""

from collections.abc import Mapping

from routerd.connectors.websocket.codecs.codec import Codec
from routerd.connectors.websocket.codecs.event import EventCodec
from routerd.connectors.websocket.codecs.kratos import KratosCodec
from routerd.connectors.websocket.codecs.kratos_text import KratosTextCodec
from routerd.connectors.websocket.codecs.raw import RawCodec

CODECS: Mapping[str, Codec] = {
    "raw": RawCodec(),
    "kratos": KratosCodec(),
    "kratos-text": KratosTextCodec(),
    "event": EventCodec(),
}
"""By the name that a table says: `codec = "kratos"`."""
