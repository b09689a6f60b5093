"""What the codecs that carry their payload in a JSON string have in common."""

from routerd.errors import DeliveryFailed


def as_text(payload: bytes) -> str:
    """The payload as text.

    Raises:
        DeliveryFailed: it is not UTF-8.
    """
    try:
        return payload.decode()
    except UnicodeDecodeError as exc:
        raise DeliveryFailed(
            "its payload is not UTF-8, and the listener's codec carries text only",
            reason="unroutable",
        ) from exc
