/* order.c - what the members of an order are called. */
#include "order.h"

#include "map.h"
#include "span.h"

static const struct {
  const char *text;
  enum sync_order_role role;
} defaults[] = {
    {"orderID", SYNC_ORDER_ID},
    {"orderId", SYNC_ORDER_ID},
    {"order_id", SYNC_ORDER_ID},
    {"orderStage", SYNC_ORDER_STAGE},
    {"paymentStatus", SYNC_ORDER_PAYMENT},
    {"overallStatus", SYNC_ORDER_STATUS},
    {"updatedAt", SYNC_ORDER_UPDATED},
    {"version", SYNC_ORDER_NUMBER},
    {"sequence", SYNC_ORDER_NUMBER},
    {"seq", SYNC_ORDER_NUMBER},
    {"qrCodeGenerated", SYNC_ORDER_QR},
    {"whatsappLinked", SYNC_ORDER_WHATSAPP},
};

static void add_name(struct sync_order_names *names, enum sync_order_role role, sync_span text) {
  names->list[names->count++] = (struct sync_order_name){text, sync_map_hash(text), role};
}

void sync_order_names_init(struct sync_order_names *names) {
  names->count = 0;
  for (size_t i = 0; i < sizeof defaults / sizeof *defaults; i++)
    add_name(names, defaults[i].role, sync_span_of(defaults[i].text));
}

void sync_order_names_set(struct sync_order_names *names, enum sync_order_role role, sync_span text) {
  size_t kept = 0;
  for (size_t i = 0; i < names->count; i++)
    if (names->list[i].role != role) names->list[kept++] = names->list[i];
  names->count = kept;
  add_name(names, role, text);
}

sync_span sync_order_name(const struct sync_order_names *names, enum sync_order_role role) {
  for (size_t i = 0; i < names->count; i++)
    if (names->list[i].role == role) return names->list[i].text;
  return (sync_span){NULL, 0};
}

enum sync_order_role sync_order_role_of(const struct sync_order_names *names, sync_span name) {
  for (size_t i = 0; i < names->count; i++) {
    if (sync_span_same(names->list[i].text, name)) return names->list[i].role;
  }
  return SYNC_ORDER_ROLES;
}

struct sync_member *sync_order_find(const struct sync_order_names *names, const struct sync_object *order,
                                    enum sync_order_role role) {
  struct sync_member *found = NULL;
  for (size_t i = 0; i < names->count && !found; i++)
    if (names->list[i].role == role) found = sync_object_find_hashed(order, names->list[i].text, names->list[i].hash);
  return found;
}
