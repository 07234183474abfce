# make bench: latency, memory and CPU of build/cutover in the simulated world, and
# the same work done by a shell script around `aws`. BENCH_TRIES=n: fewer tries.
BENCH_SERVER := build/bench/simserver
BENCH_VENV := build/bench/venv/.want

bench: build/cutover $(BENCH_SERVER) $(BENCH_VENV) build/bench/speed build/bench/reading
	@build/bench/speed 1e6
	@tests/bench/run build/cutover $(BENCH_SERVER) build/bench/venv/bin
	@tests/bench/gate build/cutover build/bench/reading
	@tests/bench/window build/cutover

# Of the release objects, so that a sanitizer's slowness is not measured.
$(BENCH_SERVER): tests/tools/simserver.c $(filter-out build/release/main.o,$(REL))
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(base_cflags) $(HARDEN) $(LD_HARDEN) -o $@ $< $(filter-out build/release/main.o,$(REL)) $(base_libs)

# Without a network the second time.
$(BENCH_VENV): tests/bench/requirements.txt
	@echo 'the aws command, for comparison'
	@mkdir -p $(dir $(@D)); rm -rf $(@D); python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@cp $< $@

# The judge alone.
build/bench/speed: tests/judge/speed.c $(filter build/release/judge/% build/release/base/%,$(REL))
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(base_cflags) $(HARDEN) $(LD_HARDEN) -o $@ $^ $(base_libs)

# The schema gate, without and with what is around it.
build/bench/reading: tests/bench/reading.c $(filter-out build/release/main.o,$(REL))
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(base_cflags) $(HARDEN) $(LD_HARDEN) -o $@ $< $(filter-out build/release/main.o,$(REL)) $(base_libs)
