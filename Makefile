# A new machine needs Python 3.11 or newer with pip, git and make; the rest goes into a cache.

# The machine's own interpreter, even if a virtual environment is active.
PYTHON := $(shell for python in python3.11 python3; do "$$python" -c \
	'import sys; sys.version_info < (3, 11) and sys.exit(1); print(sys._base_executable)' \
	2>/dev/null && break; done)
# Outside of this folder, because cookiecutter copies a template's whole folder at each generation.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME:%=%/.cache),/tmp)/fastapi-upstreams-template/$(firstword $(shell echo "$(CURDIR)" | cksum))
VENV := $(CACHE)/venv
MODULES := answers hooks support tests $(wildcard benchmarks)
# Tests that need more than Python, as file:program:Debian package. Where a program is missing, make
# test prints their names and the command that installs it.
NEEDS := operations/test_browser.py:chromium:chromium operations/test_kustomize.py:kubectl:kubernetes-client \
	operations/test_prometheus.py:promtool:prometheus operations/test_secrets.py:redis-server:redis-server \
	operations/test_throughput.py:nginx:nginx-light operations/test_throughput.py:wrk:wrk \
	client/promises/test_cache.py:redis-server:redis-server client/promises/test_goaway.py:nginx:nginx-light \
	client/promises/test_shared_limits.py:redis-server:redis-server
part = $(word $(1),$(subst :, ,$(2)))
has = $(shell PATH="$$PATH:/usr/sbin" && command -v $(1))
LEFT_OUT := $(foreach need,$(NEEDS),$(if $(call has,$(call part,2,$(need))),,$(need)))

# Tests wait more than they compute, so two processes more than there are cores, and at most four.
CORES := $(or $(shell getconf _NPROCESSORS_ONLN 2>/dev/null),1)
PARALLEL := --numprocesses $(shell echo $$(($(CORES) < 2 ? $(CORES) + 2 : 4))) --dist worksteal

export PATH := $(VENV)/bin:$(PATH)
export MYPY_CACHE_DIR := $(CACHE)/mypy
# Like pip, uv should trust a company's own certificate authority.
export UV_SYSTEM_CERTS ?= 1
unexport VIRTUAL_ENV

.PHONY: help
help: ## List these commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 19

.PHONY: demo
demo: $(VENV)/ready ## Write the default service under build/, run it and call an upstream
	@python -m support.demo

.PHONY: test
test: check ## Run every check and test
	@$(foreach need,$(LEFT_OUT),echo "Left out: tests/$(call part,1,$(need)), which needs" \
		"$(call part,2,$(need)) (Debian: apt-get install $(call part,3,$(need)))";)
	pytest $(PARALLEL) $(TESTS) \
		$(foreach need,$(LEFT_OUT),--ignore=tests/$(call part,1,$(need)))

.PHONY: quick
quick: check ## Run the checks, the fast tests of answers, and one project's own checks and tests
	pytest $(PARALLEL) tests/answers tests/project/test_default_project.py \
		--ignore=tests/answers/test_platforms.py --ignore=tests/answers/test_updates.py \
		-k "not test_default_project or (its_own and httpx-on-aiohttp)"

.PHONY: missing
missing: ## Print the Debian packages that make test needs and does not find
	@echo $(sort $(foreach need,$(LEFT_OUT),$(call part,3,$(need))))

.PHONY: diff
diff: $(VENV)/ready ## Show what the working directory changes in a project; ANSWERS="key=value …"
	@rm -rf $(CACHE)/diff && mkdir -p $(CACHE)/diff/template
	@git archive HEAD | tar -x -C $(CACHE)/diff/template
	@cookiecutter $(CACHE)/diff/template --no-input --accept-hooks no -o $(CACHE)/diff/before $(ANSWERS)
	@cookiecutter . --no-input --accept-hooks no -o $(CACHE)/diff/after $(ANSWERS)
	@cd $(CACHE)/diff && git --no-pager diff --no-index --stat --patch before after || test $$? -eq 1

.PHONY: suite
suite: $(VENV)/ready ## Run httpx's own tests over the managed client; HTTPX=../httpx, a clone
	@test -n "$(HTTPX)" || { echo "Set HTTPX to a clone of httpx or httpx2: make suite HTTPX=../httpx"; exit 1; }
	@for transport in aiohttp httpcore; do echo "On $$transport:" && \
		python -m tests.client.run_client_suite "$(HTTPX)" --transport $$transport || exit 1; done

.PHONY: survival
survival: $(VENV)/ready ## Compare what a plain shared client and the service survive
	@python benchmarks/survival.py

.PHONY: bench
bench: $(VENV)/ready ## Measure the service beside others (needs nginx and wrk; 30 minutes)
	@cd benchmarks && for part in throughput streams in_flight pythons layers startup overload soak write_page; do \
		echo "== $$part" && python $$part.py && echo || exit 1; done

.PHONY: generation
generation: $(VENV)/ready ## Compare the time of a generation with an empty template's
	@python benchmarks/generation.py

.PHONY: check
check: $(VENV)/ready ## Check format, lint and types of the template's own Python
	ruff format --check .
	ruff check .
	mypy $(MODULES)

.PHONY: fix
fix: $(VENV)/ready ## Format, and fix lint errors where ruff can
	ruff format .
	ruff check --fix .

.PHONY: lock
lock: $(VENV)/ready ## Update each requirements.txt to the newest versions that its requirements.in allows
	@for file in requirements tests/recipes/requirements; do uv pip compile --quiet --upgrade --universal \
		--python-version 3.11 --generate-hashes --custom-compile-command "make lock" \
		--output-file $$file.txt $$file.in || exit 1; done

# Debian packages venv's pip apart, so the machine's own pip fills the environment.
$(VENV)/ready: requirements.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed, as python3.11 or python3."; exit 1; }
	@echo "Preparing $(VENV) (one to three minutes, once)"
	@rm -rf $(VENV)
	@$(PYTHON) -m venv --without-pip $(VENV)
	@$(PYTHON) -m pip --python $(VENV)/bin/python install -qq --require-hashes --requirement requirements.txt
	@touch $@
