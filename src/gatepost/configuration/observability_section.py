"""What operators see of a running server beside its log: figures and traces, and where they go."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import AfterValidator, Field

from gatepost.configuration.sections import BearerToken, Flag, Section

_HIGHEST_PORT: Final = 65_535


def host_and_port_of(text: str) -> tuple[str, int]:
    """Return host and port of `127.0.0.1:9464` or `[::1]:9464`; the host stands there as an address or `localhost`.

    Raises:
        ValueError: it is none of these.
    """
    host, colon, port = text.strip().rpartition(":")
    is_bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if is_bracketed else host
    if not colon or not host or (":" in host) is not is_bracketed or not (port.isascii() and port.isdecimal()):
        raise ValueError
    if int(port) > _HIGHEST_PORT:
        raise ValueError
    return host, int(port)


def _checked(text: str) -> str:
    host_and_port_of(text)
    return text


class ObservabilitySettings(Section):
    """Figures and traces. All of it is off unless it is asked for, and needs the extra `otel`."""

    telemetry: str = Field("off", alias="MCP_TELEMETRY", pattern="^(off|otlp)$", description="off or otlp")
    has_content: Flag = Field(default=False, alias="MCP_TELEMETRY_CONTENT")
    metrics_listen: Annotated[str, AfterValidator(_checked)] | None = Field(
        None,
        alias="MCP_METRICS_LISTEN",
        description="an address and a port to listen on, such as 127.0.0.1:9464 or [::1]:9464",
    )
    metrics_token: BearerToken | None = Field(
        None,
        alias="MCP_METRICS_TOKEN",
        description="a secret of 1 to 2048 letters, digits and - . _ ~ + / (RFC 6750)",
    )

    @property
    def metrics_address(self) -> tuple[str, int] | None:
        """Host and port of the Prometheus endpoint; None without one."""
        return None if self.metrics_listen is None else host_and_port_of(self.metrics_listen)
