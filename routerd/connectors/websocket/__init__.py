"""WebSocket: a listener whose paths are `ws:` sources and `group:` sinks.

`connector` is what the daemon opens, `checks` what the reader of the table asks. A connection
is a `client`, which reads its own `handshake` and then hands trio-websocket a `stream`; both
write through one `writer`. `roster` knows who is in, `paths` what can be connected to.
"""
