/* `pgsluice migrate`. */
#include "command/migrate.h"

#include "command/boot.h"

int command_migrate(const struct config *config, const void *none)
{
    (void)none;
    struct config always = *config;

    always.migrate = CONFIG_MIGRATE_AUTO;
    int code = boot_schema(&always);
    if (code == EXIT_DONE)
        log_info("schema is up to date");
    return code;
}
