# The ML backend and its worker. Built by docker-compose.yml.
FROM python:3.12-slim-bookworm AS build

WORKDIR /build
RUN python -m venv /venv
COPY pyproject.toml README.md LICENSE ./
COPY docs docs
COPY ml_backend ml_backend
# Texts, dashboard, report, workers and "Re-check"; not the demo, nor Label Studio itself.
ARG EXTRAS=text,dashboard,report,cluster,review
RUN /venv/bin/pip install --no-cache-dir ".[${EXTRAS}]"

FROM python:3.12-slim-bookworm

COPY --from=build /venv /venv
RUN useradd --create-home --uid 1000 backend && mkdir -p /data/versions && chown backend /data/versions
ENV PATH=/venv/bin:$PATH OMP_WAIT_POLICY=PASSIVE
USER backend
WORKDIR /data
EXPOSE 9090
CMD ["lsal", "serve"]
