# Part of the Makefile: what proves the template itself. `make start` leaves it behind.
TIMES ?= 20
HELP += Own: start
NEEDS_example := NAME
NEEDS_start := NAME
NEEDS_screenshots := DEMO
# The packages that hold the examples' data.
LOCKS += template/locks/examples.txt
$(INSTALLED): template/locks/examples.txt

.tools/%/.installed: template/locks/%.txt | $(OWN_UV)
	$(INSTALL_TOOL)

##@ Start your own (docs/your-own-data.md)
.PHONY: example
example: $(READY)  ## Lay a problem of template/examples over a copy of the project: make example NAME=pageviews TO=../mine
	@$(RUN) -m template.example --name "$(NAME)" --to "$(TO)"

# Without the state, which a table's own problem must not find here.
.PHONY: start
start: $(INSTALLED)  ## Make this clean git tree a project of your own: make start NAME=churn [FROM=orders.parquet TIME=ordered_at KEY=customer_id LABEL='left: no row within 28d']
	@$(RUN) -m template.start --name "$(NAME)" --from "$(FROM)" --time "$(TIME)" --key "$(KEY)" --label "$(LABEL)" --task "$(TASK)" \
		--horizon "$(HORIZON)" --known-after "$(KNOWN_AFTER)" --request "$(REQUEST)" --every "$(EVERY)" --zone "$(ZONE)"

.PHONY: screenshots
screenshots: $(READY)  ## Take the README's pictures anew, of what `make demo` left: make screenshots DEMO=yes
	@$(RUN) -m template.screenshots

##@ Proof of the template
.PHONY: test-template
test-template: $(READY) .tools/workflows/.installed  ## Start a project, lay an example over a copy, and see that both work
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) --dist loadfile $(filter-out %_suite.py,$(wildcard template/tests/test_*.py)) template/tests/start template/tests/update template/tests/how_to template/tests/rerun

.PHONY: test-example
test-example: $(READY) .tools/sbom/.installed .tools/workflows/.installed  ## Live the whole loop of each example in a copy, with lint, proof and tests, or of one: make test-example NAME=storms
	@$(RUN) -m pytest -rA --durations 0 $(if $(NAME),-k "$(NAME)") template/tests/test_example_suite.py

.PHONY: test-year
test-year: $(READY)  ## Live through half a year month by month: data, clock, predictions, monitor, canary, training, gate (46 minutes)
	@$(RUN) -m pytest -s template/tests/year/test_year_suite.py

.PHONY: test-workflows
test-workflows: $(READY) .tools/workflows/.installed .tools/scans/.installed .tools/act/.installed  ## Run every workflow with act, and both scans on what they must catch
	@OMP_NUM_THREADS=1 $(RUN) -m pytest -n $(WORKERS) template/tests/workflows

.PHONY: test-infra
test-infra: $(READY) .tools/moto/.installed  ## Apply everything on an emulated AWS, use what it puts out, and destroy it
	@export OMP_NUM_THREADS=1; $(RUN) -m pytest template/tests/infra/test_guards.py > .state/guards.log 2>&1 & guards=$$!; failed=0; \
	OMP_NUM_THREADS=1 $(RUN) -m pytest --durations 5 --ignore template/tests/infra/test_guards.py template/tests/infra || failed=1; \
	wait $$guards || failed=1; cat .state/guards.log; exit $$failed

.PHONY: test-deploy
test-deploy: $(READY) base-image .tools/moto/.installed .tools/act/.installed  ## Deploy, fill, break, roll back and destroy on an emulated AWS; needs Docker
	@OMP_NUM_THREADS=1 $(RUN) -m pytest template/tests/deploy -rs --durations 5

.PHONY: test-containers
test-containers: $(READY) base-image .tools/moto/.installed  ## Run the stack's containers, and a push, with stand-ins for the images of others; needs Docker
	@OMP_NUM_THREADS=1 $(RUN) -m pytest template/tests/images -rs

.PHONY: lock-template
lock: lock-template
lock-template: | $(OWN_UV)  ## Renew the locks of the template alone
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 template/locks/act.in -o template/locks/act.txt
	$(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --no-deps template/locks/examples.in -o template/locks/examples.txt

.PHONY: test-start
test-start: $(READY)  ## Test what `make start` writes and renames, as far as it goes without a training; a part of test-template
	@$(RUN) -m pytest template/tests/start/test_from_table.py template/tests/start/test_start.py -m "not slow"

.PHONY: lint-template
lint: lint-template
lint-template: $(READY)  ## Check the types of the template's own commands; a part of lint
	@$(VENV)/bin/mypy --no-error-summary --cache-dir .state/mypy-template $(wildcard template/*.py)

# Where no image registry is reached, it is made, under the official tag, before a build asks for it.
.PHONY: base-image
base-image: $(READY)  ## Have the base of the images: there, pulled, or made of Debian's packages
	@$(if $(BASE),true,$(RUN) -m template.base_image)
image image-push image-smoke stack-up: base-image

##@ Benchmarks (template/docs/benchmarks.md)
.PHONY: bench-join
bench-join: $(READY)  ## Compare the point-in-time join with a plain ASOF JOIN in the same run
	@$(RUN) -m template.benchmarks.bench_join

.PHONY: bench-train
bench-train: $(READY)  ## Compare a training run with the same compute without the frameworks
	@$(RUN) -m template.benchmarks.bench_train

.PHONY: bench-growth
bench-growth: $(READY)  ## Train on data several times as large, score and rebuild, by seconds and memory of each stage: make bench-growth SIZES="1 4 10" WAYS="keys history"
	@$(RUN) -m template.benchmarks.bench_growth $(if $(SIZES),--sizes $(SIZES)) $(if $(WAYS),--ways $(WAYS)) $(if $(ENGINE),--engine $(ENGINE)) $(if $(LIMIT),--limit $(LIMIT))

.PHONY: bench-gate
bench-gate: $(READY)  ## Measure how often the gate errs, on the training set of `make train`
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.decisions.bench_gate

.PHONY: bench-serve
bench-serve: $(READY)  ## Compare the service with `mlflow models serve` and `feast serve`, on what `make train` made; needs wrk
	@UV="$(UV)" $(RUN) -m template.benchmarks.bench_serve

.PHONY: bench-explain
bench-explain: $(READY)  ## Measure what saying what drove an answer adds to it, on what `make train` made
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.bench_explain

.PHONY: bench-monitor
bench-monitor: $(READY)  ## Measure monitoring's false alarms and delays, on the training set of `make train`
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.decisions.bench_monitor

.PHONY: bench-canary
bench-canary: $(READY)  ## Measure how often the canary errs under daily looks, on the training set of `make train`
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.decisions.bench_canary

.PHONY: bench-crowd
bench-crowd: $(READY)  ## Measure what a caller notices of large requests, broken text and probes of others, on what `make train` made
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.bench_crowd

.PHONY: bench-log
bench-log: $(READY)  ## Compare writes to the prediction log with bare SQLite, and on PostgreSQL if it is installed
	@$(RUN) -m template.benchmarks.bench_log

.PHONY: bench-size
bench-size: $(READY)  ## Measure prediction log and online store when they are large: 5 million rows in PostgreSQL, 10 million keys in Redis
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.bench_size

.PHONY: reliability
reliability: $(READY)  ## Kill the service and change its model under load, 20 times each: make reliability TIMES=20
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.reliability --times $(TIMES)
