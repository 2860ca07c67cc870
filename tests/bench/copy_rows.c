/*
 * copy_rows: the fastest way in. Rows that are encoded already are sent with COPY, and nothing else
 * is done: what pgsluice is held against.
 *
 *   copy_rows [--binary] [--connections N] [--rows-per-copy N] TABLE=FILE...
 *
 * A FILE is what COPY TABLE TO wrote in that format. Each connection has a thread, which takes the
 * next chunk of some file and sends it as one COPY, in pieces of 64 KiB. Files are read, and cut
 * into chunks, before the clock starts. Commits wait for the disk no more than the sink's do
 * (synchronous_commit is off), so this is a limit indeed. When all is committed, stdout gets a line
 * of JSON:
 *
 *   {"rows":2000000,"copies":200,"seconds":1.6,"cpu_s":0.07}
 *
 * Then it waits for the end of stdin with its connections open: the CPU time of a backend can be
 * read as long as it lives.
 *
 * Thread: each connection's has its own struct sender; struct work is shared, `next` atomic.
 */
#include <endian.h>
#include <fcntl.h>
#include <getopt.h>
#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* PostgreSQL's documentation, "COPY", "Binary Format": signature, no flags, no extension. */
static const char binary_header[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0";
static const char binary_trailer[] = "\377\377";

enum {
    BINARY_HEADER_BYTES = 19,
    BINARY_TRAILER_BYTES = 2,
    PIECE_BYTES = 64 * 1024,
    CONNECTIONS_MAX = 64,
};

struct chunk {
    const char *table;
    const char *data;
    size_t len;
    size_t rows_count;
};

struct work {
    bool binary;
    size_t rows_per_copy;
    struct chunk *chunks;
    size_t chunks_count;
    size_t chunks_cap;
    size_t rows_count;
    atomic_size_t next;
};

struct sender {
    pthread_t thread;
    struct work *work; /* borrowed */
    PGconn *conn;
};

static void must(bool done, const char *what, const char *detail)
{
    if (done)
        return;
    fprintf(stderr, "copy_rows: %s: %s\n", what, detail);
    exit(EXIT_FAILURE);
}

static double clock_s(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* --- Files ------------------------------------------------------------------------------------ */

struct file {
    const char *at;
    const char *end;
};

static struct file file_open(const char *path)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    must(fd >= 0 && fstat(fd, &status) == 0, path, "can't be read");
    if (status.st_size == 0) {
        close(fd);
        return (struct file){NULL, NULL};
    }
    char *data = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    must(data != MAP_FAILED, path, "can't be mapped");
    close(fd);
    return (struct file){data, data + status.st_size};
}

/* The end of the row: in COPY text a newline always is one. */
static const char *text_row_end(const struct file *file)
{
    const char *newline = memchr(file->at, '\n', (size_t)(file->end - file->at));

    return newline ? newline + 1 : file->end;
}

static int32_t read_int32(const char *at)
{
    uint32_t wire;

    memcpy(&wire, at, sizeof(wire));
    return (int32_t)be32toh(wire);
}

static int16_t read_int16(const char *at)
{
    uint16_t wire;

    memcpy(&wire, at, sizeof(wire));
    return (int16_t)be16toh(wire);
}

/* NULL: the trailer is here. */
static const char *binary_row_end(const struct file *file)
{
    const char *at = file->at + sizeof(int16_t);
    int16_t fields = read_int16(file->at);

    if (fields < 0)
        return NULL;
    while (fields-- > 0) {
        int32_t len = read_int32(at);
        at += sizeof(len) + (len > 0 ? (size_t)len : 0);
    }
    return at;
}

static struct chunk *work_add_chunk(struct work *work)
{
    if (work->chunks_count == work->chunks_cap) {
        work->chunks_cap = work->chunks_cap ? work->chunks_cap * 2 : 64;
        work->chunks = realloc(work->chunks, work->chunks_cap * sizeof(*work->chunks));
        must(work->chunks, "memory", "there is none");
    }
    return &work->chunks[work->chunks_count++];
}

static void work_add_file(struct work *work, const char *table, const char *path)
{
    struct file file = file_open(path);
    struct chunk *chunk = NULL;

    if (work->binary)
        file.at += BINARY_HEADER_BYTES;
    while (file.at < file.end) {
        const char *end = work->binary ? binary_row_end(&file) : text_row_end(&file);
        if (!end)
            break;
        if (!chunk || chunk->rows_count == work->rows_per_copy) {
            chunk = work_add_chunk(work);
            *chunk = (struct chunk){.table = table, .data = file.at};
        }
        chunk->rows_count++;
        chunk->len = (size_t)(end - chunk->data);
        work->rows_count++;
        file.at = end;
    }
}

/* --- Sending ---------------------------------------------------------------------------------- */

static void send_bytes(struct sender *sender, const char *data, size_t len)
{
    while (len) {
        size_t piece = len < PIECE_BYTES ? len : PIECE_BYTES;
        must(PQputCopyData(sender->conn, data, (int)piece) == 1, "COPY",
             PQerrorMessage(sender->conn));
        data += piece;
        len -= piece;
    }
}

static void expect(struct sender *sender, ExecStatusType status)
{
    PGresult *result = PQgetResult(sender->conn);

    must(PQresultStatus(result) == status, "COPY", PQerrorMessage(sender->conn));
    PQclear(result);
}

static void copy_chunk(struct sender *sender, const struct chunk *chunk)
{
    bool binary = sender->work->binary;
    char sql[256];

    snprintf(sql, sizeof(sql), "COPY %s FROM STDIN%s", chunk->table,
             binary ? " (FORMAT binary)" : "");
    must(PQsendQuery(sender->conn, sql) == 1, "COPY", PQerrorMessage(sender->conn));
    expect(sender, PGRES_COPY_IN);
    if (binary)
        send_bytes(sender, binary_header, BINARY_HEADER_BYTES);
    send_bytes(sender, chunk->data, chunk->len);
    if (binary)
        send_bytes(sender, binary_trailer, BINARY_TRAILER_BYTES);
    must(PQputCopyEnd(sender->conn, NULL) == 1, "COPY", PQerrorMessage(sender->conn));
    expect(sender, PGRES_COMMAND_OK);
    must(!PQgetResult(sender->conn), "COPY", "an answer too many");
}

static void *sender_run(void *argument)
{
    struct sender *sender = argument;
    struct work *work = sender->work;

    for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->chunks_count;)
        copy_chunk(sender, &work->chunks[i]);
    return NULL;
}

