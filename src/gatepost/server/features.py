"""The methods of resources, prompts and completion, answered by what a `Server` has of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from gatepost.protocol.errors import InvalidParams, MethodNotFound, ProtocolError, UnknownResource
from gatepost.protocol.messages import Request
from gatepost.protocol.modern import finish_result
from gatepost.protocol.versions import Revision
from gatepost.server.calls.cancellation import is_cancellation
from gatepost.server.calls.context import Context
from gatepost.server.calls.request_run import RequestRun
from gatepost.server.calls.request_state import StateSeal
from gatepost.server.declared.completion import RegisteredCompleter
from gatepost.server.declared.invocation import internal_error
from gatepost.server.declared.prompts import Prompt
from gatepost.server.declared.resources import Resource
from gatepost.server.errors import InsufficientScope, InvalidArguments, ResourceNotFound
from gatepost.server.listing import Listing
from gatepost.server.server import Server
from gatepost.server.session import resource_uri, subscribe, unsubscribe
from gatepost.server.target import Caller, Result
from gatepost.tokens.opaque import RandomBytes

Method = Callable[[Request, Revision, Caller], Coroutine[Any, Any, Result]]


def capabilities_of(server: Server) -> dict[str, Any]:
    """Return the `ServerCapabilities` object: what the server has at this moment.

    Tools are always among them, for they may be added at run time, and their list is then the first that anyone reads.
    """
    capabilities: dict[str, Any] = {"tools": {}}
    if server.resources or server.resource_templates:
        capabilities["resources"] = {}
    if server.prompts:
        capabilities["prompts"] = {}
    if _completes(server):
        capabilities["completions"] = {}
    return capabilities


class FeatureMethods:
    """The methods beside those of tools. A feature that the server has nothing of is no method at all.

    Args:
        server: What has the features.
        server_info: Who answers, for the results of the modern era.
        seal: Writes and reads the state of requests that ask their client something.
        random_bytes: Gives the incident ids their bytes.
    """

    def __init__(
        self,
        server: Server,
        *,
        server_info: Mapping[str, Any],
        seal: StateSeal,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        self._server = server
        self._server_info = server_info
        self._seal = seal
        self._random_bytes = random_bytes
        self._resources = self._listing("resources/list", "resources", server.resources.values)
        self._templates = self._listing(
            "resources/templates/list", "resourceTemplates", server.resource_templates.values
        )
        self._prompts = self._listing("prompts/list", "prompts", server.prompts.values)
        self.methods: Mapping[str, Method] = {
            "resources/list": self._list_resources,
            "resources/templates/list": self._list_templates,
            "resources/read": self._read_resource,
            "resources/subscribe": self._subscribe,
            "resources/unsubscribe": self._unsubscribe,
            "prompts/list": self._list_prompts,
            "prompts/get": self._get_prompt,
            "completion/complete": self._complete,
        }

    def _listing(self, method: str, member: str, entries: Callable[[], Any]) -> Listing:
        server = self._server
        return Listing(
            method,
            member,
            entries=entries,
            generation=lambda: server.generation,
            page_size=server.page_size,
            server_info=self._server_info,
        )

    async def _list_resources(self, request: Request, revision: Revision, caller: Caller) -> Result:
        _offered(self._server.resources or self._server.resource_templates)
        return self._resources.page(request.params, revision, caller.granted)

    async def _list_templates(self, request: Request, revision: Revision, caller: Caller) -> Result:
        _offered(self._server.resources or self._server.resource_templates)
        return self._templates.page(request.params, revision, caller.granted)

    async def _list_prompts(self, request: Request, revision: Revision, caller: Caller) -> Result:
        _offered(self._server.prompts)
        return self._prompts.page(request.params, revision, caller.granted)

    async def _read_resource(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # 1. Which resource?
        _offered(self._server.resources or self._server.resource_templates)
        uri = _text_member(request.params, "uri")
        found = self._find_resource(uri)
        if found is None:
            raise _no_resource(uri, revision)
        resource, texts = found
        # 2. May the caller?
        _allowed(caller, resource)

        # 3. Read it.
        async def read(context: Callable[[], Context]) -> dict[str, Any]:
            try:
                result = await resource.read(uri, texts, context)
            except ResourceNotFound:
                raise _no_resource(uri, revision) from None
            return {"ttlMs": resource.freshness, **result} if revision.modern else result

        # In the log it goes by the name that its author gave it: a URI may hold what is nobody's business.
        return await self._run(request, revision, caller, f"resource {resource.name}", read)

    def may_read(self, uri: str, granted: frozenset[str] | None) -> bool:
        """Say whether there is a resource of this URI that a caller with these scopes may read; None means all."""
        found = self._find_resource(uri)
        return found is not None and (granted is None or found[0].scopes <= granted)

    async def _subscribe(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # 2025-11-25 server/resources, "Subscriptions"; the modern era has `subscriptions/listen` in its place.
        _in_handshake_era(revision)
        _offered(self._server.resources or self._server.resource_templates)
        uri = resource_uri(request)
        found = self._find_resource(uri)
        if found is None:
            raise _no_resource(uri, revision)
        _allowed(caller, found[0])
        return await subscribe(request, caller.session)

    async def _unsubscribe(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # Whether the resource is still there does not matter.
        _in_handshake_era(revision)
        _offered(self._server.resources or self._server.resource_templates)
        return await unsubscribe(request, caller.session)

    def _find_resource(self, uri: str) -> tuple[Resource, Mapping[str, str]] | None:
        """Return what answers for `uri`: a fixed one before any template, and templates as they were added."""
        fixed = self._server.resources.get(uri)
        if fixed is not None:
            return fixed, {}
        for resource in self._server.resource_templates.values():
            texts = None if resource.template is None else resource.template.match(uri)
            if texts is not None:
                return resource, texts
        return None

    async def _get_prompt(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # 1. Which prompt, and may the caller?
        _offered(self._server.prompts)
        prompt = self._find_prompt(request.params)
        _allowed(caller, prompt)
        # 2. With which arguments?
        texts = _texts(request.params.get("arguments"), "params.arguments")

        # 3. Write it.
        async def get(context: Callable[[], Context]) -> dict[str, Any]:
            return await prompt.get(texts, revision.version, context)

        return await self._run(request, revision, caller, f"prompt {prompt.name}", get)

    def _find_prompt(self, named: Mapping[str, Any]) -> Prompt:
        prompt = self._server.prompts.get(_text_member(named, "name"))
        if prompt is None:
            raise InvalidParams("Unknown prompt")
        return prompt

    async def _run(
        self,
        request: Request,
        revision: Revision,
        caller: Caller,
        what: str,
        work: Callable[[Callable[[], Context]], Awaitable[dict[str, Any]]],
    ) -> Result:
        """Run the user's code; it may ask its client something, as a tool may."""
        run = RequestRun(request, revision, caller, name=what, state=self._server.state, seal=self._seal)
        try:
            result = await work(run.context)
        except InvalidArguments as error:
            raise InvalidParams(str(error)) from None
        except ProtocolError:
            raise
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            # Whatever user code raises becomes an answer.
            if is_cancellation(error):
                raise
            result = self._after(error, run, what)
        except BaseException as error:  # noqa: BLE001 - raised again unless it means that the client is asked something
            result = run.result_after(error)
        else:
            result = run.result_or_questions(result)
        return finish_result(request.method, result, self._server_info) if revision.modern else result

    def _after(self, error: BaseException, run: RequestRun, what: str) -> dict[str, Any]:
        """Return the questions of a run that failed after it asked them, or raise the error that says it failed."""
        asked = run.result_or_questions({})
        if asked:
            return asked
        raise internal_error(what, error, run.context, self._random_bytes) from None

    async def _complete(self, request: Request, revision: Revision, caller: Caller) -> Result:
        # 1. Of what, and may the caller?
        if not _completes(self._server):
            raise MethodNotFound("This server completes nothing.")
        reference, argument = _object(request.params, "ref"), _object(request.params, "argument")
        owner = self._referred(reference)
        _allowed(caller, owner)
        # 2. Which argument, and what is known?
        name, value = _text_member(argument, "name"), _text_member(argument, "value")
        context = request.params.get("context")
        if context is not None and type(context) is not dict:
            raise InvalidParams('"params.context" must be an object.')
        arguments = _texts((context or {}).get("arguments"), "params.context.arguments")
        if not owner.takes(name):
            raise InvalidParams("It has no argument of this name.")
        # 3. Complete it.
        result = {"completion": await self._completion(owner, name, value, arguments, caller)}
        return finish_result(request.method, result, self._server_info) if revision.modern else result

    async def _completion(
        self,
        owner: Prompt | Resource,
        name: str,
        value: str,
        arguments: Mapping[str, str],
        caller: Caller,
    ) -> dict[str, Any]:
        completer: RegisteredCompleter | None = owner.completers.get(name)
        if completer is None:
            return {"values": [], "total": 0, "hasMore": False}

        def context() -> Context:
            return Context(
                principal=caller.principal, request=caller.http_request, state=self._server.state, line=caller.line
            )

        try:
            return await completer.complete(value, arguments, context)
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            if is_cancellation(error):
                raise
            raise internal_error(f"completion of {owner.name}", error, context, self._random_bytes) from None

    def _referred(self, reference: Mapping[str, Any]) -> Prompt | Resource:
        kind = reference.get("type")
        if kind == "ref/prompt":
            return self._find_prompt(reference)
        if kind != "ref/resource":
            raise InvalidParams('"params.ref.type" must be "ref/prompt" or "ref/resource".')
        uri = _text_member(reference, "uri")
        resource = self._server.resource_templates.get(uri) or self._server.resources.get(uri)
        if resource is None:
            raise InvalidParams("Unknown resource template")
        return resource


