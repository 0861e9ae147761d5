# The one vocabulary for people, hooks and CI. `make` alone prints the targets that matter, `make help-all` every one.
ifeq ($(filter undefine,$(.FEATURES)),)
$(error GNU make 4 is needed, this is $(MAKE_VERSION); on macOS: brew install make, then gmake in its place)
endif
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory

include tools.env
export $(shell sed -n 's/^\([A-Z_]*\)=.*/\1/p' tools.env)
export PREFECT_HOME := $(CURDIR)/.state/prefect
export DVC_SITE_CACHE_DIR := $(CURDIR)/.state/dvc
export MPLCONFIGDIR := $(CURDIR)/.state/matplotlib
# With DEMO=yes a target works in the place of `make demo`: its own state, the project's registry and key.
PLACE := $(CURDIR)$(if $(DEMO),/.state/demo)
export FLIGHTLINE_ROOT := $(PLACE)
ifdef DEMO
export PREFECT_HOME := $(PLACE)/.state/prefect
export FLIGHTLINE_MLFLOW_TRACKING_URI := $(or $(FLIGHTLINE_MLFLOW_TRACKING_URI),sqlite:///$(CURDIR)/.state/mlflow/mlflow.db)
export FLIGHTLINE_SIGNING__PUBLIC_KEY := $(or $(FLIGHTLINE_SIGNING__PUBLIC_KEY),$(CURDIR)/.state/signing/public.pem)
export FLIGHTLINE_SERVING__WATCH := false
endif
# A user id without an entry in passwd (docker run --user 1234) has no name and maybe no home; tools want both.
ifneq ($(shell [ -w "$${HOME:-}" ] && echo writable),writable)
export HOME := $(if $(shell [ -x "$${HOME:-}" ] && echo readable),$(HOME),$(CURDIR)/.state/home)
export UV_CACHE_DIR := $(CURDIR)/.state/uv
endif
export LOGNAME := $(or $(LOGNAME),$(USER),$(shell id -un 2> /dev/null || id -u))
# On Windows' WSL every shell has the machine's name in NAME, which names a project or a key here.
ifneq ($(and $(WSL_DISTRO_NAME),$(filter environment,$(origin NAME))),)
undefine NAME
endif
# What listens on this machine is never asked through a proxy.
COMMA := ,
export NO_PROXY := $(if $(or $(no_proxy),$(NO_PROXY)),$(or $(no_proxy),$(NO_PROXY))$(COMMA))127.0.0.1,localhost
export no_proxy := $(NO_PROXY)
export UV_COMPILE_BYTECODE := 1
export UV_PYTHON_DOWNLOADS := never
unexport PYTHONDONTWRITEBYTECODE

# What another project left in the shell for the same tools is not taken, in the profile local: only make's command line and
# tools.env set it (docs/operations.md, Variables of the tools).
OF_TOOLS := PREFECT_% MLFLOW_% FEAST_% DVC_% EVIDENTLY_% UVICORN_% WEB_CONCURRENCY FORWARDED_ALLOW_IPS PYTHONPATH PYTHONHOME
CREDENTIALS := MLFLOW_TRACKING_USERNAME MLFLOW_TRACKING_PASSWORD MLFLOW_TRACKING_TOKEN
ifeq ($(or $(FLIGHTLINE_PROFILE),local),local)
FOREIGN := $(sort $(foreach name,$(filter-out $(CREDENTIALS),$(filter $(OF_TOOLS),$(.VARIABLES))),$(if $(filter environment,$(origin $(name))),$(name))))
$(foreach name,$(FOREIGN),$(eval undefine $(name)))
ifneq ($(and $(FOREIGN),$(filter 0,$(MAKELEVEL))),)
$(shell echo "make: not taken from the shell: $(FOREIGN) (docs/operations.md, Variables of the tools)" >&2)
endif
endif
# The server that Prefect starts for one run answers nobody else.
ifndef PREFECT_API_URL
export PREFECT_SERVER_API_AUTH_STRING := make:$(shell od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
export PREFECT_API_AUTH_STRING := $(PREFECT_SERVER_API_AUTH_STRING)
endif

PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python
DEPLOY = $(RUN) -m tools.deploy
# What a person types in a form of GitHub reaches the shell as a variable of it, and is never a part of the command.
IMAGES = $(if $(value IMAGE),--image "$$IMAGE") $(if $(value FLOWS_IMAGE),--flows-image "$$FLOWS_IMAGE")
LOCKS := locks/all.txt
UV := $(if $(shell command -v uv),uv,.tools/bin/uv)
OWN_UV := $(filter .tools/%,$(UV))
INSTALLED := $(VENV)/.installed
STATE := .state/root
READY := $(INSTALLED) $(STATE)

MODEL ?= hist_gradient_boosting
SEED ?= 0
TRIALS ?= 20
# Packages of models of the zoo that every image takes; `make image` adds what the champion needs (docs/how-to/add-a-model.md).
EXTRAS ?=
# Tests that need nothing but the lock and this machine.
HERE := not docker and not stack and not spark and not dask and not keras
# Processes that run tests: one for each core, however many threads OMP_NUM_THREADS gives to one.
WORKERS ?= $(shell env -u OMP_NUM_THREADS -u OMP_THREAD_LIMIT nproc 2> /dev/null || sysctl -n hw.ncpu)

# What `make` alone prints: a task, and the targets for it; at most ten in all.
HELP := Learn: train Ask: serve Look: demo status ui Operate: ingest worker Change: test-fast lint

# What a target cannot do without; a bar stands between two of which one is enough.
NEEDS_batch := FILE|START
NEEDS_data-remote := URL
NEEDS_deploy := ENV
NEEDS_destroy := ENV CONFIRM
NEEDS_first-fill := ENV
NEEDS_image-push := REPOSITORY
NEEDS_infra-init := ENV
NEEDS_infra-plan := ENV
NEEDS_infra-settings := ENV
NEEDS_ingest := FOLDER|FROM
NEEDS_promote := VERSION BY WHY
NEEDS_rollback := WHY
NEEDS_sign := VERSION
NEEDS_simulate := FROM TO
NEEDS_trigger := FLOW
NEEDS_update := FROM
# What a value may be, for those that are numbers or a word of a few.
NUMBERS := AT_ONCE CANARY DAYS PCA SEED SEGMENTS SHARE STEP TIMES TRIALS VERSION WATCH
WORDS_ANYWAY := yes
WORDS_ENV := staging production
WORDS_MODE := shadow split
WORDS_OPEN := yes
WORDS_TEST := yes
WORDS_UNREACHED := warn fail
WORDS_VOLUMES := remove
WORDS_WHAT := images model

##@ Set-up
.PHONY: help
help:  ## Print the targets that matter, by task
	@awk -v words="$(HELP)" 'BEGIN {FS = ":.*## "; count = split(words, wanted, " ")} /^[a-z-]+:.*## / {help[$$1] = $$2} \
		END {for (i = 1; i <= count; i++) if (wanted[i] ~ /:$$/) printf "\n%s\n", substr(wanted[i], 1, length(wanted[i]) - 1); \
		else printf "  make %-16s %s\n", wanted[i], help[wanted[i]]; print "\nEvery other: make help-all"}' $(MAKEFILE_LIST)

.PHONY: help-all
help-all:  ## Print every target
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: install
install: $(INSTALLED)  ## Make the environment .venv from the lock (other targets do it by themselves)

$(INSTALLED): locks/all.txt locks/build.txt | $(OWN_UV)
	@"$(PYTHON)" -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"Python 3.11, 3.12 or 3.13 is needed, {sys.executable} is {v[0]}.{v[1]}: make PYTHON=/path/to/python3.11 ...")'
	@echo "install: making $(VENV) from $(LOCKS) (once, about a minute)"
	@$(UV) venv --quiet --clear --python "$(PYTHON)" $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --require-hashes --build-constraints locks/build.txt $(addprefix -r ,$(LOCKS))
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --build-constraints locks/build.txt --editable .
	@echo "$(CURDIR)" > $@

.tools/bin/uv: locks/uv.txt
	@echo "install: uv is not on this machine, putting it into .tools"
	@"$(PYTHON)" -m venv .tools || { echo "python3-venv is missing: install it (Debian: apt-get install python3-venv), or install uv"; exit 1; }
	@.tools/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/uv.txt
	@touch $@

# Environment and state hold the path of the clone: one that was copied or moved gets its own.
ifneq ($(shell cat $(INSTALLED) 2> /dev/null),$(CURDIR))
  .PHONY: $(INSTALLED)
endif
ifneq ($(shell cat $(STATE) 2> /dev/null),$(CURDIR))
  .PHONY: $(STATE)
endif

# Prefect makes its folder, but not the one above it.
$(STATE): | $(INSTALLED)
	@mkdir -p .state/prefect
	@$(RUN) -m pipelines.commands.own_state

.PHONY: lock
lock: | $(OWN_UV)  ## Renew the locks: everything, what each image holds, and the build tools
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dev --extra pipelines pyproject.toml -o locks/all.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 pyproject.toml -c locks/all.txt --excludes locks/serving-left-out.in -o locks/serving.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --extra pipelines pyproject.toml -c locks/all.txt --excludes locks/pipelines-left-out.in -o locks/pipelines.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --group lightgbm -c locks/all.txt -o locks/extra-lightgbm.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --group keras -c locks/all.txt -o locks/extra-keras.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --group spark -c locks/all.txt -o locks/extra-spark.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --group dask -c locks/all.txt -o locks/extra-dask.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/build.in -o locks/build.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/uv.in -o locks/uv.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/moto.in -o locks/moto.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/juicefs.in -o locks/juicefs.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/checkov.in -o locks/checkov.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/sbom.in -o locks/sbom.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/mutate.in -c locks/all.txt -o locks/mutate.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/workflows.in -o locks/workflows.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/scans.in -o locks/scans.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 locks/docs.in -o locks/docs.txt

# It goes with the environment; Java comes of the system (Debian: apt-get install default-jre-headless).
SPARK := $(VENV)/.spark
.PHONY: spark
spark: $(SPARK)  ## Install the package that FLIGHTLINE_ENGINE=spark needs besides Java (docs/scale.md)
$(SPARK): locks/extra-spark.txt | $(READY)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --require-hashes --build-constraints locks/build.txt -r $<
	@touch $@

# The networks of the zoo, 0.4 GB: with the environment too.
KERAS := $(VENV)/.keras
.PHONY: keras
keras: $(KERAS)  ## Install Keras and JAX, for the models of the zoo whose names begin with keras_ (docs/how-to/add-a-model.md)
$(KERAS): locks/extra-keras.txt | $(READY)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --require-hashes --build-constraints locks/build.txt -r $<
	@touch $@

.PHONY: spark-up
spark-up: $(SPARK)  ## Start a Spark master and two workers on this machine, and print how to use them
	@$(RUN) -m tools.spark_cluster up

.PHONY: spark-down
spark-down: $(SPARK)  ## End them
	@$(RUN) -m tools.spark_cluster down

DASK := $(VENV)/.dask
.PHONY: dask
dask: $(DASK)  ## Install the package that FLIGHTLINE_DASK__ADDRESS needs (docs/scale.md)
$(DASK): locks/extra-dask.txt | $(READY)
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --require-hashes --build-constraints locks/build.txt -r $<
	@touch $@

# The template's own code does it, as it is there: in a clone for the time.
.PHONY: update
update: $(INSTALLED)  ## Take what the template has become since: make update FROM=../newer, or its address, and AT=commit
	@clone="$(CURDIR)/.state/template"; trap 'rm -rf "$$clone"' EXIT; rm -rf "$$clone"; \
	git clone --quiet "$(FROM)" "$$clone"; git -C "$$clone" checkout --quiet "$(or $(AT),HEAD)"; cd "$$clone"; \
	PYTHONPATH="$$clone/src:$$clone" "$(CURDIR)/$(RUN)" -m template.update --project "$(CURDIR)" --base "$(BASE)"

.PHONY: clean
clean:  ## Remove what was made: environment, state, data/ and caches (the DVC remote .dvcstore stays)
	rm -rf .venv .tools .state data .dvc/cache .dvc/tmp .pytest_cache .ruff_cache .hypothesis .coverage src/*.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

##@ Data and features
.PHONY: data
data: $(READY)  ## Bring data/ to the version data.dvc names, verified
	@$(RUN) -m pipelines.commands.data

.PHONY: data-push
data-push: $(READY)  ## Push data/ to the remote again, which mends a damaged one
	@$(RUN) -m pipelines.commands.data --push

.PHONY: data-remote
data-remote: $(READY)  ## Keep data versions where others reach them: make data-remote URL=s3://bucket/prefix (or ssh://..., /folder)
	@$(RUN) -m pipelines.commands.data --remote "$(URL)" $(if $(ENDPOINT),--endpoint "$(ENDPOINT)")

.PHONY: ingest
ingest: $(READY)  ## Take new or corrected files as a new data version: make ingest FOLDER=path, or FROM=table
	@$(RUN) -m pipelines.ingest $(if $(FROM),--from "$(FROM)",--folder "$(FOLDER)")

.PHONY: clock
clock: $(READY)  ## Print where the event clock stands and what is behind it, or move it: make clock TO=2014-01-31T12:00Z, or TO=real
	@$(RUN) -m pipelines.commands.clock $(if $(TO),--to "$(TO)")

.PHONY: materialise
materialise: $(READY)  ## Bring features and online store up to the event clock and the data version
	@$(RUN) -m pipelines.materialise

.PHONY: ages
ages: $(READY)  ## Print how old each view's values are when they are used, and how many its ttl drops
	@$(RUN) -m pipelines.commands.exploration.feature_checks ages

.PHONY: explore
explore: $(READY)  ## Show data and training set of `make train` in pictures on one page, .state/exploration/page.html
	@$(RUN) -m pipelines.commands.exploration.explore

.PHONY: ablate
ablate: $(READY)  ## Print what a model reaches, and loses without feature views or features: make ablate WITHOUT=view, and TEST=yes to see the test window too
	@$(RUN) -m pipelines.commands.exploration.ablation --model $(MODEL) --seed $(SEED) $(if $(PARAMETERS),--parameters "$(PARAMETERS)") \
		$(if $(WITHOUT),--without $(WITHOUT)) $(if $(TEST),--test)

.PHONY: rule
rule: $(READY)  ## Print what each feature tells alone, or one: make rule COLUMN=name
	@$(RUN) -m pipelines.commands.exploration.feature_checks rule --column "$(COLUMN)"

##@ Model
.PHONY: train
train: $(READY)  ## Train, evaluate, register and judge a model, or the best of all: make train MODEL=all SEED=1
	@$(RUN) -m pipelines.rerun --model $(MODEL) --seed $(SEED) $(if $(PARAMETERS),--parameters "$(PARAMETERS)") \
		$(if $(PCA),--pca-components $(PCA)) $(if $(SEGMENTS),--kmeans-segments $(SEGMENTS))

.PHONY: train-report
train-report: $(READY)  ## Train this tree and the one it came from and report the difference: make train-report BASE=origin/main
	@$(RUN) -m pipelines.change_report.report --model $(MODEL) --seed $(SEED) --base "$(or $(BASE),origin/main)"

.PHONY: tune
tune: $(READY)  ## Search settings before the test window, and go on where the last search ended: make tune TRIALS=20 AT_ONCE=4
	@$(RUN) -m pipelines.tuning --model $(MODEL) --seed $(SEED) --trials $(TRIALS) $(if $(AT_ONCE),--at-once $(AT_ONCE))

.PHONY: status
status: $(READY)  ## Print what is live, as one JSON object
	@$(RUN) -m pipelines.rerun.status

.PHONY: promote
promote: $(READY)  ## Move champion by hand: make promote VERSION=2 BY=ada WHY="slices look better"
	@$(RUN) -m pipelines.commands.champion promote --version "$(VERSION)" --by "$(BY)" --why "$(WHY)"

.PHONY: sign
sign: $(READY)  ## Show a version that has no signature, and sign it: make sign VERSION=3 BY=ada WHY="registered before signatures"
	@$(RUN) -m pipelines.commands.signing sign --version "$(VERSION)" --by "$(BY)" --why "$(WHY)"

.PHONY: signing-key
signing-key: $(READY)  ## Print the public key of model signatures, for FLIGHTLINE_SIGNING__PUBLIC_KEY; the first call makes the pair
	@$(RUN) -m pipelines.commands.signing key

.PHONY: batch
batch: $(READY)  ## Score a file or a time range into parquet: make batch FILE=requests.csv, or START=2013-12-01T00:00:00Z END=...
	@$(RUN) -m pipelines.batch $(if $(FILE),--file "$(FILE)") $(if $(START),--start "$(START)" --end "$(END)")

.PHONY: rollback
rollback: $(READY)  ## Move champion back to the version before: make rollback WHY="too many late ones missed"; with ENV=staging: the images there
	@$(if $(value ENV),$(DEPLOY) rollback --environment "$$ENV" --why "$${WHY:-}" $(if $(value WHAT),--what "$$WHAT"),$(RUN) -m pipelines.commands.champion rollback --why "$${WHY:-}")

.PHONY: ui
ui: $(READY)  ## Show the pages of MLflow, Prefect, Evidently and Feast, linked on http://127.0.0.1:8900; in a browser, with the service: make ui OPEN=yes
	@exec $(RUN) -m pipelines.pages.ui $(if $(OPEN),--open)

##@ Service
.PHONY: serve
serve: $(READY)  ## Serve the champion on http://127.0.0.1:8000
	@exec $(RUN) -m serving

.PHONY: predict
predict: $(READY)  ## Send a real request to the running service and print the answer
	@$(RUN) -m pipelines.commands.request

.PHONY: db-migrate
db-migrate: $(READY)  ## Bring the schema of the prediction log to the one of this code
	@$(RUN) -m pipelines.commands.prediction_log migrate

.PHONY: retention
retention: $(READY)  ## Move predictions older than so many days into parquet files: make retention DAYS=90
	@$(RUN) -m pipelines.commands.prediction_log export $(if $(DAYS),--days "$(DAYS)")

.PHONY: labels
labels: $(READY)  ## Join outcomes that are known by the event clock to logged predictions
	@$(RUN) -m pipelines.labels

.PHONY: monitor
monitor: $(READY)  ## Judge the logged predictions by their labels: decision, reasons, and a page
	@$(RUN) -m pipelines.rerun.monitor

.PHONY: replay
replay: $(READY)  ## Live the data's year again, one decision a week: when to retrain, and what it costs not to: make replay COST=30 (of summed loss)
	@OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=1000000 $(RUN) -m pipelines.retraining $(if $(COST),--cost $(COST)) $(if $(FROM),--from "$(FROM)") --seed $(SEED)

.PHONY: canary
canary: $(READY)  ## Judge what runs beside the champion: promote, keep watching, drop, or roll back
	@$(RUN) -m pipelines.canary judge

.PHONY: canary-start
canary-start: $(READY)  ## Let a version run beside the champion: make canary-start VERSION=4, and MODE=split SHARE=.1 to let it answer, ANYWAY=yes though the gate rejected it
	@$(RUN) -m pipelines.canary start --version "$(VERSION)" $(if $(MODE),--mode $(MODE)) $(if $(SHARE),--share $(SHARE)) $(if $(ANYWAY),--anyway)

.PHONY: canary-stop
canary-stop: $(READY)  ## End what runs beside the champion, which stays
	@$(RUN) -m pipelines.canary stop

.PHONY: worker
worker: $(READY)  ## Run materialisation, labels, monitoring, canary, data check and training when they are due, or asked for by an event
	@exec $(RUN) -m pipelines.orchestration.worker

.PHONY: trigger
trigger: $(READY)  ## Start a flow of the running worker now: make trigger FLOW=training
	@$(RUN) -m pipelines.orchestration.trigger --flow "$(FLOW)"

# Prefect's own state is apart too: what it caches lies in the simulations' folders.
.PHONY: simulate
simulate: $(READY)  ## Live through real days: make simulate FROM=2013-12-27 TO=2013-12-30 STEP=60 (minutes)
	@mkdir -p .state/simulations/prefect
	@PREFECT_HOME="$(CURDIR)/.state/simulations/prefect" $(RUN) -m pipelines.simulation --from "$(FROM)" --to "$(TO)" \
		$(if $(STEP),--step "$(STEP)")

.PHONY: demo
demo: $(READY)  ## Live through the last eight weeks in some minutes, with a fault and a challenger, in .state/demo, and show the pages
	@rm -rf .state/demo && mkdir -p .state/demo/.state/prefect
	@PREFECT_HOME="$(CURDIR)/.state/demo/.state/prefect" $(RUN) -m pipelines.demo
# On a terminal of a machine with a browser; elsewhere what was printed says where they are. Either way the demo is done.
	@if [ -t 1 ] && $(RUN) -c 'import webbrowser; webbrowser.get()' 2> /dev/null; then $(MAKE) ui DEMO=yes OPEN=yes || true; fi

.PHONY: parity
parity: $(READY)  ## Rebuild logged predictions from the feature tables and compare: make parity, or SIMULATION=.state/simulations/...
	@$(RUN) -m pipelines.parity $(if $(SIMULATION),--root "$(SIMULATION)")

.PHONY: api-key
api-key: $(READY)  ## Issue, revoke or list API keys: make api-key NAME=team [EXPIRES=2027-01-31 SCOPE=predict,score], or REVOKE=team, or neither
	@$(RUN) -m serving.issue_key --name "$(NAME)" --expires "$(EXPIRES)" --scope "$(SCOPE)" --revoke "$(REVOKE)"

.PHONY: why
why: $(READY)  ## Say why a logged prediction is what it is, with what was known then: make why PREDICTION=0f3c...
	@$(RUN) -m pipelines.replay.why --prediction "$(PREDICTION)"

##@ Checks
.PHONY: lint
lint: $(READY)  ## Format, lint, types, layer rules and Dockerfiles; changes nothing
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/lint-imports --cache-dir .state/import-linter
	@$(VENV)/bin/hadolint serving/Dockerfile serving/with-model.Dockerfile pipelines/Dockerfile
	@$(VENV)/bin/mypy --no-error-summary --cache-dir .state/mypy

.PHONY: format
format: $(READY)  ## Format the code
	@$(VENV)/bin/ruff format .
	@$(VENV)/bin/ruff check --fix .

.PHONY: test
test: $(READY) .tools/sbom/.installed .tools/workflows/.installed  ## Run the tests (doctests too), but not those of whole programs, images and stack
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "not system and $(HERE)"

.PHONY: mutate
mutate: $(READY) .tools/mutate/.installed  ## Change the code that decides, one place at a time, and see which changes no test notices: make mutate ONLY="flightline.promotion.gate*"
	@OMP_NUM_THREADS=1 PYTHONPATH=$$(echo .tools/mutate/lib/python*/site-packages) $(VENV)/bin/python -m mutmut run $(if $(ONLY),"$(ONLY)") --max-children $(WORKERS)
	@PYTHONPATH=$$(echo .tools/mutate/lib/python*/site-packages) $(VENV)/bin/python -m mutmut results | sed '/: not checked$$/d'

