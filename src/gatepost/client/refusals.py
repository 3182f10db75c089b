"""Why a call does not come about, for the person who asked for it."""

from __future__ import annotations


class CallRefused(Exception):
    """A server said no, or cannot be used; the message is a sentence. What servers said in it is not cleaned."""


class ServerAway(CallRefused):
    """A server cannot answer now. Nothing is lost: what is kept of it stays as it is."""
