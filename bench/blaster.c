/*
 * blaster.c - the server of the bench: order events as fast as a socket takes them, or at a fixed pace.
 *
 * Not a model of a real server (that is `ordersync serve`): it exists to be faster than any client. One thread, one
 * epoll set; each connection says what it wants in its query string:
 *
 *   GET /anything?mode=burst&n=1000000&size=250&chunked=0&watched=0&drop=0
 *
 *   mode     burst (n events, `event: done`, end), paced (the same at `rate` events a second, one write each, stamped),
 *            idle (one event, then silence)
 *   size     bytes of an event on the wire: 60 and up
 *   watched  one event in this many is about an order of the watched set
 *   drop     end the connection after this many events; Last-Event-ID resumes
 *
 * It prints its port, and from then on obeys its standard input: a line makes it print the account of what it sent
 * since the last one, as JSON; the end of the input ends it, so that it cannot outlive its parent.
 */
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "wire.h"

#define REQUEST_BYTES 4096
#define FILES_MAX     16384    /* a thousand idle clients and room to spare */
#define SETTLE_NS     20000000 /* before the first paced event: the client has seen the head by then */

enum mode { MODE_BURST, MODE_PACED, MODE_IDLE };
enum phase { READING_REQUEST, SENDING, ENDING };

/* What an epoll event is about. */
struct source {
  enum { SOURCE_LISTENER, SOURCE_INPUT, SOURCE_SOCKET, SOURCE_TIMER } kind;
  int fd;
  struct connection *owner;
};

struct connection {
  struct source socket, timer;
  enum phase phase;
  enum mode mode;
  struct bench_wire *wire;
  uint64_t next_id, last_id;
  uint64_t until_drop; /* events left before the cut; UINT64_MAX: never cut */
  uint64_t owed;       /* paced events that are due */
  uint64_t rate;
  const char *out;
  size_t out_bytes;
  bool ended, chunked, waits_for_room;
  char request[REQUEST_BYTES];
  size_t request_bytes;
  char text[512];
};

static int epoll_fd;
static struct bench_account account;

static void die(const char *what) {
  perror(what);
  exit(1);
}

static void watch(struct source *source, int operation, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = source};
  if (epoll_ctl(epoll_fd, operation, source->fd, &event) != 0) die("epoll_ctl");
}

/* ---- what a connection sends ------------------------------------------------------------------------------------- */

static void free_connection(struct connection *connection) {
  close(connection->socket.fd);
  if (connection->timer.fd >= 0) close(connection->timer.fd);
  bench_wire_free(connection->wire);
  free(connection);
}

static void send_text(struct connection *connection, const char *text) {
  snprintf(connection->text, sizeof connection->text, "%s", text);
  connection->out = connection->text;
  connection->out_bytes = strlen(connection->text);
}

/* The end of a stream: `event: done` when all was sent, nothing more when it is cut. */
static void send_ending(struct connection *connection, bool done) {
  connection->ended = true;
  if (done)
    send_text(connection,
              connection->chunked ? "16\r\nevent: done\ndata: {}\n\n\r\n0\r\n\r\n" : "event: done\ndata: {}\n\n");
  else
    send_text(connection, connection->chunked ? "0\r\n\r\n" : "");
}

static void send_events(struct connection *connection, size_t count) {
  connection->out = bench_wire_render(connection->wire, connection->next_id, count, &account, &connection->out_bytes);
  connection->next_id += count;
  connection->until_drop -= count;
}

/* Finds something to send; false: there is nothing, now or ever. */
static bool refill(struct connection *connection) {
  if (connection->ended || connection->mode == MODE_IDLE) return false;
  uint64_t left = connection->last_id - connection->next_id + 1;
  if (left == 0 || connection->until_drop == 0) {
    send_ending(connection, left == 0);
    return true;
  }
  uint64_t count = 1;
  if (connection->mode == MODE_PACED) {
    if (connection->owed == 0) return false;
    connection->owed--;
  } else {
    count = bench_wire_capacity(connection->wire);
    if (count > left) count = left;
    if (count > connection->until_drop) count = connection->until_drop;
  }
  send_events(connection, (size_t)count);
  return true;
}

