# netjail: build, test, install.
#
#   make            build/netjail, build/netjailctl and two helpers
#   make try        a guided tour in a fake host made of namespaces; changes nothing here
#   make check      every test; installs what they need (apt), see tests/README.md
#   make lint       structure and style: headers, purity, vocabulary, cppcheck, clang-tidy
#   make bench      the budgets, as medians and ratios
#   make install    PREFIX=/usr/local DESTDIR=
#
# B=dir puts the build elsewhere; SANITIZE=1 builds with ASan and UBSan; CC=clang works as gcc does.

VERSION := 0.1.0
PREFIX ?= /usr/local
B ?= build
# One name for one place: what gcc wrote down for build/x.o must hold for /here/build/x.o.
override B := $(patsubst $(CURDIR)/%,%,$(abspath $(B)))
CC ?= gcc
ifeq ($(origin CC),default)
CC := gcc
endif

PACKAGES := libmnl libnftnl libseccomp libbsd-overlay jansson
SERVICE_PACKAGES := libbsd-overlay
TEST_PACKAGES := cmocka

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes \
	-Wformat=2 -Wundef -Wvla -Wpointer-arith -Wcast-qual -Wwrite-strings
HARDENING := -fPIE -fstack-protector-strong -fstack-clash-protection
# clang before 16 has this only behind another switch.
ifeq ($(shell $(CC) -ftrivial-auto-var-init=zero -E -x c /dev/null >/dev/null 2>&1 && echo yes),yes)
HARDENING += -ftrivial-auto-var-init=zero
endif
ifeq ($(shell uname -m),x86_64)
HARDENING += -fcf-protection=full
endif
LINK_HARDENING := -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--as-needed
# An entry of our own: see src/jail/entry.c.
ifeq ($(findstring x86_64,$(shell $(CC) -dumpmachine)),x86_64)
STATIC_ENTRY := -Wl,-e,netjail_entry
endif
# Packed relocations: a quarter of the start was the kernel mapping what the relocations touch and where they lie.
STATIC_HARDENING := -static-pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,-z,pack-relative-relocs

CPPFLAGS += -D_GNU_SOURCE -DNETJAIL_VERSION='"$(VERSION)"' -DNETJAIL_PREFIX='"$(PREFIX)"' \
	-I. -Isrc -I$(B)/gen
CFLAGS ?= -O2 -g
ALL_CFLAGS = -std=gnu17 $(WARNINGS) $(HARDENING) $(CFLAGS) $(CPPFLAGS) $(PKG_CFLAGS) -MMD -MP
ifdef SANITIZE
ALL_CFLAGS += -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
LINK_HARDENING := -fsanitize=address,undefined -Wl,--as-needed
else
CPPFLAGS += -D_FORTIFY_SOURCE=2
endif

# Every target but these needs the libraries.
ifeq ($(filter clean uninstall deps dist,$(MAKECMDGOALS)),)
include tests/deps.mk
PKG_CFLAGS := $(shell pkg-config --cflags $(PACKAGES) 2>/dev/null)
endif
PKG_LIBS = $(shell pkg-config --libs libmnl libnftnl libbsd-overlay jansson)
SERVICE_LIBS = $(if $(SERVICE_STATIC),-l:libldns.a -l:libbsd.a,\
	$(shell pkg-config --libs $(SERVICE_PACKAGES)) $(LDNS_LIBS))
# From the archive, and behind src/service/resolver_ldns.c: then libcrypto, whose loading costs more than
# making a jail, is not needed and not linked.
LDNS_LIBS = $(if $(call archive,ldns),-l:libldns.a,-lldns) -lcrypto
SECCOMP_LIBS = $(shell pkg-config --libs libseccomp)
CMOCKA_LIBS = $(shell pkg-config --libs $(TEST_PACKAGES))

# netjail itself has no shared libraries where all come as archives: loading them would be a fifth of
# its start. libmnl mostly does not, see src/kernel/mnl_static.c. STATIC= links it as all others.
archive = $(findstring /,$(shell $(CC) -print-file-name=lib$(1).a))
STATIC ?= $(if $(SANITIZE),,$(if $(and $(call archive,c),$(call archive,nftnl),$(call archive,bsd)),1))
NETJAIL_LINK = $(if $(STATIC),$(STATIC_HARDENING) $(STATIC_ENTRY),$(LINK_HARDENING))
# The service, too: a jail with names waits for it, and loading libraries was a third of that.
SERVICE_STATIC ?= $(if $(and $(STATIC),$(call archive,ldns)),1)
SERVICE_LINK = $(if $(SERVICE_STATIC),$(STATIC_HARDENING) $(STATIC_ENTRY),$(LINK_HARDENING))
NETJAIL_LIBS = $(if $(STATIC),-l:libnftnl.a $(if $(call archive,mnl),-l:libmnl.a,$(MNL_STATIC)) \
	-l:libbsd.a,$(PKG_LIBS))

