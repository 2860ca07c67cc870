/* The options of both commands, with the words of their --help. */
#include "command/offsets.h"

#define FIELD(name) .offset = offsetof(struct offsets_options, name)

#define TOPIC     "--topic", ARGUMENT_TEXT, FIELD(topic), .value = "TOPIC"
#define PARTITION "--partition", ARGUMENT_NUMBER, FIELD(partition), .max = INT32_MAX, .value = "N"

const struct argument offsets_show_arguments[] = {
    {TOPIC, .doc = "Those of this topic."},
    {PARTITION, .doc = "Those of this partition."},
    {"--json", ARGUMENT_FLAG, FIELD(json), .doc = "One JSON object in a line for each."},
    {0},
};

const struct argument offsets_reset_arguments[] = {
    {TOPIC, .doc = "Those of this topic; required."},
    {PARTITION, .doc = "This partition only."},
    {"--to", ARGUMENT_TEXT, FIELD(to), .value = "WHERE",
     .doc = "earliest, latest, an offset, or a time such as 2026-11-20T08:00:00Z; required."},
    {"--yes", ARGUMENT_FLAG, FIELD(yes), .doc = "Do it; without it, what would be done is shown."},
    {0},
};
