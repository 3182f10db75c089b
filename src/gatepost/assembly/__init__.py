"""What is built from the configuration: values become objects, objects become one ASGI app.

Owns: which store, provider and rules an installation has, what is served under which path, and the banner.
Depends on: everything below it. With `cli` the only package that names concrete stores and providers.
"""