.PHONY: test-docs
test-docs: $(READY)  ## Run the tests of documents alone: what they name exists, and the snippets of the concepts do what stands below them
	@$(RUN) -m pytest tests/test_hygiene.py tests/test_makefile.py docs/concepts

.PHONY: test-system
test-system: $(READY) .tools/juicefs/.installed  ## Run the tests of whole flows and programs: worker, service, pages; some are killed or flooded
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m "system and not keras"

.PHONY: test-fast
test-fast: $(READY)  ## Run the quickest of them, in about three minutes
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile -m "not slow and not system and $(HERE)"

.PHONY: test-spark
test-spark: $(SPARK) .tools/juicefs/.installed  ## Compute features and joins on Spark and on DuckDB, and demand that they are equal; needs Java
	@OMP_NUM_THREADS=1 $(RUN) -m pytest tests/spark -rs --durations 5

.PHONY: test-dask
test-dask: $(DASK)  ## Search settings on a Dask cluster of two worker processes, and demand what one process finds
	@OMP_NUM_THREADS=1 $(RUN) -m pytest tests/dask -rs --durations 5

.PHONY: test-keras
test-keras: $(KERAS)  ## Fit, save, load and serve the networks of the zoo, and refuse files of them that hold code
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder -m keras

.PHONY: system-packages
system-packages:  ## Install the servers and tools that tests want on Debian or Ubuntu, if they are missing
	@.ci/packages

