/* close_test.c - lua_close() at every moment that a client can be in: it is immediate, and leaves nothing. */
#include "host.h"
#include "resolver.h"

static struct server server;

/* requests(): how many the server has seen */
static int requests(lua_State *L) {
  lua_pushinteger(L, (lua_Integer)server_requests(lua_touserdata(L, lua_upvalueindex(1))));
  return 1;
}

static const struct moment {
  const char *name;
  const char *chunk;
} moments[] = {
    {"before anything", "local url = ..."},
    {"before the first step", "connect((...) .. '/silent')"},
    {"in the middle of a TLS handshake", "local before = requests() connect(((...):gsub('http:', 'https:')))\n"
                                         "await(function() return requests() > before end)"},
    {"while the answer is awaited", "local before = requests() connect((...) .. '/silent')\n"
                                    "await(function() return requests() > before end)"},
    {"in the middle of the head", "local before = requests() connect((...) .. '/head')\n"
                                  "await(function() return requests() > before end)\n"
                                  "sync.step(0)"},
    {"while connected", "connected((...) .. '/open')"},
    {"while twenty are connected", "for _ = 1, 20 do connected((...) .. '/open') end"},
    {"in the middle of an event", "local client = connect((...) .. '/half')\n"
                                  "await(function() return client:metrics().total_bytes > 0 end)"},
    {"with events that wait", "local client = connect((...) .. '/burst') client:next(0)\n"
                              "await(function() return client:metrics().queue_depth > 5 end)"},
    {"while paused by back-pressure", "local client = connect((...) .. '/burst', { queue_limit = 2 }) client:next(0)\n"
                                      "await(function() return client:metrics().pauses > 0 end)"},
    {"while it backs off",
     "local client = connect((...) .. '/refuse', { reconnect_delay_ms = 3600000, max_reconnect_delay_ms = 3600000 })\n"
     "await(function() return client:health().next_retry_at end)"},
    {"after it has given up", "local client = connect((...) .. '/refuse', { auto_reconnect = false })\n"
                              "await(function() return client:health().error end)"},
    {"while a token is asked for", "connect((...) .. '/open', { token = function() return 'secret' end })"},
    {"while it polls", "local before = requests()\n"
                       "connect(..., { mode = 'poll', polling = { url = '/silent' } })\n"
                       "await(function() return requests() > before end)"},
    {"with a handler that has yielded", "local client, url = nil, ...\n"
                                        "running = coroutine.create(function()\n"
                                        "  client = connect(url .. '/burst')\n"
                                        "  client:subscribe(function(event) seen = event coroutine.yield() end)\n"
                                        "  sync.run()\n"
                                        "end)\n"
                                        "assert(coroutine.resume(running))\n"
                                        "assert(seen and coroutine.status(running) == 'suspended')"},
    {"with the coroutine that made it dead", "local url, client = ...\n"
                                             "local dying = coroutine.create(function()\n"
                                             "  client = connect(url .. '/burst')\n"
                                             "  client:subscribe(function(event) seen = event end)\n"
                                             "  error 'the end'\n"
                                             "end)\n"
                                             "assert(not coroutine.resume(dying))\n"
                                             "dying = nil collectgarbage() collectgarbage()\n"
                                             "await(function() return seen end)"},
    {"with events that outlive their client", "local client = connect((...) .. '/burst')\n"
                                              "kept = {}\n"
                                              "client:subscribe(function(event) kept[#kept + 1] = event end)\n"
                                              "await(function() return #kept > 5 end)\n"
                                              "client:close() client = nil collectgarbage()"},
    {"with an error under way", "local client = connected((...) .. '/open')\n"
                                "client:on_state(function() error(setmetatable({}, { __tostring = error })) end)\n"
                                "client:disconnect() sync.step(0)"},
    {"after something raised in the middle of it", "connected((...) .. '/open')\n"
                                                   "pcall(function() sync.step('soon') end)"},
};

static void close_at(const struct moment *moment) {
  lua_State *L = host_open();
  host_register(L, "requests", requests, &server);
  host_run(L, moment->chunk, server.url);
  lua_close(L);
  server_await_end(&server, 0);
}

static void a_state_closes_at_every_moment_and_leaves_nothing(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) close_at(&moments[i]); /* what is made once is made */
  size_t descriptors = entries_of("/proc/self/fd");
  for (size_t i = 0; i < sizeof moments / sizeof *moments; i++) {
    close_at(&moments[i]);
    if (entries_of("/proc/self/fd") != descriptors) fail_msg("a descriptor is left open: closed %s", moments[i].name);
  }
}

/* The look-up cannot be interrupted; the state closes all the same, and the look-up's end finds nothing of it. */
static void a_state_closes_while_a_name_is_looked_up(void **state) {
  (void)state;
  lua_State *L = host_open();
  host_register(L, "resolving", resolver_in_lua, NULL);
  host_run(L, "connect 'http://shop.invalid' await(resolving)", NULL);
  lua_close(L);
  resolver_end();
}

static void many_states_close_in_any_order(void **state) {
  (void)state;
  lua_State *states[8];
  for (int i = 0; i < 8; i++) states[i] = host_open();
  for (int i = 0; i < 8; i++) host_run(states[i], "connected((...) .. '/open')", server.url);
  for (int i = 0; i < 8; i += 2) lua_close(states[i]);
  server_await_end(&server, 4); /* the other four go on */
  for (int i = 1; i < 8; i += 2) host_run(states[i], "assert(sync.step(0)) assert(sync.health().is_connected)", NULL);
  for (int i = 7; i > 0; i -= 2) lua_close(states[i]);
  server_await_end(&server, 0);
}

static int set_up(void **state) {
  server_open(&server);
  return resolver_set_up(state);
}

static int tear_down(void **state) {
  (void)state;
  server_close(&server);
  return 0;
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_state_closes_at_every_moment_and_leaves_nothing),
      cmocka_unit_test(a_state_closes_while_a_name_is_looked_up),
      cmocka_unit_test(many_states_close_in_any_order),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
