#include "command/commands.h"

#include "command/config_show.h"
#include "command/migrate.h"
#include "command/run.h"

#include <string.h>

const struct command commands[] = {
    {.name = "run",
     .run = command_run,
     .summary = "Move records until SIGTERM, then drain and leave.",
     .help =
         "Consumes SINK_TOPICS as a member of the consumer group KAFKA_GROUP_ID and copies the "
         "records\n"
         "into PostgreSQL. Start it as often as you like: the instances share the partitions.\n"
         "\n"
         "SIGTERM or SIGINT: what is under way is finished within SINK_DRAIN_TIMEOUT_MS, then it "
         "leaves\n"
         "the group; a second signal ends it at once. Neither loses a record.\n"},
    {.name = "backfill",
     .summary = "Load a range of offsets or of time once, then end.",
     .help =
         "Loads what SINK_TOPICS hold from one bound to another into the tables, exactly once, and "
         "ends by\n"
         "itself. Offsets are fixed at the first start; no consumer group is joined, and no sink's "
         "position\n"
         "is touched. Interrupted or killed, it goes on when it is run again with the same "
         "options. All\n"
         "settings of run apply.\n"
         "\n"
         "Within a range, rows are written in the order of offsets; the ranges of --parallel load "
         "side by\n"
         "side. Exits with 0 when all is loaded, 65 when it is but with dead letters, 75 when it "
         "was\n"
         "interrupted.\n"
         "\n"
         "  pgsluice backfill --from -90d --until-live\n"
         "  pgsluice backfill --from 2026-08-01 --to 2026-09-01T00:00:00+02:00 --name august\n",
     .arguments = backfill_arguments,
     .run = command_backfill,
     .defaults.backfill = {.parallel = 1, .of = 1}},
    {.name = "backfill status",
     .postgres_only = true,
     .summary = "Show how far a backfill is, or what has come of it.",
     .help =
         "Shows the backfill NAME, or a line for each, from anywhere, while it runs and after: "
         "how far it\n"
         "is, and how the sum of its records comes out. PG* settings are enough; the role needs "
         "SELECT on\n"
         "pgsluice.backfills, pgsluice.backfill_ranges and pgsluice.migrations.\n",
     .arguments = backfill_status_arguments,
     .run = command_backfill_status},
    {.name = "migrate",
     .run = command_migrate,
     .postgres_only = true,
     .summary = "Make or upgrade the sink's own schema, then end.",
     .help =
         "Makes the schema pgsluice in PostgreSQL or brings it up to date. It is for deployments "
         "where\n"
         "run has no right to do so (SINK_MIGRATE=check). Running it again does no harm. PG* "
         "settings "
         "are\n"
         "enough.\n"},
    {.name = "config",
     .run = command_config,
     .option = "--markdown",
     .run_option = command_config_markdown,
     .summary = "Check the settings and print them, secrets masked.",
     .help =
         "Checks all settings without connecting to anything and prints each as it will be used, "
         "secrets\n"
         "masked. If something is wrong, it says everything that is and exits with 78.\n"
         "\n"
         "  --markdown  print the table of all settings that stands in docs/settings.md instead\n"},
    {.name = "health",
     .postgres_only = true,
     .summary = "Ask an instance whether it is well.",
     .help =
         "Shows what an instance answers to /readyz?verbose. Exits with 0 when it can do its work, "
         "75 when\n"
         "it can not, 69 when it does not answer within 5 s.\n",
     .arguments = health_arguments,
     .run = command_health},
    {.name = "lag",
     .summary = "Show how far each partition is behind.",
     .help =
         "Lists the partitions of SINK_TOPICS: how far they are written, where they end now, and "
         "what lies\n"
         "between. Whether or not an instance runs; the group is left alone.\n",
     .arguments = lag_arguments,
     .run = command_lag},
    {.name = "offsets show",
     .summary = "Show the positions: where each partition stands.",
     .help = "Lists pgsluice.offsets: every record below a position is in PostgreSQL, none above "
             "it. LOST counts\n"
             "offsets that were passed unread (SINK_OUT_OF_RANGE=earliest).\n",
     .arguments = offsets_show_arguments,
     .run = command_offsets_show,
     .defaults.offsets = {.partition = -1}},
    {.name = "offsets reset",
     .summary = "Set positions of a sink that does not run.",
     .help = "Sets where the partitions of a topic go on, and keeps the id of the topic that is "
             "there now. What\n"
             "lies between the former position and the new one is read again, or never. Without "
             "--yes it only\n"
             "shows what it would do.\n"
             "\n"
             "Stop the sink first: it is refused with 75 while one of its instances has a session. "
             "One that is\n"
             "not seen, since it is frozen or cut off, can write nothing more under its former "
             "claim.\n",
     .arguments = offsets_reset_arguments,
     .run = command_offsets_reset,
     .defaults.offsets = {.partition = -1}},
    {.name = "dead-letters list",
     .summary = "Show the records that could not become rows, and why.",
     .help = "Lists pgsluice.dead_letters by topic, partition and offset: where each record came "
             "from, which\n"
             "table refused it, and the reason. What was in the records is not shown unless "
             "--payload asks\n"
             "for it. The role needs SELECT on pgsluice.dead_letters.\n",
     .arguments = dead_letters_list_arguments,
     .run = command_dead_letters_list,
     .defaults.dead_letters = {.partition = -1, .limit = 100}},
    {.name = "dead-letters replay",
     .summary = "Try them again, now that the cause is mended.",
     .help =
         "Puts records of pgsluice.dead_letters through the mapping again, with the settings of "
         "now. Each\n"
         "row is written in the transaction that takes its dead letter out, so it is written "
         "exactly once,\n"
         "also when this is ended in the middle or runs twice at a time. A record that is refused "
         "again\n"
         "stays where it is, with the new reason. Run it while the sink runs, or while it does "
         "not.\n"
         "\n"
         "Its rows come later than those that followed them in Kafka. The role needs SELECT, "
         "UPDATE and\n"
         "DELETE on pgsluice.dead_letters, and INSERT on the tables.\n"
         "\n"
         "Exits with 65 when some were refused again.\n",
     .arguments = dead_letters_replay_arguments,
     .run = command_dead_letters_replay,
     .defaults.dead_letters = {.partition = -1, .limit = INT64_MAX}},
    {.name = NULL},
};

const char *commands_in_group(const struct command *command, const char *group)
{
    size_t len = strlen(group);

    if (strncmp(command->name, group, len) != 0 || command->name[len] != ' ')
        return NULL;
    return command->name + len + 1;
}

/* How many of the words name the command; 0: they do not. */
static int count_name(const struct command *command, int count, char **words)
{
    const char *second = commands_in_group(command, words[0]);

    if (second)
        return count > 1 && strcmp(words[1], second) == 0 ? 2 : 0;
    return strcmp(command->name, words[0]) == 0;
}

const struct command *commands_find(int count, char **words, int *named)
{
    const struct command *found = NULL;

    *named = 0;
    for (const struct command *command = commands; command->name; command++) {
        int words_count = count_name(command, count, words);
        if (words_count > *named) {
            *named = words_count;
            found = command;
        }
    }
    return found;
}

bool commands_is_group(const char *word)
{
    for (const struct command *command = commands; command->name; command++)
        if (commands_in_group(command, word))
            return true;
    return false;
}
