/*
 * pos.c - a point of sale: a program in C that owns the loop, and a script in Lua that owns the orders.
 *
 *     pos pos.lua [URL]          l: the open orders, r: the last receipt again, q: the end of the day
 *
 * ordersync's C part is linked into the program and is found as `sync.core`; its Lua part is found by package.path,
 * where `make install` has put it. The script gives the program four functions, each from an integer to an integer:
 *
 *     fd()               the descriptor that says when there is something to do for orders
 *     timeout_ms()       how long the program may wait at most, -1: for ever
 *     step(budget_ms)    does it, for no longer than that; and
 *     key(byte)          a key was pressed; both give 0 when the program shall end
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

/* The module that is linked in: libordersync-lua5.4.a or libordersync-luajit.a. */
int luaopen_sync_core(lua_State *L);

/* A rush of orders must not make the keys wait: what is left after this long is done in the next turn. */
#define BUDGET_MS 5

/* Where the script's table is on the stack of run(). */
#define SHOP 3

static void preload(lua_State *L, const char *module, lua_CFunction open) {
  lua_getglobal(L, "package");
  lua_getfield(L, -1, "preload");
  lua_pushcfunction(L, open);
  lua_setfield(L, -2, module);
  lua_pop(L, 2);
}

/* What the script's function `name` makes of `argument`. */
static int ask(lua_State *L, const char *name, int argument) {
  lua_getfield(L, SHOP, name);
  lua_pushinteger(L, argument);
  lua_call(L, 1, 1);
  int answer = (int)luaL_checkinteger(L, -1);
  lua_pop(L, 1);
  return answer;
}

/* The keys that have been pressed, each to the script. 0: it wants to end, or the keyboard is gone. */
static int press_keys(lua_State *L) {
  unsigned char keys[64];
  ssize_t count = read(STDIN_FILENO, keys, sizeof keys);
  int open = count > 0;
  for (ssize_t i = 0; open && i < count; i++) open = ask(L, "key", keys[i]);
  return open;
}

/* The program's loop: it sleeps until a key is pressed or ordersync has something to do. */
static void turn(lua_State *L) {
  struct pollfd sources[] = {{.fd = STDIN_FILENO, .events = POLLIN}, {.fd = ask(L, "fd", 0), .events = POLLIN}};
  int open = 1;
  while (open) {
    if (poll(sources, 2, ask(L, "timeout_ms", 0)) < 0) {
      if (errno != EINTR) luaL_error(L, "poll: %s", strerror(errno));
      continue; /* a signal came: nothing in `sources` can be trusted */
    }
    open = ask(L, "step", BUDGET_MS);
    if (open && sources[0].revents) open = press_keys(L);
  }
}

/* run(script, url): protected, so that every error of Lua's, here and in the script, ends up in main(). */
static int run(lua_State *L) {
  luaL_openlibs(L);
  preload(L, "sync.core", luaopen_sync_core);
  if (luaL_loadfile(L, lua_tostring(L, 1)) != 0) return lua_error(L);
  lua_pushvalue(L, 2);
  lua_call(L, 1, 1);
  luaL_checktype(L, SHOP, LUA_TTABLE);
  turn(L);
  return 0;
}

int main(int argc, char **argv) {
  if (argc < 2) return fprintf(stderr, "usage: %s SCRIPT [URL]\n", argv[0]), 2;
  setvbuf(stdout, NULL, _IOLBF, 0); /* a printer is a pipe, and a receipt must not wait for the next one */
  lua_State *L = luaL_newstate();
  if (!L) return fputs("pos: no memory\n", stderr), 1;
  lua_pushcfunction(L, run);
  lua_pushstring(L, argv[1]);
  lua_pushstring(L, argc > 2 ? argv[2] : "http://127.0.0.1:8080");
  int failed = lua_pcall(L, 2, 0, 0);
  if (failed) fprintf(stderr, "pos: %s\n", lua_isstring(L, -1) ? lua_tostring(L, -1) : "an error without a text");
  lua_close(L); /* ends every stream, whatever it is doing */
  return failed != 0;
}
