/*
 * mock_kafka: librdkafka's mock cluster as a process of its own.
 *
 * Prints `bootstrap=127.0.0.1:PORT,...` when it serves, and goes on until SIGTERM or SIGINT. Each
 * line on stdin is a command, answered by one line, `ok` or `error: REASON`; the end of stdin is
 * ignored, so it can also be left alone in the background.
 *
 * Its limits: 5 MiB of batches are kept per partition (older ones are dropped), one batch per
 * partition and fetch, no transactions, no time stamps, no CreateTopics, plaintext on loopback.
 *
 * Thread: everything here runs on the main thread; the cluster has one of its own.
 */
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

enum { MAX_WORDS = 8, MAX_TOPICS = 256, LINE_BYTES = 4096 };

struct options {
    int broker_count;
    int rebalance_delay_ms;
    const char *debug;
    char *topics[MAX_TOPICS]; /* name:partitions, borrowed from argv */
    int topic_count;
};

struct mock {
    rd_kafka_t *client; /* only lends its threads and its log to the cluster */
    rd_kafka_mock_cluster_t *cluster;
    int broker_count;
};

/* One line of stdin, in words; words[0] is the command. */
struct command {
    char *words[MAX_WORDS];
    int word_count;
};

typedef rd_kafka_resp_err_t (*command_cb)(struct mock *mock, struct command *command);

static void __attribute__((noreturn, format(printf, 1, 2))) fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("mock_kafka: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(EXIT_FAILURE);
}

/* --- Options ---------------------------------------------------------------------------------- */

static const char usage[] =
    "usage: mock_kafka [--brokers N] [--topic NAME:PARTITIONS]... [--rebalance-delay-ms N]\n"
    "                  [--debug CONTEXTS]\n";

static int options_number(const char *name, const char *text, int min, int max)
{
    char *end;
    long number = strtol(text, &end, 10);

    if (end == text || *end || number < min || number > max)
        fail("%s must be a number from %d to %d, not \"%s\"", name, min, max, text);
    return (int)number;
}

static void options_parse(struct options *options, int argc, char **argv)
{
    static const struct option names[] = {
        {"brokers", required_argument, NULL, 'b'},
        {"topic", required_argument, NULL, 't'},
        {"debug", required_argument, NULL, 'd'},
        {"rebalance-delay-ms", required_argument, NULL, 'r'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 'b':
            options->broker_count = options_number("--brokers", optarg, 1, 100);
            break;
        case 'r':
            options->rebalance_delay_ms = options_number("--rebalance-delay-ms", optarg, 0, 60000);
            break;
        case 'd':
            options->debug = optarg;
            break;
        case 't':
            if (options->topic_count == MAX_TOPICS)
                fail("more than %d topics", MAX_TOPICS);
            options->topics[options->topic_count++] = optarg;
            break;
        default:
            fputs(usage, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? EXIT_SUCCESS : 64);
        }
    }
}

/* --- The cluster ------------------------------------------------------------------------------ */

static rd_kafka_resp_err_t mock_create_topic(struct mock *mock, const char *name, int partitions)
{
    return rd_kafka_mock_topic_create(mock->cluster, name, partitions, mock->broker_count);
}

static void mock_create_topics(struct mock *mock, struct options *options)
{
    for (int i = 0; i < options->topic_count; i++) {
        char *name = options->topics[i];
        char *colon = strrchr(name, ':');
        rd_kafka_resp_err_t code;

        if (!colon || colon == name)
            fail("--topic must be NAME:PARTITIONS, not \"%s\"", name);
        *colon = '\0';
        code = mock_create_topic(mock, name, options_number("partitions", colon + 1, 1, 10000));
        if (code)
            fail("topic %s: %s", name, rd_kafka_err2str(code));
    }
}

