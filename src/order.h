/*
 * order.h - what the members of an order are called on this wire.
 */
#ifndef SYNC_ORDER_H
#define SYNC_ORDER_H

#include "object.h"

enum sync_order_role {
  SYNC_ORDER_ID,
  SYNC_ORDER_STAGE,
  SYNC_ORDER_PAYMENT,
  SYNC_ORDER_STATUS,
  SYNC_ORDER_UPDATED, /* when the order was last changed, see timestamp.h */
  SYNC_ORDER_NUMBER,  /* a number that grows with every change */
  SYNC_ORDER_QR,
  SYNC_ORDER_WHATSAPP,
  SYNC_ORDER_ROLES
};

#define SYNC_ORDER_NAMES_MAX 16

/* A role may have several names; the first one is the one that is written, as it is: in JSON it needs no escapes. */
struct sync_order_names {
  size_t count;
  struct sync_order_name {
    sync_span text;
    uint64_t hash;
    enum sync_order_role role;
  } list[SYNC_ORDER_NAMES_MAX];
};

/* The names of the design. */
void sync_order_names_init(struct sync_order_names *names);

/* Calls the member with `role` by `text`, and by no other name. The text stays the caller's. */
void sync_order_names_set(struct sync_order_names *names, enum sync_order_role role, sync_span text);

/* What the member is called in which a role is written. */
sync_span sync_order_name(const struct sync_order_names *names, enum sync_order_role role);

/* The role of the member called `name`; SYNC_ORDER_ROLES: none. */
enum sync_order_role sync_order_role_of(const struct sync_order_names *names, sync_span name);

/* The member of `order` that has `role`, or NULL: it has none. */
struct sync_member *sync_order_find(const struct sync_order_names *names, const struct sync_object *order,
                                    enum sync_order_role role);

#endif
