"""Tools and prompts with one parameter `Arguments[Model]`, and what the objects say of themselves."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, cast

import pytest
from mcp_types import PromptArgument
from pydantic import BaseModel, Field
from starlette.requests import Request

from gatepost import Arguments, Context, NoArguments, Prompt, Server, Tool, ToolError, ToolInvocationError
from gatepost.server.calls.exchange import Exchange
from gatepost.server.errors import InvalidArguments, ToolDefinitionError, UnknownState


class Order(BaseModel):
    item: str = Field(description="What is wanted")
    count: int = 1


class Receipt(BaseModel):
    text: str


REQUEST = {"type": "http", "headers": [(b"x-shelf", b"north")]}


class Asked(Exchange):
    def http_request(self) -> Request:
        return Request(REQUEST)


def order(args: Arguments[Order]) -> Receipt:
    """Order something."""
    shelf = args.request.headers["x-shelf"]
    return Receipt(text=f"{args.inputs.count} {args.inputs.item} from {shelf}, {args.get_state_key('stock', list)}")


async def order_later(args: Arguments[Order]) -> Receipt:
    """Order something."""
    return order(args)


async def call(tool: Tool, arguments: dict[str, Any] | None = None) -> dict[str, Any]:
    return await tool.call(arguments or {}, Asked(), lambda asked: Context(asked, state={"stock": [3]}))


@pytest.mark.parametrize("func", [order, order_later])
@pytest.mark.parametrize("options", [{}, {"inputs": Order}, {"inputs": Order, "output": Receipt}])
async def test_it_has_the_checked_inputs_the_request_and_the_state(func: Any, options: dict[str, Any]) -> None:
    result = await call(Tool(func=func, **options), {"item": "lamp", "count": 2})

    assert result["structuredContent"] == {"text": "2 lamp from north, [3]"}


async def test_what_does_not_fit_the_model_never_reaches_the_function() -> None:
    with pytest.raises(InvalidArguments, match="item: is required"):
        await call(Tool(order, inputs=Order), {"count": 2})


async def test_a_decorated_function_may_take_it_and_is_returned_unchanged() -> None:
    server = Server("shop")

    assert server.tool(order) is order
    assert server.tools["order"].func is order
    assert (await call(server.tools["order"], {"item": "lamp"}))["structuredContent"]["text"].startswith("1 lamp")


async def test_no_arguments_can_be_said_in_every_way() -> None:
    def bare() -> str:
        return "none"

    def empty(args: Arguments[NoArguments]) -> str:
        return f"{args.inputs!r} {args.get_state_key('stock', list)}"

    async def nothing(args: Arguments[None]) -> str:
        return f"{args.inputs} {args.context.user.subject}"

    said = {
        "bare": Tool(bare, inputs=type(None)),
        "empty": Tool(empty, inputs=NoArguments),
        "nothing": Tool(nothing, inputs=type(None)),
        "plain": Tool(bare, inputs=NoArguments),
    }

    texts = {name: (await call(tool))["content"][0]["text"] for name, tool in said.items()}
    assert texts == {"bare": "none", "empty": "NoArguments() [3]", "nothing": "None anonymous", "plain": "none"}
    for tool in said.values():
        assert tool.input_schema["properties"] == {}
        with pytest.raises(InvalidArguments):
            await call(tool, {"surplus": 1})


@pytest.mark.parametrize(
    ("declare", "sentence"),
    [
        (lambda: Tool(_bare), r"_bare: parameter 'args' has to say its inputs: Arguments\[SomeModel\]"),
        (lambda: Tool(_beside), "_beside: parameter 'args' is an Arguments, which holds everything"),
        (lambda: Tool(_with_context), "_with_context: parameter 'args' is an Arguments, which holds everything"),
        (lambda: Tool(order, inputs=Receipt), "parameter 'args' gets a Receipt, as inputs says"),
        (lambda: Prompt(order, arguments_type=Receipt), "parameter 'args' gets a Receipt, as arguments_type says"),
        (lambda: Tool(order, inputs=type(None)), "parameter 'args' gets a NoArguments, as inputs says"),
        (
            lambda: Prompt(_said, arguments_type=cast("Any", dict)),
            "arguments_type takes a Pydantic model, not <class 'dict'>",
        ),
    ],
)
def test_what_cannot_be_meant_is_refused_when_it_is_declared(declare: Any, sentence: str) -> None:
    with pytest.raises(ToolDefinitionError, match=sentence):
        declare()


def _bare(args: Arguments) -> str:  # type: ignore[type-arg]  # the mistake is the test
    return str(args)


def _beside(args: Arguments[Order], more: int) -> str:
    return f"{args} {more}"


def _with_context(args: Arguments[Order], ctx: Context) -> str:
    return f"{args} {ctx}"


def _said() -> str:
    return "Help."


async def test_a_test_of_a_tool_makes_one_of_a_request_or_of_a_context() -> None:
    asked = Request({**REQUEST, "state": {"stock": [1]}})

    assert order(Arguments(request=asked, inputs=Order(item="lamp"))).text == "1 lamp from north, [1]"
    made = Arguments(None, Order(item="lamp"), context=Context(Asked(), state={"stock": [2]}))
    assert order(made).text == "1 lamp from north, [2]"
    with pytest.raises(UnknownState, match="there is no state 'till'; known keys: stock"):
        made.get_state_key("till", dict)
    with pytest.raises(TypeError, match="the state 'stock' is of type list"):
        made.get_state_key("stock", dict)
    with pytest.raises(RuntimeError, match="did not come with a request"):
        _ = Arguments(None, None).request


@pytest.mark.parametrize("options", [{}, {"arguments_type": Order}])
async def test_a_prompt_takes_it_too_and_lists_the_fields_of_the_model(options: dict[str, Any]) -> None:
    prompt = Prompt(func=order_prompt, **options)

    assert prompt.arguments == (
        PromptArgument(name="item", description="What is wanted", required=True),
        PromptArgument(name="count", required=False),
    )
    result = await prompt.get({"item": "lamp", "count": "2"}, "2026-07-28", Asked(), _with_stock)
    assert result["messages"] == [{"role": "user", "content": {"type": "text", "text": "Order 2 lamp of [3]."}}]


def order_prompt(args: Arguments[Order]) -> str:
    """Ask for an order."""
    return f"Order {args.inputs.count} {args.inputs.item} of {args.get_state_key('stock', list)}."


def _with_stock(asked: Exchange) -> Context:
    return Context(asked, state={"stock": [3]})


@pytest.mark.parametrize("arguments_type", [NoArguments, type(None), None])
async def test_a_prompt_without_arguments_can_say_so(arguments_type: Any) -> None:
    prompt = Prompt(_said, arguments_type=arguments_type)

    assert (prompt.arguments, "arguments" in prompt.definition) == ((), False)
    result = await prompt.get({}, "2026-07-28", Exchange())
    assert result["messages"][0]["content"]["text"] == "Help."
    with pytest.raises(InvalidArguments):
        await prompt.get({"surplus": "1"}, "2026-07-28", Exchange())


def test_objects_say_their_name_title_description_and_schemas() -> None:
    tool, prompt = Tool(order_later, inputs=Order, output=Receipt), Prompt(order_prompt)

    assert (tool.name, tool.title, tool.description) == ("order_later", "Order Later", "Order something.")
    assert tool.input_schema["properties"]["item"] == {"type": "string", "description": "What is wanted"}
    assert tool.output_schema is not None
    assert tool.output_schema["properties"] == {"text": {"type": "string"}}
    assert (prompt.title, prompt.description) == ("Order Prompt", "Ask for an order.")
    assert (Tool(_said).output_schema, Tool(_said).description) == (None, None)
    assert Tool(_said, title="What to do").title == "What to do"
    assert Tool(_said, annotations={"title": "Help"}).title == "Help"
    assert "title" not in Tool(_said).definition  # clients that show people a name make their own words of it


class TestReturnErrorMessage:
    def tool(self, raised: Exception, **options: Any) -> Tool:
        def risky(args: Arguments[Order]) -> Receipt:
            """Order what there is not."""
            if args.inputs.count < 0:
                raise raised
            return Receipt(text=args.inputs.item)

        return Tool(risky, inputs=Order, output=Receipt, return_error_message=True, **options)

    @pytest.mark.parametrize(
        ("raised", "text"),
        [
            (ToolInvocationError("risky", "count is positive"), "Error calling risky: count is positive"),
            (ToolError("Less."), "Less."),
            (ValueError("secret"), "The tool failed. Incident 0000000000000000."),
        ],
    )
    async def test_what_went_wrong_is_structured_content_too(self, raised: Exception, text: str) -> None:
        result = await self.tool(raised).call({"item": "x", "count": -1}, Asked(), random_bytes=bytes)

        assert result == {
            "content": [{"type": "text", "text": text}],
            "structuredContent": {"error_message": text},
            "isError": True,
        }

    async def test_a_call_that_succeeds_returns_the_result_alone(self) -> None:
        result = await self.tool(ToolError()).call({"item": "x"}, Asked())

        assert result["structuredContent"] == {"text": "x"}

    def test_the_output_schema_has_both_and_sessions_see_it(self) -> None:
        tool = self.tool(ToolError())

        assert tool.output_schema is not None
        names = [choice["$ref"].rpartition("/")[2] for choice in tool.output_schema["anyOf"]]
        assert names == ["Receipt", "ErrorMessage"]
        assert tool.definition_for("2025-06-18")["outputSchema"] == tool.output_schema

    async def test_without_it_there_is_text_alone(self) -> None:
        def risky() -> Receipt:
            raise ToolInvocationError("risky", "no")

        result = await Tool(risky).call({}, Asked())

        assert result == {"content": [{"type": "text", "text": "Error calling risky: no"}], "isError": True}


def test_no_model_of_ours_is_built_for_those_who_use_none() -> None:
    look = "import sys; from gatepost import Server, Context; print('gatepost.server.calls.models' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, timeout=180, check=True)
    assert said.stdout == "False\n"
