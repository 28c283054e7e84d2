# The touch station on a Jetson with JetPack 7.2, through the TensorRT 10.16 of the base.
# docs/docker.md says how it is built and run.
ARG BASE=nvcr.io/nvidia/tensorrt:26.04-py3

FROM ${BASE} AS build
# The base's own version, whatever it is.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
# The base pins packages for its own samples.
ENV PIP_CONSTRAINT=
RUN python3 -m venv --system-site-packages /opt/edgedrag \
    && /opt/edgedrag/bin/pip install --no-cache-dir "/src[cpu,studio]" "cuda-python==13.2.*" filelock \
    && /opt/edgedrag/bin/python -c "from importlib.util import find_spec; assert find_spec('tensorrt'), 'BASE has no tensorrt'"

FROM ${BASE}
RUN useradd --uid 10001 --groups video --create-home edgedrag \
    && install -d -o edgedrag -g edgedrag /data
COPY --from=build /opt/edgedrag /opt/edgedrag
ENV EDGEDRAG_ENGINES=/data/engines \
    ORT_DISABLE_TELEMETRY=1
USER 10001
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=120s \
    CMD ["/opt/edgedrag/bin/python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/healthz')"]
ENTRYPOINT ["/opt/edgedrag/bin/edgedrag"]
CMD ["studio", "--host", "0.0.0.0", "--state", "/data/station"]
