"""Every feature of MCP under the names that the official conformance suite calls: python examples/everything.py

`make conformance` lets the suite loose on it. For a server that somebody would use, see notes.py.
"""

import asyncio
import itertools
import json
from base64 import b64decode
from pathlib import Path
from typing import Annotated, Any, Literal

from mcp_types import AudioContent, EmbeddedResource, ImageContent, TextResourceContents
from pydantic import BaseModel, ConfigDict, Field

from gatepost import Context, Elicit, ListRoots, Sample, Server, ToolError, run

server = Server("everything", version="1.0.0", title="Everything")
server.add_skills(Path(__file__).parent / "skills")

PAUSE = 0.05  # seconds, so that a client sees one notification after the other
RED_PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC"
SILENCE = "UklGRigAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQQAAACAgICA"
IMAGE = ImageContent(data=RED_PIXEL, mime_type="image/png")
AUDIO = AudioContent(data=SILENCE, mime_type="audio/wav")


def embedded(uri: str, text: str, mime_type: str = "text/plain") -> EmbeddedResource:
    """Return a text as a resource inside of a result."""
    return EmbeddedResource(resource=TextResourceContents(uri=uri, mime_type=mime_type, text=text))


def form(**properties: Any) -> dict[str, Any]:
    """Return the schema of a form that asks for all of these."""
    return {"type": "object", "properties": properties, "required": list(properties)}


@server.tool
async def test_simple_text() -> str:
    """Return a text."""
    return "This is a simple text response for testing."


@server.tool
async def test_image_content() -> ImageContent:
    """Return an image."""
    return IMAGE


@server.tool
async def test_audio_content() -> AudioContent:
    """Return a sound."""
    return AUDIO


@server.tool
async def test_embedded_resource() -> EmbeddedResource:
    """Return a resource."""
    return embedded("test://embedded-resource", "This is an embedded resource content.")


@server.tool
async def test_multiple_content_types() -> Any:
    """Return a text, an image and a resource."""
    data = json.dumps({"test": "data", "value": 123})
    return ["Multiple content types test:", IMAGE, embedded("test://mixed-content-resource", data, "application/json")]


@server.tool
async def test_error_handling() -> None:
    """Fail."""
    raise ToolError("This tool intentionally returns an error for testing")


class address(BaseModel):  # noqa: N801 - its name in the schema
    """Where somebody lives."""

    model_config = ConfigDict(json_schema_extra={"$anchor": "addressDef"})

    street: str = ""
    city: str = ""


Address = address


class Contact(BaseModel):
    """How somebody can be reached, with a schema that says more than the fields do."""

    model_config = ConfigDict(
        json_schema_extra={
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
            "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
            "then": {"required": ["phone"]},
            "else": {"required": ["email"]},
        }
    )

    name: str = ""
    address: Address = Address()
    contactMethod: Literal["phone", "email"] = "email"  # noqa: N815 - as the suite has it
    phone: str = ""
    email: str = ""


@server.tool
async def json_schema_2020_12_tool(contact: Contact) -> str:
    """Take arguments that a large part of JSON Schema describes."""
    return f"Contact: {contact.name}"


@server.tool
async def mirrored_argument(region: Annotated[str, Field(json_schema_extra={"x-mcp-header": "Region"})]) -> str:
    """Take an argument that clients repeat in a header."""
    return f"Region: {region}"


# --- tools: what they tell while they run


@server.tool
async def test_tool_with_logging(ctx: Context) -> str:
    """Write three log messages."""
    ctx.log.info("Tool execution started")
    await asyncio.sleep(PAUSE)
    ctx.log.info("Tool processing data")
    await asyncio.sleep(PAUSE)
    ctx.log.info("Tool execution completed")
    return "Tool with logging executed successfully"


@server.tool
async def test_logging_tool(ctx: Context) -> str:
    """Write a log message, for clients that want it."""
    ctx.log.info("Diagnostic trace")
    return "Logging evaluated"