static void mock_open(struct mock *mock, const struct options *options)
{
    char errstr[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();

    /* Below notices: it would complain that this client has no bootstrap.servers. */
    rd_kafka_conf_set(conf, "log_level", options->debug ? "7" : "4", NULL, 0);
    if (options->debug && rd_kafka_conf_set(conf, "debug", options->debug, errstr,
                                            sizeof(errstr)) != RD_KAFKA_CONF_OK)
        fail("%s", errstr);
    mock->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
    if (!mock->client)
        fail("%s", errstr);
    mock->broker_count = options->broker_count;
    mock->cluster = rd_kafka_mock_cluster_new(mock->client, options->broker_count);
    if (!mock->cluster)
        fail("cannot create a cluster of %d brokers", options->broker_count);
    rd_kafka_mock_set_controller_id(mock->cluster, 1); /* the sink asks it about topics */
    rd_kafka_mock_group_initial_rebalance_delay_ms(mock->cluster, options->rebalance_delay_ms);
}

static void mock_close(struct mock *mock)
{
    rd_kafka_mock_cluster_destroy(mock->cluster);
    rd_kafka_destroy(mock->client);
}

/* --- Commands --------------------------------------------------------------------------------- */

static int32_t command_number(const struct command *command, int word)
{
    return (int32_t)strtol(command->words[word], NULL, 10);
}

static rd_kafka_resp_err_t on_down(struct mock *mock, struct command *command)
{
    return rd_kafka_mock_broker_set_down(mock->cluster, command_number(command, 1));
}

static rd_kafka_resp_err_t on_up(struct mock *mock, struct command *command)
{
    return rd_kafka_mock_broker_set_up(mock->cluster, command_number(command, 1));
}

static rd_kafka_resp_err_t on_rtt(struct mock *mock, struct command *command)
{
    return rd_kafka_mock_broker_set_rtt(mock->cluster, command_number(command, 1),
                                        command_number(command, 2));
}

static rd_kafka_resp_err_t on_topic(struct mock *mock, struct command *command)
{
    return mock_create_topic(mock, command->words[1], command_number(command, 2));
}

static rd_kafka_resp_err_t on_delete_topic(struct mock *mock, struct command *command)
{
    return rd_kafka_mock_topic_delete(mock->cluster, command->words[1]);
}

static rd_kafka_resp_err_t on_delete_records(struct mock *mock, struct command *command)
{
    return rd_kafka_mock_partition_delete_records(mock->cluster, command->words[1],
                                                  command_number(command, 2),
                                                  strtoll(command->words[3], NULL, 10));
}

static rd_kafka_resp_err_t on_leader(struct mock *mock, struct command *command)
{
    return rd_kafka_mock_partition_set_leader(
        mock->cluster, command->words[1], command_number(command, 2), command_number(command, 3));
}

static rd_kafka_resp_err_t on_topic_error(struct mock *mock, struct command *command)
{
    rd_kafka_mock_topic_set_error(mock->cluster, command->words[1],
                                  (rd_kafka_resp_err_t)command_number(command, 2));
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_errors(struct mock *mock, struct command *command)
{
    rd_kafka_resp_err_t code = (rd_kafka_resp_err_t)command_number(command, 2);

    for (int i = command_number(command, 3); i > 0; i--)
        rd_kafka_mock_push_request_errors(mock->cluster, (int16_t)command_number(command, 1), 1,
                                          code);
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static rd_kafka_resp_err_t on_clear_errors(struct mock *mock, struct command *command)
{
    rd_kafka_mock_clear_request_errors(mock->cluster, (int16_t)command_number(command, 1));
    return RD_KAFKA_RESP_ERR_NO_ERROR;
}

static const struct {
    const char *name;
    const char *arguments;
    int argument_count;
    command_cb run;
} commands[] = {
    {"down", "BROKER", 1, on_down},
    {"up", "BROKER", 1, on_up},
    {"rtt", "BROKER MS", 2, on_rtt},
    {"topic", "NAME PARTITIONS", 2, on_topic},
    {"delete-topic", "NAME", 1, on_delete_topic},
    {"delete-records", "TOPIC PARTITION BEFORE", 3, on_delete_records},
    {"leader", "TOPIC PARTITION BROKER", 3, on_leader},
    {"topic-error", "TOPIC CODE", 2, on_topic_error},
    {"errors", "API_KEY CODE COUNT", 3, on_errors},
    {"clear-errors", "API_KEY", 1, on_clear_errors},
};

static void command_split(struct command *command, char *line)
{
    char *rest = NULL;

    command->word_count = 0;
    for (char *word = strtok_r(line, " \t\r", &rest); word; word = strtok_r(NULL, " \t\r", &rest)) {
        if (command->word_count < MAX_WORDS)
            command->words[command->word_count++] = word;
    }
}

static void command_run(struct mock *mock, struct command *command)
{
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++) {
        rd_kafka_resp_err_t code;

        if (strcmp(commands[i].name, command->words[0]))
            continue;
        if (command->word_count != commands[i].argument_count + 1) {
            printf("error: use %s %s\n", commands[i].name, commands[i].arguments);
            return;
        }
        code = commands[i].run(mock, command);
        if (code)
            printf("error: %s\n", rd_kafka_err2str(code));
        else
            puts("ok");
        return;
    }
    printf("error: no command \"%s\"\n", command->words[0]);
}

/* --- Input ------------------------------------------------------------------------------------ */

struct input {
    char bytes[LINE_BYTES];
    size_t length;
};

/* Runs the complete lines and keeps the rest. */
static void input_run_lines(struct input *input, struct mock *mock)
{
    char *line = input->bytes;
    char *end;

    while ((end = memchr(line, '\n', input->length - (size_t)(line - input->bytes)))) {
        struct command command;

        *end = '\0';
        command_split(&command, line);
        if (command.word_count)
            command_run(mock, &command);
        line = end + 1;
    }
    input->length -= (size_t)(line - input->bytes);
    memmove(input->bytes, line, input->length);
    fflush(stdout);
}

/* False at the end of stdin. */
static bool input_read(struct input *input, struct mock *mock)
{
    ssize_t count = read(STDIN_FILENO, input->bytes + input->length, LINE_BYTES - input->length);

    if (count < 0 && (errno == EINTR || errno == EAGAIN))
        return true;
    if (count <= 0)
        return false;
    input->length += (size_t)count;
    input_run_lines(input, mock);
    if (input->length == LINE_BYTES)
        fail("a command is longer than %d bytes", LINE_BYTES);
    return true;
}

static void serve(struct mock *mock, int signal_fd)
{
    struct input input = {.length = 0};
    struct pollfd fds[] = {{.fd = signal_fd, .events = POLLIN},
                           {.fd = STDIN_FILENO, .events = POLLIN}};

    for (;;) {
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            fail("poll: %s", strerror(errno));
        if (fds[0].revents)
            return;
        if (fds[1].revents && !input_read(&input, mock))
            fds[1].fd = -1; /* the end of stdin: go on serving */
    }
}

/* Blocked before any thread exists, so that every thread inherits it. */
static int block_signals(void)
{
    sigset_t signals;
    int fd;

    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    fd = signalfd(-1, &signals, SFD_CLOEXEC);
    if (fd < 0)
        fail("signalfd: %s", strerror(errno));
    return fd;
}

int main(int argc, char **argv)
{
    struct options options = {.broker_count = 1};
    struct mock mock = {0};
    int signal_fd;

    options_parse(&options, argc, argv);
    signal_fd = block_signals();
    mock_open(&mock, &options);
    mock_create_topics(&mock, &options);
    printf("bootstrap=%s\n", rd_kafka_mock_cluster_bootstraps(mock.cluster));
    fflush(stdout);

    serve(&mock, signal_fd);
    mock_close(&mock);
    close(signal_fd);
    return EXIT_SUCCESS;
}