/* Ready to write again, or not: EPOLLOUT is asked for only while the socket is full. */
static void wait_for_room(struct connection *connection, bool wait) {
  if (connection->waits_for_room == wait) return;
  connection->waits_for_room = wait;
  watch(&connection->socket, EPOLL_CTL_MOD, wait ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

/* Sends until the socket is full or there is nothing to send; false: the connection is gone. */
static bool pump(struct connection *connection) {
  do {
    while (connection->out_bytes > 0) {
      ssize_t sent = send(connection->socket.fd, connection->out, connection->out_bytes, MSG_NOSIGNAL);
      if (sent < 0 && errno == EAGAIN) {
        wait_for_room(connection, true);
        return true;
      }
      if (sent < 0) return false;
      connection->out += sent;
      connection->out_bytes -= (size_t)sent;
    }
  } while (refill(connection));
  wait_for_room(connection, false);
  if (connection->ended && connection->phase == SENDING) {
    connection->phase = ENDING;
    shutdown(connection->socket.fd, SHUT_WR);
  }
  return true;
}

/* ---- what it was asked for --------------------------------------------------------------------------------------- */

static uint64_t query_number(const char *query, const char *name, uint64_t otherwise) {
  size_t length = strlen(name);
  for (const char *at = query; at != NULL; at = strchr(at, '&')) {
    at++; /* '?' or '&' */
    if (strncmp(at, name, length) == 0 && at[length] == '=') return strtoull(at + length + 1, NULL, 10);
  }
  return otherwise;
}

static enum mode query_mode(const char *query) {
  if (strstr(query, "mode=paced") != NULL) return MODE_PACED;
  return strstr(query, "mode=idle") != NULL ? MODE_IDLE : MODE_BURST;
}

static void start_timer(struct connection *connection) {
  struct itimerspec when = {{0, 0}, {0, SETTLE_NS}};
  when.it_interval.tv_nsec = (long)(1000000000u / connection->rate % 1000000000u);
  connection->timer.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
  if (connection->timer.fd < 0 || timerfd_settime(connection->timer.fd, 0, &when, NULL) != 0) die("timerfd");
  watch(&connection->timer, EPOLL_CTL_ADD, EPOLLIN);
}

static bool make_wire(struct connection *connection, const char *query) {
  struct bench_wire_shape shape = {
      .size_bytes = query_number(query, "size", 250),
      .watched_every = query_number(query, "watched", 0),
      .chunked = connection->chunked,
      .stamped = connection->mode == MODE_PACED,
  };
  connection->wire = bench_wire_new(&shape);
  return connection->wire != NULL;
}

static void send_head(struct connection *connection) {
  static const char first[] =
      "id: 1\nevent: order_created\ndata: {\"eventType\":\"order_created\",\"orderID\":\"ORDER-1\"}\n\n";
  snprintf(connection->text, sizeof connection->text,
           "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n%s\r\n%s",
           connection->chunked ? "Transfer-Encoding: chunked\r\n" : "Connection: close\r\n",
           connection->mode == MODE_IDLE ? first : "");
  connection->out = connection->text;
  connection->out_bytes = strlen(connection->text);
}

/* The request is whole: false when it asks for what cannot be. */
static bool start(struct connection *connection) {
  char *line_end = strstr(connection->request, "\r\n");
  const char *resume = strcasestr(line_end, "\r\nlast-event-id:");
  if (resume != NULL) connection->next_id = strtoull(resume + strlen("\r\nlast-event-id:"), NULL, 10);
  *line_end = '\0';
  const char *query = strchr(connection->request, '?');
  if (query == NULL) query = "?";
  connection->next_id++;
  connection->mode = query_mode(query);
  connection->last_id = query_number(query, "n", 1000);
  connection->rate = query_number(query, "rate", 1000);
  connection->chunked = query_number(query, "chunked", 0) != 0 && connection->mode != MODE_IDLE;
  connection->until_drop = query_number(query, "drop", UINT64_MAX);
  if (connection->next_id > connection->last_id + 1 || connection->rate < 2) return false;
  connection->phase = SENDING;
  if (connection->mode != MODE_IDLE && !make_wire(connection, query)) return false;
  if (connection->mode == MODE_PACED) start_timer(connection);
  send_head(connection);
  return pump(connection);
}

/* ---- the loop ---------------------------------------------------------------------------------------------------- */

/* false: the connection is over. */
static bool receive(struct connection *connection) {
  char *at = connection->request + connection->request_bytes;
  size_t room = sizeof connection->request - 1 - connection->request_bytes;
  ssize_t got = recv(connection->socket.fd, at, room, 0);
  if (got <= 0 || connection->phase != READING_REQUEST) return false; /* after its request a client only ends */
  connection->request_bytes += (size_t)got;
  connection->request[connection->request_bytes] = '\0';
  return strstr(connection->request, "\r\n\r\n") == NULL || start(connection);
}

static void accept_all(int listener) {
  int on = 1, fd;
  while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    struct connection *connection = calloc(1, sizeof *connection);
    if (connection == NULL) die("calloc");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connection->socket = (struct source){SOURCE_SOCKET, fd, connection};
    connection->timer = (struct source){SOURCE_TIMER, -1, connection};
    watch(&connection->socket, EPOLL_CTL_ADD, EPOLLIN);
  }
}

static bool tick(struct connection *connection) {
  uint64_t expirations;
  if (read(connection->timer.fd, &expirations, sizeof expirations) != sizeof expirations) return true;
  connection->owed += expirations;
  return connection->out_bytes > 0 || pump(connection);
}

static void obey_input(void) {
  char line[64];
  if (read(STDIN_FILENO, line, sizeof line) <= 0) exit(0);
  printf("{\"events\":%" PRIu64 ",\"bytes\":%" PRIu64 ",\"fields\":%" PRIu64 ",\"stages\":%" PRIu64
         ",\"watched\":%" PRIu64 ",\"last_order\":\"%s\",\"last_watched\":\"%s\"}\n",
         account.events, account.bytes, account.fields, account.stages, account.watched, account.last_order,
         account.last_watched);
  fflush(stdout);
  account = (struct bench_account){0};
}

static void handle(const struct source *source, uint32_t events) {
  struct connection *connection = source->owner;
  bool alive = true;
  switch (source->kind) {
  case SOURCE_LISTENER: accept_all(source->fd); return;
  case SOURCE_INPUT: obey_input(); return;
  case SOURCE_TIMER: alive = tick(connection); break;
  case SOURCE_SOCKET:
    if (events & ~(uint32_t)EPOLLOUT) alive = receive(connection);
    if (alive && (events & EPOLLOUT)) alive = pump(connection);
    break;
  }
  if (!alive) free_connection(connection);
}

static int listen_on_loopback(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0) die("listen");
  if (getsockname(fd, (struct sockaddr *)&address, &length) != 0) die("getsockname");
  printf("%d\n", ntohs(address.sin_port));
  fflush(stdout);
  return fd;
}

int main(void) {
  struct rlimit files;
  if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max < FILES_MAX ? files.rlim_max : FILES_MAX;
    setrlimit(RLIMIT_NOFILE, &files);
  }
  signal(SIGPIPE, SIG_IGN);
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  struct source listener = {SOURCE_LISTENER, listen_on_loopback(), NULL}, input = {SOURCE_INPUT, STDIN_FILENO, NULL};
  watch(&listener, EPOLL_CTL_ADD, EPOLLIN);
  watch(&input, EPOLL_CTL_ADD, EPOLLIN);
  for (;;) {
    /* One event at a time: handling one may free the connection that the next would be about. */
    struct epoll_event event;
    int ready = epoll_wait(epoll_fd, &event, 1, -1);
    if (ready < 0 && errno != EINTR) die("epoll_wait");
    if (ready > 0) handle(event.data.ptr, event.events);
  }
}
