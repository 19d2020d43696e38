/*
 * server.h - an order server for programs that have the client inside: it waits for nobody, each connection has a
 * thread.
 *
 * What it does is asked for by the path: see answer(). Whatever it was, it then waits until the peer is gone; a
 * connection that ends without that is one that the path asked for.
 */
#ifndef EMBED_SERVER_H
#define EMBED_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SERVER_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

/* Events of /burst, and how many of them a connection brings before it is cut. */
#define SERVER_EVENTS  200
#define SERVER_PORTION 50

struct server {
  int listener;
  char url[64];
  pthread_t acceptor;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  unsigned connections; /* that have been accepted, */
  unsigned requests;    /* of them those of which something has been read, */
  unsigned ended;       /* and those that are over */
  int told;             /* the socket of the last /open: server_tell() */
};

struct server_connection {
  struct server *server;
  int socket;
};

static inline void server_count(struct server *server, unsigned *counter) {
  pthread_mutex_lock(&server->lock);
  ++*counter;
  pthread_cond_broadcast(&server->changed);
  pthread_mutex_unlock(&server->lock);
}

static inline bool server_send(int socket, const char *text) {
  size_t length = strlen(text);
  while (length > 0) {
    ssize_t took = send(socket, text, length, MSG_NOSIGNAL);
    if (took <= 0) return false;
    text += took, length -= (size_t)took;
  }
  return true;
}

/* The next portion of events, from the one after the last that the client has. True: the connection is cut then. */
static inline bool server_burst(int socket, const char *request) {
  const char *last = strstr(request, "Last-Event-ID: ");
  int from = last ? atoi(last + strlen("Last-Event-ID: ")) : 0, to = from + SERVER_PORTION;
  char event[160];
  for (int id = from + 1; id <= to && id <= SERVER_EVENTS; id++) {
    (void)snprintf(event, sizeof event, "id: %d\ndata: {\"eventType\":\"order_created\",\"orderID\":\"ORDER-%d\"}\n\n",
                   id, id);
    if (!server_send(socket, event)) return true;
  }
  return to < SERVER_EVENTS;
}

static inline void server_keep(struct server *server, int socket) {
  pthread_mutex_lock(&server->lock);
  server->told = socket;
  pthread_mutex_unlock(&server->lock);
}

/* True: the connection is cut at once. */
static inline bool server_answer(struct server_connection *connection, const char *request) {
  int socket = connection->socket;
  if (strncmp(request, "GET /refuse", 11) == 0) return true;
  if (strncmp(request, "GET /silent", 11) == 0) return false;
  if (strncmp(request, "GET /head", 9) == 0) return !server_send(socket, "HTTP/1.1 200 OK\r\nContent-Ty");
  if (strncmp(request, "GET /open", 9) == 0) server_keep(connection->server, socket);
  if (!server_send(socket, SERVER_HEAD)) return true;
  if (strncmp(request, "GET /half", 9) == 0) return !server_send(socket, "data: {\"half");
  return strncmp(request, "GET /burst", 10) == 0 && server_burst(socket, request);
}

static inline void *server_serve(void *arg) {
  struct server_connection *connection = arg;
  struct server *server = connection->server;
  char request[4096];
  size_t length = 0;
  ssize_t got;
  bool over = false;
  while (!over && (got = recv(connection->socket, request + length, sizeof request - 1 - length, 0)) > 0) {
    bool first = length == 0, answered = length > 0 && strstr(request, "\r\n\r\n");
    length += (size_t)got;
    request[length] = '\0';
    if (!answered && strstr(request, "\r\n\r\n")) over = server_answer(connection, request);
    if (first) server_count(server, &server->requests);
  }
  close(connection->socket);
  server_count(server, &server->ended);
  free(connection);
  return NULL;
}

static inline void *server_accept(void *arg) {
  struct server *server = arg;
  pthread_attr_t detached;
  pthread_attr_init(&detached);
  pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
  for (int socket; (socket = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC)) >= 0;) {
    struct server_connection *connection = malloc(sizeof *connection);
    pthread_t thread;
    if (!connection) abort();
    *connection = (struct server_connection){server, socket};
    server_count(server, &server->connections);
    if (pthread_create(&thread, &detached, server_serve, connection) != 0) abort();
  }
  pthread_attr_destroy(&detached);
  return NULL;
}

static inline void server_open(struct server *server) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t length = sizeof address;
  *server = (struct server){.listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), .told = -1};
  assert_int_equal(bind(server->listener, (struct sockaddr *)&address, length), 0);
  assert_int_equal(getsockname(server->listener, (struct sockaddr *)&address, &length), 0);
  assert_int_equal(listen(server->listener, 64), 0);
  (void)snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
  pthread_mutex_init(&server->lock, NULL);
  pthread_cond_init(&server->changed, NULL);
  assert_int_equal(pthread_create(&server->acceptor, NULL, server_accept, server), 0);
}

static inline unsigned server_requests(struct server *server) {
  pthread_mutex_lock(&server->lock);
  unsigned requests = server->requests;
  pthread_mutex_unlock(&server->lock);
  return requests;
}

/* Until all but `left` of the connections are over. */
static inline void server_await_end(struct server *server, unsigned left) {
  pthread_mutex_lock(&server->lock);
  while (server->connections - server->ended > left) pthread_cond_wait(&server->changed, &server->lock);
  pthread_mutex_unlock(&server->lock);
}

/* An event over the last stream of /open. */
static inline void server_tell(struct server *server, int id) {
  char event[64];
  (void)snprintf(event, sizeof event, "id: %d\ndata: {\"orderID\":\"ORDER-%d\"}\n\n", id, id);
  pthread_mutex_lock(&server->lock);
  int socket = server->told;
  pthread_mutex_unlock(&server->lock);
  assert_true(server_send(socket, event));
}

static inline void server_close(struct server *server) {
  server_await_end(server, 0);
  shutdown(server->listener, SHUT_RDWR);
  pthread_join(server->acceptor, NULL);
  close(server->listener);
}

#endif
