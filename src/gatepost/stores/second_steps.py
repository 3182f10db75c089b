"""What is sealed of second steps, and how it is sealed anew when the first key of the ring is another one.

It opens in its own row alone: whose it is, and which step, is what it was sealed beside.
"""

from __future__ import annotations

from typing import Final

from gatepost.stores.contract.errors import StoreMisconfigured
from gatepost.stores.contract.second_steps import SecondStep, SecondStepStore
from gatepost.tokens.opaque import RandomBytes
from gatepost.tokens.sealing import KeyRing, SealBroken

_PURPOSE: Final = "second-step"


def seal_step(secret: bytes, *, subject: str, step_id: str, ring: KeyRing, random_bytes: RandomBytes) -> bytes:
    """Return the secret of an authenticator app, sealed for this person and step."""
    associated_data = _belongs_to(subject, step_id)
    return ring.seal(secret, purpose=_PURPOSE, associated_data=associated_data, random_bytes=random_bytes)


def open_step(step: SecondStep, ring: KeyRing) -> bytes:
    """Return the secret of a row.

    Raises:
        StoreMisconfigured: it was altered, lay in another row, or its key is not on the ring.
    """
    try:
        return ring.open(step.sealed_secret, purpose=_PURPOSE, associated_data=_belongs_to(step.subject, step.step_id))
    except SealBroken as error:
        raise StoreMisconfigured(
            f"the second step of {step.subject} in the store was altered and does not open: gatepost users second-step "
            f"{step.subject} off ends it"
        ) from error


async def reseal_step(step: SecondStep, store: SecondStepStore, ring: KeyRing, *, random_bytes: RandomBytes) -> bool:
    """Seal a secret under the ring's first key, and say whether it was sealed under another.

    Raises:
        StoreMisconfigured: as `open_step`; the row stays as it is, and its person is told at the login.
    """
    if ring.is_current(step.sealed_secret):
        return False
    secret = open_step(step, ring)
    sealed = seal_step(secret, subject=step.subject, step_id=step.step_id, ring=ring, random_bytes=random_bytes)
    await store.reseal_second_step(step.subject, step.step_id, sealed)
    return True


def _belongs_to(subject: str, step_id: str) -> bytes:
    return f"{subject} {step_id}".encode()
