/* transport.c - HTTP exchanges by libcurl's multi interface on a uv loop. */
#include "transport.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include "error.h"
#include "request.h"

/* How much of an unwanted body is shown. */
#define EXCERPT_BYTES 200u

/* A longer Retry-After is taken for this: connection.c has the last word, this only keeps the numbers small. */
#define RETRY_AFTER_MOST_S 86400

struct sync_transport {
  const sync_allocator *alloc;
  uv_loop_t *uv;
  CURLM *multi;
  uv_timer_t timer;
  struct sync_exchange *paused;   /* a list */
  struct sync_exchange *resuming; /* those of it whose turn has not come yet */
};

/* A socket of curl's, watched by uv; ends with the handle's close. */
struct watch {
  const sync_allocator *alloc;
  uv_poll_t poll;
  curl_socket_t socket;
  struct sync_transport *transport;
};

/* Fields of a head that libcurl does not tell, or too late: a redirect's target only when the exchange is over. */
enum kept { KEPT_LOCATION, KEPT_ETAG, KEPT_LAST_MODIFIED, KEPT_LAST_EVENT_ID, KEPT_COUNT };

static const sync_span kept_names[KEPT_COUNT] = {
    {"Location:", 9},
    {"ETag:", 5},
    {"Last-Modified:", 14},
    {"Last-Event-ID:", 14},
};

struct sync_exchange {
  struct sync_transport *transport;
  struct sync_exchange_handlers handlers;
  void *arg;
  CURL *easy;
  struct sync_request_lists lists;
  bool running;
  bool answered; /* the head has come */
  enum sync_body body;
  bool paused; /* is on the transport's list */
  bool broken; /* cannot be watched for want of memory: is on that list to be ended */
  struct sync_exchange *next_paused;
  size_t taken;           /* of the bytes that curl will hand again after a pause */
  char *kept[KEPT_COUNT]; /* fields of the head; NULL: it has none */
  size_t excerpt_length;
  char excerpt[EXCERPT_BYTES];
  char error[CURL_ERROR_SIZE];
};

/* ---- curl's sockets and timer on uv ------------------------------------------------------------------------------ */

/* Whether a proxy was asked to connect us and said something other than 200. */
static bool proxy_refused(CURL *easy) {
  long status = 0;
  curl_easy_getinfo(easy, CURLINFO_HTTP_CONNECTCODE, &status);
  return status != 0 && status != 200;
}

/* What curl says about a finished exchange, in our codes. */
static sync_code code_of(const struct sync_exchange *exchange, CURLcode result) {
  if (result != CURLE_OK && !exchange->answered && proxy_refused(exchange->easy)) return SYNC_PROXY;
  switch (result) {
  case CURLE_OK: return exchange->answered ? SYNC_STREAM_ENDED : SYNC_NETWORK;
  case CURLE_OUT_OF_MEMORY: return SYNC_NO_MEMORY;
  case CURLE_URL_MALFORMAT: return SYNC_URL;
  case CURLE_COULDNT_RESOLVE_HOST: return SYNC_DNS;
  case CURLE_COULDNT_RESOLVE_PROXY:
  case CURLE_PROXY: return SYNC_PROXY;
  case CURLE_COULDNT_CONNECT: return SYNC_REFUSED;
  case CURLE_OPERATION_TIMEDOUT: return SYNC_CONNECT_TIMEOUT;
  case CURLE_SSL_CERTPROBLEM:
  case CURLE_SSL_CACERT_BADFILE:
  case CURLE_SSL_CRL_BADFILE: return SYNC_TLS_FILE;
  case CURLE_SSL_CONNECT_ERROR:
  case CURLE_SSL_ENGINE_NOTFOUND:
  case CURLE_SSL_CIPHER:
  case CURLE_PEER_FAILED_VERIFICATION:
  case CURLE_USE_SSL_FAILED:
  case CURLE_SSL_ISSUER_ERROR:
  case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
  case CURLE_SSL_INVALIDCERTSTATUS: return SYNC_TLS;
  case CURLE_UNSUPPORTED_PROTOCOL:
  case CURLE_WEIRD_SERVER_REPLY:
  case CURLE_BAD_CONTENT_ENCODING: return SYNC_HTTP_PROTOCOL;
  default: return exchange->answered && exchange->body == SYNC_BODY_TAKE ? SYNC_STREAM_CUT : SYNC_NETWORK;
  }
}

static void unlink_from(struct sync_exchange **link, const struct sync_exchange *exchange) {
  while (*link && *link != exchange) link = &(*link)->next_paused;
  if (*link) *link = exchange->next_paused;
}

