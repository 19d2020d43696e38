/*
 * waker.c - a thread that waits in place of a host that cannot, and tells it by a byte on a unix socket.
 *
 * The thread touches descriptors only, never the loop: what is to be done the host does, in its own thread. Between a
 * byte and the next sync_waker_arm() the thread is deaf, so a host that is busy is not told again and again.
 */
#include "sync.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define SOCKET_NAME "/socket"

/* A datagram is a ring; whoever has this many waiting needs no more. */
#define RINGS_READ_MOST 64

struct sync_waker {
  int fd;       /* what is watched; the host's */
  int listener; /* until the first arm */
  int host;     /* the host's end is connected to this, from the first arm on */
  int bell;
  int control; /* an eventfd: commands wait in the fields below */
  atomic_int timeout_ms;
  atomic_bool over;
  bool running;
  pid_t pid; /* whose it is: a child has the memory, but not the thread */
  pthread_t thread;
  char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
  char name[48];
};

/* ---- addresses --------------------------------------------------------------------------------------------------- */

static bool make_directory(struct sync_waker *waker) {
  const char *base = getenv("TMPDIR");
  int length = snprintf(waker->path, sizeof waker->path, "%s/ordersync-XXXXXX", base && *base ? base : "/tmp");
  if (length < 0 || (size_t)length + sizeof SOCKET_NAME > sizeof waker->path || !mkdtemp(waker->path)) {
    waker->path[0] = '\0';
    return false;
  }
  memcpy(waker->path + length, SOCKET_NAME, sizeof SOCKET_NAME);
  return true;
}

/* Out of the file system, where nothing must be left of a process that is killed. */
static void remove_directory(struct sync_waker *waker) {
  if (!waker->path[0]) return;
  (void)unlink(waker->path);
  *strrchr(waker->path, '/') = '\0';
  (void)rmdir(waker->path);
  waker->path[0] = '\0';
}

/* A name in the abstract namespace begins with a NUL and is not terminated; its end is its length. */
static socklen_t abstract_address(struct sockaddr_un *address, const char *name) {
  size_t length = strnlen(name, sizeof address->sun_path - 1);
  *address = (struct sockaddr_un){.sun_family = AF_UNIX};
  memcpy(address->sun_path + 1, name, length);
  return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + length);
}

static bool open_listener(struct sync_waker *waker) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  if (!make_directory(waker)) return false;
  memcpy(address.sun_path, waker->path, strlen(waker->path));
  waker->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return waker->listener >= 0 && bind(waker->listener, (struct sockaddr *)&address, sizeof address) == 0 &&
         listen(waker->listener, 1) == 0;
}

static bool open_bell(struct sync_waker *waker) {
  struct sockaddr_un address;
  unsigned char chance[8];
  if (getrandom(chance, sizeof chance, 0) != sizeof chance) return false;
  int length = snprintf(waker->name, sizeof waker->name, "ordersync-%ld-", (long)waker->pid);
  for (size_t i = 0; i < sizeof chance; i++) length += snprintf(waker->name + length, 3, "%02x", chance[i]);
  waker->bell = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (waker->bell < 0) return false;
  return bind(waker->bell, (struct sockaddr *)&address, abstract_address(&address, waker->name)) == 0;
}

/* ---- the thread -------------------------------------------------------------------------------------------------- */

static void silence_bell(const struct sync_waker *waker) {
  char byte;
  for (int rings = 0; rings < RINGS_READ_MOST && recv(waker->bell, &byte, 1, 0) >= 0; rings++) {
  }
}

/* Waits for the next command. false: it is to end. */
static bool await_command(struct sync_waker *waker) {
  uint64_t commands;
  ssize_t got;
  do got = read(waker->control, &commands, sizeof commands);
  while (got < 0 && errno == EINTR);
  return got == sizeof commands && !atomic_load(&waker->over);
}

