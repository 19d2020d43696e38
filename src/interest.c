/* interest.c - who wants which event. */
#include "interest.h"

#include <string.h>

#include "span.h"

struct sync_subscription {
  uint64_t id;
  size_t order_id_count;
  size_t type_count;
  sync_span texts[]; /* order ids, then types, then their bytes */
};

static const sync_span *types_of(const struct sync_subscription *subscription) {
  return subscription->texts + subscription->order_id_count;
}

static bool has(const sync_span *texts, size_t count, sync_span text) {
  for (size_t i = 0; i < count; i++)
    if (sync_span_same(texts[i], text)) return true;
  return false;
}

/* ---- sorted lists ------------------------------------------------------------------------------------------------ */

/* Where `id` is, or would be. */
static size_t position(const struct sync_subscriptions *subscriptions, uint64_t id) {
  size_t low = 0, high = subscriptions->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (subscriptions->list[middle]->id < id)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool stands(const struct sync_subscriptions *subscriptions, uint64_t id) {
  size_t at = position(subscriptions, id);
  return at < subscriptions->count && subscriptions->list[at]->id == id;
}

static bool append(const sync_allocator *alloc, struct sync_subscriptions *subscriptions,
                   struct sync_subscription *subscription) {
  if (subscriptions->count && subscriptions->list[subscriptions->count - 1] == subscription) return true;
  if (subscriptions->count == subscriptions->capacity) {
    size_t capacity = subscriptions->capacity ? subscriptions->capacity * 2 : 1;
    void *list = sync_alloc_resize(alloc, subscriptions->list, capacity * sizeof(struct sync_subscription *));
    if (!list) return false;
    subscriptions->list = list;
    subscriptions->capacity = capacity;
  }
  subscriptions->list[subscriptions->count++] = subscription;
  return true;
}

static void erase(struct sync_subscriptions *subscriptions, uint64_t id) {
  if (!stands(subscriptions, id)) return;
  size_t at = position(subscriptions, id);
  subscriptions->count--;
  memmove(subscriptions->list + at, subscriptions->list + at + 1,
          (subscriptions->count - at) * sizeof *subscriptions->list);
}

/* ---- filing under texts ------------------------------------------------------------------------------------------ */

static struct sync_subscriptions *filed(const struct sync_map *map, sync_span key) {
  if (key.length == 0) return NULL;
  union sync_map_value *value = sync_map_find(map, key);
  return value ? value->pointer : NULL;
}

static bool file(struct sync_map *map, sync_span key, struct sync_subscription *subscription) {
  union sync_map_value *value = sync_map_put(map, key);
  if (!value) return false;
  if (!value->pointer) value->pointer = sync_alloc_zeroed(map->alloc, sizeof(struct sync_subscriptions));
  return value->pointer && append(map->alloc, value->pointer, subscription);
}

static void unfile(struct sync_map *map, sync_span key, uint64_t id) {
  union sync_map_value *value = sync_map_find(map, key);
  if (!value) return;
  struct sync_subscriptions *subscriptions = value->pointer;
  if (subscriptions) erase(subscriptions, id);
  if (subscriptions && subscriptions->count > 0) return;
  if (subscriptions) sync_alloc_free(map->alloc, subscriptions->list);
  sync_alloc_free(map->alloc, subscriptions);
  sync_map_remove(map, key);
}

/* The texts that a subscription is filed under, and the map; none: it is under "any". */
static struct sync_map *home_of(struct sync_interest *interest, const struct sync_subscription *subscription,
                                const sync_span **keys, size_t *count) {
  bool by_order = subscription->order_id_count > 0;
  *keys = by_order ? subscription->texts : types_of(subscription);
  *count = by_order ? subscription->order_id_count : subscription->type_count;
  return by_order ? &interest->by_order : &interest->by_type;
}

static bool file_all(struct sync_interest *interest, struct sync_subscription *subscription) {
  const sync_span *keys;
  size_t count;
  struct sync_map *map = home_of(interest, subscription, &keys, &count);
  if (!append(interest->alloc, &interest->all, subscription)) return false;
  if (count == 0) return append(interest->alloc, &interest->any, subscription);
  for (size_t i = 0; i < count; i++)
    if (!file(map, keys[i], subscription)) return false;
  return true;
}

static void unfile_all(struct sync_interest *interest, const struct sync_subscription *subscription) {
  const sync_span *keys;
  size_t count;
  struct sync_map *map = home_of(interest, subscription, &keys, &count);
  for (size_t i = 0; i < count; i++) unfile(map, keys[i], subscription->id);
  erase(&interest->any, subscription->id);
  erase(&interest->all, subscription->id);
}

/* ---- subscriptions ----------------------------------------------------------------------------------------------- */

static size_t bytes_of(const sync_span *texts, size_t count) {
  size_t bytes = count * sizeof *texts;
  for (size_t i = 0; i < count; i++) bytes += texts[i].length;
  return bytes;
}

static char *copy_texts(sync_span *to, const sync_span *from, size_t count, char *bytes) {
  for (size_t i = 0; i < count; i++) {
    to[i] = (sync_span){bytes, from[i].length};
    if (from[i].length) memcpy(bytes, from[i].bytes, from[i].length);
    bytes += from[i].length;
  }
  return bytes;
}

static struct sync_subscription *subscription_new(const sync_allocator *alloc, const sync_filter *filter, uint64_t id) {
  size_t bytes = bytes_of(filter->order_ids, filter->order_id_count) + bytes_of(filter->types, filter->type_count);
  struct sync_subscription *subscription = sync_alloc_zeroed(alloc, sizeof *subscription + bytes);
  if (!subscription) return NULL;
  subscription->id = id;
  subscription->order_id_count = filter->order_id_count;
  subscription->type_count = filter->type_count;
  char *at = (char *)(subscription->texts + filter->order_id_count + filter->type_count);
  at = copy_texts(subscription->texts, filter->order_ids, filter->order_id_count, at);
  copy_texts(subscription->texts + filter->order_id_count, filter->types, filter->type_count, at);
  return subscription;
}

uint64_t sync_interest_add(struct sync_interest *interest, const sync_filter *filter) {
  static const sync_filter everything = {NULL, 0, NULL, 0};
  struct sync_subscription *subscription =
      subscription_new(interest->alloc, filter ? filter : &everything, interest->last_id + 1);
  if (!subscription) return 0;
  interest->changes++;
  if (!file_all(interest, subscription)) {
    unfile_all(interest, subscription);
    sync_alloc_free(interest->alloc, subscription);
    return 0;
  }
  return interest->last_id = subscription->id;
}

void sync_interest_remove(struct sync_interest *interest, uint64_t id) {
  if (!stands(&interest->all, id)) return;
  struct sync_subscription *subscription = interest->all.list[position(&interest->all, id)];
  interest->changes++;
  unfile_all(interest, subscription);
  sync_alloc_free(interest->alloc, subscription);
}

void sync_interest_init(struct sync_interest *interest, const sync_allocator *alloc) {
  *interest = (struct sync_interest){.alloc = alloc};
  sync_map_init(&interest->by_order, alloc);
  sync_map_init(&interest->by_type, alloc);
}

void sync_interest_fini(struct sync_interest *interest) {
  while (interest->all.count > 0) sync_interest_remove(interest, interest->all.list[interest->all.count - 1]->id);
  sync_alloc_free(interest->alloc, interest->all.list);
  sync_alloc_free(interest->alloc, interest->any.list);
  sync_map_fini(&interest->by_order);
  sync_map_fini(&interest->by_type);
  sync_interest_init(interest, interest->alloc);
}

/* ---- matching ---------------------------------------------------------------------------------------------------- */

bool sync_interest_must_name(sync_span type) {
  static const sync_span must_name[] = {{"connected", 9}, {"heartbeat", 9}};
  return type.length == 9 && has(must_name, 2, type);
}

/* The lists that may hold matches: of the order, of the type, of any. */
struct candidates {
  const struct sync_subscriptions *lists[3];
  size_t next[3];
};

static struct candidates candidates_of(const struct sync_interest *interest, sync_span type, sync_span order_id) {
  return (struct candidates){{filed(&interest->by_order, order_id), filed(&interest->by_type, type), &interest->any},
                             {0, 0, 0}};
}

/* The oldest candidate that has not been given yet, or NULL. Each subscription is in one of the three lists only. */
static const struct sync_subscription *next_candidate(struct candidates *candidates) {
  const struct sync_subscription *oldest = NULL;
  int from = 0;
  for (int i = 0; i < 3; i++) {
    const struct sync_subscriptions *subscriptions = candidates->lists[i];
    if (!subscriptions || candidates->next[i] == subscriptions->count) continue;
    const struct sync_subscription *head = subscriptions->list[candidates->next[i]];
    if (oldest && oldest->id < head->id) continue;
    oldest = head;
    from = i;
  }
  if (oldest) candidates->next[from]++;
  return oldest;
}

/* The part of the filter that the filing has not settled. */
static bool accepts(const struct sync_subscription *subscription, sync_span type) {
  if (subscription->type_count > 0) return has(types_of(subscription), subscription->type_count, type);
  return !sync_interest_must_name(type);
}

static const struct sync_subscription *next_match(struct candidates *candidates, sync_span type) {
  const struct sync_subscription *subscription = next_candidate(candidates);
  while (subscription && !accepts(subscription, type)) subscription = next_candidate(candidates);
  return subscription;
}

bool sync_interest_wants(const struct sync_interest *interest, sync_span type, sync_span order_id, uint64_t *only) {
  struct candidates candidates = candidates_of(interest, type, order_id);
  const struct sync_subscription *first = next_match(&candidates, type);
  *only = first && !next_match(&candidates, type) ? first->id : 0;
  return first != NULL;
}

static bool match_add(const sync_allocator *alloc, struct sync_match *match, uint64_t id) {
  if (match->count == match->capacity) {
    size_t capacity = match->capacity ? match->capacity * 2 : 8;
    uint64_t *ids = sync_alloc_resize(alloc, match->ids, capacity * sizeof *ids);
    if (!ids) return false;
    match->ids = ids;
    match->capacity = capacity;
  }
  match->ids[match->count++] = id;
  return true;
}

void sync_match_clear(struct sync_match *match) {
  match->count = match->next = 0;
  match->only = 0;
}

void sync_interest_match_only(const struct sync_interest *interest, uint64_t only, struct sync_match *match) {
  sync_match_clear(match);
  match->only = only;
  match->changes = interest->changes;
}

bool sync_interest_match(const struct sync_interest *interest, sync_span type, sync_span order_id,
                         struct sync_match *match) {
  struct candidates candidates = candidates_of(interest, type, order_id);
  const struct sync_subscription *subscription;
  sync_match_clear(match);
  match->changes = interest->changes;
  while ((subscription = next_match(&candidates, type)))
    if (!match_add(interest->alloc, match, subscription->id)) return false;
  return true;
}

static uint64_t next_id(struct sync_match *match) {
  uint64_t id = match->only;
  match->only = 0;
  if (id == 0 && match->next < match->count) id = match->ids[match->next++];
  return id;
}

uint64_t sync_interest_next(const struct sync_interest *interest, struct sync_match *match) {
  uint64_t id = next_id(match);
  while (id && match->changes != interest->changes && !stands(&interest->all, id)) id = next_id(match);
  return id;
}

void sync_match_fini(const sync_allocator *alloc, struct sync_match *match) {
  sync_alloc_free(alloc, match->ids);
  *match = (struct sync_match){.ids = NULL};
}
