/*
 * unload_test.c - a program that knows nothing of ordersync but where its module is: lua_close() unloads that, and
 * libcurl with it, while a name is being looked up on libcurl's thread.
 *
 * So this program must have neither linked in.
 */
#include "host.h"
#include "resolver.h"

static void a_look_up_outlives_the_module(void **state) {
  (void)state;
  lua_State *L = host_new();
  host_register(L, "resolving", resolver_in_lua, NULL);
  host_run(L, HOST_PRELUDE "connect 'http://shop.invalid' await(resolving)", NULL);
  lua_close(L);
  resolver_end();
}

int main(void) {
  static const struct CMUnitTest tests[] = {cmocka_unit_test(a_look_up_outlives_the_module)};
  return cmocka_run_group_tests(tests, resolver_set_up, NULL);
}
