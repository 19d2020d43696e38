# bench.mk: the programs of the bench; included by the Makefile. Everything goes to build/bench.

BENCH_PROGRAMS := build/bench/blaster build/bench/yardstick build/bench/parser build/bench/journal
BENCH_PACKAGES := libcurl libuv libcjson
BENCH_CFLAGS   = $(STD) $(WARN) -O2

build/bench/blaster: bench/blaster.c bench/wire.c bench/wire.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $(filter %.c,$^)

build/bench/yardstick: bench/yardstick.c bench/transport.c bench/wire.c bench/transport.h bench/wire.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) $$(pkg-config --cflags $(BENCH_PACKAGES)) -o $@ $(filter %.c,$^) \
	  $$(pkg-config --libs $(BENCH_PACKAGES))

build/bench/parser: bench/parser.c bench/wire.c src/sse.c src/utf8.c src/buffer.c src/alloc.c \
                    bench/wire.h src/sse.h src/utf8.h src/buffer.h src/alloc.h src/sync.h
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -Isrc -o $@ $(filter %.c,$^)

# The engine as the module has it, objects and all.
build/bench/journal: bench/journal.c bench/wire.c bench/wire.h $(HEADERS) $(ENGINE_OBJECTS)
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -Isrc $(LIB_CFLAGS) -o $@ $(filter %.c %.o,$^) $(LIB_LDLIBS)

build/bench/fanout: bench/fanout.c
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -o $@ $<

# What one hub serves: docs/scale.md.
.PHONY: bench-hub
bench-hub: deps build/bench/fanout
	@lua5.4 bench/fanout.lua
