/* The options of both commands, with the words of their --help. */
#include "command/dead_letters.h"

#define FIELD(name) .offset = offsetof(struct dead_letters_options, name)

#define FILTERS                                                                                    \
    {"--sink", ARGUMENT_TEXT, FIELD(sink), .value = "NAME",                                        \
     .doc = "Those of this sink; SINK_NAME unless it is said."},                                   \
        {"--topic", ARGUMENT_TEXT, FIELD(topic), .value = "TOPIC", .doc = "Those of this topic."}, \
        {"--partition",    ARGUMENT_NUMBER, FIELD(partition),                                      \
         .max = INT32_MAX, .value = "N",    .doc = "Those of this partition."},                    \
    {                                                                                              \
        "--sqlstate", ARGUMENT_TEXT, FIELD(sqlstate),                                              \
            .value = "CODE", .doc = "Those that PostgreSQL refused with this code."                \
    }

const struct argument dead_letters_list_arguments[] = {
    FILTERS,
    {"--limit", ARGUMENT_NUMBER, FIELD(limit), .min = 1, .max = INT32_MAX, .value = "N",
     .doc = "At most so many; 100 unless it is said."},
    {"--json", ARGUMENT_FLAG, FIELD(json), .doc = "One JSON object in a line for each."},
    {"--payload", ARGUMENT_FLAG, FIELD(payload),
     .doc = "Show keys, values and headers as well: they may be confidential."},
    {0},
};

const struct argument dead_letters_replay_arguments[] = {
    FILTERS,
    {"--limit", ARGUMENT_NUMBER, FIELD(limit), .min = 1, .max = INT32_MAX, .value = "N",
     .doc = "At most so many; all unless it is said."},
    {"--dry-run", ARGUMENT_FLAG, FIELD(dry_run),
     .doc = "Try everything, say what would come of it, and change nothing."},
    {0},
};
