/*
 * A secret is told by its form: user:password in front of a host, or the value of a name that
 * sounds like one. Rather too much is masked than too little: nobody depends on what is printed.
 */
#include "base/secret.h"

#include "base/compiler.h"

#include <ctype.h>
#include <string.h>

bool secret_is_word(const char *name)
{
    static const char *const words[] = {"password", "passwd",     "pwd",        "secret",
                                        "token",    "passphrase", "credential", "signature"};

    for (size_t i = 0; i < COUNT_OF(words); i++)
        if (strstr(name, words[i]))
            return true;
    return false;
}

static bool ends_with(const char *text, const char *end)
{
    size_t len = strlen(text);

    return len >= strlen(end) && strcmp(text + len - strlen(end), end) == 0;
}

/* What one would write a name with, in a URL's query, an option, or JSON. */
static bool is_name_letter(char letter)
{
    return isalnum((unsigned char)letter) || (letter && strchr("_.-", letter));
}

static bool sounds_secret(const char *name, size_t len)
{
    static const char *const whole[] = {"key", "sig", "pass", "auth", "apikey", "jwt"};
    static const char *const ends[] = {"_key", "-key", ".key", "apikey"};
    char lower[64] = "";

    for (size_t i = 0; i < len && i + 1 < sizeof(lower); i++)
        lower[i] = (char)tolower((unsigned char)name[i]);
    if (secret_is_word(lower))
        return true;
    for (size_t i = 0; i < COUNT_OF(whole); i++)
        if (strcmp(lower, whole[i]) == 0)
            return true;
    for (size_t i = 0; i < COUNT_OF(ends); i++)
        if (ends_with(lower, ends[i]))
            return true;
    return false;
}

/* Up to what parts options, or a query's fields. A backslash takes the next letter along. */
static size_t secret_length(const char *value)
{
    size_t len = 0;

    while (value[len] && !strchr(" \t\n&;,\"", value[len]))
        len += value[len] == '\\' && value[len + 1] ? 2 : 1;
    return len;
}

/* Of "user:password@host" at a word's begin, where the password is; 0: it is no such word. */
static size_t password_length(const char *word, size_t *start)
{
    size_t item = strcspn(word, " ,\"");
    const char *scheme = memmem(word, item, "://", 3);
    const char *user = scheme ? scheme + 3 : word;
    const char *at = memrchr(user, '@', (size_t)(word + item - user));
    const char *colon = at ? memchr(user, ':', (size_t)(at - user)) : NULL;

    *start = colon ? (size_t)(colon + 1 - word) : 0;
    return colon ? (size_t)(at - colon - 1) : 0;
}

/* Where the first secret begins and how long it is; 0: there is none. */
static size_t find_secret(const char *value, size_t *start)
{
    const char *name = value;
    size_t len;

    for (const char *at = value; *at; at++) {
        bool begins = at == value || strchr(" ,\"", at[-1]);
        if (begins && (len = password_length(at, start)) > 0) {
            *start += (size_t)(at - value);
            return len;
        }
        if (*at == '=' && sounds_secret(name, (size_t)(at - name)) &&
            (len = secret_length(at + 1))) {
            *start = (size_t)(at + 1 - value);
            return len;
        }
        if (!is_name_letter(*at))
            name = at + 1;
    }
    return 0;
}

bool secret_present(const char *value)
{
    size_t start;

    return find_secret(value, &start) > 0;
}

void secret_mask(const char *value, struct buffer *out)
{
    size_t start;
    size_t len;

    while ((len = find_secret(value, &start)) > 0) {
        buffer_append(out, value, start);
        buffer_append_text(out, SECRET_MASK);
        value += start + len;
    }
    buffer_append_text(out, value);
}
