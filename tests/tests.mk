# The test goals. tests/run does the work: it runs each test with a time limit, compares this machine
# before and after, and ends with "N passed, N failed, N skipped". See tests/README.md.

RUN := tests/run --build $(B) --make "$(MAKE)"

.PHONY: check check-quick check-faults live unit golden lint clang san valgrind fuzz-short bench soak try
# + : the runner starts make itself.
check:
	+@$(RUN) all
# What a developer runs every minute: build, unit, golden, structure.
check-quick:
	+@$(RUN) unit golden structure
live unit golden lint clang san valgrind:
	+@$(RUN) $@
fuzz-short:
	+@$(RUN) fuzz

# Every system call of a start in every mode, to fail and to die at: an hour or two, side by side on hosts of their own
# (a case mostly waits for the kernel). The counts go to build/faults.log.
FAULTS_JOBS ?= $(shell expr 4 \* $$(nproc))
check-faults: all
	install -m 666 /dev/null $(B)/faults.log
	jobs=; for i in $$(seq $(FAULTS_JOBS)); do \
	    FAULTS_SHARD=$$i/$(FAULTS_JOBS) FAULTS_SECONDS=0 FAULTS_LOG=$(abspath $(B))/faults.log \
	        tests/live/faults.sh $$([ "$$i" -eq 1 ] || echo every_call) & \
	    jobs="$$jobs $$!"; \
	done; \
	for job in $$jobs; do wait "$$job" || failed=1; done; \
	cat $(B)/faults.log; exit $${failed:-0}

bench: all
	tests/bench/run $(B)
	tests/bench/run $(B) relay

# Mixed load on relay and resolver for SECONDS; with B=build/san SANITIZE=1 the service is watched by ASan and UBSan.
SECONDS ?= 300
soak: all
	@tests/deps soak install
	tests/soak $(SECONDS) $(B)

try: all
	tests/try $(B)

# Fuzzers: tests/fuzz/fuzz_*.c, each a libFuzzer program over the pure code (and the service's parsers).
FUZZERS := $(patsubst tests/fuzz/%.c,$(B)/fuzz/%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_FLAGS := -std=gnu17 -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all \
	-fno-omit-frame-pointer -Isrc -D_GNU_SOURCE

.PHONY: fuzzers
fuzzers: $(FUZZERS)

$(B)/fuzz/obj/%.o: %.c
	@mkdir -p $(@D)
	clang $(subst fuzzer,fuzzer-no-link,$(FUZZ_FLAGS)) $(CPPFLAGS) $(PKG_CFLAGS) -MMD -MP -c -o $@ $<

FUZZ_OBJECTS := $(patsubst %.c,$(B)/fuzz/obj/%.o,$(BASE) $(POLICY) $(PLAN))
.PRECIOUS: $(B)/fuzz/obj/%.o
$(B)/fuzz/fuzz_service: $(patsubst %,$(B)/fuzz/obj/src/service/%.o,nflog netlink_view resolver_name denial_print log_json config judge)
$(B)/fuzz/fuzz_queue: $(patsubst %,$(B)/fuzz/obj/src/service/%.o,queue_packet netlink_view)
$(B)/fuzz/fuzz_dns: $(patsubst %,$(B)/fuzz/obj/src/service/%.o,resolver_message resolver_name resolver_ldns)
$(B)/fuzz/fuzz_netlink: $(patsubst %,$(B)/fuzz/obj/src/kernel/%.o,nl message rtnl_dump explain)
$(B)/fuzz/%: tests/fuzz/%.c $(FUZZ_OBJECTS)
	@mkdir -p $(@D)
	clang $(FUZZ_FLAGS) $(CPPFLAGS) $(PKG_CFLAGS) -o $@ $^ $(PKG_LIBS) $(if $(findstring _dns,$@),$(LDNS_LIBS))
-include $(shell find $(B)/fuzz/obj -name '*.d' 2>/dev/null)

# What the golden tests of the language print messages and policies with.
$(B)/golden/policy_dump: $(B)/obj/tests/golden/policy_dump.o $(call objects,$(BASE) $(POLICY))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LINK_HARDENING)

# The plans that the golden tests look at.
$(B)/golden/plan_dump: $(B)/obj/tests/golden/plan_dump.o $(call objects,$(BASE) $(POLICY) $(PLAN))
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LINK_HARDENING)

unit-programs: $(B)/golden/plan_dump
unit-programs: $(B)/golden/policy_dump
