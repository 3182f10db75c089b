"""Files that are whole or not there: on disk before they get their name, and never in the place of another."""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator, Sequence
from pathlib import Path

from gatepost.stores.contract.errors import StoreMisconfigured


@contextlib.contextmanager
def new_file(target: Path, *, beside: Sequence[str] = ()) -> Iterator[Path]:
    """Give an empty file of mode 0600 with another name, which becomes `target` at the end; an error leaves neither.

    Args:
        target: where no file is yet.
        beside: ends of names that files beside the draft may have, which go with it.

    Raises:
        StoreMisconfigured: there is a file, or none can be made.
    """
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    if target.exists():
        raise StoreMisconfigured(f"{target} exists already, and is not replaced: name another file")
    try:
        os.close(os.open(draft, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        try:
            yield draft
            sync(draft)
            _name(draft, target)
        finally:
            for end in ("", *beside):
                Path(f"{draft}{end}").unlink(missing_ok=True)
        sync(target.parent)
    except FileExistsError:
        raise StoreMisconfigured(f"{target} exists already, and is not replaced: name another file") from None
    except OSError as error:
        raise StoreMisconfigured(f"{target} cannot be made: {error.strerror}") from error


def _name(draft: Path, target: Path) -> None:
    try:
        target.hardlink_to(draft)  # unlike a renaming it never replaces a file that was made meanwhile
    except FileExistsError:
        raise
    except OSError:  # a file system without links, as on many a memory stick
        draft.rename(target)


def sync(path: Path) -> None:
    """Have a file or directory on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
