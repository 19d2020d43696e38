# ordersync: `make demo` shows it, `make test` tests it; both first install what is missing (Debian packages).
# LUA=lua5.4 (the default) or LUA=luajit chooses the runtime. Everything built goes to build/.

LUA ?= lua5.4
CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local
RUNTIMES ?= lua5.4 luajit

OPT ?= -O2 -g
WARN = -Wall -Wextra -Wshadow -Wconversion -Werror
STD = -std=c11 -D_GNU_SOURCE
SANITIZE ?=
PKG_CONFIG ?= pkg-config
# Asked for when a file is compiled, for the packages may have been installed just before.
LIB_CFLAGS = $(shell $(PKG_CONFIG) --cflags libuv libcurl sqlite3)
LIB_LDLIBS = $(shell $(PKG_CONFIG) --libs libuv libcurl sqlite3) -lpthread -ldl -lm
LUA_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(LUA))
ALL_CFLAGS = $(STD) $(OPT) $(WARN) $(SANITIZE) -fPIC -fvisibility=hidden

# ---- what is built ----------------------------------------------------------------------------------------------

PROGRAMS = src/sse_replay.c
ENGINE = $(filter-out $(PROGRAMS) $(wildcard src/lua_*.c),$(wildcard src/*.c))
BINDING = $(wildcard src/lua_*.c)
HEADERS = $(wildcard src/*.h)
ENGINE_OBJECTS = $(ENGINE:src/%.c=$(BUILD)/engine/%.o)
BINDING_OBJECTS = $(BINDING:src/%.c=$(BUILD)/$(LUA)/%.o)
CORE = $(BUILD)/$(LUA)/sync/core.so
C_TESTS = $(patsubst spec/c/%.c,$(BUILD)/c/%,$(wildcard spec/c/*_test.c)) $(BUILD)/c/json_portable_test

.PHONY: all cores static demo demo-web test test-nginx test-web torture bench lint layers check-asan check-valgrind \
  check-tsan fuzz sse-replay c-tests embed-tests embed-c contract-service install clean deps web-deps
all: $(CORE)

cores:
	@for lua in $(RUNTIMES); do $(MAKE) --no-print-directory LUA=$$lua all || exit 1; done

$(BUILD)/engine/%.o: src/%.c $(HEADERS)
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(ALL_CFLAGS) $(LIB_CFLAGS) -c -o $@ $<

$(BUILD)/$(LUA)/%.o: src/%.c $(HEADERS)
	@mkdir -p $(@D)
	@echo "  CC     $< ($(LUA))"
	@$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) -c -o $@ $<

# Lua's own symbols come from the program that loads the module.
$(CORE): $(ENGINE_OBJECTS) $(BINDING_OBJECTS)
	@mkdir -p $(@D)
	@echo "  LINK   $@"
	@$(CC) $(SANITIZE) -shared $(LDFLAGS) -o $@ $^ $(LIB_LDLIBS)

# For programs in C: the engine, and beside it the module for Lua, of which only luaopen_sync_core can be seen.
static: $(BUILD)/libordersync.a $(BUILD)/libordersync-$(LUA).a

$(BUILD)/libordersync.a: $(ENGINE_OBJECTS)
$(BUILD)/libordersync-$(LUA).a: $(BUILD)/$(LUA)/module.o
$(BUILD)/%.a:
	@echo "  AR     $@"
	@rm -f $@
	@$(AR) rcs $@ $^

$(BUILD)/$(LUA)/module.o: $(BINDING_OBJECTS)
	@$(LD) -r -o $@ $^
	@objcopy --keep-global-symbol=luaopen_sync_core $@

sse-replay: $(BUILD)/sse-replay

$(BUILD)/sse-replay: src/sse_replay.c $(addprefix $(BUILD)/engine/,sse.o utf8.o buffer.o alloc.o)
	@echo "  LINK   $@"
	@$(CC) $(ALL_CFLAGS) -o $@ $^ -lcjson

# ---- environment of everything that runs ------------------------------------------------------------------------

# Debian keeps modules in pure Lua under 5.1, whatever the version.
SHARE = /usr/share/lua/5.1
export LUA_PATH = lua/?.lua;lua/?/init.lua;spec/?.lua;$(SHARE)/?.lua;$(SHARE)/?/init.lua;;
RUN = env LUA_CPATH="$(BUILD)/$(1)/?.so;;" SSE_REPLAY="$(BUILD)/sse-replay" \
  CLOCK_SHIFT_LIBRARY="$(abspath $(BUILD))/clock_shift.so" KILL_AT_LIBRARY="$(abspath $(BUILD))/kill_at.so" $(1)

# ---- packages ---------------------------------------------------------------------------------------------------

PACKAGES = gcc libc6-dev pkg-config libuv1-dev libcurl4-openssl-dev libsqlite3-dev libcjson-dev libcmocka-dev \
  lua5.4 liblua5.4-dev luajit2 libluajit2-5.1-dev lua-luv lua-cqueues lua-copas lua-cjson lua-socket lua-argparse \
  lua-sql-sqlite3 lua-busted lua-check luarocks clang-format cppcheck valgrind nginx libnginx-mod-nchan \
  libnginx-mod-http-lua redis-server nodejs tinyproxy microsocks openssl

deps:
	@.ci/install $(PACKAGES)

# ---- the two commands -------------------------------------------------------------------------------------------

demo: deps
	@$(MAKE) --no-print-directory all
	@$(call RUN,$(LUA)) bin/ordersync demo

# The closing line is the tally's: N passed, N failed.
test: deps web-deps
	@$(MAKE) --no-print-directory cores sse-replay c-tests embed-tests embed-c build/bench/blaster
	@CMOCKA_MESSAGE_OUTPUT=TAP $(SUITE_ENV) $(call RUN,lua5.4) .ci/tally.lua \
	  "layers" ".ci/as-tap make -s layers" "lint" ".ci/as-tap make -s lint" \
	  $(foreach t,$(C_TESTS),"C: $(notdir $(t))" "$(t)") \
	  $(call RUN_EMBED_TESTS,$(BUILD),$(RUNTIMES)) \
	  $(foreach t,$(FUZZ_TARGETS),"corpus: $(t)" "$(BUILD)/fuzz/$(t)_replay spec/fuzz/$(t)_corpus/*") \
	  $(foreach lua,$(RUNTIMES),"specs: $(lua)" '$(call RUN,$(lua)) /usr/bin/busted -o TAP') \
	  $(foreach lua,$(RUNTIMES),"examples: $(lua)" 'env EMBED_C="$(EMBED_C)/$(lua)" $(call RUN,$(lua)) examples/run.lua') \
	  "nginx" 'env BURST_EVENTS=200000 $(NGINX_SPECS)' \
	  "browser" '$(BROWSER_SPECS)' \
	  "torture" '$(call RUN,lua5.4) spec/torture/run.lua --every 30 --rounds 10' \
	  "rock" ".ci/as-tap .ci/rock"

# The proof of docs/guarantees.md: a client is killed at every system call that writes, and at random moments.
TORTURE_SEED ?= 1
TORTURE_EVENTS ?= 50
TORTURE_EVERY ?= 1
TORTURE_ROUNDS ?= 300
torture: deps
	@$(MAKE) --no-print-directory all $(BUILD)/kill_at.so
	@$(call RUN,$(LUA)) spec/torture/run.lua --seed $(TORTURE_SEED) --events $(TORTURE_EVENTS) \
	  --every $(TORTURE_EVERY) --rounds $(TORTURE_ROUNDS)

# Real nginx with the module in its workers, which are LuaJIT's. By itself: a million events, and other requests' 99th
# percentile; among other tests, which may share the machine, fewer, and the work of a turn in its place.
NGINX_SPECS = env RESTY_CPATH="$(abspath $(BUILD))/luajit/?.so" $(call RUN,lua5.4) /usr/bin/busted --run=nginx -o TAP
test-nginx: deps
	@$(MAKE) --no-print-directory cores build/bench/blaster
	@NGINX_P99=10 $(NGINX_SPECS)

# The order board of examples/openresty: to look at, until Ctrl-C; and in headless Chromium.
demo-web: PORT = 8090
demo-web: deps
	@$(MAKE) --no-print-directory LUA=luajit all
	@env PORT=$(PORT) LUA_CPATH="$(abspath $(BUILD))/luajit/?.so;;" examples/openresty/demo

BROWSER_SPECS = env RESTY_CPATH="$(abspath $(BUILD))/luajit/?.so" $(call RUN,lua5.4) /usr/bin/busted --run=browser -o TAP
test-web: deps web-deps
	@$(MAKE) --no-print-directory cores
	@$(BROWSER_SPECS)

web-deps:
	@.ci/install chromium

# The client as a contract-test service, for the public harness: docs/testing.md.
PORT ?= 8123
contract-service: deps
	@$(MAKE) --no-print-directory all
	@$(call RUN,$(LUA)) spec/contract/service.lua --port $(PORT)

bench: deps
	@$(MAKE) --no-print-directory cores $(BENCH_PROGRAMS)
	@lua5.4 bench/run.lua --lua lua5.4,luajit $(BENCH_FLAGS)

# ---- checks -----------------------------------------------------------------------------------------------------

layers:
	@lua5.4 .ci/layers.lua $(wildcard src/*.c) $(HEADERS)

LUA_FILES = lua spec .ci bench examples types bin/ordersync
lint:
	@luacheck -q $(wildcard $(LUA_FILES))
	@clang-format --dry-run -Werror $(wildcard src/*.[ch] spec/c/*.[ch] spec/fuzz/*.[ch] spec/embed/*.[ch] spec/support/*.c \
	  bench/*.[ch] examples/*/*.c)
	@cppcheck -q --std=c11 --enable=warning,performance,portability --inline-suppr --suppress=missingIncludeSystem \
	  --error-exitcode=1 -Isrc $(wildcard src/*.c)

# Each target's corpus and a fixed number of mutations: the short version of `make fuzz`.
FUZZ_TARGETS = sse json event snapshot redact
FUZZ_REPLAYS = $(FUZZ_TARGETS:%=$(BUILD)/fuzz/%_replay)

$(BUILD)/fuzz/%_replay: spec/fuzz/%_fuzz.c spec/fuzz/replay.c $(wildcard spec/c/*.h) $(ENGINE_OBJECTS)
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(ALL_CFLAGS) -Isrc -o $@ $< spec/fuzz/replay.c $(ENGINE_OBJECTS) $(LIB_LDLIBS) -lcjson

c-tests: $(C_TESTS) $(FUZZ_REPLAYS) $(BUILD)/clock_shift.so $(BUILD)/kill_at.so

# What is loaded before a child.
$(BUILD)/%.so: spec/support/%.c
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(STD) $(OPT) $(WARN) -fPIC -shared -o $@ $<

$(BUILD)/c/json_portable_test: spec/c/json_test.c src/json.c $(HEADERS)
	@mkdir -p $(@D)
	@echo "  CC     $< (portable scan)"
	@$(CC) $(ALL_CFLAGS) -DSYNC_JSON_PORTABLE -Isrc -o $@ spec/c/json_test.c src/json.c -lcmocka

$(BUILD)/c/%: spec/c/%.c $(wildcard spec/c/*.h) $(ENGINE_OBJECTS)
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(ALL_CFLAGS) $(LIB_CFLAGS) -Isrc -o $@ $< $(ENGINE_OBJECTS) $(LIB_LDLIBS) -lcmocka

# Tests that are programs in C with Lua inside. unload_test must not have libcurl itself, but its getaddrinfo() be seen.
EMBED_TESTS = $(patsubst spec/embed/%.c,%,$(wildcard spec/embed/*_test.c))
EMBED_LDLIBS = $(shell $(PKG_CONFIG) --libs $(LUA)) -Wl,--as-needed $(LIB_LDLIBS) -lcmocka
ARCHIVES = $(BUILD)/libordersync-$(LUA).a $(BUILD)/libordersync.a

embed-tests:
	@for lua in $(RUNTIMES); do $(MAKE) --no-print-directory LUA=$$lua embed-tests-$$lua || exit 1; done

embed-tests-$(LUA): $(EMBED_TESTS:%=$(BUILD)/$(LUA)/embed/%)

$(BUILD)/$(LUA)/embed/%: spec/embed/%.c $(wildcard spec/embed/*.h) $(ARCHIVES)
	@mkdir -p $(@D)
	@echo "  CC     $< ($(LUA))"
	@$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) -rdynamic -o $@ $< $(ARCHIVES) $(EMBED_LDLIBS)

# $(call RUN_EMBED_TESTS,BUILD,RUNTIMES,COMMAND): pairs for the tally
RUN_EMBED_TESTS = $(foreach lua,$(2),$(foreach t,$(EMBED_TESTS),"embedded $(lua): $(t)" \
  'env LUA_CPATH="$(1)/$(lua)/?.so;;" $(3) $(1)/$(lua)/embed/$(t)'))

# Instrumented code is slow: bursts of a million events are bursts of these there.
SMALL_BURSTS = BURST_EVENTS=20000

# The Lua program is not instrumented, so the runtime of the sanitizer is loaded before it.
ASAN = BUILD=build/asan SANITIZE="-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer" OPT="-O1 -g"
ASAN_ENV = ASAN_OPTIONS=detect_leaks=0 LD_PRELOAD="$$($(CC) -print-file-name=libasan.so) $$($(CC) -print-file-name=libubsan.so)"
check-asan: deps
	@$(MAKE) --no-print-directory $(ASAN) cores sse-replay c-tests embed-tests
	@CMOCKA_MESSAGE_OUTPUT=TAP lua5.4 .ci/tally.lua \
	  $(foreach t,$(C_TESTS:$(BUILD)/%=build/asan/%),"C: $(notdir $(t))" "$(t)") \
	  $(call RUN_EMBED_TESTS,build/asan,$(RUNTIMES),ASAN_OPTIONS=detect_leaks=0) \
	  $(foreach t,$(FUZZ_TARGETS),"corpus: $(t)" "build/asan/fuzz/$(t)_replay spec/fuzz/$(t)_corpus/*") \
	  $(foreach lua,$(RUNTIMES),"specs: $(lua)" 'env $(ASAN_ENV) $(SMALL_BURSTS) LUA_CPATH="build/asan/$(lua)/?.so;;" \
	    SSE_REPLAY=build/asan/sse-replay CLOCK_SHIFT_LIBRARY=build/asan/clock_shift.so $(lua) /usr/bin/busted -o TAP')

# Lua 5.4 only: valgrind does not know LuaJIT's generated code.
VALGRIND = valgrind -q --error-exitcode=99 --leak-check=full --errors-for-leak-kinds=definite --child-silent-after-fork=yes
check-valgrind: deps
	@$(MAKE) --no-print-directory LUA=lua5.4 all sse-replay c-tests embed-tests-lua5.4
	@CMOCKA_MESSAGE_OUTPUT=TAP lua5.4 .ci/tally.lua \
	  $(foreach t,$(C_TESTS),"C: $(notdir $(t))" "$(VALGRIND) $(t)") \
	  $(call RUN_EMBED_TESTS,build,lua5.4,$(VALGRIND)) \
	  "specs: lua5.4" 'env $(SMALL_BURSTS) LUA_CPATH="build/lua5.4/?.so;;" SSE_REPLAY=build/sse-replay \
	    $(VALGRIND) lua5.4 /usr/bin/busted -o TAP'

# Lua 5.4 only: LuaJIT tells libgcc of its machine code under a lock that the sanitizer does not follow. Without address
# randomization, for newer kernels put libraries where the sanitizer has its shadow.
TSAN = BUILD=build/tsan SANITIZE=-fsanitize=thread OPT="-O1 -g" RUNTIMES=lua5.4
check-tsan: deps
	@$(MAKE) --no-print-directory $(TSAN) cores embed-tests
	@CMOCKA_MESSAGE_OUTPUT=TAP lua5.4 .ci/tally.lua \
	  $(call RUN_EMBED_TESTS,build/tsan,lua5.4,TSAN_OPTIONS=suppressions=spec/embed/tsan.supp setarch -R)

# On clang's libFuzzer, FUZZ_SECONDS for each. New findings stay in build/fuzz.
FUZZ_SECONDS ?= 60
FUZZ_SOURCES = $(addprefix src/,sse.c utf8.c buffer.c alloc.c json.c event.c segment.c options.c error.c \
  map.c timestamp.c fingerprint.c object.c merge.c order.c stamp.c change.c snapshot.c book.c record.c redact.c)
fuzz:
	@.ci/install clang libclang-rt-14-dev libcjson-dev
	@mkdir -p $(FUZZ_TARGETS:%=build/fuzz/%)
	@for target in $(FUZZ_TARGETS); do \
	  clang $(STD) -O1 -g -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all -Isrc \
	    -o build/fuzz/$${target}_fuzz spec/fuzz/$${target}_fuzz.c $(FUZZ_SOURCES) -lcjson && \
	  build/fuzz/$${target}_fuzz -max_total_time=$(FUZZ_SECONDS) build/fuzz/$$target spec/fuzz/$${target}_corpus \
	    || exit 1; \
	done

# ---- install ----------------------------------------------------------------------------------------------------

LUA_VERSION = $(if $(findstring jit,$(LUA)),5.1,$(LUA:lua%=%))
INSTALL_LUA = $(DESTDIR)$(PREFIX)/share/lua/$(LUA_VERSION)
INSTALL_LIB = $(DESTDIR)$(PREFIX)/lib/lua/$(LUA_VERSION)
INSTALL_C = $(DESTDIR)$(PREFIX)/lib
VERSION = $(shell sed -n 's/^#define SYNC_VERSION "\(.*\)"/\1/p' src/sync.h)
PC = sed 's|@PREFIX@|$(PREFIX)|; s|@VERSION@|$(VERSION)|; s|@LUA@|$(LUA)|'
install: all static
	install -d $(INSTALL_LIB)/sync $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/include/ordersync $(INSTALL_C)/pkgconfig
	install -m 755 $(CORE) $(INSTALL_LIB)/sync/core.so
	install -m 644 src/sync.h $(DESTDIR)$(PREFIX)/include/ordersync/sync.h
	install -m 644 $(BUILD)/libordersync.a $(BUILD)/libordersync-$(LUA).a $(INSTALL_C)
	$(PC) src/ordersync.pc.in >$(INSTALL_C)/pkgconfig/ordersync.pc
	$(PC) src/ordersync-lua.pc.in >$(INSTALL_C)/pkgconfig/ordersync-$(LUA).pc
	cd lua && find . -name '*.lua' -exec install -D -m 644 {} $(INSTALL_LUA)/{} \;
	install -m 755 bin/ordersync $(DESTDIR)$(PREFIX)/bin/ordersync

# The examples in C, built as a newcomer does: against what has been installed.
EMBED_C = $(BUILD)/embed-c
EMBED_C_ROOT = $(abspath $(EMBED_C))/root
embed-c:
	@for lua in $(RUNTIMES); do \
	  $(MAKE) -s LUA=$$lua PREFIX=$(EMBED_C_ROOT) install >/dev/null && \
	  PKG_CONFIG_PATH=$(EMBED_C_ROOT)/lib/pkgconfig \
	    $(MAKE) -s -C examples/embed-c LUA=$$lua OUT=$(abspath $(EMBED_C))/$$lua || exit 1; \
	done

clean:
	rm -rf build

include bench/bench.mk
