/*
 * polling.h - polling: asking for a snapshot of the orders, by url or of the host, and taking it in bit by bit: what it
 * changes in the order book is brought as events. When to ask is poller.h's.
 */
#ifndef SYNC_POLLING_H
#define SYNC_POLLING_H

#include "book.h"
#include "poller.h"
#include "snapshot.h"

struct sync_stream;

/* How far a snapshot has been taken in. */
enum sync_poll_stage {
  SYNC_POLL_NOTHING, /* none is */
  SYNC_POLL_ORDERS,  /* the orders that it has */
  SYNC_POLL_MISSING, /* the orders that it lacks */
};

/* When to poll at the interval: as the mode and the stream's state have it, or as the host has said. */
enum sync_poll_wish { SYNC_POLL_BY_MODE, SYNC_POLL_ALWAYS, SYNC_POLL_NEVER };

/* Where to ask by url. */
struct sync_poll_place {
  char *url;                /* NULL: nowhere */
  bool with_client_headers; /* it is of the stream's origin */
};

struct sync_poll {
  struct sync_poller poller;
  struct sync_poll_place list;  /* of all orders; without a url the host is asked, or nobody */
  struct sync_poll_place order; /* of the one order that the client is about */
  bool by_order;                /* the poll under way, or the last one, asks for that */
  bool order_refused;           /* it was said that this makes no sense: the list will have to do */
  bool order_found;             /* it has been had there, so that "not found" means that it is gone */
  bool gone;                    /* it is */
  bool matched;                 /* what has been taken in was the order that was asked for */
  struct sync_stream *stream;   /* NULL: none has been made */
  bool asks;                    /* waits for headers */
  bool at_host;                 /* the host has been asked and has not answered */
  struct sync_buffer body;
  char *etag; /* of the snapshot taken in last; NULL: none; and */
  char *last_modified;
  sync_source source; /* what the changes found count as; and those that the next poll will find */
  sync_source next_source;
  bool whole;    /* the last snapshot left nothing out: what has not changed since is whole as well */
  bool lost;     /* the one being taken in has an order that the book does not take, or news that nobody got */
  bool loaded;   /* the book has had a snapshot: from now on, changes are news */
  uint64_t mark; /* of the book, when the snapshot was asked for; and the wall clock */
  int64_t asked_at_ms;
  sync_gap_cure cure; /* what the poll under way is to gaps; SYNC_CURE_NONE: there is none */
  uint64_t asked_in;  /* how many streams had been opened, and things let go of, when it was asked */
  uint64_t asked_lacks;
  enum sync_poll_stage stage;
  struct sync_snapshot snapshot;
  sync_order_place cursor;
  uint64_t walked; /* mark of the book when the cursor was moved last */
  uint64_t orders;
  uint64_t changed;
  bool compared;          /* mode compare: the host knows that this poll was asked, and hears of every order in it */
  struct sync_buffer raw; /* of the event being written */
  struct sync_buffer data;
};

#endif