.PHONY: check-alerts
check-alerts: $(READY)  ## Check and test the alert rules, and parse every query of the dashboards, with promtool
	@if command -v promtool > /dev/null; then $(RUN) -m tools.ci.check_alerts; \
	elif [ "$${CI:-}" = true ]; then echo "check-alerts: promtool is missing (Debian: apt-get install prometheus)"; exit 1; \
	else echo "check-alerts: SKIPPED, promtool is missing (Debian: apt-get install prometheus)"; fi

.PHONY: rooms
rooms: $(READY)  ## Draw the folders of the code and their imports into docs/architecture.md
	@$(RUN) -m tools.rooms

.PHONY: secrets-scan
secrets-scan: $(READY) .tools/scans/.installed  ## Look for secrets in the project's files and in its whole history
	@$(RUN) -m tools.ci.secrets_scan --gitleaks .tools/scans/bin/gitleaks

# Its exit codes: 1 an advisory, 3 not audited; make itself ends with 2 for either.
.PHONY: audit
audit: $(READY) .tools/scans/.installed  ## Ask for advisories about all that is locked: make audit UNREACHED=warn passes where nobody answers, ADVISORIES=warn in spite of one
	@$(RUN) -m tools.ci.audit --pip-audit .tools/scans/bin/pip-audit $(if $(UNREACHED),--unreached "$(UNREACHED)") $(if $(ADVISORIES),--advisories "$(ADVISORIES)")

