"""The contract of a store: its protocols by concern, the outcomes and errors of its operations, its own records."""
