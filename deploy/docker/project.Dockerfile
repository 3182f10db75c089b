# For a project of your own. Copy this into it as Dockerfile, and project.dockerignore as .dockerignore.
# Beside it lies requirements.txt, in which gatepost and all that the project needs are pinned with hashes:
#     echo 'gatepost[postgres]' > requirements.in
#     uv pip compile --generate-hashes --python-version 3.13 requirements.in --output-file requirements.txt
#     docker build --tag notes .
FROM debian:trixie-slim AS python
# Debian's stable packages change for security alone, and that is wanted: their versions are not pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/*

FROM python AS build
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY requirements.txt ./
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv tools \
    && python3 -m venv --without-pip /opt/gatepost \
    && tools/bin/pip --python /opt/gatepost/bin/python install --no-cache-dir --only-binary :all: --require-hashes \
        --requirement requirements.txt

FROM python
RUN groupadd --gid 10001 gatepost \
    && useradd --uid 10001 --gid gatepost --home-dir /data --no-create-home --shell /usr/sbin/nologin gatepost \
    && install --directory --owner=gatepost --group=gatepost --mode=0700 /data
COPY --from=build /opt/gatepost /opt/gatepost
WORKDIR /srv
COPY . .
# The module and the name in it that are served.
ENV MCP_HANDLER=server:server
# MCP_SHUTDOWN_SECONDS: engines and Cloud Run kill what has not ended ten seconds after SIGTERM, unless they are told.
ENV PATH=/opt/gatepost/bin:/usr/local/bin:/usr/bin:/bin \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MCP_HOST=0.0.0.0 \
    MCP_SHUTDOWN_SECONDS=6 \
    OAUTH_STORAGE_DIR=/data
VOLUME /data
EXPOSE 8000
USER 10001:10001
STOPSIGNAL SIGTERM
# /health and not /healthz: a container is not to be restarted because its database is away.
HEALTHCHECK --interval=30s --timeout=5s --start-period=90s --retries=3 \
    CMD ["python3", "-c", "import http.client as h, os, sys; c = h.HTTPConnection('127.0.0.1', int(os.environ.get('MCP_PORT') or os.environ.get('PORT') or 8000), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["gatepost"]
CMD ["serve"]
