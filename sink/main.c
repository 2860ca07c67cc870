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
#include "command/commands.h"
#include "command/help.h"
#include "config.h"
#include "config_postgres.h"
#include "ops/log.h"

#include <fcntl.h>
#include <librdkafka/rdkafka.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* 2.15.1: the releases before it lose records or stall in ways that this program relies on not
 * having. */
enum { OLDEST_RDKAFKA = 0x020f01ff };

enum { HEAPS_MAX = 2 };

/* --- The command line ------------------------------------------------------------------------- */

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
    fprintf(stderr, "%sSee pgsluice --help.\n", help_usage);
    return EXIT_USAGE;
}

static int refuse_command(const char *word)
{
    static const char *const others[] = {"help", "--help", "--version", "dead-letters"};
    struct suggestion best = {0};

    for (const struct command *command = commands; command->name; command++)
        suggest_consider(&best, word, command->name);
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
     *
     * What a heap has once grown to it keeps. By default each thread would get one, and the records
     * of a moment, their rows of the next and what librdkafka fetches would each be kept at their
     * most, which together is beyond SINK_MEMORY_LIMIT.
     */
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, 1 << 30);
    mallopt(M_ARENA_MAX, HEAPS_MAX);
}

static void print_problems(struct buffer *problems)
{
    fprintf(stderr, "pgsluice: the settings are not right:\n%s", buffer_text(problems));
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
        code = command->run(&config, options);
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
        return help_print_command(command);
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
        return help_print_group(words[0]);
    for (const struct command *command = commands; command->name; command++)
        if (commands_in_group(command, words[0]))
            suggest_consider(&best, words[1], commands_in_group(command, words[0]));
    return refuse(words[1][0] == '-' ? "unknown option" : "unknown command", words[1], best.word);
}

static int dispatch_help(int count, char **words)
{
    int named = 0;
    const struct command *command = count ? commands_find(count, words, &named) : NULL;

    if (count == 0)
        return help_print();
    if (!command && commands_is_group(words[0]))
        return count == 1 ? help_print_group(words[0]) : dispatch_group(count, words);
    return command ? help_print_command(command) : refuse_command(words[0]);
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "%sSee pgsluice --help.\n", help_usage);
        return EXIT_USAGE;
    }
    if (asks_for_help(argv[1]))
        return help_print();
    if (strcmp(argv[1], "help") == 0)
        return dispatch_help(argc - 2, argv + 2);
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return help_print_version();

    int named;
    const struct command *command = commands_find(argc - 1, argv + 1, &named);
    if (command)
        return dispatch_command(command, argc - 1 - named, argv + 1 + named);
    return commands_is_group(argv[1]) ? dispatch_group(argc - 1, argv + 1)
                                      : refuse_command(argv[1]);
}
