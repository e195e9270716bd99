#include <stdlib.h>
#include <string.h>

#include "train/text_metrics.h"
#include "base/mem.h"
#include "base/vec.h"
#include "text/unicode.h"

static int is_punctuation(uint32_t c) {
    return c < 128 && c > 32 && strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", (int)c) != NULL;
}
static int is_space(uint32_t c) { return (c >= 0x1c && c <= 0x1f) || unicode_class(c) & UNICODE_BLANK; }
static int is_of_word(uint32_t c) { return c == '_' || unicode_class(c) & (UNICODE_LETTER | UNICODE_NUMBER); }

static void add_code(text *out, uint32_t c) {
    char bytes[4];
    text_add(out, bytes, (size_t)utf8_encode(c, bytes));
}

/* Small letters without punctuation. */
static void lower(str s, text *out) {
    for (size_t i = 0; i < s.n;) {
        uint32_t code, small[8];
        const int n = utf8_decode(s.p + i, s.n - i, &code);
        if (!n) return; /* data is read as valid UTF-8 */
        i += (size_t)n;
        const int k = unicode_class(code) & UNICODE_LOWER ? unicode_lower(code, small) : 0;
        if (!k && !is_punctuation(code)) add_code(out, code);
        for (int j = 0; j < k; j++) add_code(out, small[j]);
    }
}

static int is_article(const char *p, size_t n) {
    return (n == 1 && *p == 'a') || (n == 2 && !memcmp(p, "an", 2)) || (n == 3 && !memcmp(p, "the", 3));
}

void answer_normalize(str s, text *out) {
    text small = {0};
    const size_t begin = out->n;
    int gap = 0; /* something stands between the last word and what comes */
    lower(s, &small);
    text_add(out, "", 0);
    for (size_t i = 0, end; i < small.n; i = end) {
        uint32_t code = 0;
        int words = 0;
        for (end = i; end < small.n;) { /* a run of letters and digits, or one character of another kind */
            const int n = utf8_decode(small.p + end, small.n - end, &code);
            if (!is_of_word(code)) {
                if (!words) end += (size_t)n;
                break;
            }
            words = 1;
            end += (size_t)n;
        }
        if (words ? is_article(small.p + i, end - i) : is_space(code)) {
            gap = 1;
            continue;
        }
        if (gap && out->n > begin) text_str(out, " ");
        gap = 0;
        text_add(out, small.p + i, end - i);
    }
    text_free(&small);
}

typedef VEC(str) word_list;

static void cut_words(word_list *out, str s) {
    for (size_t i = 0, from = 0; i <= s.n; i++) {
        if (i < s.n && s.p[i] != ' ') continue;
        if (i > from) vec_push(out, (str){s.p + from, i - from});
        from = i + 1;
    }
}

static int by_text(const void *a, const void *b) { return str_compare(*(const str *)a, *(const str *)b); }

int answer_exact(str given, str predicted) {
    text a = {0}, b = {0};
    answer_normalize(given, &a);
    answer_normalize(predicted, &b);
    const int same = str_eq((str){a.p, a.n}, (str){b.p, b.n});
    text_free(&a);
    text_free(&b);
    return same;
}

double answer_f1(str given, str predicted, double empty_f1) {
    text a = {0}, b = {0};
    word_list x = {0}, y = {0};
    size_t same = 0;
    answer_normalize(given, &a);
    answer_normalize(predicted, &b);
    cut_words(&x, (str){a.p, a.n});
    cut_words(&y, (str){b.p, b.n});
    if (x.n) qsort(x.p, x.n, sizeof *x.p, by_text);
    if (y.n) qsort(y.p, y.n, sizeof *y.p, by_text);
    for (size_t i = 0, k = 0; i < x.n && k < y.n;) {
        const int order = str_compare(x.p[i], y.p[k]);
        same += !order;
        i += order <= 0;
        k += order >= 0;
    }
    const double precision = y.n ? (double)same / (double)y.n : 0,
                 recall = x.n ? (double)same / (double)x.n : 0;
    const double f1 = !x.n && !y.n ? empty_f1 : same ? 2 * precision * recall / (precision + recall) : 0;
    vec_free(&x);
    vec_free(&y);
    text_free(&a);
    text_free(&b);
    return f1;
}
