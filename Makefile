# What a developer runs, and what CI runs. `make` alone lists it. Go and make are all that run, test and demo need;
# verify and lint put the tools that they need into ./bin, which git ignores.

SHELL       := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

# The modules of go.work, by folder, and their packages.
MODULES  = $(notdir $(shell go list -m))
PACKAGES = $(MODULES:%=./%/...)

# Pinned, and built from source by the Go at hand: it must be no older than the code it reads.
GOLANGCI_LINT_VERSION := v2.6.2
GOLANGCI_LINT         ?= $(CURDIR)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION)

# Debian's and Homebrew's prometheus has one; without it, it is built.
PROMETHEUS_VERSION := v0.305.0
PROMTOOL           ?= $(or $(shell command -v promtool),$(CURDIR)/bin/promtool-$(PROMETHEUS_VERSION))

# Of the workflows, and of known vulnerabilities; run, not kept.
ACTIONLINT_VERSION  := v1.7.7
GOVULNCHECK_VERSION := v1.9.0

OASDIFF_VERSION := v1.35.0
OASDIFF         ?= $(CURDIR)/bin/oasdiff-$(OASDIFF_VERSION)

# Runs a command in the folder of each module, in all of them even if it fails in one.
each_module = failed=; for module in $(MODULES); do echo "-- $$module"; (cd "$$module" && $(1)) || failed=1; done; [[ -z $$failed ]]

## Use

.PHONY: help
help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^## / {printf "\n%s\n", substr($$0, 4)} /^[a-z-]+:.*## / {printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo

# The program is built and then takes this shell's place, so that Ctrl-C and SIGTERM reach it and not `go run`.
.PHONY: run
run: ## Bring up the whole product on this machine: PostgreSQL, Redis, migrations, API, worker, scheduler
	@go build -o bin/local ./deployments/local
	@exec bin/local

.PHONY: demo
demo: ## Take a tour of a running stack, with real data
	@go run ./deployments/demo

.PHONY: secrets
secrets: ## Make the secrets that docker-compose.yml wants and that are missing, in ./secrets
	@go run ./deployments/secrets

# What images are stamped with, where git knows it.
.PHONY: images
images: ## Build the images of docker-compose.yml, stamped with version and commit
	@VERSION="$$(git describe --tags --always --dirty)" REVISION="$$(git rev-parse HEAD)" docker compose --profile operator build

.PHONY: seed
seed: ## Put sample data into a running stack's demo tenant
	@go run ./deployments/demo -seed

.PHONY: migrate
migrate: ## Bring the database of MIGRATE_DATABASE_URL to this version (see: go run ./migrations/cmd/migrate --help)
	@go run ./migrations/cmd/migrate up

.PHONY: migrate-lint
migrate-lint: ## Judge the migrations: what would hold up or break a running product is refused, with the safe way
	@go run ./migrations/cmd/lint

.PHONY: bench
bench: ## Measure the API beside a hand-written handler and pgbench (see: go run ./deployments/bench -help)
	@go run ./deployments/bench

.PHONY: bench-webhooks
bench-webhooks: ## Measure outgoing webhooks of a running stack, with all endpoints well and with some that hang
	@go run ./deployments/bench/webhooks

.PHONY: bench-transfers
bench-transfers: ## Measure imports and exports of a running stack (see: go run ./deployments/bench/transfers -help)
	@go run ./deployments/bench/transfers $(BENCH_FLAGS)

.PHONY: bench-intake
bench-intake: ## Measure the intake of webhooks of a running stack (see: go run ./deployments/bench/intake -help)
	@go run ./deployments/bench/intake

.PHONY: rename
rename: ## Give this clone its own module path: make rename MODULE=github.com/acme/shop
	@go run ./deployments/rename "$(MODULE)"

## Change

.PHONY: migration
migration: ## Write the migration of a declared resource's table: make migration RESOURCE=products
	@go run ./store/cmd/table "$(RESOURCE)" migrations/sql

.PHONY: build
build: ## Build every package, and the programs into ./bin
	@go build $(PACKAGES)
	@mkdir -p bin && go build -o bin/ $(shell go list -f '{{if eq .Name "main"}}{{.ImportPath}}{{end}}' $(PACKAGES))

.PHONY: test
test: ## Run all tests, without cgo; they start the PostgreSQL and Redis that they need
	@CGO_ENABLED=0 go test $(PACKAGES)

.PHONY: fmt
fmt: $(GOLANGCI_LINT) ## Format the code
	@$(call each_module,$(GOLANGCI_LINT) fmt --config ../.golangci.yml)

