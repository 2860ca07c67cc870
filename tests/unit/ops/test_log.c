/*
 * What arrives on standard error, read back from a pipe in its place. jansson judges the JSON. Each
 * test has event names of its own: what was held back is remembered for the whole process.
 */
#include "ops/log.h"

#include "base/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <limits.h>
#include <math.h>
#include <pthread.h>
#include <regex.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static int saved_stderr;
static int reader;

static int capture(void **state)
{
    int ends[2];

    (void)state;
    if (pipe2(ends, O_CLOEXEC) != 0)
        return -1;
    saved_stderr = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    return fcntl(reader, F_SETFL, O_NONBLOCK);
}

static int release(void **state)
{
    (void)state;
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    if (reader >= 0)
        close(reader);
    return 0;
}

/* Everything written so far. */
static const char *written(void)
{
    static char text[1 << 17];
    size_t len = 0;
    ssize_t more;

    while ((more = read(reader, text + len, sizeof(text) - 1 - len)) > 0)
        len += (size_t)more;
    text[len] = '\0';
    return text;
}

static void assert_matches(const char *text, const char *pattern)
{
    regex_t regex;

    assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
    if (regexec(&regex, text, 0, NULL, 0) != 0)
        fail_msg("%s does not match %s", text, pattern);
    regfree(&regex);
}

/* The one line, parsed. */
static json_t *written_json(void)
{
    const char *text = written();
    json_error_t error;
    json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, &error);

    if (!line)
        fail_msg("%s: %s", error.text, text);
    assert_non_null(strchr(text, '\n'));
    assert_string_equal(strchr(text, '\n'), "\n");
    return line;
}

static const char *text_in(json_t *line, const char *name)
{
    return json_string_value(json_object_get(line, name));
}

static int lines_in(const char *text)
{
    int count = 0;

    for (; *text; text++)
        count += *text == '\n';
    return count;
}

static void text_line_has_time_level_event_and_fields(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("assigned", LOG_STR("topic", "orders"), LOG_INT("partition", 3), LOG_REAL("s", 0.25));
    assert_matches(written(), "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}[.][0-9]{3}Z "
                              "INFO  assigned topic=orders partition=3 s=0.25\n$");
}

static void time_is_utc_now(void **state)
{
    int64_t before_ms = clock_wall_ms();
    struct tm parts = {0};

    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("now");
    const char *rest = strptime(written(), "%Y-%m-%dT%H:%M:%S", &parts);
    assert_non_null(rest);
    int64_t line_ms = timegm(&parts) * 1000 + strtol(rest + 1, NULL, 10);
    assert_in_range(line_ms, before_ms, clock_wall_ms());
}

static void text_quotes_what_is_not_one_word(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("two words", LOG_STR("a", "two words"), LOG_STR("b", "x=1"),
             LOG_STR("c", "say \"hi\""), LOG_STR("d", "back\\slash"),
             LOG_STR("e", "plain-word.1:2/3"));
    assert_matches(
        written(),
        " two words a=\"two words\" b=\"x=1\" c=\"say .\"hi.\"\" d=\"back[\\][\\]slash\" "
        "e=plain-word.1:2/3\n$");
}

static void json_line_has_typed_fields(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_error("flush", LOG_STR("table", "a\tb"), LOG_INT("rows", INT64_MIN), LOG_REAL("s", 1.5));
    json_t *line = written_json();
    assert_string_equal(text_in(line, "level"), "error");
    assert_string_equal(text_in(line, "event"), "flush");
    assert_string_equal(text_in(line, "table"), "a\tb");
    assert_true(json_integer_value(json_object_get(line, "rows")) == INT64_MIN);
    assert_true(json_real_value(json_object_get(line, "s")) == 1.5);
    assert_matches(text_in(line, "time"), "T.*[.][0-9]{3}Z$");
    json_decref(line);
}

static void json_has_no_infinity(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_info("infinite", LOG_REAL("a", (double)INFINITY), LOG_REAL("b", (double)NAN));
    json_t *line = written_json();
    assert_true(json_is_null(json_object_get(line, "a")));
    assert_true(json_is_null(json_object_get(line, "b")));
    json_decref(line);
}

static void auto_is_json_on_a_pipe(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
    log_info("automatic");
    json_decref(written_json());
}

static void empty_texts_are_left_out(void **state)
{
    struct err err;

    (void)state;
    err_set(&err, ERR_OUTAGE, "no route");
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_warn("connect", LOG_ERR(&err), LOG_STR("nothing", NULL));
    assert_matches(written(), "connect reason=\"no route\"\n$");
}

static void a_text_can_not_begin_a_line(void **state)
{
    const char *forged = "x\r\n2026-01-01T00:00:00.000Z ERROR forged\x1b[2J\x7f\xc2\x9b";

    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_info("injection", LOG_STR("reason", forged));
    const char *text = written();
    assert_int_equal(lines_in(text), 1);
    for (const char *at = text; at[1]; at++)
        assert_true((unsigned char)*at >= ' ' && *at != 0x7f && (unsigned char)*at != 0x9b);
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_info("injection", LOG_STR("reason", forged));
    json_t *line = written_json();
    assert_string_equal(text_in(line, "reason"), forged);
    json_decref(line);
}

static void bytes_that_are_no_utf8_are_replaced(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    log_info("broken", LOG_STR("reason", "a\xff\xc3|\xed\xa0\x80 \xc3\xa9"));
    json_t *line = written_json();
    assert_string_equal(text_in(line, "reason"),
                        "a\xef\xbf\xbd\xef\xbf\xbd|\xef\xbf\xbd\xef\xbf\xbd"
                        "\xef\xbf\xbd \xc3\xa9");
    json_decref(line);
}

