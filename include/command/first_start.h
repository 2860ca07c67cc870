/*
 * SINK_START=latest: a sink that starts for the first time begins where the logs end now.
 *
 * Their ends become the positions of all partitions at once, before the group is joined. Whatever
 * has no position afterwards did not exist at the first start, and begins at its earliest offset:
 * nothing that is produced after the first start is skipped, however late its partition is noticed.
 * Blocking, bounded by SINK_CONNECT_TIMEOUT_MS. Thread: main.
 */
#ifndef COMMAND_FIRST_START_H
#define COMMAND_FIRST_START_H

#include "config.h"

#include <librdkafka/rdkafka.h>

/*
 * Does nothing for topics of which the sink has a position; with a regular expression, nothing once
 * it has any: later topics are new. EXIT_DONE, or the code to exit with; what was wrong is logged.
 */
int first_start(const struct config *config, rd_kafka_t *client);

#endif