BASE := $(wildcard src/base/*.c)
POLICY := $(wildcard src/policy/*.c)
PLAN := $(wildcard src/plan/*.c)
KERNEL := $(filter-out src/kernel/mnl_static.c,$(wildcard src/kernel/*.c))
GENERATORS := $(wildcard src/jail/*_gen.c)
JAIL := $(filter-out $(GENERATORS),$(wildcard src/jail/*.c))
SERVICE := $(wildcard src/service/*.c)
WRAPPER := $(filter-out wrapper/netjail.c wrapper/netjailctl.c wrapper/netjail-lookup.c,$(wildcard wrapper/*.c))

objects = $(patsubst %.c,$(B)/obj/%.o,$(1))
PURE_OBJECTS := $(call objects,$(BASE) $(POLICY) $(PLAN))
LIB_OBJECTS := $(PURE_OBJECTS) $(call objects,$(KERNEL) $(JAIL) $(WRAPPER))
SERVICE_JAIL := src/jail/entry.c src/jail/packet.c src/jail/prefault.c src/jail/privs.c src/jail/seccomp_service.c
MNL_STATIC := $(call objects,src/kernel/mnl_static.c)
SERVICE_OBJECTS := $(call objects,$(SERVICE) $(BASE) $(POLICY) $(SERVICE_JAIL))

PROGRAMS := $(B)/netjail $(B)/netjailctl $(B)/netjail-service $(B)/netjail-lookup

.PHONY: all
all: $(PROGRAMS)

# The seccomp filters are made at build time by libseccomp and embedded: building one costs 0.6 ms
# at every start.
$(B)/gen/seccomp_filters.h: $(B)/obj/src/jail/seccomp_gen
	@mkdir -p $(@D)
	$< > $@.tmp && mv $@.tmp $@

$(B)/obj/src/jail/seccomp_gen: src/jail/seccomp_gen.c
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -o $@ $< $(LINK_HARDENING) $(SECCOMP_LIBS)

$(B)/obj/%.o: %.c | $(B)/gen/seccomp_filters.h
	@mkdir -p $(@D)
	$(CC) $(ALL_CFLAGS) -c -o $@ $<

# An archive, so that each program takes only what it uses: netjail starts without jansson.
$(B)/libnetjail.a: $(LIB_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

# What runs while the command runs stands side by side: the kernel maps a file in pieces of 64 kB.
RUNNING := $(call objects,src/jail/supervise.c src/jail/events.c src/jail/init.c src/jail/trim.c)
$(B)/netjail: $(B)/obj/wrapper/netjail.o $(RUNNING) $(B)/libnetjail.a $(MNL_STATIC)
	$(CC) $(CFLAGS) -o $@ $(filter-out $(MNL_STATIC),$^) $(NETJAIL_LINK) $(NETJAIL_LIBS)

$(B)/netjailctl: $(B)/obj/wrapper/netjailctl.o $(B)/libnetjail.a
	$(CC) $(CFLAGS) -o $@ $^ $(LINK_HARDENING) $(PKG_LIBS)

$(B)/netjail-service: $(SERVICE_OBJECTS)
	$(CC) $(CFLAGS) -o $@ $^ $(SERVICE_LINK) $(SERVICE_LIBS)

# The modules of the user databases are shared libraries.
$(B)/netjail-lookup: $(call objects,wrapper/netjail-lookup.c) $(B)/libnetjail.a
	$(CC) $(CFLAGS) -o $@ $^ $(LINK_HARDENING) $(PKG_LIBS)

# Unit tests: tests/unit/test_*.c, each a cmocka program of its own.
UNIT_TESTS := $(patsubst tests/unit/%.c,$(B)/unit/%,$(wildcard tests/unit/test_*.c))

$(B)/libservice.a: $(filter-out %/main.o,$(call objects,$(SERVICE)))
	@rm -f $@
	ar rcs $@ $^

$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/libservice.a $(B)/libnetjail.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LINK_HARDENING) $(PKG_LIBS) $(CMOCKA_LIBS) $(LDNS_LIBS)

# Ours; the library's are opened by name.
$(B)/unit/test_mnl: $(B)/obj/tests/unit/test_mnl.o $(MNL_STATIC)
	@mkdir -p $(@D)
	$(CC) $(CFLAGS) -o $@ $^ $(LINK_HARDENING) $(CMOCKA_LIBS)

# Helpers are looked for beside the running program.
$(B)/unit/netjail-lookup: $(B)/netjail-lookup
	@mkdir -p $(@D)
	ln -sf ../netjail-lookup $@

.PHONY: unit-programs
unit-programs: $(UNIT_TESTS) $(B)/unit/netjail-lookup

.PRECIOUS: $(B)/obj/%.o
-include $(shell find $(B)/obj -name '*.d' 2>/dev/null)

include tests/tests.mk
include tests/install.mk

.PHONY: clean
clean:
	rm -rf $(B)
