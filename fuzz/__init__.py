"""Fuzzing: promises of the library that hold for any bytes whatever."""
