# One image for every service: the API, the workers and the parser differ by their command alone.
# Everything comes from the locks, by hash; nothing is downloaded when a container runs.

ARG PYTHON=python:3.13-slim-bookworm

# ---- the package itself, built with the locked build tools
FROM ${PYTHON} AS wheel
WORKDIR /build
COPY requirements.lock requirements-dev.lock ./
RUN python -m venv /build/venv \
    && /build/venv/bin/pip install --no-cache-dir --require-hashes -r requirements-dev.lock
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN /build/venv/bin/python -m build --wheel --no-isolation --outdir /build/dist

# ---- what it needs, and it
FROM ${PYTHON} AS packages
WORKDIR /build
COPY requirements.lock ./
RUN python -m venv /app/.venv \
    && /app/.venv/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY --from=wheel /build/dist/ /tmp/dist/
RUN /app/.venv/bin/pip install --no-cache-dir --no-index --no-deps /tmp/dist/*.whl \
    && /app/.venv/bin/python -m compileall -q /app/.venv/lib \
    && /app/.venv/bin/pip uninstall --yes --quiet pip

# ---- what runs
FROM ${PYTHON}
LABEL org.opencontainers.image.title="RLM-RS" org.opencontainers.image.licenses="Apache-2.0"
RUN groupadd --gid 10001 rlm \
    && useradd --uid 10001 --gid rlm --home-dir /data --no-create-home --shell /usr/sbin/nologin rlm \
    && install --directory --owner rlm --group rlm --mode 0700 /data
COPY --from=packages /app/.venv /app/.venv
COPY infra/docker/healthcheck.py /app/healthcheck.py
ENV PATH=/app/.venv/bin:$PATH \
    HOME=/data \
    RLM_DATA_DIR=/data \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# volumes keep the owner that the folders have here, also where the rest of the file system is read-only
VOLUME ["/data", "/tmp"]
USER 10001:10001
WORKDIR /data
EXPOSE 8080 8081
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "/app/healthcheck.py", "http://127.0.0.1:8080/health/live"]
CMD ["rlm", "serve", "--host", "0.0.0.0"]
