/*
 * From the command line to a command: options are few, settings come from the environment.
 *
 * What must be settled before the first thread starts is settled here: signals, the allocator, the
 * library's version, the settings, the log. Then a command has the process and its answer is the
 * exit code.
 */
#include "base/buffer.h"
#include "base/memory.h"
#include "base/printable.h"
#include "base/suggest.h"
#include "command/arguments.h"
#include "command/backfill.h"
#include "command/backfill_status.h"
#include "command/config_show.h"
#include "command/dead_letters.h"
#include "command/exit.h"
#include "command/lag.h"
#include "command/migrate.h"
#include "command/offsets.h"
#include "command/output.h"
#include "command/run.h"
#include "config.h"
#include "config_postgres.h"
#include "ops/log.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

/* 2.15.1: the releases before it lose records or stall in ways that this program relies on not
 * having. */
enum { OLDEST_RDKAFKA = 0x020f01ff };

/* What the options of a command go into, its defaults to begin with. */
union options {
    struct backfill_options backfill;
    struct backfill_status_options backfill_status;
    struct dead_letters_options dead_letters;
    struct offsets_options offsets;
    struct lag_options lag;
};

struct command {
    const char *name; /* one word, or two: the group and the command */
    int (*run)(const struct config *config);
    bool postgres_only; /* it does without Kafka's settings */
    const char *option; /* the only one it takes; NULL: none */
    int (*run_option)(void);
    const char *summary;
    const char *help;
    const struct argument *arguments; /* instead of `option`; then */
    int (*run_dead_letters)(const struct config *config,
                            const struct dead_letters_options *options);
    int (*run_lag)(const struct config *config, const struct lag_options *options);
    int (*run_offsets)(const struct config *config, const struct offsets_options *options);
    int (*run_backfill)(const struct config *config, const struct backfill_options *options);
    int (*run_backfill_status)(const struct config *config,
                               const struct backfill_status_options *options);
    union options defaults;
};

static const struct command commands[] = {
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
     .run_backfill = command_backfill,
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
     .run_backfill_status = command_backfill_status},
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
         "  --markdown  print the table of all settings that stands in README.md instead\n"},
    {.name = "lag",
     .summary = "Show how far each partition is behind.",
     .help =
         "Lists the partitions of SINK_TOPICS: how far they are written, where they end now, and "
         "what lies\n"
         "between. Whether or not an instance runs; the group is left alone.\n",
     .arguments = lag_arguments,
     .run_lag = command_lag},
    {.name = "offsets show",
     .summary = "Show the positions: where each partition stands.",
     .help = "Lists pgsluice.offsets: every record below a position is in PostgreSQL, none above "
             "it. LOST counts\n"
             "offsets that were passed unread (SINK_OUT_OF_RANGE=earliest).\n",
     .arguments = offsets_show_arguments,
     .run_offsets = command_offsets_show,
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
     .run_offsets = command_offsets_reset,
     .defaults.offsets = {.partition = -1}},
    {.name = "dead-letters list",
     .summary = "Show the records that could not become rows, and why.",
     .help = "Lists pgsluice.dead_letters by topic, partition and offset: where each record came "
             "from, which\n"
             "table refused it, and the reason. What was in the records is not shown unless "
             "--payload asks\n"
             "for it. The role needs SELECT on pgsluice.dead_letters.\n",
     .arguments = dead_letters_list_arguments,
     .run_dead_letters = command_dead_letters_list,
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
     .run_dead_letters = command_dead_letters_replay,
     .defaults.dead_letters = {.partition = -1, .limit = INT64_MAX}},
};

/* --- Texts ------------------------------------------------------------------------------------ */

static const char usage_line[] = "Usage: pgsluice COMMAND [--help]\n";

static const char examples[] =
    "\n"
    "A secret can come from a file: NAME_FILE=/path instead of NAME. An empty variable is not "
    "set.\n"
    "\n"
    "Examples:\n"
    "  # the topic orders into the table orders\n"
    "  KAFKA_BOOTSTRAP_SERVERS=localhost:9092 KAFKA_GROUP_ID=warehouse SINK_TOPICS=orders \\\n"
    "  PGHOST=localhost PGDATABASE=shop PGUSER=sink pgsluice run\n"
    "\n"
    "  # every topic that begins with shop. into the schema events, with TLS and a password file\n"
    "  KAFKA_BOOTSTRAP_SERVERS=kafka:9093 KAFKA_GROUP_ID=warehouse \\\n"
    "  KAFKA_SECURITY_PROTOCOL=sasl_ssl KAFKA_SASL_MECHANISM=SCRAM-SHA-512 \\\n"
    "  KAFKA_SASL_USERNAME=sink KAFKA_SASL_PASSWORD_FILE=/run/secrets/kafka \\\n"
    "  SINK_TOPICS='^shop[.].*' SINK_TABLE='events.${topic}' \\\n"
    "  PGSERVICE=warehouse PGPASSWORD_FILE=/run/secrets/postgres pgsluice run\n"
    "\n"
    "Exit codes: 0 done or drained, 64 usage, 65 records were refused, 69 server unreachable at "
    "the\n"
    "start, 70 internal error, 75 temporary failure, 78 configuration.\n";