/* Waits for something to tell. false: a command came first. */
static bool await_news(const struct sync_waker *waker) {
  struct pollfd watched[] = {
      {.fd = waker->control, .events = POLLIN},
      {.fd = waker->fd, .events = POLLIN},
      {.fd = waker->bell, .events = POLLIN},
  };
  int ready;
  do ready = poll(watched, sizeof watched / sizeof *watched, atomic_load(&waker->timeout_ms));
  while (ready < 0 && errno == EINTR);
  if (watched[0].revents) return false;
  if (watched[2].revents) silence_bell(waker);
  return true;
}

static void *run(void *arg) {
  struct sync_waker *waker = arg;
  while (await_command(waker))
    if (await_news(waker) && send(waker->host, "", 1, MSG_NOSIGNAL) < 0) break; /* the host has left */
  shutdown(waker->host, SHUT_RDWR);
  return NULL;
}

static bool command(const struct sync_waker *waker) {
  const uint64_t one = 1;
  return write(waker->control, &one, sizeof one) == sizeof one;
}

/* The process's signals are for the host's threads. */
static bool start_thread(struct sync_waker *waker) {
  sigset_t all, before;
  sigfillset(&all);
  if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0) return false;
  waker->running = pthread_create(&waker->thread, NULL, run, waker) == 0;
  (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
  return waker->running;
}

/* ---- the waker --------------------------------------------------------------------------------------------------- */

static bool is_ours(const sync_waker *waker) {
  return waker->pid == getpid();
}

sync_waker *sync_waker_new(int fd) {
  sync_waker *waker = malloc(sizeof *waker);
  if (!waker) return NULL;
  *waker = (sync_waker){.fd = fd, .listener = -1, .host = -1, .bell = -1, .pid = getpid()};
  atomic_init(&waker->timeout_ms, -1);
  atomic_init(&waker->over, false);
  waker->control = eventfd(0, EFD_CLOEXEC);
  if (waker->control < 0 || !open_bell(waker) || !open_listener(waker)) goto fail;
  return waker;

fail:
  sync_waker_free(waker);
  return NULL;
}

static void close_descriptor(int fd) {
  if (fd >= 0) (void)close(fd);
}

void sync_waker_free(sync_waker *waker) {
  if (!waker || !is_ours(waker)) return;
  atomic_store(&waker->over, true);
  if (waker->running && command(waker)) (void)pthread_join(waker->thread, NULL);
  remove_directory(waker);
  close_descriptor(waker->listener);
  close_descriptor(waker->host);
  close_descriptor(waker->bell);
  close_descriptor(waker->control);
  free(waker);
}

const char *sync_waker_path(const sync_waker *waker) {
  return waker->path;
}

const char *sync_waker_name(const sync_waker *waker) {
  return waker->name;
}

/* The host has connected: from now on nobody else can. */
static sync_code begin(sync_waker *waker) {
  waker->host = accept4(waker->listener, NULL, NULL, SOCK_CLOEXEC);
  if (waker->host < 0) return errno == EAGAIN ? SYNC_CLOSED : SYNC_SYSTEM;
  remove_directory(waker);
  close_descriptor(waker->listener);
  waker->listener = -1;
  return start_thread(waker) ? SYNC_OK : SYNC_SYSTEM;
}

sync_code sync_waker_arm(sync_waker *waker, int timeout_ms) {
  if (!is_ours(waker)) return SYNC_FORKED;
  sync_code code = waker->running ? SYNC_OK : begin(waker);
  if (code != SYNC_OK) return code;
  atomic_store(&waker->timeout_ms, timeout_ms);
  return command(waker) ? SYNC_OK : SYNC_SYSTEM;
}

sync_code sync_waker_ring(sync_waker *waker, const char *name) {
  struct sockaddr_un address;
  socklen_t length = abstract_address(&address, name);
  if (sendto(waker->bell, "", 1, MSG_NOSIGNAL, (struct sockaddr *)&address, length) == 1) return SYNC_OK;
  return errno == EAGAIN || errno == ENOBUFS ? SYNC_OK : SYNC_REFUSED;
}
