"""Asking a login provider, whose code is its author's: plain functions too, and one clear error for what goes wrong.

What a provider does wrong is neither the person's fault nor an accident of Gatepost's. The log says which function of
which file it is, and the person is shown a page.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect


class LoginProviderFailed(Exception):
    """A login provider failed or broke its protocol; the message says how and where. Answered 500."""


async def ask(question: Callable[..., Any], *arguments: Any, returns: tuple[type, ...]) -> Any:
    """Call a provider's method and return its answer, which is None or of one of the types `returns`.

    A coroutine function runs here, any other in a worker thread, because it may block.

    Raises:
        LoginProviderFailed: it does not take the arguments, raised something, or returned something else.
        Exception: what Gatepost itself raised, such as `LoginRefused`, or the framework: they have their own answers.
    """
    try:
        inspect.signature(question).bind(*arguments)
    except TypeError as error:
        raise _failed(question, f"cannot be called with {len(arguments)} arguments: {error}") from None
    try:
        if inspect.iscoroutinefunction(question):
            answer = await question(*arguments)
        else:
            answer = await run_in_threadpool(question, *arguments)
            if inspect.isawaitable(answer):
                answer = await answer
    except (HTTPException, ClientDisconnect):
        raise
    except Exception as error:
        if any(kind.__module__.startswith("gatepost.") for kind in type(error).__mro__):
            raise
        raise _failed(question, f"raised {type(error).__name__}") from error
    if not isinstance(answer, returns):
        wanted = " or ".join("None" if kind is type(None) else kind.__name__ for kind in returns)
        raise _failed(question, f"returned a value of type {type(answer).__name__}; it has to be {wanted}")
    return answer


def _failed(question: Callable[..., Any], problem: str) -> LoginProviderFailed:
    function: Any = inspect.unwrap(question.func if isinstance(question, partial) else question)
    name = getattr(function, "__qualname__", type(function).__qualname__)
    code = getattr(function, "__code__", None)
    place = "" if code is None else f" ({code.co_filename}:{code.co_firstlineno})"
    return LoginProviderFailed(f"{name}{place} {problem}")
