# How the engine gets to Google Cloud. `cloudbuild.yaml` and `cloudbuild.deploy.yaml` call these targets.

PROJECT ?=
REGION ?= europe-west1
ENVIRONMENT ?= development
STATE_BUCKET ?= $(PROJECT)-mlengine-terraform
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null)
BUILD ?= by-hand
PREFIX ?= mlengine-
PYTHON_DIGEST ?=
TERRAFORM ?= terraform

DELIVERY := build/delivery
BUNDLES := build/bundles
JOBS_TAG = $(REGION)-docker.pkg.dev/$(PROJECT)/$(PREFIX)jobs/jobs:$(REVISION)-$(BUILD)
PLANS = gs://$(STATE_BUCKET)/plans/$(BUILD)
IN_TERRAFORM = $(TERRAFORM) -chdir=terraform
TERRAFORM_INIT = $(IN_TERRAFORM) init -input=false -backend-config=bucket=$(STATE_BUCKET) -backend-config=prefix=mlengine
IN_CLOUD = PLATFORM=gcp GOOGLE_CLOUD_PROJECT=$(PROJECT) GOOGLE_CLOUD_REGION=$(REGION)
SMOKE_OPTIONS ?= --identity

needs = $(foreach name,$(1),$(if $($(name)),,$(error $(name) must be set: make $@ $(name)=...)))

.PHONY: topic-schemas bundles smoke jobs-environment terraform-check image image-scan image-sbom plan release traffic-save apply verify

topic-schemas: $(VENV)/.dev ## Write the topics' Avro schemas anew
	@$(BIN)/python -m infra.topic_schemas

bundles: $(VENV)/.dev ## Write the functions' bundles into build/bundles
	@$(BIN)/python -m infra.bundle --out $(BUNDLES)

smoke: $(VENV)/.dev ## Try every function from its bundle, where only its packages are
	@$(BIN)/python -m infra.bundle --out $(BUNDLES) --installed
	@SMOKE=all $(BIN)/python -m pytest tests/infra/test_bundle_smoke.py

jobs-environment: $(VENV)/.dev ## Try the jobs where only their packages are, as their image does
	@SMOKE=all $(BIN)/python -m pytest tests/infra/test_containers.py

terraform-check: ## Check the Terraform code: format, validity, its tests
	$(IN_TERRAFORM) fmt -check -recursive
	$(IN_TERRAFORM) init -input=false -backend=false
	$(IN_TERRAFORM) validate
	$(IN_TERRAFORM) test
	for module in terraform/modules/*/; do \
		$(TERRAFORM) -chdir=$$module init -input=false -backend=false && $(TERRAFORM) -chdir=$$module test || exit 1; \
	done

image: ## Build and push the jobs' image; its name with its digest goes into build/delivery/image
	$(call needs,PROJECT REVISION PYTHON_DIGEST)
	docker build --platform linux/amd64 --file infra/containers/jobs.Dockerfile --tag $(JOBS_TAG) \
		--build-arg PYTHON_DIGEST=$(PYTHON_DIGEST) --build-arg REVISION=$(REVISION) \
		--build-arg EVIDENTLY=$(EVIDENTLY) .
	docker push $(JOBS_TAG)
	@mkdir -p $(DELIVERY)
	docker inspect --format '{{index .RepoDigests 0}}' $(JOBS_TAG) > $(DELIVERY)/image

image-scan: ## Look for known vulnerabilities in that image; a critical one is a failure
	$(call needs,PROJECT)
	gcloud artifacts docker images scan "$$(cat $(DELIVERY)/image)" --remote --project=$(PROJECT) \
		--format='value(response.scan)' > $(DELIVERY)/scan
	gcloud artifacts docker images list-vulnerabilities "$$(cat $(DELIVERY)/scan)" --project=$(PROJECT) \
		--format='value(vulnerability.effectiveSeverity)' > $(DELIVERY)/severities
	@sort $(DELIVERY)/severities | uniq -c
	@! grep -Fxq CRITICAL $(DELIVERY)/severities

image-sbom: ## Write that image's bill of materials into Artifact Analysis' bucket
	$(call needs,PROJECT)
	gcloud artifacts sbom export --uri="$$(cat $(DELIVERY)/image)" --project=$(PROJECT)

plan: ## Plan the deployment of the bundles and that image; print the plan and keep it
	$(call needs,PROJECT)
	$(TERRAFORM_INIT)
	TF_VAR_project_id=$(PROJECT) TF_VAR_region=$(REGION) TF_VAR_prefix=$(PREFIX) TF_VAR_job_image="$$(cat $(DELIVERY)/image)" \
		$(IN_TERRAFORM) plan -input=false -var-file=environments/$(ENVIRONMENT).tfvars -out=$(CURDIR)/$(DELIVERY)/plan
	gcloud storage cp $(DELIVERY)/plan $(PLANS)/plan

release: ## Ask for the deployment of that plan; in production somebody has to approve it
	$(call needs,PROJECT REVISION)
	gcloud builds triggers run mlengine-deploy-$(ENVIRONMENT) --project=$(PROJECT) --region=$(REGION) \
		--sha=$(REVISION) --substitutions=_PLANNED_BY=$(BUILD)

traffic-save: $(VENV)/.dev ## Write down which revisions serve
	$(call needs,PROJECT)
	@$(IN_CLOUD) $(BIN)/python -m infra.traffic save $(DELIVERY)/traffic.json --prefix $(PREFIX)

apply: $(VENV)/.dev ## Apply the kept plan, and no other; on failure, the old revisions serve again
	$(call needs,PROJECT)
	$(TERRAFORM_INIT)
	@mkdir -p $(DELIVERY)
	gcloud storage cp $(PLANS)/plan $(DELIVERY)/plan
	$(IN_TERRAFORM) apply -input=false $(CURDIR)/$(DELIVERY)/plan || { $(RESTORE); exit 1; }
	$(IN_TERRAFORM) output -json > $(DELIVERY)/outputs.json

verify: $(VENV)/.dev ## Try what was deployed; on failure, the old revisions serve again
	$(call needs,PROJECT)
	@$(BIN)/python -m infra.smoke $(DELIVERY)/outputs.json $(SMOKE_OPTIONS) || { $(RESTORE); exit 1; }

RESTORE = $(IN_CLOUD) $(BIN)/python -m infra.traffic restore $(DELIVERY)/traffic.json --prefix $(PREFIX)
