# Part of the Makefile: what it costs, measured.

##@ Benchmarks (docs/benchmarks.md)
.PHONY: bench-join
bench-join: $(READY)  ## Compare the point-in-time join with a plain ASOF JOIN in the same run
	@$(RUN) template/benchmarks/bench_join.py

.PHONY: bench-train
bench-train: $(READY)  ## Compare a training run with the same compute without the frameworks
	@$(RUN) template/benchmarks/bench_train.py

.PHONY: bench-gate
bench-gate: $(READY)  ## Measure how often the gate errs, on the training set of `make train`
	@OMP_NUM_THREADS=1 $(RUN) template/benchmarks/bench_gate.py

.PHONY: bench-serve
bench-serve: $(READY)  ## Compare the service with `mlflow models serve` and `feast serve`, on what `make train` made; needs wrk
	@UV="$(UV)" $(RUN) template/benchmarks/bench_serve.py

.PHONY: bench-monitor
bench-monitor: $(READY)  ## Measure monitoring's false alarms and delays, on the training set of `make train`
	@OMP_NUM_THREADS=1 $(RUN) -m template.benchmarks.bench_monitor

.PHONY: bench-canary
bench-canary: $(READY)  ## Measure how often the canary errs under daily looks, on the training set of `make train`
	@OMP_NUM_THREADS=1 $(RUN) template/benchmarks/bench_canary.py

.PHONY: bench-log
bench-log: $(READY)  ## Compare writes to the prediction log with bare SQLite, and on PostgreSQL if it is installed
	@$(RUN) template/benchmarks/bench_log.py

.PHONY: reliability
reliability: $(READY)  ## Kill the service and change its model under load, 20 times each: make reliability TIMES=20
	@OMP_NUM_THREADS=1 $(RUN) template/benchmarks/reliability.py --times $(TIMES)
