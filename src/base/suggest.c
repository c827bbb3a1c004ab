/* "did you mean ...?": the nearest of the allowed words.
 *
 * The distance counts inserted, left out, replaced and swapped characters (optimal string
 * alignment, a form of Damerau-Levenshtein); capitals count as small letters, so that 'TCP' leads
 * to 'tcp'. Pure, no privilege. */
#include "base/diag.h"

#include <string.h>

#define WORD_MAX 64

static unsigned char lower(char character)
{
    unsigned char c = (unsigned char)character;

    return c >= 'A' && c <= 'Z' ? (unsigned char)(c - 'A' + 'a') : c;
}

static size_t min_size(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Both words are at most WORD_MAX bytes. */
static size_t word_distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
    size_t rows[3][WORD_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_length; j++)
        before[j] = last[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        size_t *oldest = before;

        row[0] = i;
        for (size_t j = 1; j <= b_length; j++) {
            bool same = lower(a[i - 1]) == lower(b[j - 1]);
            size_t best = min_size(min_size(last[j], row[j - 1]) + 1, last[j - 1] + !same);

            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                best = min_size(best, before[j - 2] + 1);
            row[j] = best;
        }
        before = last;
        last = row;
        row = oldest;
    }
    return last[b_length];
}

const char *suggest_word(const char *word, size_t length, const char *const *words)
{
    size_t limit = length / 3 ? length / 3 : 1;
    size_t best_distance = limit + 1;
    const char *best = NULL;

    if (length == 0 || length > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        size_t words_length = strlen(*words);
        size_t distance;

        if (words_length > WORD_MAX || words_length > length + limit ||
            length > words_length + limit)
            continue;
        distance = word_distance(word, length, *words, words_length);
        if (distance < best_distance && distance < words_length) {
            best_distance = distance;
            best = *words;
        }
    }
    return best;
}