static void sender_open(struct sender *sender, struct work *work)
{
    sender->work = work;
    sender->conn = PQconnectdb("application_name=copy_rows options='-c synchronous_commit=off'");
    must(PQstatus(sender->conn) == CONNECTION_OK, "connect", PQerrorMessage(sender->conn));
}

/* --- Main ------------------------------------------------------------------------------------- */

static void run(struct work *work, struct sender *senders, size_t connections)
{
    double start_s = clock_s(CLOCK_MONOTONIC), start_cpu_s = clock_s(CLOCK_PROCESS_CPUTIME_ID);

    for (size_t i = 0; i < connections; i++)
        must(pthread_create(&senders[i].thread, NULL, sender_run, &senders[i]) == 0, "thread",
             "can't be started");
    for (size_t i = 0; i < connections; i++)
        pthread_join(senders[i].thread, NULL);
    printf("{\"rows\":%zu,\"copies\":%zu,\"seconds\":%.6f,\"cpu_s\":%.6f}\n", work->rows_count,
           work->chunks_count, clock_s(CLOCK_MONOTONIC) - start_s,
           clock_s(CLOCK_PROCESS_CPUTIME_ID) - start_cpu_s);
    fflush(stdout);
}

static size_t parse_count(const char *text, size_t max)
{
    char *end;
    unsigned long count = strtoul(text, &end, 10);

    must(*text && !*end && count > 0 && count <= max, text, "is no count, or too high");
    return count;
}

/* TABLE=FILE, cut at the sign. */
static void add_argument(struct work *work, char *argument)
{
    char *sign = strchr(argument, '=');

    must(sign, argument, "is not TABLE=FILE");
    *sign = '\0';
    work_add_file(work, argument, sign + 1);
}

int main(int argc, char **argv)
{
    static const struct option names[] = {
        {"binary", no_argument, NULL, 'b'},
        {"connections", required_argument, NULL, 'c'},
        {"rows-per-copy", required_argument, NULL, 'r'},
        {0},
    };
    static struct sender senders[CONNECTIONS_MAX];
    struct work work = {.rows_per_copy = 10000};
    size_t connections = 1;
    int option;

    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        if (option == 'b')
            work.binary = true;
        else if (option == 'c')
            connections = parse_count(optarg, CONNECTIONS_MAX);
        else if (option == 'r')
            work.rows_per_copy = parse_count(optarg, 100000000);
        else
            return 64;
    }
    while (optind < argc)
        add_argument(&work, argv[optind++]);
    for (size_t i = 0; i < connections; i++)
        sender_open(&senders[i], &work);
    run(&work, senders, connections);
    while (getchar() != EOF)
        continue;
    for (size_t i = 0; i < connections; i++)
        PQfinish(senders[i].conn);
    free(work.chunks);
    return EXIT_SUCCESS;
}
