"""The tests of routerd, one file for each file of routerd."""
