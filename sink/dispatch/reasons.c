/* Texts behind each other: a batch of nothing but dead letters has thousands. */
#include "dispatch/reasons.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

struct reasons_letter {
    uint32_t index;
    size_t at; /* in texts */
};

void reasons_finish(struct reasons *reasons)
{
    buffer_finish(&reasons->texts);
    free(reasons->letters);
    free(reasons->told);
    *reasons = (struct reasons){0};
}

void reasons_reset(struct reasons *reasons)
{
    reasons_begin(reasons);
    reasons->told_count = 0;
}

void reasons_begin(struct reasons *reasons)
{
    buffer_reset(&reasons->texts);
    reasons->count = 0;
}

static void append_text(struct reasons *reasons, const char *text)
{
    buffer_append(&reasons->texts, text, strlen(text) + 1);
}

void reasons_note(struct reasons *reasons, uint32_t index, const struct err *err)
{
    uint32_t at = reasons->count++;

    if (reasons->count > reasons->cap)
        reasons->letters =
            memory_double(reasons->letters, &reasons->cap, sizeof(*reasons->letters));
    for (; at > 0 && reasons->letters[at - 1].index > index; at--)
        reasons->letters[at] = reasons->letters[at - 1];
    reasons->letters[at] = (struct reasons_letter){.index = index, .at = reasons->texts.len};
    append_text(reasons, err->text);
    append_text(reasons, err->sqlstate);
    append_text(reasons, err->column);
}

static bool is_told(const struct reasons *reasons, uint32_t index)
{
    uint32_t low = 0;
    uint32_t high = reasons->told_count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (reasons->told[middle] < index)
            low = middle + 1;
        else
            high = middle;
    }
    return low < reasons->told_count && reasons->told[low] == index;
}

static struct reason reason_of(const struct reasons *reasons, const struct reasons_letter *letter)
{
    const char *text = reasons->texts.data + letter->at;
    const char *sqlstate = text + strlen(text) + 1;
    const char *column = sqlstate + strlen(sqlstate) + 1;

    return (struct reason){letter->index, text, sqlstate, column};
}

bool reasons_next(const struct reasons *reasons, uint32_t *next, struct reason *reason)
{
    while (*next < reasons->count) {
        const struct reasons_letter *letter = &reasons->letters[(*next)++];
        if (is_told(reasons, letter->index))
            continue;
        *reason = reason_of(reasons, letter);
        return true;
    }
    return false;
}

/* What was a dead letter before the table changed, and is none now, need not be remembered. */
void reasons_acknowledge(struct reasons *reasons)
{
    if (reasons->count > reasons->told_cap) {
        reasons->told_cap = reasons->count * 2;
        reasons->told = memory_resize(reasons->told, reasons->told_cap * sizeof(*reasons->told));
    }
    for (uint32_t i = 0; i < reasons->count; i++)
        reasons->told[i] = reasons->letters[i].index;
    reasons->told_count = reasons->count;
}

void reasons_forget(struct reasons *reasons, uint32_t index)
{
    uint32_t letters = 0;
    uint32_t told = 0;

    while (letters < reasons->count && reasons->letters[letters].index < index)
        letters++;
    while (told < reasons->told_count && reasons->told[told] < index)
        told++;
    reasons->count -= letters;
    reasons->told_count -= told;
    if (letters > 0)
        memmove(reasons->letters, reasons->letters + letters,
                reasons->count * sizeof(*reasons->letters));
    if (told > 0)
        memmove(reasons->told, reasons->told + told, reasons->told_count * sizeof(*reasons->told));
    if (reasons->count == 0)
        buffer_reset(&reasons->texts);
}

size_t reasons_bytes(const struct reasons *reasons)
{
    return reasons->texts.cap + reasons->cap * sizeof(*reasons->letters);
}
