# replay and Locust in one image: the command line, the load's master and its workers.
FROM python:3.13-slim

WORKDIR /opt/staging-replay
COPY pyproject.toml README.md LICENSE ./
COPY data_gen data_gen
COPY replay replay
COPY scenarios scenarios
RUN pip install --no-cache-dir .

# Compiled loops are kept in the cache: a volume there saves the next container a minute.
RUN useradd --create-home replay && install -d -o replay /data /home/replay/.cache
USER replay
WORKDIR /data
ENTRYPOINT ["replay"]
CMD ["--help"]