# Each in an environment of its own: what they pin clashes with what the project runs on.
define INSTALL_TOOL
	@echo "install: making .tools/$* from $<"
	@$(UV) venv --quiet --clear --relocatable --python "$(PYTHON)" .tools/$*
	@VIRTUAL_ENV=.tools/$* $(UV) pip install --quiet --require-hashes --build-constraints locks/build.txt -r $<
	@touch $@
endef
.tools/%/.installed: locks/%.txt | $(OWN_UV)
	$(INSTALL_TOOL)

.PHONY: docs
docs: $(READY) .tools/docs/.installed  ## Build the docs as a site in .state/site/html; no broken link: make docs SOURCE=https://github.com/team/churn
	@$(RUN) -m tools.site --zensical .tools/docs/bin/zensical $(if $(SOURCE),--source "$(SOURCE)")

.PHONY: docs-serve
docs-serve: $(READY) .tools/docs/.installed  ## Show the docs on http://127.0.0.1:8800 as they are now
	@exec $(RUN) -m tools.site --zensical .tools/docs/bin/zensical --serve 127.0.0.1:8800

.PHONY: prove
prove: $(READY)  ## Plant faults and demand that their safeguards stop them
	@$(RUN) -m tests.proof

include infra/infra.mk .github/workflows.mk
-include template/template.mk # template only