.PHONY: lint
lint: $(GOLANGCI_LINT) ## Lint every module, the import rule included
	@$(call each_module,$(GOLANGCI_LINT) run --config ../.golangci.yml ./...)

.PHONY: tidy
tidy: ## Tidy every module's requirements
	@$(call each_module,GOWORK=off go mod tidy)
	@go work sync

.PHONY: openapi-release
openapi-release: ## Take the API as it is for the released one, which later changes are compared with
	@mkdir -p docs/openapi && go run ./api/cmd/openapi > docs/openapi/released.json

# What it does, and does not do: go run ./deployments/release -help
.PHONY: release
release: ## Make a version of what CHANGELOG.md has under Unreleased, and tag it: make release VERSION=1.2.0; pushes nothing
	@go run ./deployments/release "$(VERSION)"

.PHONY: deploy
deploy: ## Bring the stack of docker-compose.yml to a version, and back where it does not work: make deploy VERSION=v1.2.0
	@deployments/deploy/deploy "$(VERSION)"

.PHONY: smoke
smoke: ## See that a running stack does its work, through its public address: make smoke URL=https://api.example.com
	@go run ./deployments/smoke "$(URL)"

.PHONY: client-ts
client-ts: ## Generate and compile the TypeScript client, and take its tour at API_URL; needs Node
	@go run ./api/cmd/openapi > docs/clients/typescript/openapi.json
	@cd docs/clients/typescript && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent generate && npm run --silent build && npm run --silent tour

## Prove

# Each check by its name: `make check-lint` repeats one of them alone.
CHECKS := requirements format alone lint workflows migrations alerts openapi tests

