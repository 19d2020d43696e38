/*
 * buffer.h - a growing run of bytes, owned by whoever embeds it.
 *
 * Not a string: it may hold NUL, and nothing is behind its last byte.
 */
#ifndef SYNC_BUFFER_H
#define SYNC_BUFFER_H

#include <stdbool.h>
#include <stddef.h>

#include "alloc.h"

struct sync_buffer {
  const sync_allocator *alloc;
  char *bytes;
  size_t length;
  size_t capacity;
};

/* An empty buffer; takes no memory until the first byte. */
void sync_buffer_init(struct sync_buffer *buffer, const sync_allocator *alloc);

/* Gives the memory back; the buffer is empty and usable again. */
void sync_buffer_fini(struct sync_buffer *buffer);

/* Room for `bytes` more; false: no memory, and the buffer is as it was. */
bool sync_buffer_reserve(struct sync_buffer *buffer, size_t bytes);

/* Appends; false: no memory, and the buffer is as it was. */
bool sync_buffer_append(struct sync_buffer *buffer, sync_span span);

/* Forgets the bytes, keeps the memory. */
void sync_buffer_clear(struct sync_buffer *buffer);

/* What it holds, valid until the next append. */
sync_span sync_buffer_span(const struct sync_buffer *buffer);

#endif