static void a_long_line_is_cut_and_ends_well(void **state)
{
    static const char units[] = {'x', '"', '\x01', '\xff'};
    static char text[3 * PIPE_BUF];

    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    for (size_t i = 0; i < sizeof(units); i++) {
        memset(text, units[i], sizeof(text) - 1);
        log_info("long", LOG_STR("reason", text), LOG_INT("after", 1), LOG_STR("more", text));
        json_t *line = written_json();
        const char *reason = text_in(line, "reason");
        assert_string_equal(reason + strlen(reason) - 3, "...");
        json_decref(line);
    }
}

static void lines_below_the_level_are_not_written(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_WARN, LOG_FORMAT_TEXT);
    log_debug("quiet");
    log_info("quiet");
    assert_string_equal(written(), "");
    log_warn("loud");
    log_error("loud");
    assert_int_equal(lines_in(written()), 2);
}

static void repeated_lines_are_held_back_but_not_debug(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    for (int i = 0; i < 30; i++)
        log_error("repeated", LOG_INT("i", i));
    assert_int_equal(lines_in(written()), 10);
    for (int i = 0; i < 30; i++)
        log_debug("repeated_debug", LOG_INT("i", i));
    assert_int_equal(lines_in(written()), 30);
}

/* Until not one more byte goes in. */
static void fill_pipe(void)
{
    char full[PIPE_BUF] = "";
    int flags = fcntl(STDERR_FILENO, F_GETFL);

    fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
    while (write(STDERR_FILENO, full, sizeof(full)) > 0)
        ;
    fcntl(STDERR_FILENO, F_SETFL, flags);
}

static void a_reader_that_stopped_costs_lines_not_the_loop(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    fill_pipe();
    for (int i = 0; i < 1000; i++)
        log_debug("into_the_void"); /* the test's time limit tells if this waits each time */
    written();
    log_info("again");
    assert_matches(written(), " again dropped=1000\n$");
    log_info("again");
    assert_matches(written(), " again\n$");
}

static void a_reader_that_went_away_is_no_end(void **state)
{
    (void)state;
    signal(SIGPIPE, SIG_IGN);
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    close(reader);
    reader = -1;
    log_info("nobody");
    log_info("nobody");
}

static void counts_lines_shown_or_not(void **state)
{
    struct log_counts before = log_count();

    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    log_debug("counted");
    for (int i = 0; i < 12; i++)
        log_warn("counted");
    fill_pipe();
    log_error("counted_too");
    struct log_counts after = log_count();
    assert_int_equal(after.lines[LOG_LEVEL_DEBUG] - before.lines[LOG_LEVEL_DEBUG], 0);
    assert_int_equal(after.lines[LOG_LEVEL_WARN] - before.lines[LOG_LEVEL_WARN], 12);
    assert_int_equal(after.lines[LOG_LEVEL_ERROR] - before.lines[LOG_LEVEL_ERROR], 1);
    assert_int_equal(after.held_back - before.held_back, 2);
    assert_int_equal(after.dropped - before.dropped, 1);
    written();
    log_info("counted_last");
    assert_matches(written(), " counted_last dropped=1\n$");
}

static void errno_is_kept(void **state)
{
    (void)state;
    log_start(LOG_LEVEL_INFO, LOG_FORMAT_AUTO);
    errno = ENOENT;
    log_info("kept");
    assert_int_equal(errno, ENOENT);
}

enum { WRITERS = 4, LINES_EACH = 200 };

static void *write_lines(void *unused)
{
    for (int i = 0; i < LINES_EACH; i++)
        log_debug("threads", LOG_STR("text", "a few words that must stay together"));
    return unused;
}

static void lines_of_several_threads_do_not_mix(void **state)
{
    pthread_t threads[WRITERS];
    int count = 0;

    (void)state;
    log_start(LOG_LEVEL_DEBUG, LOG_FORMAT_JSON);
    fcntl(STDERR_FILENO, F_SETPIPE_SZ, 1 << 20);
    for (int i = 0; i < WRITERS; i++)
        pthread_create(&threads[i], NULL, write_lines, NULL);
    for (int i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    char *copy = strdup(written());
    char *rest = copy;
    for (char *line = strsep(&rest, "\n"); line && *line; line = strsep(&rest, "\n"), count++) {
        json_t *parsed = json_loads(line, 0, NULL);
        assert_non_null(parsed);
        json_decref(parsed);
    }
    free(copy);
    assert_int_equal(count, WRITERS * LINES_EACH);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, capture, release)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_line_has_time_level_event_and_fields),
        TEST(time_is_utc_now),
        TEST(text_quotes_what_is_not_one_word),
        TEST(json_line_has_typed_fields),
        TEST(json_has_no_infinity),
        TEST(auto_is_json_on_a_pipe),
        TEST(empty_texts_are_left_out),
        TEST(a_text_can_not_begin_a_line),
        TEST(bytes_that_are_no_utf8_are_replaced),
        TEST(a_long_line_is_cut_and_ends_well),
        TEST(lines_below_the_level_are_not_written),
        TEST(repeated_lines_are_held_back_but_not_debug),
        TEST(a_reader_that_stopped_costs_lines_not_the_loop),
        TEST(a_reader_that_went_away_is_no_end),
        TEST(counts_lines_shown_or_not),
        TEST(errno_is_kept),
        TEST(lines_of_several_threads_do_not_mix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
