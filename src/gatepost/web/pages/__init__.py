"""The pages that people see: login, consent, set-up, account.

Owns: templates and static files, the browser session, CSRF tokens, the throttle of logins.
Depends on: `web.site`, `identity`, `stores.contract`, the rules.
"""
