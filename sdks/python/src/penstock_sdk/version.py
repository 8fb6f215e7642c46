"""The version of the SDK, as its distribution has it."""

from importlib.metadata import version

__version__ = version("penstock-sdk")
