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
VERSION = 0.1.0
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
PUBLIC_HEADERS = shmx.h base/api.h base/checked.h base/error.h base/facts.h base/kind.h os/clock.h os/object.h \
  os/posix.h os/semaphores.h os/sleepers.h os/system.h sync/barrier.h sync/condition.h sync/holders.h \
  sync/mutex.h sync/rwlock.h \
  sync/semaphore.h sync/waiting.h mem/arena.h mem/atomic.h mem/element.h mem/inspect.h mem/record.h mem/segment.h \
  mem/view.h data/channel.h data/dict.h data/service.h data/topic.h

CORE_OBJECTS = $(CORE_SOURCES:%.c=$(BUILD)/obj/%.o)
LUA_OBJECTS = $(LUA_SOURCES:%.c=$(BUILD)/obj/%.o)
SHMLUA_OBJECTS = $(SHMLUA_SOURCES:%.c=$(BUILD)/obj/%.o)
LIBRARIES = $(BUILD)/shm.so $(BUILD)/libshmx.a $(BUILD)/libshmx.so $(BUILD)/libshmx_lua.a
MAN = $(addprefix $(BUILD)/man/,shm.1 shmlua.1 shm.3lua)
SHARE = $(DESTDIR)$(PREFIX)/share
PEERS = $(PEER_SOURCES:spec/support/%.c=$(BUILD)/spec/%)
HOSTS = $(HOST_SOURCES:spec/support/%.c=$(BUILD)/spec/%)
TESTS = $(TEST_SOURCES:spec/core/%.c=$(BUILD)/spec/%)

# What apt has to have installed, target by target.
BUILD_PACKAGES = gcc libc6-dev lua5.4 liblua5.4-dev libmsgpuck-dev libxxhash-dev
DEMO_PACKAGES = $(BUILD_PACKAGES) lua-luv lua-argparse
TEST_PACKAGES = $(DEMO_PACKAGES) g++ lua-busted lua-cqueues libcmocka-dev luarocks pkg-config spin \
  util-linux groff-base valgrind
LINT_PACKAGES = $(BUILD_PACKAGES) lua-check clang clang-format cppcheck libzmq3-dev liblmdb-dev
BENCH_PACKAGES = $(DEMO_PACKAGES) g++ libboost-dev libzmq3-dev python3-numpy
PEERS_PACKAGES = liblmdb-dev redis-tools php-cli php-apcu nginx libnginx-mod-http-lua perl \
  python3-sysv-ipc
PLOTS_PACKAGES = lua5.4 gnuplot-nox
FUZZ_PACKAGES = $(BUILD_PACKAGES) clang libclang-rt-14-dev util-linux

# What make fuzz fuzzes, for how long each, and with how many processes.
FUZZ ?= arena queue dict
SECONDS ?= 600
JOBS ?= 2

# What make bench measures, in this order, and the folder for what it finds.
RESULTS ?= $(BUILD)
BENCHMARKS = segment view lock channel topic dict scale

RUN = LUA_CPATH="$(abspath $(BUILD))/?.so;$(abspath $(BUILD))/spec/?.so;;" LUA_PATH="$(CURDIR)/?.lua;;" \
  SHM_BUILD="$(abspath $(BUILD))" SHM_LUA="$(LUA)"
BUSTED = $(LUA) $$(command -v busted) --pattern=_spec --helper=spec/support/guard.lua spec

.DELETE_ON_ERROR:
.SUFFIXES:
.SECONDARY:
.PHONY: always help all man demo test lint asan torture fuzz accept bench bench-peers plots \
  install uninstall clean setup-% programs check threads contestants

all: $(LIBRARIES) $(BUILD)/shmlua ## build the module (shm.so), the library (libshmx), shmlua, into build/
	@:

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' $(firstword $(MAKEFILE_LIST)) | sort | expand -t 12

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

bench: setup-bench ## measure, beside what the machine can do and what others have (3 minutes)
	@$(MAKE) --no-print-directory contestants
	@rm -f $(RESULTS)/bench.csv
	@for file in $(BENCHMARKS); do $(RUN) SHM_RESULTS=$(RESULTS)/bench.csv PYTHON3=/usr/bin/python3 \
	  $(LUA) scripts/bench/$$file.lua || exit 1; echo; done

