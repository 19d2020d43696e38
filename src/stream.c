/* stream.c - a request of a client's: the first one of a connect, and those that redirects lead to. */
#include "client.h"
#include "error.h"

struct sync_stream *sync_stream_new(sync_client *client, const struct sync_exchange_handlers *handlers) {
  struct sync_stream *stream = sync_alloc_zeroed(client->alloc, sizeof *stream);
  if (!stream) return NULL;
  stream->client = client;
  stream->play.handlers = handlers;
  sync_buffer_init(&stream->play.kept, client->alloc);
  if (sync_loop_is_played(client->loop)) return stream;
  stream->exchange = sync_exchange_new(client->loop->transport, handlers, stream);
  if (stream->exchange) return stream;
  sync_alloc_free(client->alloc, stream);
  return NULL;
}

void sync_stream_free(struct sync_stream *stream) {
  if (!stream) return;
  const sync_allocator *alloc = stream->client->alloc;
  sync_exchange_free(stream->exchange);
  sync_buffer_fini(&stream->play.kept);
  sync_redirect_reset(&stream->redirect, alloc);
  sync_alloc_free(alloc, stream->answer);
  sync_alloc_free(alloc, stream);
}

void sync_stream_abort(struct sync_stream *stream) {
  if (stream->exchange) sync_exchange_abort(stream->exchange);
  sync_buffer_clear(&stream->play.kept);
  stream->play.running = stream->play.answered = stream->play.paused = false;
}

bool sync_stream_is_paused(const struct sync_stream *stream) {
  return stream->exchange ? sync_exchange_is_paused(stream->exchange) : stream->play.paused;
}

static const char *asked_url(const struct sync_stream *stream) {
  return stream->url == SYNC_STREAM_POLL ? sync_poll_place(stream->client)->url : stream->client->urls[stream->url];
}

const char *sync_stream_url(const struct sync_stream *stream) {
  return stream->redirect.url ? stream->redirect.url : asked_url(stream);
}

enum sync_body sync_stream_follow(struct sync_stream *stream, const struct sync_response *response) {
  const sync_client *client = stream->client;
  sync_code code = sync_redirect_follow(&stream->redirect, client->alloc, &client->options, asked_url(stream),
                                        response->status, response->location, &stream->failure);
  stream->moving = code == SYNC_OK;
  stream->ending = code != SYNC_OK;
  return stream->moving ? SYNC_BODY_DROP : SYNC_BODY_SHOW;
}

enum sync_body sync_stream_refuse(struct sync_stream *stream) {
  stream->ending = true;
  return SYNC_BODY_SHOW;
}

bool sync_stream_moves_on(struct sync_stream *stream) {
  if (!stream->moving) return false;
  if (sync_stream_send(stream) == SYNC_OK) return true;
  stream->ending = true;
  sync_failure_set(&stream->failure, SYNC_NO_MEMORY, "no memory to follow a redirect");
  return false;
}

static struct sync_request stream_request(const struct sync_stream *stream) {
  const sync_client *client = stream->client;
  return (struct sync_request){
      .headers = client->options.headers,
      .header_count = client->options.header_count,
      .answer = stream->answer,
      .answer_count = stream->answer_count,
      .last_event_id = sync_client_resume_id(client),
      .fresh = client->connection.fresh,
  };
}

/* The stream's headers go along to its own origin only. */
static struct sync_request poll_request(const struct sync_stream *stream) {
  const sync_client *client = stream->client;
  const struct sync_poll *poll = &client->poll;
  bool whole = sync_comparison_is_on(client); /* "nothing new" lists no order */
  struct sync_request request = {
      .poll = true,
      .etag = whole ? NULL : poll->etag,
      .last_modified = whole ? NULL : poll->last_modified,
      .more = client->options.poll_headers,
      .more_count = client->options.poll_header_count,
  };
  if (!sync_poll_place(client)->with_client_headers) return request;
  request.headers = client->options.headers;
  request.header_count = client->options.header_count;
  request.answer = stream->answer;
  request.answer_count = stream->answer_count;
  return request;
}

sync_code sync_stream_send(struct sync_stream *stream) {
  struct sync_request request = stream->url == SYNC_STREAM_POLL ? poll_request(stream) : stream_request(stream);
  request.url = sync_stream_url(stream);
  request.options = &stream->client->options;
  request.abroad = stream->redirect.abroad;
  request.as_get = stream->redirect.as_get;
  stream->moving = stream->ending = stream->unchanged = false;
  stream->retry_after_ms = 0;
  if (stream->exchange) return sync_exchange_start(stream->exchange, &request);
  sync_stream_abort(stream);
  stream->play.running = true;
  stream->play.number = ++stream->client->loop->played_requests;
  return SYNC_OK;
}

/* Every connect begins with the url itself, and takes the headers that were answered last. */
sync_code sync_stream_begin(struct sync_stream *stream, int url) {
  sync_client *client = stream->client;
  sync_redirect_reset(&stream->redirect, client->alloc);
  sync_alloc_free(client->alloc, stream->answer);
  stream->answer = client->answer;
  stream->answer_count = client->answer_count;
  client->answer = NULL;
  client->answer_count = 0;
  stream->url = url;
  return sync_stream_send(stream);
}
