# The ML backend and its worker. Built by docker-compose.yml.
FROM python:3.12-slim-bookworm

WORKDIR /app
COPY requirements-uv.txt requirements.txt pyproject.toml README.md ./
COPY ml_backend ml_backend
RUN pip install --no-cache-dir --require-hashes -r requirements-uv.txt \
    && uv pip install --system --no-cache --require-hashes -r requirements.txt \
    && uv pip install --system --no-cache --no-deps --editable .
COPY scripts scripts
COPY label_configs label_configs

RUN useradd --create-home --uid 1000 backend && mkdir -p /data/versions && chown backend /data/versions
ENV OMP_WAIT_POLICY=PASSIVE
USER backend
EXPOSE 9090
CMD ["python", "scripts/serve.py"]
