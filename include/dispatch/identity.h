/*
 * A position belongs to a topic, not to a name: one that was deleted and made again is another
 * topic, and the offsets of the former one mean nothing in it. Thread: loop.
 *
 * Kafka's side says which topic a name stands for now (hooks.identify asks for it; without that
 * hook, claims don't wait and compare nothing). A claim stores it with the position.
 */
#ifndef DISPATCH_IDENTITY_H
#define DISPATCH_IDENTITY_H

#include "dispatch/dispatcher.h"

/*
 * The answer of Kafka's side. id: as Kafka prints it; "": the cluster has no ids; NULL: there is no
 * such topic. Where the topic is gone or another one, its partitions halt.
 */
void identity_take(struct dispatcher *dispatcher, const char *topic, const char *id);

/* It may be another one by now: claims wait until it is known again. */
void identity_forget(struct dispatcher *dispatcher, struct route *route);

/* The same, unless it was seen within the last seconds: a rebalance need not wait for Kafka then.
 */
void identity_refresh(struct dispatcher *dispatcher, struct route *route);

/* Whether its partitions may be claimed. */
bool identity_is_known(const struct dispatcher *dispatcher, const struct route *route);

/* Whether a claimed position is of the topic that is there now. False: err says what to do. */
bool identity_matches(const struct queue *queue, const struct offsets_position *position,
                      struct err *err) MUST_CHECK;

#endif
