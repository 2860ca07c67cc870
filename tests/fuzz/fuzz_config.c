/*
 * An environment of any content: the input's lines are its entries. Whatever it is, loading says in
 * whole lines what is wrong, or what is loaded can be printed, one line a setting.
 */
#include "config.h"

#include "base/compiler.h"
#include "base/memory.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ENTRIES = 64 };

/* Files are not the subject here, and a FIFO or a device would keep the fuzzer waiting. */
static bool names_a_file(const char *entry)
{
    size_t len = strcspn(entry, "=");

    return len >= 5 && strncmp(entry + len - 5, "_FILE", 5) == 0;
}

static void check_lines(struct buffer *text)
{
    for (size_t i = 0; i < text->len; i++) {
        unsigned char byte = (unsigned char)text->data[i];
        assert((byte >= ' ' && byte != 0x7f) || byte == '\n');
    }
    assert(text->len == 0 || text->data[text->len - 1] == '\n');
}

static void load_and_print(char *const *environment)
{
    struct buffer text = {0};
    struct config config;

    if (config_load(&config, environment, &text)) {
        assert(text.len == 0);
        config_print(&config, &text);
    }
    assert(text.len > 0);
    check_lines(&text);
    config_finish(&config);
    buffer_finish(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *text = memory_strndup((const char *)data, size);
    char *environment[ENTRIES + 1];
    size_t count = 0;
    char *rest = text;

    for (char *entry = strsep(&rest, "\n"); entry && count < ENTRIES; entry = strsep(&rest, "\n")) {
        if (!names_a_file(entry))
            environment[count++] = entry;
    }
    environment[count] = NULL;
    load_and_print(environment);
    free(text);
    return 0;
}
