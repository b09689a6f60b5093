"""Why a client is not let in, and why one that was in is not any more.

A reason's word is a label of the metrics; its number is all that the client is told. Both are
explained to people in docs/websocket.md.
"""

from enum import Enum
from http import HTTPStatus


class Refusal(Enum):
    """Why a handshake is answered with something else than 101."""

    TLS_FAILED = "tls_failed", HTTPStatus.BAD_REQUEST  # told by TLS itself, as an alert
    NOT_TLS = "not_tls", HTTPStatus.BAD_REQUEST
    UNEXPECTED_TLS = "unexpected_tls", HTTPStatus.BAD_REQUEST
    BAD_REQUEST = "bad_request", HTTPStatus.BAD_REQUEST
    TOO_LONG = "too_long", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
    BAD_METHOD = "bad_method", HTTPStatus.METHOD_NOT_ALLOWED
    NO_UPGRADE = "no_upgrade", HTTPStatus.UPGRADE_REQUIRED
    NOT_FOUND = "not_found", HTTPStatus.NOT_FOUND
    ORIGIN = "origin", HTTPStatus.FORBIDDEN
    TOKEN = "token", HTTPStatus.UNAUTHORIZED
    NOT_ALLOWED = "not_allowed", HTTPStatus.FORBIDDEN
    NO_ACK = "no_ack", HTTPStatus.BAD_REQUEST
    TIMEOUT = "timeout", HTTPStatus.REQUEST_TIMEOUT
    ADDRESS_FULL = "connections_per_address", HTTPStatus.TOO_MANY_REQUESTS
    HANDSHAKE_RATE = "handshake_rate", HTTPStatus.TOO_MANY_REQUESTS
    FULL = "connections", HTTPStatus.SERVICE_UNAVAILABLE

    def __init__(self, word: str, status: HTTPStatus) -> None:
        self.word = word
        self.status = status


class Ending(Enum):
    """Why a client's connection ended."""

    CLIENT = "client", 1000  # it left by itself, with or without a word
    PROTOCOL_ERROR = "protocol_error", 1002
    INVALID_UTF8 = "invalid_utf8", 1007
    BAD_FRAMES = "bad_frames", 1007
    TOO_BIG = "too_big", 1009
    TOO_MANY_FRAGMENTS = "too_many_fragments", 1009
    PING_TIMEOUT = "ping_timeout", 1011
    IDLE = "idle", 1011
    BUG = "bug", 1011
    RESTART = "restart", 1012
    EXPIRED = "expired", 4401
    FORBIDDEN = "forbidden", 4403
    SLOW = "slow", 4408
    RATE = "rate", 4429
    CONTROL_RATE = "control_rate", 4429

    def __init__(self, word: str, code: int) -> None:
        self.word = word
        self.code = code
