"""Requests that this server makes to addresses that strangers name.

Owns: which addresses may be reached, fetching without being led astray, keeping what was fetched, and the clients that
are known by documents. Depends on: `stores` (protocols) and the pure packages.
"""
