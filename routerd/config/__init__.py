"""TOML to models, with every problem and its line. Knows connectors only by their table."""
