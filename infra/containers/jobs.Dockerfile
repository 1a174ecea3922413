# The image of the jobs: `python -m shared.jobs.<job>`, all from one set of locked packages.
#
#   docker build -f infra/containers/jobs.Dockerfile --build-arg PYTHON_DIGEST=sha256:... --build-arg REVISION=... .
#
# The digest is that of python:3.11-slim-bookworm; it has no default, so that nobody builds on what the tag
# happens to name. `docker buildx imagetools inspect python:3.11-slim-bookworm` tells it.
#
# With --build-arg EVIDENTLY=yes the image also has Evidently, in an environment of its own since its pins clash
# with ours (some 700 MB): EVIDENTLY_PYTHON=/opt/evidently/bin/python lets drift reports come with its opinion.
ARG PYTHON_DIGEST

FROM python:3.11-slim-bookworm@${PYTHON_DIGEST} AS packages
WORKDIR /build
COPY infra/requirements/jobs.txt .
# Wheels only: nothing is compiled from source, so no compiler is needed here either. The hash of a source
# stands for its compiled code: file times, which layers change, don't count.
RUN python -m venv /opt/jobs \
    && /opt/jobs/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
        --require-hashes --only-binary :all: --requirement jobs.txt \
    && /opt/jobs/bin/python -m pip uninstall --yes pip setuptools \
    && python -m compileall -qq --invalidation-mode unchecked-hash /opt/jobs
ARG EVIDENTLY
COPY infra/requirements/evidently.txt .
RUN mkdir /opt/evidently \
    && if [ "${EVIDENTLY}" = yes ]; then \
        python -m venv /opt/evidently \
        && /opt/evidently/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-compile \
            --require-hashes --only-binary :all: --requirement evidently.txt \
        && /opt/evidently/bin/python -m pip uninstall --yes pip setuptools \
        && python -m compileall -qq --invalidation-mode unchecked-hash /opt/evidently; \
    fi

FROM python:3.11-slim-bookworm@${PYTHON_DIGEST}
ARG REVISION
LABEL org.opencontainers.image.title="mlengine-jobs" \
      org.opencontainers.image.description="The jobs of ML Engine: train, ingest, score, report" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.base.name="docker.io/library/python:3.11-slim-bookworm" \
      org.opencontainers.image.revision="${REVISION}"
# LightGBM needs an OpenMP runtime. Debian keeps one version of it, so naming that one would only break builds.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && python -m pip uninstall --yes pip setuptools wheel \
    && useradd --uid 10001 --no-create-home --shell /usr/sbin/nologin jobs
COPY --from=packages /opt/jobs /opt/jobs
COPY --from=packages /opt/evidently /opt/evidently
COPY shared /app/shared
RUN python -m compileall -qq --invalidation-mode unchecked-hash /app
WORKDIR /app
ENV PATH=/opt/jobs/bin:${PATH} \
    PLATFORM=gcp \
    MPLCONFIGDIR=/tmp/matplotlib \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
# Which job is its command's to say: an execution's own arguments take the place of CMD, never of this.
ENTRYPOINT ["python", "-m"]
CMD ["shared.jobs.train", "--help"]
