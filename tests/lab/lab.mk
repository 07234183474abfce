# The lab: real MediaWiki behind a real proxy, and an AWS end in one Python process.
.PHONY: demo demo-clean demo-harm lab-check lab-rehearse
demo:
	@tests/lab/demo "$(PLAN)" "$(FAULT)"
# What users lose to a green that fails 2 %, in K demos, next to what the judge's evaluation predicts.
demo-harm:
	@python3 tests/lab/harm.py $(or $(K),10)
demo-clean:
	rm -rf build/lab

# What the lab refuses and how it counts; needs no wiki and no controller.
lab-check:
	@tests/deps demo && tests/lab/setup
	@cd tests/lab && ../../build/lab/venv/bin/python -m unittest -q $(patsubst tests/lab/%.py,%,$(wildcard tests/lab/test_lab_*.py))
# A whole shift by boto3: proves the lab without the program.
lab-rehearse:
	@tests/deps demo && tests/lab/setup
	@build/lab/venv/bin/python tests/lab/lab.py rehearse
