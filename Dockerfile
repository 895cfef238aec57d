# The node as a container: docker build -t paxnode . && docker run -p 11112:11112 -v paxnode-data:/data paxnode
FROM python:3.11-slim

RUN useradd --create-home --uid 10001 paxnode \
    && install --directory --owner paxnode --group paxnode /data /etc/paxnode

WORKDIR /opt/paxnode
COPY pyproject.toml README.md LICENSE ./
COPY ai ai
COPY config config
COPY node node
COPY pipeline_training pipeline_training
RUN pip install --no-cache-dir .

USER paxnode
ENV PAXNODE_NODE__DATA_DIR=/data
EXPOSE 11112
VOLUME /data
STOPSIGNAL SIGTERM
ENTRYPOINT ["paxnode"]
CMD ["serve"]
