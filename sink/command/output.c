/* A result that was cut must not look like a whole one: the exit code tells. */
#include "command/output.h"

#include <errno.h>
#include <stdio.h>

int output_write(const struct buffer *text)
{
    if (text->len > 0)
        fwrite(text->data, 1, text->len, stdout);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return EXIT_DONE;
    fprintf(stderr, "pgsluice: standard output: %s\n", strerror(errno));
    return EXIT_INTERNAL;
}