bench-peers: export SHM_PEERS = 1
bench-peers: setup-peers ## the same with more peers, which it installs: LMDB, Redis, nginx ... (minutes)
	@$(MAKE) --no-print-directory bench

plots: setup-plots ## draw what make bench has found, as build/*.svg, and a table of it, build/bench.md
	@$(RUN) $(LUA) scripts/bench/plots.lua $(RESULTS)
	@$(RUN) $(LUA) scripts/bench/summary.lua $(RESULTS)

man: $(MAN) ## make the manual pages, from the tools' own descriptions and that of the API
	@:

install: all man ## install below PREFIX (/usr/local); DESTDIR is put before it
	install -d $(addprefix $(DESTDIR),$(INSTALL_LUADIR) $(PREFIX)/bin $(PREFIX)/lib/pkgconfig) \
	  $(addprefix $(SHARE)/,shm/examples/embed shm/meta shm/cli man/man1 man/man3 \
	  bash-completion/completions)
	install -m 755 $(BUILD)/shm.so $(DESTDIR)$(INSTALL_LUADIR)/shm.so
	install -m 644 $(BUILD)/libshmx.a $(DESTDIR)$(PREFIX)/lib/libshmx.a
	install -m 755 $(BUILD)/libshmx.so $(DESTDIR)$(PREFIX)/lib/libshmx.so.$(VERSION)
	ln -sf libshmx.so.$(VERSION) $(DESTDIR)$(PREFIX)/lib/libshmx.so.$(SOVERSION)
	ln -sf libshmx.so.$(SOVERSION) $(DESTDIR)$(PREFIX)/lib/libshmx.so
	@for header in $(PUBLIC_HEADERS); do \
	  install -D -m 644 core/$$header $(DESTDIR)$(PREFIX)/include/shmx/$$header || exit 1; done
	printf '%s\n' 'Name: shmx' 'Description: shared memory that programs can trust' \
	  'Version: $(VERSION)' 'Cflags: -I$(PREFIX)/include/shmx' 'Libs: -L$(PREFIX)/lib -lshmx' \
	  'Libs.private: -pthread' > $(DESTDIR)$(PREFIX)/lib/pkgconfig/shmx.pc
	install -m 755 $(BUILD)/shmlua $(DESTDIR)$(PREFIX)/bin/shmlua
	install -m 644 $(BUILD)/libshmx_lua.a $(DESTDIR)$(PREFIX)/lib/libshmx_lua.a
	install -m 644 bindings/lua/shmx_lua.h $(DESTDIR)$(PREFIX)/include/shmx/shmx_lua.h
	printf '%s\n' 'Name: shmx_lua' 'Description: shared memory for programs that embed Lua' \
	  'Version: $(VERSION)' 'Requires: shmx' 'Cflags: -I$(LUA_INCDIR)' \
	  'Libs: -L$(PREFIX)/lib -lshmx_lua -lshmx -l$(LUA)' \
	  > $(DESTDIR)$(PREFIX)/lib/pkgconfig/shmx_lua.pc
	install -m 644 scripts/examples/*.lua $(DESTDIR)$(PREFIX)/share/shm/examples
	install -m 644 $(addprefix scripts/examples/embed/,embed.c Makefile) $(DESTDIR)$(PREFIX)/share/shm/examples/embed
	install -m 644 bindings/meta/shm.lua $(DESTDIR)$(PREFIX)/share/shm/meta/shm.lua
	install -m 755 scripts/shm $(DESTDIR)$(PREFIX)/bin/shm
	install -m 644 scripts/cli/*.lua $(SHARE)/shm/cli
	install -m 644 $(BUILD)/man/*.1 $(SHARE)/man/man1
	install -m 644 $(BUILD)/man/*.3lua $(SHARE)/man/man3
	install -m 644 scripts/completion/shm.bash $(SHARE)/bash-completion/completions/shm
	ln -sf shm $(SHARE)/bash-completion/completions/shmlua
	@test -n "$(DESTDIR)" || test $$(id -u) != 0 || ldconfig

uninstall: ## remove what install installed
	rm -f $(DESTDIR)$(INSTALL_LUADIR)/shm.so $(DESTDIR)$(PREFIX)/lib/libshmx.a \
	  $(DESTDIR)$(PREFIX)/lib/libshmx.so* $(DESTDIR)$(PREFIX)/lib/pkgconfig/shmx.pc \
	  $(addprefix $(DESTDIR)$(PREFIX)/,bin/shm bin/shmlua lib/libshmx_lua.a lib/pkgconfig/shmx_lua.pc) \
	  $(addprefix $(SHARE)/,man/man1/shm.1 man/man1/shmlua.1 man/man3/shm.3lua) \
	  $(addprefix $(SHARE)/bash-completion/completions/,shm shmlua)
	rm -rf $(DESTDIR)$(PREFIX)/include/shmx $(SHARE)/shm

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

check: programs $(if $(SANITIZE),,$(BUILD)/spec/models)
	@for test in $(TESTS); do spec/support/isolate $$test || exit 1; done
	@for target in arena queue dict; do spec/support/isolate $(BUILD)/spec/$${target}_replay \
	  spec/fuzz/corpus/$$target || exit 1; done
	@$(RUN) $(PRELOAD) spec/support/isolate $(BUSTED)
	@$(if $(SANITIZE),,cat $(BUILD)/spec/models)

# The models know nothing of what is built: they are run when one is changed.
$(BUILD)/spec/models: $(wildcard spec/model/*)
	@mkdir -p $(@D)
	@CC='$(CC)' spec/model/check.sh $(@D)/model >$@

# For the thread sanitizer, which knows neither processes nor what is loaded into a Lua without it.
threads: $(filter $(BUILD)/spec/threads%,$(TESTS))
	@for test in $^; do TSAN_OPTIONS=halt_on_error=1 spec/support/isolate $$test || exit 1; done

programs: $(LIBRARIES) $(BUILD)/shmlua $(PEERS) $(HOSTS) $(TESTS) $(BUILD)/spec/arena_replay \
  $(BUILD)/spec/queue_replay $(BUILD)/spec/dict_replay $(BUILD)/spec/lowlevel.so \
  $(BUILD)/spec/baseline.so $(BUILD)/spec/gcstress $(BUILD)/spec/counter

# ---- from sources to libraries ----

# Changes when the flags or the list of sources do, and then everything is built anew.
$(BUILD)/stamp: always
	@mkdir -p $(@D)
	@echo '$(CC) $(ALL_FLAGS) $(CORE_SOURCES) $(LUA_SOURCES) $(SHMLUA_SOURCES)' | cmp -s - $@ \
	  || echo '$(CC) $(ALL_FLAGS) $(CORE_SOURCES) $(LUA_SOURCES) $(SHMLUA_SOURCES)' > $@

$(BUILD)/obj/%.o: %.c $(BUILD)/stamp
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -c $< -o $@

$(LUA_OBJECTS) $(SHMLUA_OBJECTS) $(LUA_HOSTS:%.c=$(BUILD)/obj/%.o): \
  ALL_FLAGS += -isystem $(LUA_INCDIR)
$(LUA_OBJECTS) $(SHMLUA_OBJECTS): | $(LUA_INCDIR)/lua.h
$(LUA_INCDIR)/lua.h:
	@echo "lua.h is not in $(LUA_INCDIR): install liblua5.4-dev, or say LUA_INCDIR=..." >&2; exit 1

$(BUILD)/libshmx.a: $(CORE_OBJECTS)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/libshmx.so: $(CORE_OBJECTS)
	$(LINK_SHARED) -Wl,-soname,libshmx.so.$(SOVERSION) $^ -o $@

# The module has the core inside and shows luaopen_shm only.
$(BUILD)/shm.so: $(filter-out %/lembed.o,$(LUA_OBJECTS)) $(BUILD)/libshmx.a
	$(LINK_SHARED) -Wl,--exclude-libs,ALL $^ -o $@

# What a C host links, with libshmx and liblua, to hand objects to its scripts: lua/shmx_lua.h.
$(BUILD)/libshmx_lua.a: $(LUA_OBJECTS)
	rm -f $@ && ar rcs $@ $^

$(BUILD)/shmlua: $(SHMLUA_OBJECTS) $(BUILD)/libshmx_lua.a $(BUILD)/libshmx.a
	$(CC) $(ALL_FLAGS) $(LDFLAGS) $^ -o $@ -l$(LUA) -lm -ldl

MAN_SOURCES = $(wildcard scripts/man/*.lua scripts/cli/*.lua) bindings/meta/shm.lua
$(BUILD)/man/%: $(MAN_SOURCES)
	@mkdir -p $(@D)
	$(LUA) scripts/man/man.lua $* >$@

$(BUILD)/man/shmlua.1: $(MAN_SOURCES) $(BUILD)/shmlua
	@mkdir -p $(@D)
	$(BUILD)/shmlua --help | $(LUA) scripts/man/man.lua shmlua.1 >$@

# Peers are plain C programs, as the documents have them: no sanitizer, no library of ours.
$(BUILD)/spec/peer_%: spec/support/peer_%.c
	@mkdir -p $(@D)
	$(CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra $(CFLAGS) $< -o $@

# Hosts are C programs that use our library.
$(BUILD)/spec/host_%: $(BUILD)/obj/spec/support/host_%.o $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) $^ -o $@

$(BUILD)/spec/%_test: $(BUILD)/obj/spec/core/%_test.o $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS) -lcmocka

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
	$(CC) $(ALL_FLAGS) $^ -o $@ $(WRAP)

$(BUILD)/spec/%_fuzz: $(BUILD)/obj/spec/fuzz/%_fuzz.o $(WORLD) $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -fsanitize=fuzzer $^ -o $@ $(WRAP)

$(BUILD)/spec/lowlevel.so: $(BUILD)/obj/spec/support/lowlevel.o
	@mkdir -p $(@D)
	$(LINK_SHARED) $^ -o $@

$(BUILD)/spec/gcstress: $(BUILD)/obj/spec/support/gcstress.o
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -rdynamic $^ -o $@ -l$(LUA) -lm -ldl

$(BUILD)/spec/counter: $(BUILD)/obj/spec/support/counter.o $(BUILD)/libshmx_lua.a $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(CC) $(ALL_FLAGS) -no-pie -Wl,--wrap=luaS_hash,--wrap=shmx_random $^ -o $@ -l:lib$(LUA).a -lm -ldl

$(BUILD)/spec/baseline.so $(BUILD)/spec/redis.so $(BUILD)/spec/redis_list.so: $(BUILD)/spec/%.so: \
  $(BUILD)/obj/scripts/bench/%.o
	@mkdir -p $(@D)
	$(LINK_SHARED) $^ -o $@

$(BUILD)/spec/locks.so $(BUILD)/spec/channels.so $(BUILD)/spec/topics.so $(BUILD)/spec/tables.so: \
  $(BUILD)/spec/%.so: $(BUILD)/obj/scripts/bench/%.o $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(LINK_SHARED) -Wl,--exclude-libs,ALL $^ -o $@

# What the benchmarks compare with: of the libraries, those that are there.
contestants: $(LIBRARIES) $(patsubst %,$(BUILD)/spec/%.so,baseline locks channels topics tables redis redis_list \
  $(if $(wildcard /usr/include/zmq.h),zeromq) $(if $(wildcard /usr/include/lmdb.h),lmdb) \
  $(if $(wildcard /usr/include/boost/interprocess/ipc/message_queue.hpp),boost))

$(BUILD)/spec/zeromq.so: $(BUILD)/obj/scripts/bench/zeromq.o
	@mkdir -p $(@D)
	$(LINK_SHARED) $^ -o $@ -lzmq

$(BUILD)/spec/lmdb.so: $(BUILD)/obj/scripts/bench/lmdb.o
	@mkdir -p $(@D)
	$(LINK_SHARED) $^ -o $@ -llmdb

$(BUILD)/spec/boost.so: scripts/bench/boost.cpp scripts/bench/carrier.h scripts/bench/methods.h
	@mkdir -p $(@D)
	$(CXX) -shared -fPIC -pthread -Wall -Wextra -isystem $(LUA_INCDIR) $(CFLAGS) $< -o $@ -lrt

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
