/* err.c - foreign text in messages, and the nearest word. */
#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "base/str.h"

char *text_escape(char *out, size_t out_bytes, const char *foreign, size_t n) {
    HONE_ASSERT(out_bytes >= 8);
    size_t used = 0, safe = 0; /* safe: how much can stay if "..." must follow */
    for (size_t i = 0; i < n;) {
        uint32_t code = 0;
        const int length = utf8_decode(foreign + i, n - i, &code);
        const int plain = length > 0 && code >= 0x20 && code != 0x7f && (code < 0x80 || code >= 0xa0);
        const size_t bytes = plain ? (size_t)length : 4;
        if (used + bytes > out_bytes - 1) {
            memcpy(out + safe, "...", 4);
            return out;
        }
        if (plain) memcpy(out + used, foreign + i, bytes);
        else snprintf(out + used, 5, "\\x%02x", (unsigned char)foreign[i]);
        used += bytes;
        i += plain ? bytes : 1;
        if (used + 3 <= out_bytes - 1) safe = used;
    }
    out[used] = 0;
    return out;
}

/* Levenshtein distance with swapped neighbours, or more than `bound`. Words longer than 63 bytes are not
 * near. */
static int edit_distance(const char *a, const char *b, int bound) {
    int row[3][64];
    const int n = (int)strlen(a), m = (int)strlen(b);
    if (n > 63 || m > 63 || n - m > bound || m - n > bound) return bound + 1;
    for (int j = 0; j <= m; j++) row[0][j] = j;
    for (int i = 1; i <= n; i++) {
        int *now = row[i % 3];
        const int *before = row[(i + 2) % 3], *two = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= m; j++) {
            int best = before[j - 1] + (a[i - 1] != b[j - 1]);
            if (before[j] + 1 < best) best = before[j] + 1;
            if (now[j - 1] + 1 < best) best = now[j - 1] + 1;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && two[j - 2] + 1 < best)
                best = two[j - 2] + 1;
            now[j] = best;
        }
    }
    return row[n % 3][m];
}

const char *nearest_word(const char *word, const char *const *words, int n) {
    const size_t length = strlen(word);
    if (length > 63) return NULL;
    int best = (int)length / 3;
    const char *found = NULL;
    for (int i = 0; i < n; i++) {
        const int distance = edit_distance(word, words[i], best);
        if (distance > best || (found && distance == best)) continue;
        best = distance;
        found = words[i];
    }
    return found;
}
