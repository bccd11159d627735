/* cli_words.c: the options and commands that a word names, or may have meant. */
/* SPDX-License-Identifier: BSD-2-Clause */
#include <string.h>
#include "vmm/cli_parser.h"
#include "vmm/command.h"

#define WORD_MAX 32 /* longer words are not compared */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Edits between words of at most WORD_MAX bytes: insert, delete, replace, swap neighbours. */
static size_t word_distance(const char *a, size_t na, const char *b, size_t nb)
{
    size_t d[WORD_MAX + 1][WORD_MAX + 1];

    for (size_t i = 0; i <= na; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= nb; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= na; i++) {
        for (size_t j = 1; j <= nb; j++) {
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1,
                            d[i - 1][j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[na][nb];
}

/* How unlike a candidate the word is; SIZE_MAX: too unlike to be meant. */
static size_t word_score(const char *word, size_t len, const char *candidate)
{
    size_t n = strlen(candidate), distance;

    if (len == 0 || len > WORD_MAX || n > WORD_MAX)
        return SIZE_MAX;
    if (len >= 2 && strncmp(word, candidate, len) == 0)
        return 0; /* an abbreviation */
    if (n >= 3 && strncmp(word, candidate, n) == 0)
        return 1; /* written out: --memory */
    distance = word_distance(word, len, candidate, n);
    return distance <= (n < 4 ? 1 : 1 + n / 4) ? distance : SIZE_MAX;
}

/* Is the word more like the candidate than like those before, whose best score is *best? */
static bool word_nearer(const char *word, size_t len, const char *candidate, size_t *best)
{
    size_t score = word_score(word, len, candidate);
    bool nearer = score < *best;

    if (nearer)
        *best = score;
    return nearer;
}

const struct cli_option *cli_option_nearest(const char *word, size_t len)
{
    const struct cli_option *nearest = NULL;
    size_t best = SIZE_MAX;

    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        if (word_nearer(word, len, cli_options[i].name, &best))
            nearest = &cli_options[i];
    }
    return nearest;
}

const struct cli_option *cli_option_find(const char *word, size_t len)
{
    for (size_t i = 0; i < CLI_OPTIONS; i++) {
        if (strlen(cli_options[i].name) == len && memcmp(cli_options[i].name, word, len) == 0)
            return &cli_options[i];
    }
    return NULL;
}

const char *cli_verb_nearest(const char *word)
{
    const char *nearest = NULL;
    size_t best = SIZE_MAX, len = strlen(word);

    for (const struct cli_verb *verb = cli_verbs; verb->name != NULL; verb++) {
        if (word_nearer(word, len, verb->name, &best))
            nearest = verb->name;
    }
    for (size_t i = 0; command_list[i] != NULL; i++) {
        if (word_nearer(word, len, command_list[i]->name, &best))
            nearest = command_list[i]->name;
    }
    return nearest;
}
