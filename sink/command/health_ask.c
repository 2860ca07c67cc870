/*
 * libcurl asks, which librdkafka brings along. One deadline holds for all of it, however many
 * addresses a name has and however slowly bytes come. An instance that listens at 0.0.0.0 is
 * reached there: to Linux that is this host.
 */
#include "command/health_ask.h"

#include "base/memory.h"
#include "command/output.h"
#include "ops/http_address.h"

#include <curl/curl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATIENCE_MS = 5000, BODY_BYTES_MAX = 64 * 1024 };

const struct argument health_arguments[] = {
    {"ADDRESS", ARGUMENT_WORD, offsetof(struct health_options, address),
     .doc = "Where it serves HTTP, host:port; SINK_HTTP_ADDRESS unless it is said."},
    {"--live", ARGUMENT_FLAG, offsetof(struct health_options, live),
     .doc = "Whether its loop turns (/livez), not whether it can do its work (/readyz)."},
    {0},
};

/* Less than what came ends it with CURLE_WRITE_ERROR. */
static size_t take(char *bytes, size_t one, size_t len, void *opaque)
{
    struct buffer *body = opaque;

    if (body->len + len > BODY_BYTES_MAX)
        return 0;
    buffer_append(body, bytes, len);
    return one * len;
}

/* Whoever asks is beside it: no proxy, and nowhere else than told. */
static CURLcode get(CURL *curl, const char *url, struct buffer *body)
{
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)PATIENCE_MS);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
    return curl_easy_perform(curl);
}

/* Its time to connect is 0 while nobody has taken the connection. */
static int fail(CURL *curl, const struct http_address *address, CURLcode code)
{
    curl_off_t connect_us = 0;

    curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connect_us);
    if (connect_us == 0)
        fprintf(stderr, "pgsluice: nobody answers at %s port %s: %s\n", address->host,
                address->port, curl_easy_strerror(code));
    else
        fprintf(stderr, "pgsluice: %s port %s gives no answer: %s\n", address->host, address->port,
                curl_easy_strerror(code));
    return EXIT_UNREACHABLE;
}

static int judge(CURL *curl, const struct buffer *body)
{
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    if (output_write(body) != EXIT_DONE)
        return EXIT_INTERNAL;
    return status == 200 ? EXIT_DONE : EXIT_TEMPORARY;
}

static int ask(const struct http_address *address, const char *path)
{
    bool bare = strchr(address->host, ':') != NULL; /* IPv6 */
    char *url = memory_printf("http://%s%s%s:%s%s", bare ? "[" : "", address->host, bare ? "]" : "",
                              address->port, path);
    struct buffer body = {0};
    CURL *curl = curl_easy_init();
    int code = EXIT_INTERNAL;

    if (curl) {
        CURLcode got = get(curl, url, &body);
        code = got == CURLE_OK ? judge(curl, &body) : fail(curl, address, got);
    }
    curl_easy_cleanup(curl);
    buffer_finish(&body);
    free(url);
    return code;
}

int command_health(const struct config *config, const void *health_options)
{
    const struct health_options *options = health_options;
    const char *where = options->address ? options->address : config->http_address;
    struct http_address address;

    if (!http_address_parse(where, &address) || address.off || strcmp(address.port, "0") == 0) {
        fprintf(stderr, "pgsluice: there is nobody to ask at \"%s\": name host:port\n", where);
        return EXIT_CONFIG;
    }
    return ask(&address, options->live ? "/livez" : "/readyz?verbose");
}