@server.tool
async def test_tool_with_progress(ctx: Context) -> str:
    """Report progress three times."""
    for step in (0, 50, 100):
        await ctx.progress(step, 100, f"Completed step {step} of 100")
        await asyncio.sleep(PAUSE)
    return "Tool with progress executed successfully"


@server.tool
async def test_reconnection(ctx: Context) -> str:
    """Let go of the client in the middle; it comes back for the result."""
    await ctx.close_stream()
    await asyncio.sleep(PAUSE)
    return "Reconnected"


# --- tools: what they ask


@server.tool
async def test_sampling(prompt: str, ctx: Context) -> str:
    """Ask the client's model."""
    return f"LLM response: {(await ctx.sample(prompt, max_tokens=100)).text}"


@server.tool
async def test_missing_capability(ctx: Context) -> str:
    """Ask the client's model, whether there is one or not."""
    return (await ctx.sample("Are you there?", max_tokens=10)).text


@server.tool
async def test_elicitation(message: str, ctx: Context) -> str:
    """Ask the user for a name and an address."""
    answer = await ctx.elicit(
        message,
        form(
            username={"type": "string", "description": "User's response"},
            email={"type": "string", "description": "User's email address"},
        ),
    )
    return f"User response: action={answer.action}, content={json.dumps(answer.data)}"


@server.tool
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:
    """Ask the user with a form that is filled in already."""
    answer = await ctx.elicit(
        "Please review and update the form fields with defaults",
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "default": "John Doe"},
                "age": {"type": "integer", "default": 30},
                "score": {"type": "number", "default": 95.5},
                "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
                "verified": {"type": "boolean", "default": True},
            },
        },
    )
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.data)}"


@server.tool
async def test_elicitation_sep1330_enums(ctx: Context) -> str:
    """Ask the user to choose, in every way in which a form can."""
    options = ["option1", "option2", "option3"]
    titled = [{"const": f"value{number}", "title": f"Option {number}"} for number in (1, 2, 3)]
    legacy = {"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    answer = await ctx.elicit(
        "Please select options from the enum fields",
        {
            "type": "object",
            "properties": {
                "untitledSingle": {"type": "string", "enum": options},
                "titledSingle": {"type": "string", "oneOf": titled},
                "legacyEnum": {"type": "string", **legacy},
                "untitledMulti": {"type": "array", "items": {"type": "string", "enum": options}},
                "titledMulti": {"type": "array", "items": {"anyOf": titled}},
            },
        },
    )
    return f"Elicitation completed: action={answer.action}, content={json.dumps(answer.data)}"


@server.tool
async def test_streaming_elicitation(ctx: Context) -> str:
    """Report progress, then ask the user."""
    await ctx.progress(50, 100)
    answer = await ctx.elicit("Go on?", form(ok={"type": "boolean"}))
    return f"Streaming complete: {answer.action}"


# --- tools: what they ask in the modern era, under keys that the suite knows

NAME = form(name={"type": "string"})


@server.tool
async def test_input_required_result_elicitation(ctx: Context) -> str:
    """Ask for a name."""
    answer = await ctx.elicit("What is your name?", NAME, key="user_name")
    return f"Hello, {(answer.data or {}).get('name', 'friend')}!"


@server.tool
async def test_input_required_result_sampling(ctx: Context) -> str:
    """Ask the client's model for a capital."""
    return (await ctx.sample("What is the capital of France?", max_tokens=100, key="capital_question")).text


@server.tool
async def test_input_required_result_list_roots(ctx: Context) -> str:
    """Ask which folders are open."""
    return "Roots: " + ", ".join(root.uri for root in await ctx.roots(key="client_roots"))


@server.tool
async def test_input_required_result_request_state(ctx: Context) -> str:
    """Ask for a confirmation, and remember something meanwhile."""
    remembered = await ctx.once("word", lambda: "state-ok")
    await ctx.elicit("Please confirm", form(ok={"type": "boolean"}), key="confirm")
    return remembered


