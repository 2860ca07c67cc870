/*
 * "Did you mean": which known word is close enough to a mistyped one. Thread: any.
 */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include <stddef.h>

enum { SUGGEST_WORD_BYTES = 80 }; /* longer words are like nothing */

/* Zeroed to begin with; `word` stays NULL when nothing is near. */
struct suggestion {
    const char *word; /* borrowed from the caller's candidates */
    size_t distance;
};

/*
 * Edits from one word to the other: insertions, deletions, replacements, swaps of neighbours;
 * letters count without case (optimal string alignment distance). SIZE_MAX: a word is too long.
 */
size_t suggest_distance(const char *a, const char *b);

/* Keeps the candidate when it is near the typed word and nearer than what is kept. */
void suggest_consider(struct suggestion *best, const char *typed, const char *candidate);

#endif
