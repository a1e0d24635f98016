# The service as an image: Python, the locked dependencies, no build tools, no root.
# It needs a PostgreSQL elsewhere (docker-compose.yml), or keeps one in /var/lib/billing-ledger.

FROM python:3.13-slim-trixie AS build
WORKDIR /source
COPY requirements.lock ./
# First the installer and the build backend, by hash: their entries of the lock.
RUN python -m venv /opt/billing-ledger \
 && sed -n -e '/^uv==/,/# via/p' -e '/^setuptools==/,/# via/p' requirements.lock > tools.lock \
 && /opt/billing-ledger/bin/pip install --no-cache-dir --no-deps --require-hashes -r tools.lock
COPY . .
# Then what the service needs, without the tools of development: versions and hashes from the lock.
RUN /opt/billing-ledger/bin/uv pip install --no-cache --compile-bytecode \
      --python /opt/billing-ledger/bin/python \
      --require-hashes --constraints requirements.lock -r pyproject.toml \
 && /opt/billing-ledger/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
 && /opt/billing-ledger/bin/pip uninstall --yes uv setuptools pip

FROM python:3.13-slim-trixie
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin billing \
 && install --directory --owner=billing --mode=0700 /var/lib/billing-ledger
COPY --from=build /opt/billing-ledger /opt/billing-ledger
ENV PATH=/opt/billing-ledger/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    BILLING_LEDGER_HOST=0.0.0.0 \
    BILLING_LEDGER_DATA=/var/lib/billing-ledger
USER 10001
VOLUME /var/lib/billing-ledger
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
  CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f\"http://127.0.0.1:{os.environ.get('PORT') or 8000}/healthz\", timeout=2)"]
ENTRYPOINT ["billing-ledger"]
CMD ["serve"]
