# The touch station on a workstation with an NVIDIA GPU, through ONNX Runtime CUDA.
# docs/docker.md says how it is built and run.
ARG BASE=nvidia/cuda:13.0.2-cudnn-runtime-ubuntu24.04

FROM ${BASE} AS build
# The base's own version, whatever it is.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3-venv \
    && rm -rf /var/lib/apt/lists/*
COPY . /src
RUN python3 -m venv /opt/edgedrag \
    && /opt/edgedrag/bin/pip install --no-cache-dir "/src[gpu,studio]"

FROM ${BASE}
# The base's own version, whatever it is.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 \
    && rm -rf /var/lib/apt/lists/*
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
