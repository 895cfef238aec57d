# The node as a container. docs/deployment.md says how it is run, and what of this file was proven without Docker.
#   docker build --tag paxnode .
#   docker build --tag paxnode:cuda --target cuda .
ARG BASE=docker.io/library/python:3.11.14-slim-bookworm

FROM ${BASE} AS build-cpu
RUN python3 -m venv /opt/build && python3 -m venv --without-pip /opt/paxnode
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY ai ai
COPY config config
COPY node node
COPY pipeline_training pipeline_training
RUN /opt/build/bin/pip --disable-pip-version-check --python /opt/paxnode/bin/python install .

# onnxruntime-gpu writes into the same folder as onnxruntime: the one must go, and the other be written again.
FROM build-cpu AS build-cuda
RUN /opt/build/bin/pip --disable-pip-version-check --python /opt/paxnode/bin/python install '.[gpu]' \
    && /opt/build/bin/pip --python /opt/paxnode/bin/python uninstall --yes onnxruntime \
    && /opt/build/bin/pip --disable-pip-version-check --python /opt/paxnode/bin/python \
        install --no-deps --force-reinstall 'onnxruntime-gpu>=1.22'

FROM ${BASE} AS runtime
LABEL org.opencontainers.image.title="paxnode" \
      org.opencontainers.image.description="Chest radiograph in, DICOM SEG and SR out. For research only." \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 paxnode \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin paxnode \
    && install --directory --mode 0700 --owner 10001 --group 10001 /data
COPY config/node.toml /etc/paxnode/node.toml
ENV PATH=/opt/paxnode/bin:$PATH \
    PAXNODE_NODE__DATA_DIR=/data
WORKDIR /data
USER 10001:10001
# DICOM, DICOM over TLS, health and metrics
EXPOSE 11112 2762 11180
VOLUME /data
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 \
    CMD ["paxnode-health", "--config", "/etc/paxnode/node.toml"]
ENTRYPOINT ["paxnode"]
CMD ["serve", "--config", "/etc/paxnode/node.toml"]

FROM runtime AS cuda
COPY --from=build-cuda /opt/paxnode /opt/paxnode
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

FROM runtime AS cpu
COPY --from=build-cpu /opt/paxnode /opt/paxnode
