# Two stages: the first builds, the second only runs. Runs as a user without rights, on a read-only root, without
# capabilities. The way down takes up to shutdown.lame_duck_s, drain_s and six seconds: let the engine wait.
#
#   docker run --read-only --cap-drop ALL --security-opt no-new-privileges --stop-timeout 40 \
#     -v gateway-data:/var/lib/dezgo-gateway -e DEZGO_API_KEY -e GATEWAY_TOKEN_SECRET -p 8080:8080 dezgo-gateway
#
# Another base will do if it has python3 (3.11 or later) with venv, and Debian's useradd: --build-arg BASE=…
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
# `demo` also brings what the simulator draws with: --build-arg LOCK=demo
ARG LOCK=runtime
WORKDIR /src
# Packages before sources: this layer is made anew only when a lock changes. Only wheels are taken, so nothing of a
# package runs here; and pip works from the outside, so that /opt/gateway never holds an installer.
COPY requirements ./requirements
RUN python3 -m venv /opt/build \
 && python3 -m venv --without-pip /opt/gateway \
 && /opt/build/bin/pip install --no-cache-dir --only-binary :all: --require-hashes -r requirements/build.lock \
 && /opt/build/bin/pip --python /opt/gateway/bin/python install --no-cache-dir --no-compile --only-binary :all: \
      --require-hashes -r requirements/${LOCK}.lock
COPY pyproject.toml README.md ./
COPY gateway ./gateway
COPY config ./config
# The wheel brings the configuration along. It moves to /etc, with a link in its place: what is mounted there is what
# every command reads. Bytecode is made here for good, for nothing can be written later.
RUN /opt/build/bin/pip wheel --no-cache-dir --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/gateway/bin/python install --no-cache-dir --no-compile --no-deps --no-index \
      /wheels/*.whl \
 && shipped=$(/opt/gateway/bin/python -I -c 'import gateway; print(gateway.__path__[0])')/_config \
 && mv "$shipped" /etc/dezgo-gateway \
 && ln -s /etc/dezgo-gateway "$shipped" \
 && /opt/gateway/bin/python -m compileall -q --invalidation-mode unchecked-hash /opt/gateway/lib

FROM ${BASE}
# The base's own installer goes, and the copies it could be restored from.
RUN if python3 -m pip --version >/dev/null 2>&1; then python3 -m pip uninstall -q -y pip setuptools wheel; fi \
 && rm -rf "$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')/ensurepip" /usr/share/python-wheels \
 && groupadd --gid 10001 gateway \
 && useradd --uid 10001 --gid gateway --no-create-home --home-dir /var/lib/dezgo-gateway --shell /usr/sbin/nologin gateway \
 && mkdir -m 700 /var/lib/dezgo-gateway \
 && chown gateway:gateway /var/lib/dezgo-gateway
COPY --from=build /opt/gateway /opt/gateway
COPY --from=build /etc/dezgo-gateway /etc/dezgo-gateway
# The first run belongs to the build: a configuration that is not in order makes no image, and what the base's standard
# library lacks of bytecode is written while it can be.
RUN /opt/gateway/bin/dezgo-gateway check --no-secrets \
 && /opt/gateway/bin/python -I -c 'import gateway.app, http.client'
ENV PATH=/opt/gateway/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DEZGO_GATEWAY__LEDGER__DATA_DIR=/var/lib/dezgo-gateway
WORKDIR /var/lib/dezgo-gateway
VOLUME /var/lib/dezgo-gateway
USER 10001:10001
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# Not urllib: that would ask a proxy the engine puts into the environment.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["python", "-c", \
       "import http.client as h; c = h.HTTPConnection('127.0.0.1', 8081, timeout=2); c.request('GET', '/readyz'); exit(c.getresponse().status != 200)"]
ENTRYPOINT ["dezgo-gateway"]
CMD ["serve", "--config", "/etc/dezgo-gateway"]
