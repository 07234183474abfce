# The judge's evaluation. make judge-bench [WORLDS=4000] [POLICIES=ours,ours-auto,judge,kayenta10,...]
# All of it takes a good hour on two cores, POLICIES=ours,ours-auto half of that.
# tests/judge/README.md says what is measured; `build/judge/python tests/judge/harness.py list` names the policies.
JUDGE_VENV := build/judge/venv/.want
WORLDS ?= 4000
POLICIES ?= ours,ours-auto,judge,judge-ramp,msprt,kayenta10,flagger10,argo,cw-alarm,scap
.PHONY: judge-bench judge-differences judge-tools
judge-tools: build/judge/judge.so build/judge/mw.so $(JUDGE_VENV)

judge-bench: build/cutover judge-tools
	@build/judge/venv/bin/python tests/judge/cells.py --worlds $(WORLDS) --policies $(POLICIES) --cutover build/cutover \
		--each build/judge/cells.tsv
judge-differences: judge-tools # from the published candidate; some ten minutes
	@build/judge/venv/bin/python tests/judge/differences.py --worlds $(WORLDS)

# Of the release flags: the same arithmetic as the program's.
build/judge/judge.so: $(filter-out controller/judge/protocol.c,$(wildcard controller/judge/*.c)) tests/judge/batch.c controller/judge/*.h
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) $(filter-out -MMD -MP,$(base_cflags)) $(HARDEN) -fPIC -shared -o $@ $(filter %.c,$^) -lm
build/judge/mw.so: tests/judge/mw.c
	@mkdir -p $(@D); echo '  LD   $@'
	$(Q)$(CC) -O2 -fPIC -shared -o $@ $< -lm
$(JUDGE_VENV): tests/judge/requirements.txt
	@mkdir -p $(dir $(@D)); rm -rf $(@D); python3 -m venv $(@D)
	@$(@D)/bin/pip install --quiet --disable-pip-version-check -r $<
	@cp $< $@
