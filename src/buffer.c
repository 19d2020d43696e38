/* buffer.c - a growing run of bytes; capacity doubles, so that appending costs linear time. */
#include "buffer.h"

#include <stdint.h>
#include <string.h>

/* The first request: most ids and headers fit. */
#define BUFFER_FIRST_BYTES 64u

void sync_buffer_init(struct sync_buffer *buffer, const sync_allocator *alloc) {
  *buffer = (struct sync_buffer){.alloc = alloc};
}

void sync_buffer_fini(struct sync_buffer *buffer) {
  sync_alloc_free(buffer->alloc, buffer->bytes);
  sync_buffer_init(buffer, buffer->alloc);
}

bool sync_buffer_reserve(struct sync_buffer *buffer, size_t bytes) {
  if (bytes <= buffer->capacity - buffer->length) return true;
  if (bytes > SIZE_MAX / 2 - buffer->length) return false;
  size_t capacity = buffer->capacity ? buffer->capacity : BUFFER_FIRST_BYTES;
  while (capacity - buffer->length < bytes) capacity *= 2;
  char *grown = sync_alloc_resize(buffer->alloc, buffer->bytes, capacity);
  if (!grown) return false;
  buffer->bytes = grown;
  buffer->capacity = capacity;
  return true;
}

bool sync_buffer_append(struct sync_buffer *buffer, sync_span span) {
  if (span.length == 0) return true;
  if (!sync_buffer_reserve(buffer, span.length)) return false;
  memcpy(buffer->bytes + buffer->length, span.bytes, span.length);
  buffer->length += span.length;
  return true;
}

void sync_buffer_clear(struct sync_buffer *buffer) {
  buffer->length = 0;
}

sync_span sync_buffer_span(const struct sync_buffer *buffer) {
  return (sync_span){buffer->bytes, buffer->length};
}
