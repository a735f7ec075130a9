"""The daemon: configuration, composition, logging, health."""
