/*
 * What a process that runs the loop sees to before and after it. Thread: main.
 */
#ifndef COMMAND_PROCESS_H
#define COMMAND_PROCESS_H

#include "config.h"

#include <librdkafka/rdkafka.h>

/* Before the first job: how many threads encode. Returns it. */
int process_set_workers(const struct config *config);

/*
 * After the loop: all that matters is in PostgreSQL by now, so a client that hangs in its own
 * shutdown is left behind, and the process exits with the code.
 */
void process_destroy_clients(rd_kafka_t *const *consumers, size_t count, rd_kafka_t *producer,
                             int exit_code);

#endif
