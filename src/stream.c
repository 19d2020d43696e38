/* stream.c - a request of a client's: the first one of a connect, and those that redirects lead to. */
#include "client.h"
#include "error.h"

struct sync_stream *sync_stream_new(sync_client *client) {
  struct sync_stream *stream = sync_alloc_zeroed(client->alloc, sizeof *stream);
  if (!stream) return NULL;
  stream->client = client;
  sync_buffer_init(&stream->play.kept, client->alloc);
  if (sync_loop_is_played(client->loop)) return stream;
  stream->exchange = sync_exchange_new(client->loop->transport, &sync_intake_handlers, stream);
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

const char *sync_stream_url(const struct sync_stream *stream) {
  return stream->redirect.url ? stream->redirect.url : stream->client->urls[stream->url];
}

sync_code sync_stream_send(struct sync_stream *stream) {
  const sync_client *client = stream->client;
  const struct sync_request request = {
      .url = sync_stream_url(stream),
      .options = &client->options,
      .headers = client->options.headers,
      .header_count = client->options.header_count,
      .answer = stream->answer,
      .answer_count = stream->answer_count,
      .last_event_id = sync_client_resume_id(client),
      .abroad = stream->redirect.abroad,
      .as_get = stream->redirect.as_get,
      .fresh = client->connection.fresh,
  };
  stream->moving = stream->ending = false;
  stream->retry_after_ms = 0;
  if (stream->exchange) return sync_exchange_start(stream->exchange, &request);
  sync_stream_abort(stream);
  stream->play.running = true;
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
