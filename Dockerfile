# routerd in a container: Python, the pinned dependencies, and nothing that builds or downloads.
#
#   docker build -t routerd .
#   docker run --read-only -v "$PWD/routes.toml:/etc/routerd/routes.toml:ro" routerd
#
# Another base (--build-arg BASE=...), say one named by its digest, needs `python3` with venv, and
# Debian's ca-certificates where they usually lie: both Python and librdkafka look for them there.
ARG BASE=python:3.13-slim

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
RUN python3 -m venv /build && python3 -m venv --without-pip /opt/routerd

# The dependencies first: they change less often than the code, and their layer is kept.
COPY requirements.lock /src/
RUN /build/bin/pip --python /opt/routerd/bin/python install \
    --only-binary :all: --require-hashes -r /src/requirements.lock

# What builds our wheel has the versions of the tests, and stays behind. (Without their hashes, as
# pip takes none in constraints.)
COPY tests/requirements.lock /src/tests/
RUN sed 's/ *\\$//; /--hash/d' /src/tests/requirements.lock >/build/constraints && \
    /build/bin/pip install --constraint /build/constraints hatchling

COPY pyproject.toml README.md LICENSE /src/
COPY etc/demo.toml /src/etc/
COPY routerd /src/routerd/
RUN /build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /build /src && \
    /build/bin/pip --python /opt/routerd/bin/python install --no-deps /build/*.whl

# What nothing of ours imports. Then bytecode that is never compared with its source: in the image
# nobody can write a newer one.
RUN cd /opt/routerd/lib/python3*/site-packages && \
    rm -r trio/_tests trio/_core/_tests confluent_kafka/schema_registry confluent_kafka/kafkatest && \
    /opt/routerd/bin/python -m compileall -q --invalidation-mode unchecked-hash .

FROM ${BASE}
LABEL org.opencontainers.image.title="routerd" \
      org.opencontainers.image.description="Routes messages from MQTT and WebSocket to Kafka and WebSocket groups, losing none" \
      org.opencontainers.image.licenses="MIT"
COPY --from=build /opt/routerd /opt/routerd
ENV PATH=/opt/routerd/bin:$PATH PYTHONDONTWRITEBYTECODE=1

# A smoke test: what does not start is no image.
RUN ["routerd", "--version"]

# A number, so that Kubernetes sees that it is not root. The user owns nothing: every file that
# routerd reads can be root's, and it writes none.
USER 65532:65532
WORKDIR /

# The table's: WebSocket, and /metrics, /livez and /readyz. `[admin]` listens on 127.0.0.1 unless
# the table says "0.0.0.0:9464", and then only the health check below reaches it.
EXPOSE 8800 9464

# Alive, not ready: a route that stands must not get the others killed. Where `[admin]` has another
# port, set ROUTERD_ADMIN_PORT; where it is off, run with --no-healthcheck. By a bare socket, as
# urllib would obey HTTP_PROXY.
ENV ROUTERD_ADMIN_PORT=9464
HEALTHCHECK --interval=30s --timeout=5s --start-period=15s --retries=3 CMD ["python3", "-ISc", "\
import os, socket, sys\n\
admin = socket.create_connection(('127.0.0.1', os.environ['ROUTERD_ADMIN_PORT']), 3)\n\
admin.sendall(b'GET /livez HTTP/1.1\\r\\nHost: localhost\\r\\nConnection: close\\r\\n\\r\\n')\n\
sys.exit(b' 200 ' not in admin.recv(16))"]

# Drains, for as long as the table's drain_timeout; a second signal ends it at once.
STOPSIGNAL SIGTERM
ENTRYPOINT ["routerd"]
CMD ["--config", "/etc/routerd/routes.toml"]
