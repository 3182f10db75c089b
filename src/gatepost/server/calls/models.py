"""Pydantic models of our own. Imported where they are used: the first model of a process takes 10 ms to build."""

from __future__ import annotations

from pydantic import BaseModel


class NoArguments(BaseModel):
    """The inputs of a tool or prompt that takes none: `Arguments[NoArguments]`."""


class ErrorMessage(BaseModel):
    """The structured result of a call that failed, where the tool has `return_error_message`."""

    error_message: str
