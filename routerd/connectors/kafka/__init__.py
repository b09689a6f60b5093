"""The `kafka` scheme: topics of a Kafka cluster as outputs."""
