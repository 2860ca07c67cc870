/*
 * What is checked before the loop runs, blocking and bounded: the schema, the tables, the topics.
 * Whatever is wrong is logged here. Thread: main.
 */
#ifndef COMMAND_BOOT_H
#define COMMAND_BOOT_H

#include "command/exit.h"
#include "dispatch/route.h"
#include "kafka/client.h"

/* The exit code that says why a start failed. */
int boot_exit_code(const struct err *err);

/*
 * Enough files may be open for sockets to PostgreSQL and to some brokers; the limit is raised as
 * far as this process may, since nobody knows how many brokers there are. clients_count: of Kafka,
 * each with sockets of its own; serves: HTTP. EXIT_DONE or EXIT_CONFIG.
 */
int boot_limits(const struct config *config, int64_t clients_count, bool serves);

/* Connects and migrates or checks the schema, as SINK_MIGRATE says. EXIT_DONE, or the code to exit
 * with. */
int boot_schema(const struct config *config);

/*
 * The table of every listed topic can be written. With a regex, topics are checked as they come.
 * Warns of other sinks that read the same topics: two that write to one table double each record.
 */
int boot_tables(const struct config *config);

/* The cluster answers and has the topics. */
int boot_topics(const struct config *config, rd_kafka_t *client);

#endif
