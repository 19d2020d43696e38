/*
 * fork_test.c - programs with Lua inside that fork: the child has no part in its parent's streams, whatever it calls,
 * and may open its own.
 */
#include "host.h"

#include <sys/wait.h>

static struct server server;
static lua_State *parent;

static int set_up(void **state) {
  (void)state;
  server_open(&server);
  parent = host_open();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lua_close(parent);
  server_close(&server);
  return 0;
}

/* A child closes the state as a program does that ends. What is its parent's is leaked there on purpose; another
 * program in its place, as after most forks, leaves valgrind nothing to count. */
_Noreturn static void end_child(bool ok) {
  const char *verdict = ok ? "true" : "false";
  lua_close(parent);
  execlp(verdict, verdict, (char *)NULL);
  _exit(2);
}

_Noreturn static void live_as_child(const char *chunk, const char *url) {
  bool ok = host_try(parent, chunk, url);
  if (!ok) (void)fprintf(stderr, "in the child: %s\n", lua_tostring(parent, -1));
  end_child(ok);
}

static void await_child(pid_t child) {
  int status;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

static void run_in_child(const char *chunk) {
  pid_t child = fork();
  if (child == 0) live_as_child(chunk, server.url);
  await_child(child);
}

static void connect_parent(void) {
  host_run(parent,
           "client = connected((...) .. '/open')\n"
           "client:subscribe(function(event) latest = event.id end)",
           server.url);
}

/* The parent's stream is open, and an event comes over it at once. */
static void check_parent(int id) {
  char chunk[128];
  server_await_end(&server, 1);
  server_tell(&server, id);
  (void)snprintf(chunk, sizeof chunk,
                 "await(function() return latest == '%d' end) assert(sync.metrics().total_connections == 1)", id);
  host_run(parent, chunk, NULL);
}

static void a_program_may_fork_before_it_connects(void **state) {
  (void)state;
  run_in_child("assert(select(3, sync.step(0)) == 'FORKED')\n" /* the loop that `require` made */
               "connected((...) .. '/open')\n"
               "assert(sync.step(0))");
  server_await_end(&server, 0);
  connect_parent();
  check_parent(1);
}

static void a_child_that_ends_leaves_the_parents_stream_alone(void **state) {
  (void)state;
  connect_parent();
  run_in_child("");
  check_parent(1);
  run_in_child("sync.close() collectgarbage()");
  check_parent(2);
}

static void in_a_child_all_that_was_its_parents_says_forked(void **state) {
  (void)state;
  connect_parent();
  run_in_child("local function forked(_, _, code) assert(code == 'FORKED') end\n"
               "forked(sync.step(0)) forked(sync.step(100)) forked(sync.run())\n"
               "for _, name in ipairs { 'connect', 'disconnect', 'reconnect', 'network_changed' } do\n"
               "  forked(client[name](client))\n"
               "end\n"
               "forked(sync.configure { order_id = 'ORDER-1' }) forked(sync.subscribe(print))\n"
               "forked(sync.next(0))\n"
               "assert(sync.timeout_ms() == -1)");
  check_parent(1);
}

static void a_child_opens_clients_of_its_own_beside_its_parents(void **state) {
  (void)state;
  connect_parent();
  run_in_child("local url, ids = ..., {}\n"
               "local client = connect(url .. '/burst', { reconnect_delay_ms = 1, max_reconnect_delay_ms = 1 })\n"
               "client:subscribe(function(event) ids[#ids + 1] = event.id if #ids == 200 then client:close() end end)\n"
               "assert(sync.run())\n"
               "for number = 1, 200 do assert(ids[number] == tostring(number)) end\n");
  check_parent(1);
}

/* fork(): 0 in the child, and the parent has waited for it */
static int fork_in_lua(lua_State *L) {
  pid_t child = fork();
  if (child > 0) await_child(child);
  lua_pushinteger(L, child);
  return 1;
}

/* Both go on with the same step; the events behind the one under way are the parent's only. */
static void a_handler_may_fork(void **state) {
  (void)state;
  host_register(parent, "fork", fork_in_lua, NULL);
  bool ok =
      host_try(parent,
               "local client = connect((...) .. '/burst', { reconnect_delay_ms = 1, max_reconnect_delay_ms = 1 })\n"
               "local ids = {}\n"
               "client:subscribe(function(event)\n"
               "  ids[#ids + 1] = event.id\n"
               "  if #ids == 10 then child = fork() == 0 end\n"
               "  if #ids == 200 then client:close() end\n"
               "end)\n"
               "repeat local ok, _, code = sync.step(100, 1) until not ok or client:health().state == 'closed'\n"
               "if child then return assert(#ids == 10 and select(3, sync.step(0)) == 'FORKED') end\n"
               "for number = 1, 200 do assert(ids[number] == tostring(number)) end\n",
               server.url);
  lua_getglobal(parent, "child");
  if (lua_toboolean(parent, -1)) end_child(ok);
  assert_true(ok);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  static const struct CMUnitTest tests[] = {
      TEST(a_program_may_fork_before_it_connects),
      TEST(a_child_that_ends_leaves_the_parents_stream_alone),
      TEST(in_a_child_all_that_was_its_parents_says_forked),
      TEST(a_child_opens_clients_of_its_own_beside_its_parents),
      TEST(a_handler_may_fork),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
