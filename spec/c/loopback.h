/*
 * loopback.h - a server on loopback that a test plays itself, in its own thread: accept, read the request, answer.
 *
 * No thread, no sleep: while the test waits for the client it turns the client's loop, until the socket says so.
 */
#ifndef LOOPBACK_H
#define LOOPBACK_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#include "spans.h"

#define LOOPBACK_STREAM_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

struct loopback {
  int listener;
  char url[64];
};

/* The server's end of one connection. */
struct loopback_stream {
  int socket;
  char request[8192]; /* what was read of it, NUL-terminated */
  size_t length;
};

/* A port of its own where nobody listens: whoever connects is refused. */
static inline void loopback_bind(struct loopback *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(server->listener >= 0);
  assert_int_equal(bind(server->listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
  (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
}

static inline void loopback_open(struct loopback *server) {
  loopback_bind(server);
  assert_int_equal(listen(server->listener, 16), 0);
}

static inline void loopback_close(struct loopback *server) {
  close(server->listener);
}

/* Turns `loop` until `socket` can be read. */
static inline void loopback_wait(sync_loop *loop, int socket) {
  struct pollfd both[2] = {{.fd = socket, .events = POLLIN}, {.fd = sync_loop_fd(loop), .events = POLLIN}};
  while (poll(both, 2, sync_loop_timeout_ms(loop)) < 0 || !both[0].revents)
    assert_int_equal(sync_loop_step(loop, 0, 0), SYNC_OK);
}

/* Reads on until the request has `text` in it: the end of its head, or its body. */
static inline void loopback_read_until(sync_loop *loop, struct loopback_stream *stream, const char *text) {
  while (!strstr(stream->request, text)) {
    loopback_wait(loop, stream->socket);
    ssize_t got =
        recv(stream->socket, stream->request + stream->length, sizeof stream->request - 1 - stream->length, 0);
    assert_true(got > 0);
    stream->length += (size_t)got;
    stream->request[stream->length] = '\0';
  }
}

/* The next connection, its request read. */
static inline void loopback_accept(const struct loopback *server, sync_loop *loop, struct loopback_stream *stream) {
  loopback_wait(loop, server->listener);
  stream->socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC);
  assert_true(stream->socket >= 0);
  stream->length = 0;
  stream->request[0] = '\0';
  loopback_read_until(loop, stream, "\r\n\r\n");
}

/* Whether the request has this line, in full. */
static inline bool loopback_asked(const struct loopback_stream *stream, const char *line) {
  const char *at = strstr(stream->request, line);
  return at && strncmp(at + strlen(line), "\r\n", 2) == 0;
}

/* All of `text`; it must fit what the kernel takes. */
static inline void loopback_send(const struct loopback_stream *stream, const char *text) {
  size_t length = strlen(text);
  for (size_t sent = 0; sent < length;) {
    ssize_t took = send(stream->socket, text + sent, length - sent, MSG_NOSIGNAL);
    assert_true(took > 0);
    sent += (size_t)took;
  }
}

static inline void loopback_hang_up(const struct loopback_stream *stream) {
  close(stream->socket);
}

/* Turns `loop` until the client has closed this connection, then closes our end. */
static inline void loopback_await_end(sync_loop *loop, const struct loopback_stream *stream) {
  char byte;
  do {
    loopback_wait(loop, stream->socket);
  } while (recv(stream->socket, &byte, 1, 0) > 0);
  close(stream->socket);
}

#endif
