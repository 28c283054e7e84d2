# The touch station on a CPU.
# docs/docker.md says how it is built and run.
ARG BASE=python:3.12-slim

FROM ${BASE} AS build
COPY . /src
RUN python3 -m venv /opt/edgedrag \
    && /opt/edgedrag/bin/pip install --no-cache-dir "/src[cpu,studio]"

FROM ${BASE}
RUN useradd --uid 10001 --create-home edgedrag \
    && install -d -o edgedrag -g edgedrag /data
COPY --from=build /opt/edgedrag /opt/edgedrag
ENV EDGEDRAG_ENGINES=/data/engines \
    ORT_DISABLE_TELEMETRY=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s \
    CMD ["/opt/edgedrag/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["/opt/edgedrag/bin/edgedrag"]
CMD ["studio", "--host", "0.0.0.0", "--state", "/data/station"]