static int print_help(void)
{
    struct buffer text = {0};

    buffer_append_text(
        &text,
        "pgsluice moves records from Kafka topics into PostgreSQL tables, exactly once.\n\n");
    buffer_append_text(&text, usage_line);
    buffer_append_text(&text, "\nCommands:\n");
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        buffer_printf(&text, "  %-24s%s\n", commands[i].name, commands[i].summary);
    buffer_printf(&text, "  %-24s%s\n", "help [COMMAND]",
                  "Show this text, or more about a command.");
    buffer_printf(&text, "  %-24s%s\n", "--version",
                  "Show the versions of the program and its libraries.");
    buffer_append_text(&text, "\nSettings are environment variables.\n");
    config_help(&text);
    buffer_append_text(&text, examples);
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

static int print_command_help(const struct command *command)
{
    struct buffer text = {0};

    buffer_printf(&text, "Usage: pgsluice %s", command->name);
    if (command->option)
        buffer_printf(&text, " [%s]", command->option);
    if (command->arguments)
        buffer_append_text(&text, " [OPTION...]");
    buffer_printf(&text, "\n\n%s", command->help);
    if (command->arguments) {
        buffer_append_text(&text, "\nOptions:\n");
        arguments_help(command->arguments, &text);
    }
    buffer_printf(&text, "\nSettings are environment variables: see pgsluice --help.\n");
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

static int print_version(void)
{
    struct buffer text = {0};
    int libpq = PQlibVersion();

    buffer_printf(&text, "pgsluice %s\n", PGSLUICE_VERSION);
    buffer_printf(&text, "librdkafka %s\n", rd_kafka_version_str());
    buffer_printf(&text, "libpq %d.%d\n", libpq / 10000, libpq % 10000);
    buffer_printf(&text, "libuv %s\n", uv_version_string());
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

/* --- The command line ------------------------------------------------------------------------- */

/* The second word of a command's name; NULL: it is in another group, or in none. */
static const char *in_group(const struct command *command, const char *group)
{
    size_t len = strlen(group);

    if (strncmp(command->name, group, len) != 0 || command->name[len] != ' ')
        return NULL;
    return command->name + len + 1;
}

/* How many of the words name the command; 0: they do not. */
static int count_name(const struct command *command, int count, char **words)
{
    const char *second = in_group(command, words[0]);

    if (second)
        return count > 1 && strcmp(words[1], second) == 0 ? 2 : 0;
    return strcmp(command->name, words[0]) == 0;
}

/* The longest name counts: a command may be a group too. */
static const struct command *find_command(int count, char **words, int *named)
{
    const struct command *found = NULL;

    *named = 0;
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        int words_count = count_name(&commands[i], count, words);
        if (words_count > *named) {
            *named = words_count;
            found = &commands[i];
        }
    }
    return found;
}

static bool is_group(const char *word)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (in_group(&commands[i], word))
            return true;
    return false;
}

static int print_group_help(const char *group)
{
    struct buffer text = {0};

    buffer_printf(&text, "Usage: pgsluice %s COMMAND [--help]\n\nCommands:\n", group);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (in_group(&commands[i], group))
            buffer_printf(&text, "  %-24s%s\n", in_group(&commands[i], group), commands[i].summary);
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int refuse(const char *what, const char *word, const char *suggestion)
{
    char *shown = memory_strdup(word);

    printable_make(shown);
    fprintf(stderr, "pgsluice: %s: %s\n", what, shown);
    free(shown);
    if (suggestion)
        fprintf(stderr, "Did you mean %s?\n", suggestion);
    fprintf(stderr, "%sSee pgsluice --help.\n", usage_line);
    return EXIT_USAGE;
}

static int refuse_command(const char *word)
{
    static const char *const others[] = {"help", "--help", "--version", "dead-letters"};
    struct suggestion best = {0};

    for (size_t i = 0; i < COUNT_OF(commands); i++)
        suggest_consider(&best, word, commands[i].name);
    for (size_t i = 0; i < COUNT_OF(others); i++)
        suggest_consider(&best, word, others[i]);
    return refuse(word[0] == '-' ? "unknown option" : "unknown command", word, best.word);
}

static int refuse_option(const struct command *command, const char *word)
{
    struct suggestion best = {0};

    if (word[0] != '-')
        return refuse("takes no arguments, settings are environment variables", word, NULL);
    suggest_consider(&best, word, "--help");
    if (command->option)
        suggest_consider(&best, word, command->option);
    return refuse("unknown option", word, best.word);
}

/* `config --markdown x` */
static int refuse_more(char **words)
{
    char *what = memory_printf("%s stands alone", words[0]);
    int code = refuse(what, words[1], NULL);

    free(what);
    return code;
}

/* --- The command ------------------------------------------------------------------------------ */

/* 0x020f01ff is 2.15.1, a final release. */
static bool check_libraries(void)
{
    if (rd_kafka_version() >= OLDEST_RDKAFKA)
        return true;
    fprintf(stderr,
            "pgsluice: librdkafka %s is too old: it loses records; 2.15.1 or later is needed\n",
            rd_kafka_version_str());
    return false;
}

/* Else the next file that is opened, a socket of PostgreSQL's, would get our log lines. */
static void open_standard_files(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0)
            _exit(EXIT_INTERNAL);
}

static void prepare_process(void)
{
    open_standard_files();
    /* A closed connection is an error that write returns, not a reason to die. */
    signal(SIGPIPE, SIG_IGN);
    /*
     * A fetch answer is a megabyte or more. From glibc's defaults each would be mapped, faulted in
     * page by page and unmapped again, which made up a third of the cost of consuming a record:
     * keep such memory in the heap.
     */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
}

static void print_problems(struct buffer *problems)
{
    fprintf(stderr, "pgsluice: the settings are not right:\n%s", buffer_text(problems));
}

static int call_command(const struct command *command, const struct config *config,
                        const union options *options)
{
    if (command->run_lag)
        return command->run_lag(config, &options->lag);
    if (command->run_offsets)
        return command->run_offsets(config, &options->offsets);
    if (command->run_backfill)
        return command->run_backfill(config, &options->backfill);
    if (command->run_backfill_status)
        return command->run_backfill_status(config, &options->backfill_status);
    if (command->run_dead_letters)
        return command->run_dead_letters(config, &options->dead_letters);
    return command->run(config);
}

static int run_command(const struct command *command, const union options *options)
{
    struct buffer problems = {0};
    struct config config = {0};
    int code = EXIT_CONFIG;

    if (!check_libraries())
        return EXIT_INTERNAL;
    prepare_process();
    config_postgres_settle();
    if ((command->postgres_only ? config_load_postgres : config_load)(&config, environ,
                                                                      &problems)) {
        log_start(config.log_level, config.log_format);
        code = call_command(command, &config, options);
    } else {
        print_problems(&problems);
    }
    config_finish(&config);
    buffer_finish(&problems);
    return code;
}

static int run_with_arguments(const struct command *command, int count, char **words)
{
    union options options = command->defaults;
    struct arguments_fault fault;

    if (!arguments_parse(command->arguments, count, words, &options, &fault))
        return refuse(fault.what, fault.word, fault.suggestion);
    return run_command(command, &options);
}

static int dispatch_command(const struct command *command, int count, char **words)
{
    if (count > 0 && asks_for_help(words[0]))
        return print_command_help(command);
    if (command->arguments)
        return run_with_arguments(command, count, words);
    if (count == 0)
        return run_command(command, &command->defaults);
    if (!command->option || strcmp(words[0], command->option) != 0)
        return refuse_option(command, words[0]);
    return count == 1 ? command->run_option() : refuse_more(words);
}

static int dispatch_group(int count, char **words)
{
    struct suggestion best = {0};

    if (count == 1)
        return refuse("a command has to follow", words[0], NULL);
    if (asks_for_help(words[1]))
        return print_group_help(words[0]);
    for (size_t i = 0; i < COUNT_OF(commands); i++)
        if (in_group(&commands[i], words[0]))
            suggest_consider(&best, words[1], in_group(&commands[i], words[0]));
    return refuse(words[1][0] == '-' ? "unknown option" : "unknown command", words[1], best.word);
}

static int dispatch_help(int count, char **words)
{
    int named = 0;
    const struct command *command = count ? find_command(count, words, &named) : NULL;

    if (count == 0)
        return print_help();
    if (!command && is_group(words[0]))
        return count == 1 ? print_group_help(words[0]) : dispatch_group(count, words);
    return command ? print_command_help(command) : refuse_command(words[0]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "%sSee pgsluice --help.\n", usage_line);
        return EXIT_USAGE;
    }
    if (asks_for_help(argv[1]))
        return print_help();
    if (strcmp(argv[1], "help") == 0)
        return dispatch_help(argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return print_version();

    int named;
    const struct command *command = find_command(argc - 1, argv + 1, &named);
    if (command)
        return dispatch_command(command, argc - 1 - named, argv + 1 + named);
    return is_group(argv[1]) ? dispatch_group(argc - 1, argv + 1) : refuse_command(argv[1]);
}