# One line and the example of the target's help, before anything is made. A value is never expanded: what a person typed into
# a form may look like a call of make's. Values are looked at if they are make's own, for a shell may have a VERSION of
# something else.
EXAMPLE = $(shell sed -n 's/^$(1):.*\(make $(1) [A-Z].*\)/\1/p' $(MAKEFILE_LIST))
OWN = $(if $(findstring command,$(origin $(1))),$(value $(1)))
MISSING = $(foreach need,$(NEEDS_$(1)),$(if $(strip $(foreach name,$(subst |, ,$(need)),$(value $(name)))),,$(subst |, or ,$(need))))
NO_DIGITS = $(subst 0,,$(subst 1,,$(subst 2,,$(subst 3,,$(subst 4,,$(subst 5,,$(subst 6,,$(subst 7,,$(subst 8,,$(subst 9,,$(subst .,,$(1))))))))))))
WRONG := $(strip $(foreach name,$(NUMBERS),$(if $(call NO_DIGITS,$(call OWN,$(name))),$(name)=$(value $(name))$(COMMA) expected a number)) \
	$(foreach words,$(filter WORDS_%,$(.VARIABLES)),$(foreach name,$(words:WORDS_%=%),$(if $(filter-out $($(words)),$(call OWN,$(name))),$(name)=$(value $(name))$(COMMA) expected one of: $($(words))))))
$(foreach goal,$(MAKECMDGOALS),$(if $(strip $(call MISSING,$(goal))),$(error $(goal): $(strip $(call MISSING,$(goal))) is missing: $(call EXAMPLE,$(goal)))))
$(if $(WRONG),$(foreach goal,$(firstword $(MAKECMDGOALS)),$(error $(goal): got $(WRONG); such as: $(call EXAMPLE,$(goal)))))
