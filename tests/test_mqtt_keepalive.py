"""Pings keep the broker content, and its silence counts only while we listen."""

from math import inf

from routerd.connectors.mqtt.keepalive import PATIENCE, Keepalive


def test_pings_half_a_keepalive_after_the_last_sign_of_life() -> None:
    keepalive = Keepalive(60, now=100.0)
    assert keepalive.ping_at == 130.0


def test_what_only_one_side_sends_does_not_keep_it_alive() -> None:
    keepalive = Keepalive(60, now=100.0)
    keepalive.last_received = 129.0  # QoS 0: the broker hears nothing of us
    assert keepalive.ping_at == 130.0
    keepalive.last_sent = 129.0
    assert keepalive.ping_at == 159.0


def test_a_ping_is_followed_by_the_next_half_a_keepalive_later() -> None:
    keepalive = Keepalive(60, now=100.0)
    keepalive.pinged(130.0)
    assert keepalive.ping_at == 160.0


def test_silence_means_the_end_after_one_and_a_half_keepalives() -> None:
    keepalive = Keepalive(60, now=100.0)
    assert keepalive.gone_at == 100.0 + 60 * PATIENCE
    keepalive.last_received = 150.0
    assert keepalive.gone_at == 150.0 + 60 * PATIENCE


def test_silence_is_not_judged_while_nothing_is_read() -> None:
    keepalive = Keepalive(60, now=100.0)
    keepalive.pause()
    assert keepalive.gone_at == inf
    assert keepalive.ping_at == 130.0


def test_the_time_of_a_pause_does_not_count_as_silence() -> None:
    keepalive = Keepalive(60, now=100.0)
    keepalive.pause()
    keepalive.resume(5000.0)
    assert keepalive.gone_at == 5000.0 + 60 * PATIENCE


def test_whoever_sleeps_until_the_next_time_is_never_too_late() -> None:
    # Times move only away while one sleeps, a new end of patience included.
    keepalive = Keepalive(60, now=100.0)
    keepalive.pause()
    wake_up = min(keepalive.ping_at, keepalive.gone_at)
    keepalive.resume(100.5)
    assert wake_up <= min(keepalive.ping_at, keepalive.gone_at)


def test_no_keepalive_means_no_pings_and_no_judgement() -> None:
    keepalive = Keepalive(0, now=100.0)
    assert keepalive.ping_at == inf
    assert keepalive.gone_at == inf