static void unlink_paused(struct sync_exchange *exchange) {
  unlink_from(&exchange->transport->paused, exchange);
  unlink_from(&exchange->transport->resuming, exchange);
  exchange->paused = false;
}

void sync_exchange_abort(struct sync_exchange *exchange) {
  if (!exchange->running) return;
  unlink_paused(exchange);
  exchange->running = false;
  curl_multi_remove_handle(exchange->transport->multi, exchange->easy);
}

static void finish(struct sync_exchange *exchange, CURLcode result) {
  sync_exchange_abort(exchange);
  const char *text = exchange->error[0] ? exchange->error : curl_easy_strerror(result);
  if (result == CURLE_OK && !exchange->answered) text = "the server closed the connection before it had answered";
  sync_span excerpt = {exchange->excerpt, exchange->excerpt_length};
  exchange->handlers.done(exchange->arg, code_of(exchange, result), text, excerpt);
}

static void collect_finished(struct sync_transport *transport) {
  CURLMsg *message;
  int left;
  while ((message = curl_multi_info_read(transport->multi, &left))) {
    if (message->msg != CURLMSG_DONE) continue;
    CURLcode result = message->data.result;
    struct sync_exchange *exchange = NULL;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&exchange);
    finish(exchange, result);
  }
}

static void act_on(struct sync_transport *transport, curl_socket_t socket, int events) {
  int running;
  curl_multi_socket_action(transport->multi, socket, events, &running);
  collect_finished(transport);
}

/* On a poll error IN is passed as well: then curl reads what came before the reset, and the reason. */
static void on_poll(uv_poll_t *poll, int status, int events) {
  struct watch *watch = poll->data;
  int flags = status < 0 ? CURL_CSELECT_ERR | CURL_CSELECT_IN : 0;
  if (events & UV_READABLE) flags |= CURL_CSELECT_IN;
  if (events & UV_WRITABLE) flags |= CURL_CSELECT_OUT;
  act_on(watch->transport, watch->socket, flags);
}

static void on_timer(uv_timer_t *timer) {
  act_on(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg) {
  (void)multi;
  struct sync_transport *transport = arg;
  if (timeout_ms < 0) return uv_timer_stop(&transport->timer);
  uv_update_time(transport->uv);
  return uv_timer_start(&transport->timer, on_timer, (uint64_t)timeout_ms, 0);
}

static void on_watch_closed(uv_handle_t *handle) {
  struct watch *watch = handle->data;
  sync_alloc_free(watch->alloc, watch);
}

static struct watch *watch_new(struct sync_transport *transport, curl_socket_t socket) {
  struct watch *watch = sync_alloc_zeroed(transport->alloc, sizeof *watch);
  if (!watch) return NULL;
  watch->alloc = transport->alloc;
  watch->socket = socket;
  watch->transport = transport;
  if (uv_poll_init_socket(transport->uv, &watch->poll, socket) != 0) {
    sync_alloc_free(transport->alloc, watch);
    return NULL;
  }
  watch->poll.data = watch;
  curl_multi_assign(transport->multi, socket, watch);
  return watch;
}

static void watch_end(struct sync_transport *transport, curl_socket_t socket, struct watch *watch) {
  if (!watch) return;
  curl_multi_assign(transport->multi, socket, NULL);
  uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
}

static void hold(struct sync_exchange *exchange) {
  if (exchange->paused) return;
  exchange->paused = true;
  exchange->next_paused = exchange->transport->paused;
  exchange->transport->paused = exchange;
}

/* An error told to curl here would be the end of all exchanges, so only this one is ended, outside curl. */
static int break_exchange(CURL *easy) {
  struct sync_exchange *exchange = NULL;
  curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&exchange);
  if (!exchange) return 0; /* one of curl's own */
  exchange->broken = true;
  hold(exchange);
  return 0;
}

static int watch_socket(CURL *easy, curl_socket_t socket, int what, void *arg, void *socket_arg) {
  struct sync_transport *transport = arg;
  struct watch *watch = socket_arg;
  if (what == CURL_POLL_REMOVE) {
    watch_end(transport, socket, watch);
    return 0;
  }
  if (!watch) watch = watch_new(transport, socket);
  if (!watch) return break_exchange(easy);
  int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
  return uv_poll_start(&watch->poll, events, on_poll) == 0 ? 0 : break_exchange(easy);
}

/* ---- transport --------------------------------------------------------------------------------------------------- */

/* A name look-up may still run on libcurl's thread when the host unloads the library that we are in, as lua_close()
 * does: the code must stay. A program that has us linked into itself has nothing to pin. */
static void pin_code(void) {
  static const char inside;
  Dl_info here;
  if (dladdr(&inside, &here) && here.dli_fname) (void)dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
}

