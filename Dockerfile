# replay and Locust in one image: the command line, the load's master and its workers.
FROM python:3.13-slim

WORKDIR /opt/staging-replay
COPY pyproject.toml README.md LICENSE ./
COPY data_gen data_gen
COPY replay replay
COPY scenarios scenarios
RUN pip install --no-cache-dir .

RUN useradd --create-home replay && install -d -o replay /data
USER replay
WORKDIR /data
ENTRYPOINT ["replay"]
CMD ["--help"]
