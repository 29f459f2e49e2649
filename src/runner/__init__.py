"""YAML in, voice agents out: hosts a folder of agent files on LiveKit."""

__version__ = "0.1.0"
