"""OpenAPI in: the operations of a description become tools of a server (docs/openapi.md).

`Server.from_openapi` is the way in, and imports this package when it is called. Below `building`, which joins them:

`documents`, `reading`, `yaml_text`
    Where a description is read, and what its references may reach.
`description`, `selection`, `naming`, `servers`
    Its operations, which of them become tools, what those are called, and where their requests go.
`schemas`, `parameters`, `bodies`, `outputs`
    What an operation takes and gives, as JSON Schema.
`inputs`, `styles`, `requests`, `calling`, `answers`
    A call: arguments checked, a request written, and a result made of what comes back.
"""

try:
    import jsonschema_rs as _jsonschema_rs  # noqa: F401 - whether they are there
    import openapi_pydantic as _openapi_pydantic  # noqa: F401 - likewise
    import referencing as _referencing  # noqa: F401 - likewise
except ModuleNotFoundError as error:
    raise ModuleNotFoundError(
        'Server.from_openapi reads descriptions by the extra: pip install "gatepost[openapi]".'
    ) from error
