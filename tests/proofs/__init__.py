"""What routerd promises, shown on the real program, a real mosquitto and a real Apache Kafka.

Each file is one promise. They are slow, and none of them knows how routerd is made.
"""
