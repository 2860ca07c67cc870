/*
 * poll_query: an observer that asks the same question again and again, on a connection of its own.
 *
 *   poll_query INTERVAL_US SQL
 *
 * The first line of stdout is the process id of its backend. Then a line comes whenever the first
 * row of the answer has changed, the first answer included: the time in nanoseconds since 1970 at
 * which the answer was here, and the row's values, all separated by tabs. What a line shows was
 * visible to every client by then, and was not yet visible when the answer before it was sent.
 *
 * The server is libpq's environment. It ends with its stdin. Thread: main.
 */
#include <errno.h>
#include <inttypes.h>
#include <libpq-fe.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NANOS_PER_SECOND 1000000000LL

static const char statement[] = "poll";

static void must(bool done, const char *what, PGconn *conn)
{
    if (done)
        return;
    fprintf(stderr, "poll_query: %s: %s", what, PQerrorMessage(conn));
    exit(EXIT_FAILURE);
}

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return now.tv_sec * NANOS_PER_SECOND + now.tv_nsec;
}

/* Waits until the moment; false: stdin has ended. */
static bool await(int64_t due_ns)
{
    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};

    for (;;) {
        int64_t left_ns = due_ns - clock_ns(CLOCK_MONOTONIC);
        if (left_ns < 0)
            left_ns = 0;
        struct timespec left = {.tv_sec = left_ns / NANOS_PER_SECOND,
                                .tv_nsec = left_ns % NANOS_PER_SECOND};
        int ready = ppoll(&input, 1, &left, NULL);
        if (ready > 0)
            return false;
        if (ready == 0)
            return true;
        if (errno != EINTR)
            return false;
    }
}

static bool is_same(const PGresult *a, const PGresult *b)
{
    if (!a || PQntuples(a) != PQntuples(b))
        return false;
    for (int i = 0; PQntuples(a) && i < PQnfields(a); i++)
        if (strcmp(PQgetvalue(a, 0, i), PQgetvalue(b, 0, i)) != 0)
            return false;
    return true;
}

static void print_row(int64_t at_ns, const PGresult *result)
{
    printf("%" PRId64, at_ns);
    for (int i = 0; PQntuples(result) && i < PQnfields(result); i++)
        printf("\t%s", PQgetvalue(result, 0, i));
    putchar('\n');
    fflush(stdout);
}

static PGresult *ask(PGconn *conn)
{
    PGresult *result = PQexecPrepared(conn, statement, 0, NULL, NULL, NULL, 0);

    must(PQresultStatus(result) == PGRES_TUPLES_OK, "query", conn);
    return result;
}

static void serve(PGconn *conn, int64_t interval_ns)
{
    PGresult *last = NULL;
    int64_t due_ns = clock_ns(CLOCK_MONOTONIC);

    do {
        PGresult *result = ask(conn);
        int64_t at_ns = clock_ns(CLOCK_REALTIME);
        if (!is_same(last, result))
            print_row(at_ns, result);
        PQclear(last);
        last = result;
        /* Moments that have passed meanwhile are left out. */
        int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
        due_ns += interval_ns;
        if (due_ns < now_ns)
            due_ns = now_ns;
    } while (await(due_ns));
    PQclear(last);
}

int main(int argc, char **argv)
{
    int64_t interval_us = argc == 3 ? strtoll(argv[1], NULL, 10) : 0;

    if (interval_us <= 0) {
        fputs("usage: poll_query INTERVAL_US SQL\n", stderr);
        return 64;
    }
    PGconn *conn = PQconnectdb("application_name=poll_query");
    must(PQstatus(conn) == CONNECTION_OK, "connect", conn);
    printf("%d\n", PQbackendPID(conn));
    fflush(stdout);
    PGresult *prepared = PQprepare(conn, statement, argv[2], 0, NULL);
    must(PQresultStatus(prepared) == PGRES_COMMAND_OK, "prepare", conn);
    PQclear(prepared);
    serve(conn, interval_us * 1000);
    PQfinish(conn);
    return EXIT_SUCCESS;
}
