# What the steps of the builds run in: the Google Cloud CLI with its emulators, make, Python, Docker, Terraform.
# The digests have no default: the builds' triggers name them.
ARG GCLOUD_DIGEST
ARG TERRAFORM_DIGEST
ARG DOCKER_DIGEST

FROM hashicorp/terraform:1.14@${TERRAFORM_DIGEST} AS terraform

FROM docker:28-cli@${DOCKER_DIGEST} AS docker

FROM gcr.io/google.com/cloudsdktool/google-cloud-cli:emulators@${GCLOUD_DIGEST}
# The base is pinned, and Debian keeps one version of each of these.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends git libgomp1 make python3-venv \
    && rm -rf /var/lib/apt/lists/*
# What looks into images; unattended, the scan doesn't install it by itself.
RUN gcloud components install --quiet local-extract
COPY --from=terraform /bin/terraform /usr/local/bin/terraform
COPY --from=docker /usr/local/bin/docker /usr/local/bin/docker
