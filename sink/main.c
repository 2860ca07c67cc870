/*
 * From the command line to a command: options are few, settings come from the environment.
 *
 * What must be settled before the first thread starts is settled here: signals, the allocator, the
 * library's version, the settings, the log. Then a command has the process and its answer is the
 * exit code.
 */
#include "base/buffer.h"
#include "base/suggest.h"
#include "command/config_show.h"
#include "command/exit.h"
#include "command/migrate.h"
#include "command/output.h"
#include "command/run.h"
#include "config.h"
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

struct command {
    const char *name;
    int (*run)(const struct config *config);
    const char *option; /* the only one it takes; NULL: none */
    int (*run_option)(void);
    const char *summary;
    const char *help;
};

static const struct command commands[] = {
    {"run", command_run, NULL, NULL, "Move records until SIGTERM, then drain and leave.",
     "Consumes SINK_TOPICS as a member of the consumer group KAFKA_GROUP_ID and copies the "
     "records\n"
     "into PostgreSQL. Start it as often as you like: the instances share the partitions.\n"
     "\n"
     "SIGTERM or SIGINT: what is under way is finished within SINK_DRAIN_TIMEOUT_MS, then it "
     "leaves\n"
     "the group; a second signal ends it at once. Neither loses a record.\n"},
    {"migrate", command_migrate, NULL, NULL, "Make or upgrade the sink's own schema, then end.",
     "Makes the schema pgsluice in PostgreSQL or brings it up to date. It is for deployments "
     "where\n"
     "run has no right to do so (SINK_MIGRATE=check). Running it again does no harm.\n"},
    {"config", command_config, "--markdown", command_config_markdown,
     "Check the settings and print them, secrets masked.",
     "Checks all settings without connecting to anything and prints each as it will be used, "
     "secrets\n"
     "masked. If something is wrong, it says everything that is and exits with 78.\n"
     "\n"
     "  --markdown  print the table of all settings that stands in README.md instead\n"},
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
    "Exit codes: 0 done or drained, 64 usage, 69 server unreachable at "
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
    buffer_printf(&text, "\n\n%s\nSettings are environment variables: see pgsluice --help.\n",
                  command->help);
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

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < COUNT_OF(commands); i++) {
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    }
    return NULL;
}

static bool asks_for_help(const char *word)
{
    return strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0;
}

static int refuse(const char *what, const char *word, const char *suggestion)
{
    fprintf(stderr, "pgsluice: %s: %s\n", what, word);
    if (suggestion)
        fprintf(stderr, "Did you mean %s?\n", suggestion);
    fprintf(stderr, "%sSee pgsluice --help.\n", usage_line);
    return EXIT_USAGE;
}

static int refuse_command(const char *word)
{
    static const char *const others[] = {"help", "--help", "--version"};
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

static int run_command(const struct command *command)
{
    struct buffer problems = {0};
    struct config config = {0};
    int code = EXIT_CONFIG;

    if (!check_libraries())
        return EXIT_INTERNAL;
    prepare_process();
    if (config_load(&config, environ, &problems)) {
        log_start(config.log_level, config.log_format);
        code = command->run(&config);
    } else {
        print_problems(&problems);
    }
    config_finish(&config);
    buffer_finish(&problems);
    return code;
}

static int dispatch_command(const struct command *command, int count, char **words)
{
    if (count == 0)
        return run_command(command);
    if (asks_for_help(words[0]))
        return print_command_help(command);
    if (command->option && strcmp(words[0], command->option) == 0 && count == 1)
        return command->run_option();
    return refuse_option(command, words[0]);
}

static int dispatch_help(int count, char **words)
{
    const struct command *command = count ? find_command(words[0]) : NULL;

    if (count == 0)
        return print_help();
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

    const struct command *command = find_command(argv[1]);
    return command ? dispatch_command(command, argc - 2, argv + 2) : refuse_command(argv[1]);
}
