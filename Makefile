# Makefile: builds, tests and installs shm. `make help` lists the targets.

PREFIX ?= /usr/local
DESTDIR ?=
BUILD ?= build
ifeq ($(origin CC),default)
CC = gcc
endif
CFLAGS ?= -O2 -g
LUA ?= lua5.4
LUA_INCDIR ?= /usr/include/lua5.4
INSTALL_LUADIR ?= $(PREFIX)/lib/lua/5.4
VERSION := $(shell sed -n 's/^.define SHMX_VERSION_[MP][A-Z]* *//p' core/base/version.h | paste -sd.)
SOVERSION = 0

BASE_FLAGS = -std=c11 -D_GNU_SOURCE -Wall -Wextra -Icore -Ibindings
ALL_FLAGS = $(BASE_FLAGS) -fPIC -fno-plt -fvisibility=hidden -pthread -MMD -MP $(SANITIZE) $(CFLAGS)
# The handler for SIGBUS is code of ours: once loaded, it must stay where it is (nodelete).
LINK_SHARED = $(CC) -shared -pthread -Wl,-z,nodelete -Wl,-z,relro,-z,now $(SANITIZE) $(CFLAGS) $(LDFLAGS)

CORE_SOURCES = $(sort $(wildcard core/*/*.c))
LUA_SOURCES = $(sort $(wildcard bindings/lua/*.c))
SHMLUA_SOURCES = $(sort $(wildcard bindings/host/*.c))
PEER_SOURCES = $(sort $(wildcard spec/support/peer_*.c))
HOST_SOURCES = $(sort $(wildcard spec/support/host_*.c))
TEST_SOURCES = $(sort $(wildcard spec/core/*_test.c))
FUZZ_SOURCES = $(sort $(wildcard spec/fuzz/*.c))
LUA_HOSTS = spec/support/lowlevel.c spec/support/gcstress.c spec/support/counter.c \
  scripts/bench/baseline.c scripts/bench/locks.c scripts/bench/channels.c scripts/bench/tables.c \
  scripts/bench/topics.c scripts/bench/zeromq.c scripts/bench/lmdb.c scripts/bench/redis.c \
  scripts/bench/redis_list.c
EMBED_SOURCES = scripts/examples/embed/embed.c
CXX_SOURCES = scripts/bench/boost.cpp
C_SOURCES = $(CORE_SOURCES) $(LUA_SOURCES) $(SHMLUA_SOURCES) $(EMBED_SOURCES) $(PEER_SOURCES) \
  $(HOST_SOURCES) $(TEST_SOURCES) $(FUZZ_SOURCES) $(LUA_HOSTS)
C_HEADERS = $(sort $(wildcard core/*.h core/*/*.h bindings/*/*.h scripts/*/*.h spec/*/*.h))
LUA_FILES = scripts scripts/shm spec bindings/meta
CORE_OBJECTS = $(CORE_SOURCES:%.c=$(BUILD)/obj/%.o)
LUA_OBJECTS = $(LUA_SOURCES:%.c=$(BUILD)/obj/%.o)
SHMLUA_OBJECTS = $(SHMLUA_SOURCES:%.c=$(BUILD)/obj/%.o)
LIBRARIES = $(BUILD)/shm.so $(BUILD)/libshmx.a $(BUILD)/libshmx.so $(BUILD)/libshmx_lua.a
PEERS = $(PEER_SOURCES:spec/support/%.c=$(BUILD)/spec/%)
HOSTS = $(HOST_SOURCES:spec/support/%.c=$(BUILD)/spec/%)
TESTS = $(TEST_SOURCES:spec/core/%.c=$(BUILD)/spec/%)

# What apt has to have installed, target by target.
BUILD_PACKAGES = gcc libc6-dev lua5.4 liblua5.4-dev libmsgpuck-dev libxxhash-dev
DEMO_PACKAGES = $(BUILD_PACKAGES) lua-luv lua-argparse
TEST_PACKAGES = $(DEMO_PACKAGES) g++ lua-busted lua-cqueues libcmocka-dev luarocks pkg-config spin \
  util-linux groff-base valgrind
LINT_PACKAGES = $(BUILD_PACKAGES) lua-check clang clang-format cppcheck libzmq3-dev liblmdb-dev
FUZZ_PACKAGES = $(BUILD_PACKAGES) clang libclang-rt-14-dev util-linux

# What make fuzz fuzzes, for how long each, and with how many processes.
FUZZ ?= arena queue dict
SECONDS ?= 600
JOBS ?= 2

RUN = LUA_CPATH="$(abspath $(BUILD))/?.so;$(abspath $(BUILD))/spec/?.so;;" LUA_PATH="$(CURDIR)/?.lua;;" \
  SHM_BUILD="$(abspath $(BUILD))" SHM_LUA="$(LUA)"
BUSTED = $(LUA) $$(command -v busted) --helper=spec/support/guard.lua

# One line a step; V=1 shows the commands.
Q = $(if $(V),,@)
say = $(if $(V),,@printf '%-4s %s\n' $(1) $(2))

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: always help all demo test one lint asan torture fuzz accept clean setup-% programs check threads

all: $(LIBRARIES) $(BUILD)/shmlua ## build the module (shm.so), the library (libshmx), shmlua, into build/
	@:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(filter %akefile %.mk,$(MAKEFILE_LIST)) | sort | expand -t 12

demo: setup-demo ## show it at work: real processes share letters and numbers (10 seconds)
	@$(MAKE) --no-print-directory all
	@$(RUN) $(LUA) scripts/demo.lua

test: setup-test ## build and run every test
	@$(MAKE) --no-print-directory check

lint: setup-lint ## check style and warnings, in C and Lua, with gcc and clang
	clang-format --dry-run --Werror $(C_SOURCES) $(C_HEADERS) $(CXX_SOURCES)
	@for file in $(C_SOURCES); do for cc in gcc clang; do \
	  $$cc -fsyntax-only -O2 -Werror $(BASE_FLAGS) -Ibindings/lua -isystem $(LUA_INCDIR) $$file || exit 1; done; done
	cppcheck --quiet --error-exitcode=1 --enable=warning,performance,portability --std=c11 \
	  --inline-suppr -D_GNU_SOURCE -D__linux__ -Icore -Ibindings $(CORE_SOURCES) $(LUA_SOURCES) $(SHMLUA_SOURCES)
	luacheck --quiet $(LUA_FILES)

asan: setup-test ## run every test under the address and undefined-behaviour sanitizers, threads under theirs
	@$(MAKE) --no-print-directory check BUILD=$(BUILD)/asan \
	  SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" \
	  PRELOAD="LD_PRELOAD=$$($(CC) -print-file-name=libasan.so) ASAN_OPTIONS=detect_leaks=0"
	@$(MAKE) --no-print-directory threads BUILD=$(BUILD)/tsan SANITIZE="-fsanitize=thread -Wno-tsan"

torture: setup-test ## kill at every instruction, and 2,000 times at random (minutes)
	@$(MAKE) --no-print-directory programs
	@for test in $(filter $(BUILD)/spec/step%,$(TESTS)); do \
	  SHM_STEP=1 spec/support/isolate $$test || exit 1; done
	@SHM_KILLS=2000 spec/support/isolate $(BUILD)/spec/torture_test
	@SHM_KILLS=2000 spec/support/isolate $(BUILD)/spec/torture_channel_test
	@SHM_KILLS=2000 spec/support/isolate $(BUILD)/spec/torture_dict_test

fuzz: setup-fuzz ## fuzz the memory of arenas, queues and dicts (10 minutes each; SECONDS=n, FUZZ=queue)
	@$(MAKE) --no-print-directory $(FUZZ:%=$(BUILD)/fuzz/spec/%_fuzz) BUILD=$(BUILD)/fuzz CC=clang \
	  SANITIZE="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all \
	  -fno-omit-frame-pointer"
	@for target in $(FUZZ); do \
	  mkdir -p $(BUILD)/fuzz/corpus/$$target && ASAN_OPTIONS=detect_leaks=0 spec/support/isolate \
	  $(BUILD)/fuzz/spec/$${target}_fuzz -fork=$(JOBS) -max_total_time=$(SECONDS) -max_len=600 \
	  -timeout=10 -artifact_prefix=$(BUILD)/fuzz/$$target- $(BUILD)/fuzz/corpus/$$target \
	  spec/fuzz/corpus/$$target || exit 1; done

accept: setup-test ## accept what the hottest operations cost now, in instructions (spec/instructions.txt)
	@$(MAKE) --no-print-directory $(BUILD)/spec/counter
	@$(RUN) $(LUA) spec/support/instructions.lua

clean: ## remove what was built
	rm -rf $(BUILD)

# Installs the packages that are missing; asks nothing, and stays off the network if none is.
setup-%:
	@missing=; for package in $(sort $($(call upper,$*)_PACKAGES)); do \
	  dpkg-query -W -f '$${db:Status-Status}' $$package 2>/dev/null | grep -qx installed \
	    || missing="$$missing $$package"; done; \
	test -z "$$missing" && exit 0; \
	command -v apt-get >/dev/null || { echo "please install:$$missing" >&2; exit 1; }; \
	sudo=; test $$(id -u) = 0 || sudo="sudo -n"; \
	echo "installing:$$missing"; export DEBIAN_FRONTEND=noninteractive; \
	$$sudo apt-get -qq update && $$sudo apt-get -qq install -y --no-install-recommends $$missing >/dev/null
upper = $(shell echo $(1) | tr a-z A-Z)

# ---- tests: `make test` is setup and this ----

# Each test program and each file of specs has a stamp, which holds what it printed: only what changed runs again.
# They run side by side where each gets a namespace of its own. The longest come first.
PASSED = $(BUILD)/passed
SPECS = $(sort $(wildcard spec/*_spec.lua))
LONGEST = build_spec examples_spec
REPLAYS = arena_replay queue_replay dict_replay
PASSES = $(addprefix $(PASSED)/,$(if $(SANITIZE),,models) $(LONGEST) $(TEST_SOURCES:spec/core/%.c=%) $(REPLAYS) \
  $(filter-out $(LONGEST),$(SPECS:spec/%.lua=%)))
TEST_JOBS ?= $(shell unshare -mi true 2>/dev/null && nproc || echo 1)
SPEC_NEEDS = $(LIBRARIES) $(SPEC_PROGRAMS) $(wildcard spec/support/* scripts/*.lua scripts/*/* bindings/meta/*) \
  README.md Makefile

check:
	@$(MAKE) --no-print-directory $(if $(V),,-s) -j$(shell nproc) programs
	@$(MAKE) --no-print-directory -k -O -j$(TEST_JOBS) $(PASSES); failed=$$?; \
	spec/support/summary $(PASSES); exit $$failed

$(PASSED)/%_test: $(BUILD)/spec/%_test spec/support/pass
	@spec/support/pass $@ $<

$(PASSED)/%_replay: $(BUILD)/spec/%_replay spec/support/pass $(wildcard spec/fuzz/corpus/*)
	@spec/support/pass $@ $< spec/fuzz/corpus/$*

$(PASSED)/%_spec: spec/%_spec.lua $(SPEC_NEEDS)
	@$(RUN) $(PRELOAD) spec/support/pass $@ $(BUSTED) $<

$(PASSED)/house_spec: $(C_SOURCES) $(C_HEADERS)

# The models know nothing of what is built: they are run when one is changed.
$(PASSED)/models: $(wildcard spec/model/*) spec/support/pass
	@CC='$(CC)' spec/support/pass $@ spec/model/check.sh $(BUILD)/spec/model

# For the thread sanitizer, which knows neither processes nor what is loaded into a Lua without it.
threads: $(filter $(BUILD)/spec/threads%,$(TESTS))
	@for test in $^; do TSAN_OPTIONS=halt_on_error=1 spec/support/isolate $$test || exit 1; done

SPEC_PROGRAMS = $(BUILD)/shmlua $(PEERS) $(HOSTS) $(addprefix $(BUILD)/spec/,lowlevel.so baseline.so gcstress counter)
programs: $(LIBRARIES) $(SPEC_PROGRAMS) $(TESTS) $(REPLAYS:%=$(BUILD)/spec/%)

# ONLY=channel: spec/core/channel_test.c and spec/channel_spec.lua, where they are; ONLY=channel_spec: one of them.
ONE_TEST = $(filter $(BUILD)/spec/$(ONLY) $(BUILD)/spec/$(ONLY)_test,$(TESTS))
ONE_SPEC = $(filter spec/$(ONLY).lua spec/$(ONLY)_spec.lua,$(SPECS))
one: ## build and run one test: ONLY=channel, ONLY=channel_spec, also FILTER="refuses what" (its names)
	@test -n "$(ONE_TEST)$(ONE_SPEC)" || { echo 'make one ONLY=NAME: there is neither spec/$(ONLY)_spec.lua nor' \
	  'spec/core/$(ONLY)_test.c'; exit 1; }
	@$(MAKE) --no-print-directory $(if $(V),,-s) $(ONE_TEST) $(if $(ONE_SPEC),$(LIBRARIES) $(SPEC_PROGRAMS))
	@$(if $(ONE_TEST),CMOCKA_FILTER='$(FILTER)' spec/support/isolate $(ONE_TEST))
	@$(if $(ONE_SPEC),$(RUN) spec/support/isolate $(BUSTED) $(if $(FILTER),--filter='$(FILTER)') $(ONE_SPEC))

# ---- from sources to libraries ----

# Changes when the flags or the list of sources do, and then everything is built anew.
$(BUILD)/stamp: always
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_FLAGS) $(CORE_SOURCES) $(LUA_SOURCES) $(SHMLUA_SOURCES)' | cmp -s - $@ \
	  || echo '$(CC) $(ALL_FLAGS) $(CORE_SOURCES) $(LUA_SOURCES) $(SHMLUA_SOURCES)' > $@

$(BUILD)/obj/%.o: %.c $(BUILD)/stamp
	@mkdir -p $(@D)
	$(call say,CC,$<)
	$(Q)$(CC) $(ALL_FLAGS) -c $< -o $@

$(LUA_OBJECTS) $(SHMLUA_OBJECTS) $(LUA_HOSTS:%.c=$(BUILD)/obj/%.o): \
  private ALL_FLAGS += -isystem $(LUA_INCDIR)
$(LUA_OBJECTS) $(SHMLUA_OBJECTS): | $(LUA_INCDIR)/lua.h
$(LUA_INCDIR)/lua.h:
	@echo "lua.h is not in $(LUA_INCDIR): install liblua5.4-dev, or say LUA_INCDIR=..." >&2; exit 1

$(BUILD)/libshmx.a: $(CORE_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/libshmx.so: $(CORE_OBJECTS)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) -Wl,-soname,libshmx.so.$(SOVERSION) $^ -o $@

# The module has the core inside and shows luaopen_shm only.
$(BUILD)/shm.so: $(filter-out %/lembed.o,$(LUA_OBJECTS)) $(BUILD)/libshmx.a
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) -Wl,--exclude-libs,ALL $^ -o $@ -lm

# What a C host links, with libshmx and liblua, to hand objects to its scripts: lua/shmx_lua.h.
$(BUILD)/libshmx_lua.a: $(LUA_OBJECTS)
	$(call say,AR,$@)
	$(Q)rm -f $@ && ar rcs $@ $^

$(BUILD)/shmlua: $(SHMLUA_OBJECTS) $(BUILD)/libshmx_lua.a $(BUILD)/libshmx.a
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) $(LDFLAGS) $^ -o $@ -l$(LUA) -lm -ldl

# Peers are plain C programs, as the documents have them: no sanitizer, no library of ours.
$(BUILD)/spec/peer_%: spec/support/peer_%.c
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra $(CFLAGS) $< -o $@

# Hosts are C programs that use our library.
$(BUILD)/spec/host_%: $(BUILD)/obj/spec/support/host_%.o $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) $^ -o $@

$(BUILD)/spec/%_test: $(BUILD)/obj/spec/core/%_test.o $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS) -lcmocka

# These see a system that is made up: spec/fuzz/world.h.
WORLD = $(BUILD)/obj/spec/fuzz/world.o
WRAP = $(patsubst %,-Wl$(comma)--wrap=shmx_%,\
  clock_now boottime random futex_wait futex_wake task_lives process_lives)
comma = ,
MADE_UP = $(filter $(BUILD)/spec/corrupt%,$(TESTS))

$(MADE_UP): $(WORLD)
$(MADE_UP): LDLIBS = $(WRAP)

$(BUILD)/spec/%_replay: $(BUILD)/obj/spec/fuzz/%_fuzz.o $(BUILD)/obj/spec/fuzz/replay.o $(WORLD) \
  $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) $^ -o $@ $(WRAP)

$(BUILD)/spec/%_fuzz: $(BUILD)/obj/spec/fuzz/%_fuzz.o $(WORLD) $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) -fsanitize=fuzzer $^ -o $@ $(WRAP)

$(BUILD)/spec/lowlevel.so: $(BUILD)/obj/spec/support/lowlevel.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) $^ -o $@

$(BUILD)/spec/gcstress: $(BUILD)/obj/spec/support/gcstress.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) -rdynamic $^ -o $@ -l$(LUA) -lm -ldl

$(BUILD)/spec/counter: $(BUILD)/obj/spec/support/counter.o $(BUILD)/libshmx_lua.a $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_FLAGS) -no-pie -Wl,--wrap=luaS_hash,--wrap=shmx_random $^ -o $@ -l:lib$(LUA).a -lm -ldl

include scripts/package/install.mk scripts/bench/bench.mk
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
