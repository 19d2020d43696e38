/*
 * resolver.h - the C library's name look-up, in the hands of a test: it lasts until the test lets it end. The program's
 * getaddrinfo() takes the place of the library's in libcurl.
 *
 * `localhost` and numbers never get here: libcurl knows them by itself.
 */
#ifndef EMBED_RESOLVER_H
#define EMBED_RESOLVER_H

#include <dirent.h>
#include <netdb.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>

#include <lua.h>

static atomic_int resolver_begun;
static sem_t resolver_may_end;

__attribute__((visibility("default"))) int getaddrinfo(const char *node, const char *service,
                                                       const struct addrinfo *hints, struct addrinfo **result) {
  (void)node, (void)service, (void)hints, (void)result;
  atomic_fetch_add(&resolver_begun, 1);
  sem_wait(&resolver_may_end);
  return EAI_NONAME;
}

static inline int resolver_set_up(void **state) {
  (void)state;
  return sem_init(&resolver_may_end, 0, 0);
}

static inline size_t entries_of(const char *path) {
  size_t count = 0;
  DIR *directory = opendir(path);
  while (readdir(directory)) count++;
  closedir(directory);
  return count;
}

/* Lets the look-up end, and waits until its thread has gone: it has libcurl's code to run after getaddrinfo(). */
static inline void resolver_end(void) {
  size_t threads = entries_of("/proc/self/task");
  sem_post(&resolver_may_end);
  while (entries_of("/proc/self/task") >= threads) sched_yield();
}

/* A chunk's resolving(): whether a name is being looked up. */
static inline int resolver_in_lua(lua_State *L) {
  lua_pushboolean(L, atomic_load(&resolver_begun) > 0);
  return 1;
}

#endif
