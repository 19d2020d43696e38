/* threads_test.c - several threads, each with Lua states of its own, each state with clients: they do not meet. */
#include "host.h"

#define THREADS 4
#define ROUNDS  3

/* Three clients get all of the server's events, once and in order, through the cuts between its portions. */
static const char take_all[] = "local url, clients = ..., {}\n"
                               "for number = 1, 3 do\n"
                               "  local client = connect(url, { reconnect_delay_ms = 1, max_reconnect_delay_ms = 1 })\n"
                               "  local ids = {}\n"
                               "  client:subscribe(function(event)\n"
                               "    ids[#ids + 1] = event.id\n"
                               "    if #ids == 200 then client:close() end\n"
                               "  end)\n"
                               "  clients[number] = ids\n"
                               "end\n"
                               "sync.run()\n"
                               "for _, ids in ipairs(clients) do\n"
                               "  for number = 1, 200 do assert(ids[number] == tostring(number)) end\n"
                               "end\n";

/* Two that are in the middle of it when the state closes. */
static const char take_some[] = "local url, seen = ..., 0\n"
                                "for _ = 1, 2 do\n"
                                "  connect(url):subscribe(function() seen = seen + 1 end)\n"
                                "end\n"
                                "await(function() return seen > 20 end)\n";

struct worker {
  pthread_t thread;
  char url[80];
  char wrong[256]; /* what it has to complain of */
};

static bool play(struct worker *worker, const char *chunk) {
  lua_State *L = host_open();
  bool ok = host_try(L, chunk, worker->url);
  if (!ok) (void)snprintf(worker->wrong, sizeof worker->wrong, "%s", lua_tostring(L, -1));
  lua_close(L);
  return ok;
}

static void *work(void *arg) {
  struct worker *worker = arg;
  for (int round = 0; round < ROUNDS; round++)
    if (!play(worker, take_all) || !play(worker, take_some)) break;
  return NULL;
}

static struct server server;

static void states_of_several_threads_do_not_meet(void **state) {
  (void)state;
  struct worker workers[THREADS];
  server_open(&server);
  for (int i = 0; i < THREADS; i++) {
    workers[i] = (struct worker){.wrong = ""};
    (void)snprintf(workers[i].url, sizeof workers[i].url, "%s/burst", server.url);
    assert_int_equal(pthread_create(&workers[i].thread, NULL, work, &workers[i]), 0);
  }
  for (int i = 0; i < THREADS; i++) assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  for (int i = 0; i < THREADS; i++) assert_string_equal(workers[i].wrong, "");
  server_close(&server);
}

int main(void) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(states_of_several_threads_do_not_meet)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
