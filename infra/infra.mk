# Part of the Makefile: images, the stack of compose, and AWS.

##@ Images
.PHONY: image
image: $(READY)  ## Build the images of service and flows and print what is in them: make image BASE=python@sha256:... MODEL_INSIDE=.state/serving
	@$(RUN) -m tools.images.build $(if $(BASE),--base "$(BASE)") $(if $(EXTRAS),--extras "$(EXTRAS)") \
		$(if $(MODEL_INSIDE),--model-inside "$(MODEL_INSIDE)")

.PHONY: base-pin
base-pin: $(READY)  ## Note the digest that the base's tag has in its registry now, in serving/base.Dockerfile; needs Docker
	@$(RUN) -m tools.images.build --pin-base

.PHONY: image-push
image-push: $(READY)  ## Build both images, push them and print their digests: make image-push REPOSITORY=host/name
	@$(RUN) -m tools.images.push --repository "$(REPOSITORY)" $(if $(BASE),--base "$(BASE)") $(if $(EXTRAS),--extras "$(EXTRAS)")

.PHONY: image-smoke
image-smoke: $(READY) .tools/sbom/.installed  ## Build the images, run them hardened and test them, or those that were pushed: make image-smoke IMAGE=host/name@sha256:... FLOWS_IMAGE=...
	@OMP_NUM_THREADS=1 $(if $(IMAGE),TESTED_SERVICE_IMAGE="$(IMAGE)") $(if $(FLOWS_IMAGE),TESTED_FLOWS_IMAGE="$(FLOWS_IMAGE)") \
		$(RUN) -m pytest tests/images -rs

.PHONY: sbom
sbom: $(READY) .tools/sbom/.installed  ## Write bills of materials of both images and of the served model (CycloneDX), and check them; needs Docker
	@$(RUN) -m tools.images.sbom

##@ Stack (docs/operations.md)
.PHONY: stack-up
stack-up: $(READY)  ## Start everything by compose: databases, MLflow, Prefect, worker, service, Prometheus, Grafana
	@$(RUN) -m tools.stack.compose up

.PHONY: stack-down
stack-down: $(READY)  ## Stop it and keep its volumes, or remove them too: make stack-down VOLUMES=remove
	@$(RUN) -m tools.stack.compose down $(if $(filter remove,$(VOLUMES)),--volumes)

.PHONY: stack
stack: $(READY)  ## Run a command of compose on it: make stack DO=ps, DO="logs worker", DO="exec worker ..."
	@$(RUN) -m tools.stack.compose do $(or $(DO),ps)

.PHONY: test-stack
test-stack: $(READY) .tools/moto/.installed  ## Run the whole loop on the stack's servers, as processes of this machine
	@OMP_NUM_THREADS=1 $(RUN) -m pytest tests/stack -rs --durations 5

##@ On Kubernetes (docs/deploy-kubernetes.md)
.PHONY: check-kubernetes
check-kubernetes: $(READY) .tools/workflows/.installed  ## Render the manifests with kustomize and hold them against Kubernetes' schemas
	@if command -v kubectl > /dev/null; then $(RUN) -m tools.ci.check_kubernetes --validate .tools/workflows/bin/kubernetes-validate; \
	elif [ "$${GITHUB_ACTIONS:-}" = true ]; then echo "check-kubernetes: kubectl is missing, which GitHub's runners have"; exit 1; \
	else echo "check-kubernetes: SKIPPED, kubectl is missing (1.21 or later; Debian 13: apt-get install kubernetes-client)"; fi

##@ On AWS (docs/deploy.md)
.PHONY: deploy
deploy: $(READY)  ## Bring images to an environment: make deploy ENV=staging IMAGE=host/name@sha256:... FLOWS_IMAGE=... CANARY=10 WATCH=600
	@$(DEPLOY) deploy --environment "$${ENV:-}" $(IMAGES) $(if $(CANARY),--canary "$(CANARY)") $(if $(WATCH),--watch "$(WATCH)") \
		$(if $(filter true,$(ALLOW_DESTROY)),--allow-destroy) $(if $(filter true,$(NEW_SECRETS)),--new-secrets)

.PHONY: first-fill
first-fill: $(READY)  ## Fill an environment that has no model yet, with data, a training and online features: make first-fill ENV=staging
	@$(DEPLOY) first-fill --environment "$(ENV)"

.PHONY: destroy
destroy: $(READY)  ## Remove an environment with everything in it: make destroy ENV=staging CONFIRM=staging
	@$(DEPLOY) destroy --environment "$(ENV)" --confirm "$(CONFIRM)"

.PHONY: infra-account
infra-account: $(READY)  ## Make, once for an AWS account, what its environments share: state, image registry, GitHub's roles; one of two accounts: make infra-account ENV=production
	@$(RUN) -m tools.terraform.commands account $(if $(ENV),--environment "$(ENV)")

.PHONY: infra-init
infra-init: $(READY)  ## Make Terraform ready for an environment: make infra-init ENV=staging
	@$(RUN) -m tools.terraform.commands init --environment "$(ENV)"

.PHONY: infra-settings
infra-settings: $(READY)  ## Write the `aws` profile of an environment to .state/terraform/ENV.env: make infra-settings ENV=staging
	@$(RUN) -m tools.terraform.commands settings --environment "$(ENV)"

.PHONY: infra-plan
infra-plan: $(READY)  ## Print what would change in an environment, as Markdown; fails if anything would: make infra-plan ENV=staging
	@$(DEPLOY) plan --environment "$(ENV)" $(IMAGES)

.PHONY: infra-check
infra-check: $(READY) .tools/checkov/.installed  ## Check Terraform: format, validity, unit tests with mocks, checkov
	@$(RUN) -m tools.terraform.commands check --checkov .tools/checkov/bin/checkov
