"""`routerd.ack.v1`: clients that ask for it hear what became of each message that they sent.

`words` are its frames. `ledger` knows what is unanswered, and in which order. A client that
speaks it has a `desk`, at which routes leave their verdicts; `member` is how it hears others.
"""
