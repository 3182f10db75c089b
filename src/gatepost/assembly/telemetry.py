"""What is measured of an installation: begun where the settings ask for it, and nothing is imported otherwise."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Final

from gatepost import __version__
from gatepost.configuration.deployment import host_and_port
from gatepost.configuration.settings import Settings, SettingsError
from gatepost.late_dataclass import dataclass
from gatepost.telemetry.seam import Telemetry

if TYPE_CHECKING:
    from gatepost.observability.exporting import Exporting
    from gatepost.observability.metrics_listener import MetricsListener, MetricsPlace

_PROTOCOLS: Final = (
    "OTEL_EXPORTER_OTLP_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
)
_SPOKEN: Final = "http/protobuf"

_log = logging.getLogger("gatepost.metrics")


@dataclass(slots=True)
class Observed:
    """What is measured in this process, and where it is shown."""

    settings: Settings
    exporting: Exporting | None
    place: MetricsPlace | None = None
    """Where to show figures, if a parent says; otherwise this process listens itself."""
    is_own_server: bool = False
    """Whether our own server serves; other servers may run several processes, of which one can listen."""
    _listener: MetricsListener | None = field(default=None, init=False)
    _own_place: MetricsPlace | None = field(default=None, init=False)

    @property
    def telemetry(self) -> Telemetry | None:
        """What takes figures; None where nothing is measured."""
        return None if self.exporting is None else self.exporting.telemetry

    def open(self) -> None:
        """Show figures at the Prometheus endpoint, if there is to be one. Twice is fine.

        Raises:
            SettingsError: its address cannot be listened on.
        """
        address, exporting = self.settings.observability.metrics_address, self.exporting
        if address is None or exporting is None or self._listener is not None:
            return
        from gatepost.observability.metrics_listener import MetricsListener  # noqa: PLC0415 - only with an endpoint

        place = self.place or self._listen(address)
        if place is None:
            return
        token = self.settings.observability.metrics_token
        self._listener = MetricsListener(
            place, exporting.text, token=None if token is None else token.get_secret_value()
        )
        self._listener.start()

    def places(self) -> Iterator[tuple[str, str]]:
        """Yield a label and a sentence for each place where figures and traces are to be found, once they are shown."""
        place = self.place or self._own_place
        if self._listener is not None and place is not None:
            host, port = place.listener.getsockname()[:2]
            token = "" if self.settings.observability.metrics_token is None else ", for who sends MCP_METRICS_TOKEN"
            yield "Metrics", f"http://{host_and_port(host, port)}/metrics{token}"
        if self.exporting is not None:
            for collector, kinds in self.exporting.collectors.items():
                yield "Sends", f"{' and '.join(kinds)} to {collector}, which OpenTelemetry's variables name"

    async def close(self) -> None:
        """Send what has not gone out, and show nothing any more; closing twice is fine. It takes seconds at most."""
        if self.exporting is not None:
            await asyncio.to_thread(self._close)

    def flush(self) -> None:
        """Send what has not gone out; it takes seconds at most."""
        if self.exporting is not None:
            self.exporting.flush()

    def _close(self) -> None:
        if self._listener is not None:
            self._listener.stop()
            self._listener = None
        if self._own_place is not None:
            self._own_place.listener.close()
            self._own_place = None
        self.flush()

    def _listen(self, address: tuple[str, int]) -> MetricsPlace | None:
        from gatepost.observability.metrics_listener import MetricsPlace, listen_at  # noqa: PLC0415 - as above

        try:
            self._own_place = MetricsPlace(listen_at(address))
        except OSError as error:
            said = self.settings.observability.metrics_listen
            sentence = f"MCP_METRICS_LISTEN={said} cannot be listened on: {error.strerror}."
            if self.is_own_server:
                raise SettingsError(sentence) from None
            # Perhaps another process of the same server has it.
            _log.warning("%s This process shows no figures.", sentence)
        return self._own_place


def observed_by(settings: Settings, *, shows_figures: bool = True) -> Observed:
    """Return what is measured as the settings say.

    Args:
        settings: all of them.
        shows_figures: whether a Prometheus endpoint is of use: not for a process that one client has started.

    Raises:
        SettingsError: OpenTelemetry is not installed, or one of its variables is wrong.
    """
    has_endpoint = shows_figures and settings.observability.metrics_listen is not None
    if settings.observability.telemetry == "off" and not has_endpoint:
        return Observed(settings, None)
    asked_for = "MCP_TELEMETRY" if settings.observability.telemetry != "off" else "MCP_METRICS_LISTEN"
    try:
        from gatepost.observability.exporting import start_exporting  # noqa: PLC0415 - an extra, and slow to import
    except ImportError:
        raise SettingsError(f'{asked_for} needs OpenTelemetry: pip install "gatepost[otel]"') from None
    is_otlp = settings.observability.telemetry == "otlp"
    if is_otlp:
        for variable in _PROTOCOLS:
            if os.environ.get(variable, _SPOKEN) != _SPOKEN:
                raise SettingsError(
                    f"{variable} takes {_SPOKEN} here; a collector takes that at another port than gRPC, mostly 4318."
                )
    try:
        exporting = start_exporting(otlp=is_otlp, prometheus=has_endpoint, version=__version__)
    except ValueError:
        raise SettingsError("A variable of OpenTelemetry (OTEL_...) has a value that it does not take.") from None
    return Observed(settings, exporting)
