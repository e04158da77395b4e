"""The few kinds of error a user can meet, each with the exit status it ends the command with."""


class BenchbedError(Exception):
    """A user-facing error: one plain sentence that names the thing, what is wrong with it and what to do."""

    exit_code = 2


class UnknownNameError(BenchbedError):
    """A name that no card carries; the message suggests the nearest known ones."""


class ClipError(BenchbedError):
    """One clip cannot be read (corrupt, empty, truncated). The run goes on without it and says so."""

    exit_code = 1


class CheckpointError(BenchbedError):
    """A weights file that does not fit its network, or that is not safe to load."""


class WeightsMissingError(BenchbedError):
    """A weights file is not on this machine; the message says where it comes from and where to put it."""


class StoreError(BenchbedError):
    """The results cannot be written (no permission, disk full) or were written by another version."""
