/* alloc.c - the standard allocator, and the few shapes of request that the code makes. */
#include "alloc.h"

#include <stdlib.h>
#include <string.h>

static void *resize_standard(void *arg, void *block, size_t bytes) {
  (void)arg;
  if (bytes == 0) {
    free(block);
    return NULL;
  }
  return realloc(block, bytes);
}

const sync_allocator sync_alloc_standard = {resize_standard, NULL};

void *sync_alloc_zeroed(const sync_allocator *alloc, size_t bytes) {
  void *block = alloc->resize(alloc->arg, NULL, bytes);
  if (block) memset(block, 0, bytes);
  return block;
}

void *sync_alloc_resize(const sync_allocator *alloc, void *block, size_t bytes) {
  return alloc->resize(alloc->arg, block, bytes);
}

char *sync_alloc_text(const sync_allocator *alloc, sync_span text) {
  char *copy = alloc->resize(alloc->arg, NULL, text.length + 1);
  if (!copy) return NULL;
  if (text.length) memcpy(copy, text.bytes, text.length);
  copy[text.length] = '\0';
  return copy;
}

void sync_alloc_free(const sync_allocator *alloc, void *block) {
  if (block) (void)alloc->resize(alloc->arg, block, 0);
}
