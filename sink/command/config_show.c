/* Printing is config_print.c's; here it only meets standard output. */
#include "command/config_show.h"

#include "command/output.h"

int command_config(const struct config *config, const void *none)
{
    (void)none;
    struct buffer text = {0};

    config_print(config, &text);
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}

int command_config_markdown(void)
{
    struct buffer text = {0};

    config_markdown(&text);
    int code = output_write(&text);
    buffer_finish(&text);
    return code;
}
