/*
 * Chunks and their store.
 *
 *     store.free --take--> arena.chunks --arena_reset--> store.free
 *
 * What does not fit into a chunk gets one of its own size, which is not kept.
 */
#include "base/arena.h"

#include "base/memory.h"

#include <stdlib.h>

struct arena_chunk {
    struct arena_chunk *next;
    size_t bytes; /* of data */
    char data[];
};

static struct arena_chunk *take(struct arena_store *store, size_t bytes)
{
    struct arena_chunk *chunk = store->free;

    if (bytes <= ARENA_CHUNK_BYTES && chunk) {
        store->free = chunk->next;
        store->free_bytes -= chunk->bytes;
    } else {
        size_t size = bytes > ARENA_CHUNK_BYTES ? bytes : ARENA_CHUNK_BYTES;
        chunk = memory_resize(NULL, sizeof(*chunk) + size);
        chunk->bytes = size;
    }
    store->used_bytes += chunk->bytes;
    return chunk;
}

static void give_back(struct arena_store *store, struct arena_chunk *chunk)
{
    store->used_bytes -= chunk->bytes;
    if (chunk->bytes != ARENA_CHUNK_BYTES) {
        free(chunk);
        return;
    }
    chunk->next = store->free;
    store->free = chunk;
    store->free_bytes += chunk->bytes;
}

void arena_store_trim(struct arena_store *store, size_t bytes)
{
    while (store->free && store->free_bytes > bytes) {
        struct arena_chunk *chunk = store->free;
        store->free = chunk->next;
        store->free_bytes -= chunk->bytes;
        free(chunk);
    }
}

void arena_store_finish(struct arena_store *store)
{
    arena_store_trim(store, 0);
}

void arena_init(struct arena *arena, struct arena_store *store)
{
    *arena = (struct arena){.store = store};
}

void arena_reset(struct arena *arena)
{
    while (arena->chunks) {
        struct arena_chunk *chunk = arena->chunks;
        arena->chunks = chunk->next;
        give_back(arena->store, chunk);
    }
    arena_init(arena, arena->store);
}

void *arena_grow(struct arena *arena, size_t bytes)
{
    struct arena_chunk *chunk = take(arena->store, bytes);

    chunk->next = arena->chunks;
    arena->chunks = chunk;
    arena->bytes += chunk->bytes;
    arena->at = chunk->data + bytes;
    arena->end = chunk->data + chunk->bytes;
    return chunk->data;
}
