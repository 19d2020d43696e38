# ordersync: `make demo` shows it, `make test` tests it; both first install what is missing (Debian packages).
# LUA=lua5.4 (the default) or LUA=luajit chooses the runtime; everything built goes to build/.

LUA ?= lua5.4
CC ?= gcc
BUILD ?= build
PREFIX ?= /usr/local

OPT ?= -O2 -g
WARN = -Wall -Wextra -Wshadow -Wconversion -Werror
STD = -std=c11 -D_GNU_SOURCE
PKG_CONFIG ?= pkg-config
LIBS = libuv libcurl
# Only asked for once the packages are there: see `deps`.
LIB_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(LIBS))
LIB_LDLIBS = $(shell $(PKG_CONFIG) --libs $(LIBS)) -lpthread
LUA_PC = $(if $(findstring jit,$(LUA)),luajit,$(if $(findstring 5.3,$(LUA)),lua5.3,lua5.4))
LUA_CFLAGS = $(shell $(PKG_CONFIG) --cflags $(LUA_PC))
CFLAGS ?=
ALL_CFLAGS = $(STD) $(OPT) $(WARN) $(LIB_CFLAGS) $(CFLAGS)

# ---- what is built -----------------------------------------------------------------------------------------------

PROGRAMS = src/sse_replay.c
ENGINE = $(filter-out $(PROGRAMS) $(wildcard src/lua_*.c),$(wildcard src/*.c))
BINDING = $(wildcard src/lua_*.c)
HEADERS = $(wildcard src/*.h)
ENGINE_OBJECTS = $(ENGINE:src/%.c=$(BUILD)/engine/%.o)
BINDING_OBJECTS = $(BINDING:src/%.c=$(BUILD)/$(LUA)/%.o)
CORE = $(BUILD)/$(LUA)/sync/core.so
SHARED = -shared -fPIC
# A name look-up may still run when Lua unloads the module: its code must stay.
LINK = -Wl,-z,nodelete -Wl,-z,defs

.PHONY: all
all: $(CORE)

$(BUILD)/engine/%.o: src/%.c $(HEADERS)
	@mkdir -p $(@D)
	@echo "  CC     $<"
	@$(CC) $(ALL_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

$(BUILD)/$(LUA)/%.o: src/%.c $(HEADERS)
	@mkdir -p $(@D)
	@echo "  CC     $< ($(LUA))"
	@$(CC) $(ALL_CFLAGS) $(LUA_CFLAGS) -fPIC -fvisibility=hidden -c -o $@ $<

# Lua's own symbols come from the program that loads the module, so they may stay undefined.
$(CORE): $(ENGINE_OBJECTS) $(BINDING_OBJECTS)
	@mkdir -p $(@D)
	@echo "  LINK   $@"
	@$(CC) $(SHARED) -Wl,-z,nodelete $(LDFLAGS) -o $@ $^ $(LIB_LDLIBS)