def _completes(server: Server) -> bool:
    owners: list[Prompt | Resource] = [
        *server.prompts.values(),
        *server.resource_templates.values(),
    ]
    return any(owner.completers for owner in owners)


def _in_handshake_era(revision: Revision) -> None:
    if revision.modern:
        raise MethodNotFound("This revision has no such method.")


def _offered(entries: object) -> None:
    if not entries:
        raise MethodNotFound("This server has no such method.")


def _allowed(caller: Caller, entry: Prompt | Resource) -> None:
    if caller.granted is not None and not entry.scopes <= caller.granted:
        raise InsufficientScope(entry.scopes)


def _no_resource(uri: str, revision: Revision) -> ProtocolError:
    """Return the error for what is not there (server/resources, "Error Handling", of either era)."""
    return InvalidParams("Resource not found", data={"uri": uri}) if revision.modern else UnknownResource(uri)


def _text_member(given: Mapping[str, Any], member: str) -> str:
    value = given.get(member)
    if type(value) is not str:
        raise InvalidParams(f'"{member}" must be a string.')
    return value


def _object(params: Mapping[str, Any], member: str) -> dict[str, Any]:
    value = params.get(member)
    if type(value) is not dict:
        raise InvalidParams(f'"params.{member}" must be an object.')
    return value


def _texts(given: Any, what: str) -> dict[str, str]:
    if given is None:
        return {}
    if type(given) is not dict or not all(type(value) is str for value in given.values()):
        raise InvalidParams(f'"{what}" must be an object of strings.')
    return given
