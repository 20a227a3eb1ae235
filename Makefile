# Everything below needs Go; `race` also needs a C compiler. Build flags are
# Go's own defaults everywhere, so that `go run`, `make build`, the tests and
# an editor share one build cache.

FOR  ?= 30s
ARGS ?=
ONLY ?= .
SIZES ?= 5,0 10,0 20,0 30,0 10,50 10,150 10,300

LINT_VERSION := v2.15.0
LINT         := .bin/golangci-lint-$(LINT_VERSION)

# The packages in which things happen at the same time. Not ./test/e2e: it drives
# the same code again, and takes minutes under the detector.
CONCURRENT := ./bridge/... ./gateway/... ./internal/... ./cmd/...

.PHONY: test
test: ## vet and every test; what CI runs
	go vet ./...
	go test -timeout 15m ./...

.PHONY: lint
lint: $(LINT) ## golangci-lint, pinned; findings and formatting
	$(LINT) run ./...

.PHONY: fmt
fmt: $(LINT) ## rewrite the formatting that lint wants
	$(LINT) fmt ./...

.PHONY: race
race: ## the tests of concurrent packages under the race detector
	CGO_ENABLED=1 GORACE=suppressions=$(CURDIR)/tools/race.supp go test -race -timeout 20m $(CONCURRENT)

.PHONY: fuzz
fuzz: ## every fuzz target, FOR=30s each
	@grep -rHoE '^func Fuzz[A-Za-z0-9_]+' --include='*_test.go' . | sort | while IFS=: read -r file func; do \
		echo "$$(dirname $$file) $${func#func }"; \
		go test -run '^$$' -fuzz "^$${func#func }$$" -fuzztime $(FOR) "$$(dirname $$file)" || exit 1; \
	done

.PHONY: chaos
chaos: ## random trouble, then the books; SEED=7 FOR=60s again, else SEEDS=3 fresh ones
	CHAOS_SEED=$(or $(SEED),fresh) CHAOS_SEEDS=$(or $(SEEDS),3) CHAOS_FOR=$(FOR) \
		go test ./test/chaos -run '^TestChaos$$' -count 1 -v -timeout 10h

.PHONY: bench
bench: ## the table of docs/benchmarks.md; LONG=1 ONLY=Latency UPDATE=1 ARGS="-cpuprofile cpu.out"
	LONG=$(LONG) UPDATE=$(UPDATE) ALONE=$(ALONE) go test -run '^$$' -bench '$(ONLY)' -benchtime 1x -timeout 60m $(ARGS) ./test/bench

.PHONY: load
load: ## federations of many stamps, the figures of docs/scale.md; SIZES="5,0 10,300" (hubs,leaves) OUT=runs.json
	@for s in $(SIZES); do \
		LOAD=$$s LOAD_OUT=$(if $(OUT),$(abspath $(OUT))) go test ./test/load -run '^TestLoad$$' -count 1 -timeout 20m || exit 1; \
	done

.PHONY: microbench
microbench: ## the other benchmarks, of single functions
	go test -run '^$$' -bench . -benchmem -timeout 30m ./topology/... ./gateway/... ./bridge/...

.PHONY: cover
cover: ## coverage of all packages by all tests, in cover.html
	go test -timeout 20m -coverpkg ./... -coverprofile cover.out ./...
	go tool cover -html cover.out -o cover.html
	@go tool cover -func cover.out | tail -n 1

.PHONY: update
update: ## rewrite golden files and generated documents; read the diff
	UPDATE=1 go test -count 1 -timeout 15m ./...
	$(MAKE) chart UPDATE=1

.PHONY: chart
chart: ## the Helm chart: lint, templates against golden files, refusals, examples; UPDATE=1 rewrites
	cd tools/chart && go vet ./... && UPDATE=$(UPDATE) go test -count 1 ./...

