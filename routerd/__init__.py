"""routerd: routes messages from MQTT and WebSocket to Kafka and WebSocket groups.

How it is put together, from the top (imports point downward only; a test checks it):

- `cli` starts `daemon`, which opens the connectors of the table and supervises its routes.
- `config` turns a TOML file into models, and finds every problem with its line.
- `route` is the pump: *deliver* hands batches to the sinks, *settle* waits for their receipts
  in order and tells the source.
- `connectors` has one folder or file for each scheme of an address: its models, its checks,
  its source and its sink. `interfaces` says what they owe the pump.
- `status` holds what is known of every route; `admin` and `metrics` only read it.
"""

__version__ = "0.1.0"
