"""Tools and prompts as objects, with Pydantic models and `Arguments`: a shop that serves itself."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

from pydantic import BaseModel, Field
from starlette.authentication import has_required_scope

from gatepost import Arguments, NoArguments, Prompt, PromptMessage, TextContent, Tool, ToolInvocationError, any_of, run
from gatepost import Server as MCPServer

# What all calls share.


class Row(TypedDict):
    name: str
    email: str


class Pool:
    """Stands in for a pool of connections to a database, opened at the start and closed at the end."""

    def __init__(self) -> None:
        self.is_closed = False

    async def fetch_row(self, number: int) -> Row:
        assert not self.is_closed
        return {"name": f"user {number}", "email": f"{number}@example.com"}

    async def close(self) -> None:
        self.is_closed = True


@dataclass
class Shop:
    pool: Pool
    cache: dict[str, str] = field(default_factory=lambda: {"motto": "buy less"})
    requests: int = 0
    called: list[str] = field(default_factory=list)


@contextlib.asynccontextmanager
async def lifespan(_server: MCPServer) -> AsyncIterator[Mapping[str, Any]]:
    pool = Pool()
    yield {"shop": Shop(pool)}
    await pool.close()


# Tools.


class AskInput(BaseModel):
    question: str = Field(description="What to ask")


class AskOutput(BaseModel):
    answer: str = Field(description="What is answered")


def ask(args: Arguments[AskInput]) -> AskOutput:
    """Ask the shop."""
    args.get_state_key("shop", Shop).called.append("ask")
    return AskOutput(answer=f"You said: {args.inputs.question}")


class TimeOutput(BaseModel):
    time: str = Field(description="The current time")


async def tell_time() -> TimeOutput:
    """Tell the time."""
    return TimeOutput(time=datetime.now(UTC).strftime("%H:%M:%S"))


class Done(BaseModel):
    success: bool


def note_visit(args: Arguments[NoArguments]) -> Done:
    """Note that somebody was here."""
    args.get_state_key("shop", Shop).called.append("note_visit")
    return Done(success=True)


class DivideInput(BaseModel):
    value: int = Field(description="What to divide 100 by")


class DivideOutput(BaseModel):
    result: str


def divide(args: Arguments[DivideInput]) -> DivideOutput:
    """Divide 100."""
    if args.inputs.value == 0:
        raise ToolInvocationError("divide", "The value must not be 0")
    return DivideOutput(result=f"{100 // args.inputs.value}")


class UserInput(BaseModel):
    user_id: int = Field(description="Whom to look up")


class UserOutput(BaseModel):
    name: str
    email: str


async def find_user(args: Arguments[UserInput]) -> UserOutput:
    """Look a user up."""
    row = await args.get_state_key("shop", Shop).pool.fetch_row(args.inputs.user_id)
    return UserOutput(name=row["name"], email=row["email"])


class LookupInput(BaseModel):
    key: str = Field(description="The key in the cache")


class LookupOutput(BaseModel):
    value: str | None
    total_requests: int


async def look_up(args: Arguments[LookupInput]) -> LookupOutput:
    """Look a value up in the cache."""
    shop = args.get_state_key("shop", Shop)
    shop.requests += 1
    return LookupOutput(value=shop.cache.get(args.inputs.key), total_requests=shop.requests)


async def say_agent(args: Arguments[AskInput]) -> AskOutput:
    """Say what the client calls itself."""
    agent = args.request.headers.get("User-Agent")
    return AskOutput(answer=f"{args.inputs.question} {agent}")


class Secret(BaseModel):
    message: str


def private_tool(args: Arguments[NoArguments]) -> Secret:
    """Say something private."""
    if not has_required_scope(args.request, ("private",)):
        raise ToolInvocationError("private_tool", "The scope is missing")
    return Secret(message=f"private, for {args.request.user.display_name}")


def admin_tool() -> Secret:
    """Say something for admins."""
    return Secret(message="for admins")


TOOLS = (
    Tool(func=ask, inputs=AskInput, output=AskOutput),
    Tool(func=tell_time, inputs=type(None), output=TimeOutput),
    Tool(func=note_visit, inputs=NoArguments, output=Done),
    Tool(func=divide, inputs=DivideInput, output=DivideOutput, return_error_message=True),
    Tool(func=find_user, inputs=UserInput, output=UserOutput),
    Tool(func=look_up, inputs=LookupInput, output=LookupOutput),
    Tool(func=private_tool, inputs=NoArguments, output=Secret, scopes=("private",)),
    Tool(func=admin_tool, inputs=type(None), output=Secret, scopes=any_of("admin", "superuser")),
    say_agent,
)

# Prompts.


class AdviceInput(BaseModel):
    topic: str = Field(description="What the advice is about")
    with_steps: bool = Field(description="Whether to list steps", default=False)


def advise(args: Arguments[AdviceInput]) -> tuple[PromptMessage, ...]:
    """Give advice."""
    text = f"Give advice on {args.inputs.topic}."
    if args.inputs.with_steps:
        text += " List the steps."
    called = args.get_state_key("shop", Shop).called
    return (PromptMessage(role="user", content=TextContent(text=f"{text} Called: {', '.join(called) or 'none'}.")),)


def help_out() -> tuple[PromptMessage, ...]:
    """Help."""
    return (PromptMessage(role="user", content=TextContent(text="Help the user.")),)


def private_prompt(args: Arguments[NoArguments]) -> tuple[PromptMessage, ...]:
    """Be private."""
    return (PromptMessage(role="user", content=TextContent(text=f"Private, for {args.context.user.subject}.")),)


PROMPTS = (
    Prompt(func=advise, arguments_type=AdviceInput),
    Prompt(func=help_out, arguments_type=type(None)),
    Prompt(func=private_prompt, arguments_type=NoArguments, scopes=("private",)),
)

mcp_server = MCPServer(
    name="shop",
    version="1.0.0",
    tools=TOOLS,
    prompts=PROMPTS,
    instructions="Ask before you buy.",
    lifespan=lifespan,
)

if __name__ == "__main__":
    run(mcp_server)