static void start_curl(void) {
  pin_code();
  curl_global_init(CURL_GLOBAL_DEFAULT);
}

struct sync_transport *sync_transport_new(const sync_allocator *alloc, uv_loop_t *uv) {
  static pthread_once_t once = PTHREAD_ONCE_INIT;
  pthread_once(&once, start_curl);
  struct sync_transport *transport = sync_alloc_zeroed(alloc, sizeof *transport);
  if (!transport) return NULL;
  transport->alloc = alloc;
  transport->uv = uv;
  transport->multi = curl_multi_init();
  if (!transport->multi) {
    sync_alloc_free(alloc, transport);
    return NULL;
  }
  uv_timer_init(uv, &transport->timer);
  transport->timer.data = transport;
  curl_multi_setopt(transport->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
  curl_multi_setopt(transport->multi, CURLMOPT_SOCKETDATA, transport);
  curl_multi_setopt(transport->multi, CURLMOPT_TIMERFUNCTION, set_timer);
  curl_multi_setopt(transport->multi, CURLMOPT_TIMERDATA, transport);
  return transport;
}

static void on_timer_closed(uv_handle_t *handle) {
  struct sync_transport *transport = handle->data;
  sync_alloc_free(transport->alloc, transport);
}

void sync_transport_free(struct sync_transport *transport) {
  if (!transport) return;
  curl_multi_cleanup(transport->multi);
  uv_close((uv_handle_t *)&transport->timer, on_timer_closed);
}

static bool can_go_on(const struct sync_exchange *exchange) {
  return exchange->broken || exchange->handlers.has_room(exchange->arg);
}

bool sync_transport_can_resume(const struct sync_transport *transport) {
  const struct sync_exchange *exchange = transport->paused;
  while (exchange && !can_go_on(exchange)) exchange = exchange->next_paused;
  return exchange != NULL;
}

static void go_on(struct sync_exchange *exchange) {
  CURLcode result = exchange->broken ? CURLE_OUT_OF_MEMORY : curl_easy_pause(exchange->easy, CURLPAUSE_CONT);
  if (result != CURLE_OK) finish(exchange, result);
}

/* Resuming hands over what curl kept, and that may pause the exchange again; ending one lets the client start anew, or
 * give up another one that waits. So the list is taken first, and those left on it are still known. */
void sync_transport_resume(struct sync_transport *transport) {
  transport->resuming = transport->paused;
  transport->paused = NULL;
  for (struct sync_exchange *exchange; (exchange = transport->resuming);) {
    transport->resuming = exchange->next_paused;
    exchange->paused = false;
    if (can_go_on(exchange))
      go_on(exchange);
    else
      hold(exchange);
  }
}

/* ---- what curl calls --------------------------------------------------------------------------------------------- */

static void take_head(struct sync_exchange *exchange) {
  long status = 0;
  curl_off_t retry_after_s = 0;
  struct sync_response response = {.status = 0};
  curl_easy_getinfo(exchange->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200) return; /* 100 Continue and its kin: the real head follows */
  curl_easy_getinfo(exchange->easy, CURLINFO_CONTENT_TYPE, (char **)&response.content_type);
  curl_easy_getinfo(exchange->easy, CURLINFO_RETRY_AFTER, &retry_after_s);
  response.status = (int)status;
  response.location = exchange->kept[KEPT_LOCATION];
  response.etag = exchange->kept[KEPT_ETAG];
  response.last_modified = exchange->kept[KEPT_LAST_MODIFIED];
  response.last_event_id = exchange->kept[KEPT_LAST_EVENT_ID];
  response.retry_after_ms = (retry_after_s < RETRY_AFTER_MOST_S ? (int64_t)retry_after_s : RETRY_AFTER_MOST_S) * 1000;
  exchange->answered = true;
  exchange->body = exchange->handlers.response(exchange->arg, &response);
}

static sync_span trimmed(sync_span text) {
  while (text.length > 0 && *text.bytes == ' ') text.bytes++, text.length--;
  while (text.length > 0 && (unsigned char)text.bytes[text.length - 1] <= ' ') text.length--;
  return text;
}

static void forget_fields(struct sync_exchange *exchange) {
  for (size_t i = 0; i < KEPT_COUNT; i++) {
    sync_alloc_free(exchange->transport->alloc, exchange->kept[i]);
    exchange->kept[i] = NULL;
  }
}

/* false: no memory for the copy. A redirect without its target would be taken for one that leads nowhere, for good. */
static bool keep_field(struct sync_exchange *exchange, sync_span line) {
  for (size_t i = 0; i < KEPT_COUNT; i++) {
    sync_span name = kept_names[i];
    if (line.length < name.length || strncasecmp(line.bytes, name.bytes, name.length) != 0) continue;
    sync_span value = trimmed((sync_span){line.bytes + name.length, line.length - name.length});
    sync_alloc_free(exchange->transport->alloc, exchange->kept[i]);
    exchange->kept[i] = value.length > 0 ? sync_alloc_text(exchange->transport->alloc, value) : NULL;
    if (value.length > 0 && !exchange->kept[i]) return false;
  }
  return true;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg) {
  struct sync_exchange *exchange = arg;
  size_t length = size * count;
  if (!exchange->answered && !keep_field(exchange, (sync_span){line, length})) return 0;
  bool blank = length <= 2 && (length == 0 || line[0] == '\r' || line[0] == '\n');
  if (!blank || exchange->answered) return length;
  take_head(exchange);
  return exchange->answered && exchange->body == SYNC_BODY_DROP ? 0 : length;
}

/* The first bytes of a body that is not wanted are kept, then the exchange is ended by taking none. */
static size_t keep_excerpt(struct sync_exchange *exchange, const char *bytes, size_t length) {
  exchange->excerpt_length = length < EXCERPT_BYTES ? length : EXCERPT_BYTES;
  memcpy(exchange->excerpt, bytes, exchange->excerpt_length);
  return 0;
}

/* curl hands a chunk that was taken in part again from its start: `taken` bytes of it are skipped then. */
static size_t on_bytes(char *bytes, size_t size, size_t count, void *arg) {
  struct sync_exchange *exchange = arg;
  size_t length = size * count;
  if (exchange->body != SYNC_BODY_TAKE) return keep_excerpt(exchange, bytes, length);
  size_t skip = exchange->taken < length ? exchange->taken : length;
  exchange->taken -= skip;
  if (skip == length) return length;
  size_t took = exchange->handlers.bytes(exchange->arg, bytes + skip, length - skip);
  if (took == length - skip) return length;
  if (took == SYNC_EXCHANGE_FAIL) return 0;
  exchange->taken = skip + took;
  hold(exchange);
  return CURL_WRITEFUNC_PAUSE;
}

/* ---- one exchange ------------------------------------------------------------------------------------------------ */

struct sync_exchange *sync_exchange_new(struct sync_transport *transport, const struct sync_exchange_handlers *handlers,
                                        void *arg) {
  struct sync_exchange *exchange = sync_alloc_zeroed(transport->alloc, sizeof *exchange);
  if (!exchange) return NULL;
  exchange->transport = transport;
  exchange->handlers = *handlers;
  exchange->arg = arg;
  return exchange;
}

bool sync_exchange_is_paused(const struct sync_exchange *exchange) {
  return exchange->paused;
}

void sync_exchange_free(struct sync_exchange *exchange) {
  if (!exchange) return;
  sync_exchange_abort(exchange);
  curl_easy_cleanup(exchange->easy);
  sync_request_lists_fini(&exchange->lists);
  forget_fields(exchange);
  sync_alloc_free(exchange->transport->alloc, exchange);
}

static void set_callbacks(struct sync_exchange *exchange) {
  curl_easy_setopt(exchange->easy, CURLOPT_PRIVATE, exchange);
  curl_easy_setopt(exchange->easy, CURLOPT_ERRORBUFFER, exchange->error);
  curl_easy_setopt(exchange->easy, CURLOPT_HEADERFUNCTION, on_header);
  curl_easy_setopt(exchange->easy, CURLOPT_HEADERDATA, exchange);
  curl_easy_setopt(exchange->easy, CURLOPT_WRITEFUNCTION, on_bytes);
  curl_easy_setopt(exchange->easy, CURLOPT_WRITEDATA, exchange);
}

sync_code sync_exchange_start(struct sync_exchange *exchange, const struct sync_request *request) {
  sync_exchange_abort(exchange);
  if (!exchange->easy) exchange->easy = curl_easy_init();
  if (!exchange->easy) return SYNC_NO_MEMORY;
  exchange->answered = exchange->broken = false;
  exchange->taken = exchange->excerpt_length = 0;
  exchange->error[0] = '\0';
  forget_fields(exchange);
  curl_easy_reset(exchange->easy);
  if (!sync_request_set(exchange->easy, &exchange->lists, request, exchange->transport->alloc)) return SYNC_NO_MEMORY;
  set_callbacks(exchange);
  if (curl_multi_add_handle(exchange->transport->multi, exchange->easy) != CURLM_OK) return SYNC_NO_MEMORY;
  exchange->running = true;
  return SYNC_OK;
}
