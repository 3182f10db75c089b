"""The admin pages: people, clients, grants, the audit trail, keys and health, for whoever has the role `admin`.

`table` says what there is and is all that a start imports; the pages are imported when somebody first opens one.
"""
