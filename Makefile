# A new machine needs Python 3.11 or newer with pip, git and make; the rest goes into .venv.

# The machine's own interpreter, also where a virtual environment is active.
PYTHON := $(shell for python in python3.11 python3; do "$$python" -c \
	'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys._base_executable)' \
	2>/dev/null && break; done)
MODULES := answer_rules.py hooks tests $(wildcard benchmarks)

export PATH := $(CURDIR)/.venv/bin:$(PATH)
# uv trusts what pip trusts: a company's own certificate authority, too.
export UV_SYSTEM_CERTS ?= 1
unexport VIRTUAL_ENV

.PHONY: help
help: ## Show what make can do
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

.PHONY: demo
demo: .venv/ready ## Write the default service under build/, run it and call an upstream
	@python tests/demo.py

.PHONY: test
test: check ## Run every check and test
	pytest --numprocesses auto --maxprocesses 4 --dist worksteal

.PHONY: check
check: .venv/ready ## Check format, lint and types of the template's own Python
	ruff format --check .
	ruff check .
	mypy $(MODULES)

.PHONY: fix
fix: .venv/ready ## Format, and repair what can be repaired
	ruff format .
	ruff check --fix .

.PHONY: lock
lock: .venv/ready ## Update requirements.txt to the newest versions that requirements.in allows
	uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--custom-compile-command "make lock" --output-file requirements.txt requirements.in

# Debian packages venv's pip apart, so the machine's own pip fills the environment.
.venv/ready: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, as python3.11 or python3."; exit 1; }
	@echo "Preparing .venv (about a minute, once)"
	@rm -rf .venv
	@$(PYTHON) -m venv --without-pip .venv
	@$(PYTHON) -m pip --python .venv/bin/python install -qq --require-hashes --requirement requirements.txt
	@touch $@