.PHONY: verify
verify: ## Do what CI does: requirements, format, each module alone, lint, the API's promises, tests with the race detector; skips fail
	@failed=(); summary=; \
	for check in $(CHECKS); do \
	  printf '\n== %s\n' "$$check"; began=$$SECONDS; outcome=ok; \
	  $(MAKE) --no-print-directory "check-$$check" || { outcome=FAILED; failed+=("$$check"); }; \
	  summary+=$$(printf '  %-13s %-7s %4d s' "$$check" "$$outcome" "$$((SECONDS - began))")$$'\n'; \
	done; \
	printf '\n== summary\n%s' "$$summary"; \
	if (($${#failed[@]})); then echo "verify: FAILED: $${failed[*]}"; exit 1; fi; \
	echo 'verify: all is well'

.PHONY: check-requirements
check-requirements:
	@$(call each_module,GOWORK=off go mod tidy -diff)
	@go mod verify

.PHONY: check-format
check-format: $(GOLANGCI_LINT)
	@$(call each_module,$(GOLANGCI_LINT) fmt --diff --config ../.golangci.yml)

# A go.work hides imports that a go.mod does not declare. vet compiles the tests too, whose imports count as well.
.PHONY: check-alone
check-alone:
	@$(call each_module,GOWORK=off go build -o /dev/null ./... && GOWORK=off go vet ./...)

.PHONY: check-lint
check-lint: lint

# The workflows are well-formed, and each module's requirements are kept up to date.
.PHONY: check-workflows
check-workflows: ## Lint the workflows, and see that Dependabot knows every module
	@GOWORK=off go run github.com/rhysd/actionlint/cmd/actionlint@$(ACTIONLINT_VERSION)
	@for module in $(MODULES); do grep -qx "      - /$$module" .github/dependabot.yml \
	  || { echo ".github/dependabot.yml does not name the module $$module"; exit 1; }; done

# It asks vuln.go.dev, and so is no part of verify, which needs nobody.
.PHONY: check-vulns
check-vulns: ## Look whether known vulnerabilities are reached by our code; needs the database at vuln.go.dev
	@$(call each_module,GOWORK=off go run golang.org/x/vuln/cmd/govulncheck@$(GOVULNCHECK_VERSION) ./...)

.PHONY: check-migrations
check-migrations: migrate-lint

.PHONY: check-alerts
check-alerts: $(PROMTOOL)
	@$(PROMTOOL) check rules deployments/prometheus/alerts.yml
	@$(PROMTOOL) test rules deployments/prometheus/alerts_test.yml

.PHONY: dashboards
dashboards: ## Write the dashboards of deployments/grafana anew
	@go run ./deployments/grafana

# Where the processes are in use, since a panel of nothing shows nothing.
PROMETHEUS_URL ?= http://127.0.0.1:9090
LOKI_URL       ?=

.PHONY: check-dashboards
check-dashboards: ## Ask the Prometheus at PROMETHEUS_URL, and the Loki at LOKI_URL if that is set, every question of every panel
	@go run ./deployments/grafana -check "$(PROMETHEUS_URL)" -loki "$(LOKI_URL)"

.PHONY: check-upgrade
check-upgrade: ## Run the last release's tests over the database of this version; or those of a commit: REF=<commit>
	@.ci/check-upgrade $(REF)

# What callers were promised: a change that could break one fails. Parameters that are not known are errors here, so that
# taking one away is a break too, which oasdiff only warns of.
.PHONY: check-openapi
check-openapi: $(OASDIFF)
	@go run ./api/cmd/openapi > bin/openapi.json
	@$(OASDIFF) breaking --fail-on WARN docs/openapi/released.json bin/openapi.json \
	  || { echo 'The API would break its callers; if that is meant, release it under a new base path (docs/openapi/README.md).'; exit 1; }

.PHONY: openapi-lint
openapi-lint: ## Lint the OpenAPI document with Redocly and with Spectral's OWASP rules; needs Node
	@go run ./api/cmd/openapi > api/openapi-lint/openapi.json
	@cd api/openapi-lint && npm ci --ignore-scripts --no-audit --no-fund --silent && npm run --silent lint

.PHONY: check-signers
check-signers: ## Verify webhooks that the providers' own libraries have signed, and ours as receivers do; needs Node
	@cd domain/inbound/providers/testdata/signers && npm ci --ignore-scripts --no-audit --no-fund --silent
	@go test -count=1 -tags signers ./domain/inbound/providers ./domain/webhooks -run TestSigners

# -race needs cgo and so a C compiler. What has to be seen with a real Redis is skipped without one, which fails here.
.PHONY: check-tests
check-tests:
	@command -v redis-server >/dev/null || { echo 'check-tests needs redis-server (apt-get install redis-server, brew install redis)'; exit 1; }
	@CGO_ENABLED=1 go test -race -shuffle=on -timeout 15m -json $(PACKAGES) | go run ./deployments/testreport -no-skips

# How long `make chaos` breaks things: make chaos CHAOS_FOR=10m
CHAOS_FOR ?= 2m

.PHONY: chaos
chaos: ## Break all that jobs pass through, again and again, and count what was lost or done twice: CHAOS_FOR=10m
	@go run ./worker/cmd/chaos -for "$(CHAOS_FOR)" $(CHAOS_FLAGS)

.PHONY: migrate-show
migrate-show: ## Change the schema of 2,000,000 rows under load, and count what requests noticed of it
	@go run ./worker/cmd/schemashow $(SHOW_FLAGS)

# What else it can be told: go run ./deployments/rolling -help
.PHONY: rolling
rolling: ## Restart every process in turn behind the balancer while it is used, and count what failed; needs caddy
	@go run ./deployments/rolling $(ROLLING_FLAGS)

.PHONY: bench-jobs
bench-jobs: ## Measure jobs beside bare gocraft/work, asynq and River (see: go run ./worker/cmd/benchjobs -help)
	@go run ./worker/cmd/benchjobs

# The tools, built once.

$(CURDIR)/bin/golangci-lint-$(GOLANGCI_LINT_VERSION):
	@mkdir -p bin/tmp
	@echo "building golangci-lint $(GOLANGCI_LINT_VERSION) into ./bin: this takes some minutes, once"
	@cd bin/tmp && GOBIN="$$PWD" GOWORK=off GOFLAGS= go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_LINT_VERSION)
	@mv bin/tmp/golangci-lint "$@" && rmdir bin/tmp

$(CURDIR)/bin/oasdiff-$(OASDIFF_VERSION):
	@mkdir -p bin/tmp-oasdiff
	@echo "building oasdiff $(OASDIFF_VERSION) into ./bin, once"
	@cd bin/tmp-oasdiff && GOBIN="$$PWD" GOWORK=off GOFLAGS= go install github.com/oasdiff/oasdiff@$(OASDIFF_VERSION)
	@mv bin/tmp-oasdiff/oasdiff "$@" && rmdir bin/tmp-oasdiff

# Prometheus' go.mod replaces a module, which `go install` does not take: it is built where it lies.
$(CURDIR)/bin/promtool-$(PROMETHEUS_VERSION):
	@mkdir -p bin
	@echo "building promtool $(PROMETHEUS_VERSION) into ./bin: this takes some minutes, once"
	@cd "$$(cd bin && GOWORK=off GOFLAGS=-mod=mod go mod download -json github.com/prometheus/prometheus@$(PROMETHEUS_VERSION) | sed -n 's/^\t"Dir": "\(.*\)",$$/\1/p')" && GOWORK=off GOFLAGS= go build -o "$@" ./cmd/promtool