# What a browser needs on Debian is installed by its own package.
.PHONY: console
console: ## the console in a real Chromium, which Debian's packages have; UPDATE=1 rewrites docs/console/*.png
	@command -v chromium >/dev/null || { apt-get update -q && apt-get install -qy --no-install-recommends chromium fonts-dejavu-core; }
	cd tools/console && go vet ./... && UPDATE=$(UPDATE) go test -count 1 -timeout 5m ./...

# A server that is built like this knows its version only if it is told.
KUBE_VERSION := v1.36.3
KUBE         := $(CURDIR)/.bin/kube-$(KUBE_VERSION)
KUBE_NAMES   := -X k8s.io/component-base/version.gitVersion=$(KUBE_VERSION) -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36

.PHONY: e2e-kube
e2e-kube: $(KUBE)/etcd ## the chart in a real Kubernetes API server: install, upgrade, roll back, test, uninstall
	cd tools/chart && RINGWAY_KUBE=$(KUBE) go test -count 1 -run '^TestKube$$' -v ./...

$(KUBE)/etcd: tools/kube/go.mod
	cd tools/kube && go build -ldflags '$(KUBE_NAMES)' -o $(KUBE)/kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
	cd tools/kube && go build -o $@ go.etcd.io/etcd/server/v3

IMAGE    ?= localhost/ringway
VERSION  ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
REVISION ?= $(shell git rev-parse HEAD 2>/dev/null || echo unknown)
CREATED  ?= $(shell git log -1 --format=%cI 2>/dev/null || echo 1970-01-01T00:00:00Z)
CERTS    ?= /etc/ssl/certs/ca-certificates.crt
ARCH     ?= $(shell go env GOARCH)

# The image needs no network to build, and comes out the same every time. Its
# only other file says which authorities to trust with HTTPS to targets.
.PHONY: image
image: ## the image, by buildah or docker; IMAGE=name VERSION=tag ARCH=arm64 CERTS=file
	rm -rf .bin/image
	mkdir -p .bin/image/root/etc/ssl/certs .bin/image/root/var/lib/ringway
	CGO_ENABLED=0 GOOS=linux GOARCH=$(ARCH) go build -trimpath -ldflags '-s -w' -o .bin/image/root/ringway ./cmd/ringway
	cp $(CERTS) .bin/image/root/etc/ssl/certs/ca-certificates.crt
	go run ./tools/sbom .bin/image/root/ringway ringway-$(VERSION) '$(CREATED)' > .bin/image/ringway.spdx.json
	find .bin/image/root -exec touch -h -d '$(CREATED)' {} +
	$(or $(BUILDER),$(shell command -v buildah >/dev/null && echo buildah build --layers=false --timestamp $$(date -d '$(CREATED)' +%s) || echo docker build)) \
		--platform linux/$(ARCH) --build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) --build-arg CREATED=$(CREATED) \
		-t $(IMAGE):$(VERSION) -f Dockerfile .bin/image

.PHONY: e2e-image
e2e-image: image ## the image in the chart's pods, two stamps in networks of their own, and a newcomer's first ten minutes; needs root, buildah and podman
	buildah push $(IMAGE):$(VERSION) docker-archive:.bin/image/ringway.tar:$(IMAGE):$(VERSION)
	cd tools/chart && RINGWAY_IMAGE=$(CURDIR)/.bin/image/ringway.tar go test -count 1 -run '^(TestImage|TestNewcomer)$$' -v ./...

.PHONY: build
build: ## bin/ringway
	go build -o bin/ringway ./cmd/ringway

.PHONY: docs
docs: ## the site of the documents, in public/; every link and anchor checked
	cd tools/site && go vet ./... && go test -count 1 ./... && go run . -root $(CURDIR) -out $(CURDIR)/public

.PHONY: man
man: ## manual pages of every verb, in man/
	MAN=$(CURDIR)/man go test -count 1 -run '^TestManPages$$' ./cmd/ringway

.PHONY: up
up: ## a federation in one process; ARGS="--for 30s -o json"
	go run ./cmd/ringway up $(ARGS)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z0-9-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

$(LINT):
	GOBIN=$(CURDIR)/.bin go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(LINT_VERSION)
	mv .bin/golangci-lint $@
