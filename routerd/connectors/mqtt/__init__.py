"""The `mqtt` scheme."""
