/*
 * Runs a fuzz target over the files of its corpus, in an ordinary build without libFuzzer:
 *
 *     fuzz_x FILE_OR_FOLDER ...
 *
 * A folder stands for the files in it. Finding no file at all is exit code 77, a skipped test.
 */
#include <dirent.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t replayed_count;

static void replay_file(FILE *file)
{
    uint8_t *data = NULL;
    size_t size = 0;
    FILE *copy = open_memstream((char **)&data, &size);
    int byte;

    while ((byte = getc(file)) != EOF)
        putc(byte, copy);
    fclose(copy);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    replayed_count++;
}

static void replay_path(const char *path);

static void replay_folder(const char *path, DIR *folder)
{
    const struct dirent *entry;

    while ((entry = readdir(folder)) != NULL) {
        char name[PATH_MAX];
        if (entry->d_name[0] == '.')
            continue;
        snprintf(name, sizeof(name), "%s/%s", path, entry->d_name);
        replay_path(name);
    }
}

static void replay_path(const char *path)
{
    DIR *folder = opendir(path);
    if (folder != NULL) {
        replay_folder(path, folder);
        closedir(folder);
        return;
    }
    FILE *file = fopen(path, "rb");
    if (file != NULL) {
        replay_file(file);
        fclose(file);
    }
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        replay_path(argv[i]);
    printf("replayed %zu inputs\n", replayed_count);
    return replayed_count > 0 ? 0 : 77;
}
