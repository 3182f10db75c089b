"""Resources, prompts and completion of a running server, as the official Python client sees them in both eras."""

import pytest
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import (
    BlobResourceContents,
    EmbeddedResource,
    PromptReference,
    ResourceTemplateReference,
    TextContent,
    TextResourceContents,
)

from tests.end_to_end.running_server import RunningServer

ERAS = ["2026-07-28", "legacy"]


@pytest.mark.parametrize("mode", ERAS)
async def test_it_lists_and_reads_resources(everything: RunningServer, mode: str) -> None:
    async with Client(streamable_http_client(everything.mcp_url), mode=mode) as client:
        resources = (await client.list_resources()).resources
        templates = (await client.list_resource_templates()).resource_templates
        (text,) = (await client.read_resource("test://static-text")).contents
        (binary,) = (await client.read_resource("test://static-binary")).contents
        (filled,) = (await client.read_resource("test://template/a%20b/data")).contents
        with pytest.raises(MCPError) as caught:
            await client.read_resource("test://nothing")

    uris = ["test://static-text", "test://static-binary", "test://watched-resource"]
    assert [str(resource.uri) for resource in resources] == ["skill://release-notes/SKILL.md", *uris]
    assert [template.uri_template for template in templates] == [
        "skill://release-notes/{+path}",
        "test://template/{id}/data",
    ]
    assert isinstance(text, TextResourceContents)
    assert text.text == "This is the content of the static text resource."
    assert isinstance(binary, BlobResourceContents)
    assert binary.mime_type == "image/png"
    assert isinstance(filled, TextResourceContents)
    assert filled.text == '{"id":"a b","templateTest":true,"data":"Data for ID: a b"}'
    assert caught.value.error.code == (-32602 if mode == "2026-07-28" else -32002)


@pytest.mark.parametrize("mode", ERAS)
async def test_it_lists_and_gets_prompts_and_completes_their_arguments(everything: RunningServer, mode: str) -> None:
    async with Client(streamable_http_client(everything.mcp_url), mode=mode) as client:
        prompts = {prompt.name: prompt for prompt in (await client.list_prompts()).prompts}
        got = await client.get_prompt("test_prompt_with_arguments", {"arg1": "x", "arg2": "y"})
        embedded = await client.get_prompt("test_prompt_with_embedded_resource", {"resourceUri": "notes://1"})
        reference = PromptReference(name="test_prompt_with_arguments")
        completed = await client.complete(reference, {"name": "arg1", "value": "par"})
        template = ResourceTemplateReference(uri="test://template/{id}/data")
        nothing = await client.complete(template, {"name": "id", "value": ""})
        with pytest.raises(MCPError) as caught:
            await client.get_prompt("test_prompt_with_arguments", {"arg1": "x"})

    arguments = prompts["test_prompt_with_arguments"].arguments
    assert arguments is not None
    assert [(one.name, one.description, one.required) for one in arguments] == [
        ("arg1", "First test argument", True),
        ("arg2", "Second test argument", True),
    ]
    assert isinstance(got.messages[0].content, TextContent)
    assert got.messages[0].content.text == "Prompt with arguments: arg1='x', arg2='y'"
    assert isinstance(embedded.messages[0].content, EmbeddedResource)
    assert completed.completion.values == ["paris", "park", "party"]
    assert nothing.completion.values == []
    assert caught.value.error.code == -32602
    assert "arg2: is required" in caught.value.error.message
