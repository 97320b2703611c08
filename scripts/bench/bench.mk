# bench.mk: what make bench, bench-peers and plots do, and what they build.

# What make bench measures, in this order, and the folder for what it finds.
RESULTS ?= $(BUILD)
BENCHMARKS = segment view lock channel topic dict scale

BENCH_PACKAGES = $(DEMO_PACKAGES) g++ libboost-dev libzmq3-dev python3-numpy
PEERS_PACKAGES = liblmdb-dev redis-tools php-cli php-apcu nginx libnginx-mod-http-lua perl \
  python3-sysv-ipc
PLOTS_PACKAGES = lua5.4 gnuplot-nox

.PHONY: bench bench-peers plots contestants

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

$(BUILD)/spec/baseline.so $(BUILD)/spec/redis.so $(BUILD)/spec/redis_list.so: $(BUILD)/spec/%.so: \
  $(BUILD)/obj/scripts/bench/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) $^ -o $@

$(BUILD)/spec/locks.so $(BUILD)/spec/channels.so $(BUILD)/spec/topics.so $(BUILD)/spec/tables.so: \
  $(BUILD)/spec/%.so: $(BUILD)/obj/scripts/bench/%.o $(BUILD)/libshmx.a
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) -Wl,--exclude-libs,ALL $^ -o $@

# What the benchmarks compare with: of the libraries, those that are there.
contestants: $(LIBRARIES) $(patsubst %,$(BUILD)/spec/%.so,baseline locks channels topics tables redis redis_list \
  $(if $(wildcard /usr/include/zmq.h),zeromq) $(if $(wildcard /usr/include/lmdb.h),lmdb) \
  $(if $(wildcard /usr/include/boost/interprocess/ipc/message_queue.hpp),boost))

$(BUILD)/spec/zeromq.so: $(BUILD)/obj/scripts/bench/zeromq.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) $^ -o $@ -lzmq

$(BUILD)/spec/lmdb.so: $(BUILD)/obj/scripts/bench/lmdb.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(LINK_SHARED) $^ -o $@ -llmdb

$(BUILD)/spec/boost.so: scripts/bench/boost.cpp scripts/bench/carrier.h scripts/bench/methods.h
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CXX) -shared -fPIC -pthread -Wall -Wextra -isystem $(LUA_INCDIR) $(CFLAGS) $< -o $@ -lrt
