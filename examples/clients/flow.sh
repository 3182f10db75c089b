#!/bin/sh
# The whole flow of an MCP client by hand: discovery, registration, login, call, refresh, revocation.
#
#     sh examples/clients/flow.sh http://127.0.0.1:8000/mcp add '{"text": "milk"}'
#
# Needs curl, and python3 for JSON, for the code challenge and for listening. Secrets go to both on their standard input:
# what stands on a command line can be read by others on the machine.
set -eu

[ $# -ge 2 ] || { echo "usage: flow.sh ENDPOINT TOOL [ARGUMENTS]" >&2; exit 2; }
endpoint=$1 tool=$2 arguments=${3:-"{}"}
revision=2026-07-28

# member NAME [NAME...]: of the JSON on standard input; a list is joined by spaces.
member() {
    python3 -c '
import json, sys
value = json.load(sys.stdin)
for name in sys.argv[1:]:
    value = value[int(name) if isinstance(value, list) else name]
print(" ".join(value) if isinstance(value, list) else value)' "$@"
}

random() { python3 -c 'import secrets; print(secrets.token_urlsafe(36))'; }

# fetch ARGUMENTS: of curl, which fails at an error and says what the server answers.
fetch() { curl --silent --show-error --fail-with-body "$@"; }

# form URL NAME VALUE...: a POST of a form.
form() {
    url=$1; shift
    printf '%s\n' "$@" | python3 -c '
import sys
from urllib.parse import urlencode
given = sys.stdin.read().splitlines()
print(urlencode(list(zip(given[::2], given[1::2]))), end="")' | fetch --data-binary @- "$url"
}

# ask TOKEN METHOD PARAMS CURL-ARGUMENTS: one MCP request, which stands for itself: no session, no handshake.
ask() {
    token=$1 method=$2 params=$3; shift 3
    body=$(python3 -c '
import json, sys
meta = {"io.modelcontextprotocol/protocolVersion": sys.argv[3],
        "io.modelcontextprotocol/clientInfo": {"name": "flow.sh", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {}}
params = {**json.loads(sys.argv[2]), "_meta": meta}
print(json.dumps({"jsonrpc": "2.0", "id": 1, "method": sys.argv[1], "params": params}))' "$method" "$params" "$revision")
    {
        [ -z "$token" ] || printf 'header = "Authorization: Bearer %s"\n' "$token"
    } | curl --silent --show-error --config - "$@" \
        --header "Content-Type: application/json" --header "Accept: application/json, text/event-stream" \
        --header "MCP-Protocol-Version: $revision" --header "Mcp-Method: $method" --header "Mcp-Name: $tool" \
        --data "$body" "$endpoint"
}

# 1. Discovery: the challenge names the metadata of the endpoint, which names its authorization server (RFC 9728, RFC 8414).
challenge=$(ask "" tools/call "{\"name\": \"$tool\", \"arguments\": {}}" --dump-header - --output /dev/null)
metadata=$(printf '%s' "$challenge" | sed -n 's/.*resource_metadata="\([^"]*\)".*/\1/p')
resource=$(fetch "$metadata")
issuer=$(printf '%s' "$resource" | member authorization_servers 0)
scopes=$(printf '%s' "$resource" | member scopes_supported)
origin=$(printf '%s' "$issuer" | sed 's#\(://[^/]*\).*#\1#')
path=$(printf '%s' "${issuer#"$origin"}" | sed 's#/$##')
server=$(fetch "$origin/.well-known/oauth-authorization-server$path")
[ "$(printf '%s' "$server" | member issuer)" = "$issuer" ] || { echo "The metadata is not of $issuer." >&2; exit 1; }
echo "discovery: $issuer"

# 2. Listen on this machine for the one request with which the browser comes back (RFC 8252 section 7.3).
folder=$(mktemp -d)
trap 'kill "$listener" 2>/dev/null || true; rm -rf "$folder"' EXIT
mkfifo "$folder/port" "$folder/answer"
python3 - "$folder" <<'LISTENER' &
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        is_answer = self.path.startswith("/callback?")
        self.send_response(200 if is_answer else 404)
        self.send_header("Content-Type", "text/plain")
        self.end_headers()
        self.wfile.write(b"Go back to the terminal.\n")
        self.server.answer = self.path.partition("?")[2] if is_answer else None

    def log_message(self, *args):  # the code is in the URL
        pass

server = HTTPServer(("127.0.0.1", 0), Handler)
server.answer = None
with open(f"{sys.argv[1]}/port", "w") as port:
    print(server.server_port, file=port)
while server.answer is None:
    server.handle_request()
with open(f"{sys.argv[1]}/answer", "w") as answer:
    print(server.answer, file=answer)
LISTENER
listener=$!
read -r port < "$folder/port"
redirect_uri="http://127.0.0.1:$port/callback"

# 3. Registration (RFC 7591).
client=$(fetch --header "Content-Type: application/json" --data "{\"client_name\": \"flow.sh\",
    \"redirect_uris\": [\"$redirect_uri\"], \"grant_types\": [\"authorization_code\", \"refresh_token\"],
    \"token_endpoint_auth_method\": \"none\"}" "$(printf '%s' "$server" | member registration_endpoint)" | member client_id)
echo "registration: $client"

# 4. A person logs in and approves (RFC 6749 section 4.1, RFC 7636, RFC 8707, RFC 9207).
verifier=$(random) state=$(random)
query=$(printf '%s\n' "$client" "$redirect_uri" "$scopes" "$state" "$verifier" "$endpoint" | python3 -c '
import base64, hashlib, sys
from urllib.parse import urlencode
client, redirect_uri, scopes, state, verifier, resource = sys.stdin.read().splitlines()
challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
print(urlencode({"response_type": "code", "client_id": client, "redirect_uri": redirect_uri, "scope": scopes,
    "state": state, "code_challenge": challenge, "code_challenge_method": "S256", "resource": resource}))')
echo "Open this in a browser:"
echo "$(printf '%s' "$server" | member authorization_endpoint)?$query"
read -r answer < "$folder/answer"
code=$(printf '%s\n' "$answer" "$state" "$issuer" | python3 -c '
import sys
from urllib.parse import parse_qs
query, state, issuer = sys.stdin.read().splitlines()
answer = {name: values[0] for name, values in parse_qs(query).items()}
if answer.get("state") != state or answer.get("iss") != issuer:
    sys.exit("The answer is not one to this request.")
if "code" not in answer:
    error = answer.get("error")
    sys.exit(f"Refused: {error}.")
print(answer["code"])')

# 5. The code becomes tokens.
token_endpoint=$(printf '%s' "$server" | member token_endpoint)
tokens=$(form "$token_endpoint" grant_type authorization_code code "$code" redirect_uri "$redirect_uri" \
    code_verifier "$verifier" client_id "$client" resource "$endpoint")
echo "tokens: $(printf '%s' "$tokens" | member scope), for $(printf '%s' "$tokens" | member expires_in) seconds"

# 6. A call; the answer is JSON, or the last event of a stream where it took a while.
said=$(ask "$(printf '%s' "$tokens" | member access_token)" tools/call \
    "{\"name\": \"$tool\", \"arguments\": $arguments}" | sed -n 's/^\(data: \)\{0,1\}{/{/p' | tail -n 1)
echo "call: $(printf '%s' "$said" | python3 -c '
import json, sys
answer = json.load(sys.stdin)
if "error" in answer:
    sys.exit(answer["error"]["message"])
print(*(part.get("text", part["type"]) for part in answer["result"]["content"]))')"

# 7. Refresh (RFC 6749 section 6) and revocation (RFC 7009).
tokens=$(form "$token_endpoint" grant_type refresh_token refresh_token "$(printf '%s' "$tokens" | member refresh_token)" \
    client_id "$client" resource "$endpoint")
echo "refresh: another access token, and another refresh token"
form "$(printf '%s' "$server" | member revocation_endpoint)" \
    token "$(printf '%s' "$tokens" | member refresh_token)" client_id "$client" > /dev/null
status=$(ask "$(printf '%s' "$tokens" | member access_token)" tools/call \
    "{\"name\": \"$tool\", \"arguments\": $arguments}" --output /dev/null --write-out '%{http_code}')
echo "revocation: a call is answered $status now"