@server.tool
async def test_input_required_result_multiple_inputs(ctx: Context) -> str:
    """Ask three things at once."""
    answers = await ctx.request_all(
        {
            "user_name": Elicit("What is your name?", NAME),
            "greeting": Sample("Generate a greeting", max_tokens=50),
            "client_roots": ListRoots(),
        }
    )
    name = (answers["user_name"].data or {}).get("name", "friend")
    return f"{answers['greeting'].text} {name}, with {len(answers['client_roots'])} roots"


@server.tool
async def test_input_required_result_multi_round(ctx: Context) -> str:
    """Ask for a name, then for a colour."""
    name = await ctx.elicit("Step 1: What is your name?", NAME, key="step1")
    colour = await ctx.elicit("Step 2: What is your favorite color?", form(color={"type": "string"}), key="step2")
    return f"{(name.data or {}).get('name')} likes {(colour.data or {}).get('color')}"


@server.tool
async def test_input_required_result_tampered_state(ctx: Context) -> str:
    """Ask for a confirmation; what comes back with it is checked."""
    await ctx.elicit("Please confirm", form(ok={"type": "boolean"}), key="confirm")
    return "The state is as it was"


@server.tool
async def test_input_required_result_capabilities(ctx: Context) -> str:
    """Ask whatever the client can answer."""
    questions: dict[str, Any] = {
        "elicitation": Elicit("What is your name?", NAME),
        "sampling": Sample("Say something", max_tokens=50),
    }
    answers = await ctx.request_all({key: ask for key, ask in questions.items() if key in ctx.client_capabilities})
    return f"Answered: {', '.join(answers) or 'nothing'}"


# --- tools: what changes while the server runs


_numbers = itertools.count(1)


@server.tool
async def test_trigger_tool_change() -> str:
    """Add a tool."""
    server.tool(name=f"added_{next(_numbers)}", description="Added at run time.")(test_simple_text)
    return "A tool was added"


@server.tool
async def test_trigger_prompt_change() -> str:
    """Add a prompt."""
    server.prompt(name=f"added_{next(_numbers)}", description="Added at run time.")(test_simple_prompt)
    return "A prompt was added"


# --- resources


@server.resource("test://static-text", mime_type="text/plain")
async def static_text() -> str:
    """A text that is always the same."""
    return "This is the content of the static text resource."


@server.resource("test://static-binary", mime_type="image/png")
async def static_binary() -> bytes:
    """An image that is always the same."""
    return b64decode(RED_PIXEL)


@server.resource("test://watched-resource", mime_type="text/plain")
async def watched_resource() -> str:
    """A resource to subscribe to."""
    return "Watched resource content"


@server.resource("test://template/{id}/data", mime_type="application/json")
async def template_resource(id: str) -> dict[str, Any]:  # noqa: A002 - the template's own word
    """Data by id."""
    return {"id": id, "templateTest": True, "data": f"Data for ID: {id}"}


# --- prompts


@server.prompt
async def test_simple_prompt() -> str:
    """A prompt without arguments."""
    return "This is a simple prompt for testing."


@server.prompt(completions={"arg1": ["paris", "park", "party"]})
async def test_prompt_with_arguments(
    arg1: Annotated[str, Field(description="First test argument")],
    arg2: Annotated[str, Field(description="Second test argument")],
) -> str:
    """A prompt with two arguments."""
    return f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"


@server.prompt
async def test_prompt_with_embedded_resource(resourceUri: str) -> list[Any]:  # noqa: N803 - as the suite has it
    """A prompt with a resource inside.

    Args:
        resourceUri: The URI of the resource.
    """
    return [
        embedded(resourceUri, "Embedded resource content for testing."),
        "Please process the embedded resource above.",
    ]


@server.prompt
async def test_prompt_with_image() -> list[Any]:
    """A prompt with an image."""
    return [IMAGE, "Please analyze the image above."]


@server.prompt
async def test_input_required_result_prompt(ctx: Context) -> str:
    """A prompt that asks before it says anything."""
    answer = await ctx.elicit(
        "What context should the prompt use?", form(context={"type": "string"}), key="user_context"
    )
    return f"Use this context: {(answer.data or {}).get('context')}"


if __name__ == "__main__":
    run(server)
