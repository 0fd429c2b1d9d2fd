# Two stages: the first builds, the second only runs. Runs as a user without rights, on a read-only root, without
# capabilities:
#
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges \
#     -v gateway-data:/var/lib/dezgo-gateway -e DEZGO_API_KEY -e GATEWAY_TOKEN_SECRET -p 8080:8080 dezgo-gateway
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
WORKDIR /src
COPY requirements ./requirements
RUN python3 -m venv /opt/gateway \
 && /opt/gateway/bin/pip install --no-cache-dir --require-hashes -r requirements/runtime.lock \
 && python3 -m venv /opt/build \
 && /opt/build/bin/pip install --no-cache-dir --require-hashes -r requirements/build.lock
COPY pyproject.toml README.md ./
COPY gateway ./gateway
COPY config ./config
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/gateway/bin/pip install --no-cache-dir --no-deps --no-index /wheels/*.whl \
 && /opt/gateway/bin/python -m compileall -q /opt/gateway/lib \
 && /opt/gateway/bin/python -m pip uninstall -q -y pip setuptools

FROM ${BASE}
# No installer stays in the image that runs; with a file system that is read-only, nothing could be added anyway.
RUN python3 -m pip uninstall -q -y pip setuptools wheel 2>/dev/null || true; \
    groupadd --system --gid 10001 gateway \
 && useradd --system --uid 10001 --gid gateway --no-create-home --home-dir /var/lib/dezgo-gateway gateway \
 && mkdir -p /var/lib/dezgo-gateway \
 && chown gateway:gateway /var/lib/dezgo-gateway \
 && chmod 700 /var/lib/dezgo-gateway
COPY --from=build /opt/gateway /opt/gateway
COPY config /etc/dezgo-gateway
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DEZGO_GATEWAY__LEDGER__DATA_DIR=/var/lib/dezgo-gateway
WORKDIR /var/lib/dezgo-gateway
VOLUME /var/lib/dezgo-gateway
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8081/readyz', timeout=2)"]
ENTRYPOINT ["dezgo-gateway"]
CMD ["serve", "--config", "/etc/dezgo-gateway"]
