"""The contract of a store: one protocol a concern, each method one atomic operation named for its meaning.

Owns: the protocols with their records and outcomes, one module a concern; the faults (`errors.py`); all of them
together (`store.py`); how long a busy one is waited for (`busy.py`). Depends on: `oauth` (records). Knows no backend.

Atomic means: it happens wholly or not at all, is durable when it returns, and of any number of parallel callers, in one
process or many, each gets the answer it would get if they had come one after the other. There is never a get followed
by a put. Every backend passes `gatepost.stores.conformance` whole. Every method may raise `StoreUnavailable`.

`StoreUnavailable` that is no `StoreBusy` may stand for an operation that has happened (`errors.py`). So each operation
that writes says under "Repeated" what a second call with the same arguments says and does when the first has happened.
It changes nothing, unless that is said. No credential is ever honoured twice for it: a code, link or signature in doubt
is used up. A read may be repeated, and so may `delete_…`, which deletes what is still there.

A caller that is cancelled while it waits loses the answer, not the operation: it happens wholly or not at all.

`now` is whole seconds UTC, and so are all times of records. A record whose `expires_at <= now` counts as absent.

`delete_…(before=, limit=)` deletes at most `limit` rows that were over at `before` (seconds UTC) and returns how many.
What it deletes counts as absent already, so nothing that a caller can observe depends on whether a purge has run;
only the space does. A batch is one short transaction, so a caller that pauses between them never keeps others waiting
for long. Fewer than `limit` means that nothing is left that was over.
"""
