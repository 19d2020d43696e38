/*
 * alloc.h - allocation, passed in.
 *
 * Every structure that owns memory keeps the pointer to the allocator it was given, so that a test can count blocks,
 * fail the Nth request and see each of those paths end in SYNC_NO_MEMORY instead of a crash. The allocator must outlive
 * what was made with it. libcurl, libuv and SQLite keep their own allocators: theirs are process-global.
 */
#ifndef SYNC_ALLOC_H
#define SYNC_ALLOC_H

#include <stddef.h>

#include "sync.h"

/* malloc, realloc and free of the C library. */
extern const sync_allocator sync_alloc_standard;

/* A zeroed block of `bytes` bytes (more than 0), or NULL. */
void *sync_alloc_zeroed(const sync_allocator *alloc, size_t bytes);

/* `block` (NULL: a new one) made `bytes` long, its contents kept; NULL: no memory, and `block` is as it was. */
void *sync_alloc_resize(const sync_allocator *alloc, void *block, size_t bytes);

/* A copy of `text` with a NUL behind it, or NULL. */
char *sync_alloc_text(const sync_allocator *alloc, sync_span text);

/* Ends `block`; NULL is fine. */
void sync_alloc_free(const sync_allocator *alloc, void *block);

#endif
