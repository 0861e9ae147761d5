# Part of the Makefile: checks of the workflows, and what they alone call.

##@ Workflows (docs/workflows.md)
SCHEMA := .tools/workflows/bin/check-jsonschema --builtin-schema vendor
.PHONY: check-workflows
check-workflows: .tools/workflows/.installed  ## Check the workflows and what else GitHub reads: actionlint, schemas, zizmor
	@.tools/workflows/bin/actionlint
	@$(SCHEMA).github-workflows .github/workflows/*.yml
	@$(SCHEMA).github-actions .github/actions/*/action.yml
	@$(SCHEMA).github-issue-forms $(filter-out %/config.yml,$(wildcard .github/ISSUE_TEMPLATE/*.yml))
	@$(SCHEMA).github-issue-config .github/ISSUE_TEMPLATE/config.yml
	@$(SCHEMA).dependabot .github/dependabot.yml
	@.tools/workflows/bin/zizmor --quiet --offline --no-progress --persona pedantic .github

.PHONY: workflow-ready
workflow-ready:  ## Say whether there is an AWS account to work on, and why not: make workflow-ready NEEDED=AWS_REGION
	@"$(PYTHON)" -m tools.ci.workflow ready --needed "$(NEEDED)"

.PHONY: workflow-scope
workflow-scope:  ## Say what a run has to check: all, documents, or nothing, since its tree is proved: make workflow-scope WORKFLOW=ci
	@"$(PYTHON)" -m tools.ci.scope --workflow "$(WORKFLOW)"

.PHONY: workflow-restored
workflow-restored:  ## Take over the environments that a cache brought
	@"$(PYTHON)" -m tools.ci.workflow restored

.PHONY: workflow-head
workflow-head:  ## Fail unless this run is of the newest commit of its branch
	@"$(PYTHON)" -m tools.ci.head

.PHONY: workflow-verdict
workflow-verdict:  ## Fail unless all jobs before passed
	@"$(PYTHON)" -m tools.ci.workflow verdict

.PHONY: workflow-summary
workflow-summary:  ## Show a file on the run's page: make workflow-summary FILE=report.md
	@"$(PYTHON)" -m tools.ci.workflow summary --file "$(FILE)"

.PHONY: workflow-comment
workflow-comment:  ## Write a file onto the pull request, or renew it there: make workflow-comment TITLE=train-report FILE=report.md
	@"$(PYTHON)" -m tools.ci.pull_request_comment --title "$(TITLE)" --file "$(FILE)"

# The plan's own exit codes: 0 no change, 2 changes, 1 an error.
.PHONY: workflow-plan
workflow-plan: $(READY)  ## Write an environment's plan to .state/terraform/ENV-plan.md: make workflow-plan ENV=staging DRIFT=fail
	@mkdir -p .state/terraform; plan=.state/terraform/$(ENV)-plan.md; code=0; \
	$(RUN) -m tools.deploy plan --environment "$(ENV)" > $$plan || code=$$?; \
	tee -a "$${GITHUB_STEP_SUMMARY:-/dev/null}" < $$plan; \
	if [ $$code = 2 ]; then [ "$(DRIFT)" != fail ] || { echo "workflow-plan: $(ENV) is not as the code says"; exit 2; }; \
	else exit $$code; fi
