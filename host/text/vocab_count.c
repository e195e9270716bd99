/* vocab_count.c - a table a chunk, and one of the whole. */
#include <stdlib.h>
#include <string.h>

#include "text/vocab_count.h"
#include "text/word_table.h"
#include "base/err.h"
#include "base/file.h"
#include "base/hash.h"

#define CHUNK ((size_t)1 << 20)
#define LONGEST_LINE ((size_t)16 << 20) /* a longer one is cut */
#define CHUNKS_AT_ONCE 16
#define MAX_WORDS ((size_t)16 << 20)

struct word_counts {
    word_table all;
    word_count *sorted;
    int64_t n_bytes, n_lines, n_forgotten;
};

/* Forget words that are rarer than a bound, which rises until half of the room is free. */
static int64_t forget(word_table *c, size_t max_words) {
    int64_t forgotten = 0;
    for (int64_t bound = 2; c->n_words > max_words / 2; bound *= 2) {
        word_table kept = {0};
        for (size_t i = 0; i < c->n_slots; i++) {
            const word_slot *s = &c->slot[i];
            if (s->n && s->count >= bound)
                word_table_add(&kept, (str){c->bytes.p + s->at, s->n}, s->hash, s->count);
            else if (s->n) forgotten += s->count;
        }
        word_table_free(c);
        *c = kept;
    }
    return forgotten;
}

/* ---- chunks ---- */

typedef struct {
    str text;
    word_table counts;
    int64_t n_lines;
    size_t bad; /* byte of the text that is no UTF-8, SIZE_MAX: none */
} chunk;

typedef struct {
    const count_options *o;
    chunk *chunk;
    struct worker {
        characters c, spare;
        normalizer_scratch scratch;
        text word;
    } * worker; /* by thread */
} counter;

typedef struct {
    word_table *counts;
    text *word;
} word_sink;

static void count_word(void *arg, const characters *c, size_t first, size_t end) {
    const word_sink *s = arg;
    text_clear(s->word);
    for (size_t i = first; i < end; i++) {
        char bytes[4];
        text_add(s->word, bytes, (size_t)utf8_encode(c->code[i], bytes));
    }
    word_table_add(s->counts, (str){s->word->p, s->word->n}, hash64(s->word->p, s->word->n, 0), 1);
}

static void count_chunk(void *arg, int64_t i, int thread) {
    counter *k = arg;
    chunk *x = &k->chunk[i];
    struct worker *w = &k->worker[thread];
    const word_sink sink = {&x->counts, &w->word};
    x->bad = SIZE_MAX;
    if (!utf8_valid(x->text.p, x->text.n, &x->bad)) return;
    x->bad = SIZE_MAX;
    for (size_t from = 0; from < x->text.n;) {
        const char *end = memchr(x->text.p + from, '\n', x->text.n - from);
        const size_t next = end ? (size_t)(end - x->text.p) + 1 : x->text.n;
        size_t to = next;
        if (!k->o->with_newline && end) to -= 1 + (to - from > 1 && x->text.p[to - 2] == '\r');
        normalizer_run(&k->o->normalizer, (str){x->text.p + from, to - from}, 0, &w->c, &w->scratch);
        pretokenize(&k->o->pretokenizer, &w->c, 0, w->c.n, &w->spare, count_word, (void *)&sink);
        from = next;
        x->n_lines++;
    }
}

/* The chunk of s from `from` on: whole lines, but of a line without end. */
static str next_chunk(str s, size_t from) {
    size_t to = from + CHUNK < s.n ? from + CHUNK : s.n;
    const size_t longest = from + LONGEST_LINE < s.n ? from + LONGEST_LINE : s.n;
    const char *end = to < s.n ? memchr(s.p + to, '\n', longest - to) : NULL;
    if (end) to = (size_t)(end - s.p) + 1;
    else to = longest;
    while (to < s.n && ((uint8_t)s.p[to] & 0xc0) == 0x80) to++;
    return (str){s.p + from, to - from};
}

static hone_status take_chunks(word_counts *w, counter *k, int n, const char *path, str file, hone_err *err) {
    hone_status status = HONE_OK;
    const size_t most = k->o->max_words ? k->o->max_words : MAX_WORDS;
    for (int i = 0; i < n; i++) {
        chunk *x = &k->chunk[i];
        if (x->bad != SIZE_MAX && !status) {
            const size_t at = (size_t)(x->text.p - file.p) + x->bad;
            int line, column;
            json_place(file.p, file.n, at, &line, &column);
            status = hone_fail(err, HONE_EDATA, "%s: line %d byte %d: invalid UTF-8", path, line, column);
        }
        for (size_t h = 0; h < x->counts.n_slots && !status; h++) {
            const word_slot *s = &x->counts.slot[h];
            if (s->n) word_table_add(&w->all, (str){x->counts.bytes.p + s->at, s->n}, s->hash, s->count);
        }
        if (!status && w->all.n_words > most) w->n_forgotten += forget(&w->all, most);
        w->n_bytes += (int64_t)x->text.n;
        w->n_lines += x->n_lines;
        word_table_free(&x->counts);
        *x = (chunk){0};
    }
    return status;
}

static hone_status count_file(word_counts *w, counter *k, const char *path, pool *p, hone_err *err) {
    file_view v;
    HONE_TRY(file_map(&v, path, HONE_EDATA, err));
    const str s = {v.p, v.n};
    hone_status status = HONE_OK;
    for (size_t from = 0; from < s.n && !status;) {
        int n = 0;
        for (; n < CHUNKS_AT_ONCE && from < s.n; n++) {
            k->chunk[n] = (chunk){.text = next_chunk(s, from)};
            from += k->chunk[n].text.n;
        }
        pool_run(p, n, count_chunk, k);
        status = take_chunks(w, k, n, path, s, err);
        if (!status) status = sig_check(err);
    }
    file_unmap(&v);
    return status;
}

static int compare_words(const void *a, const void *b) {
    const word_count *x = a, *y = b;
    return x->count != y->count ? (x->count > y->count ? -1 : 1) : str_compare(x->word, y->word);
}

static void sort(word_counts *w) {
    size_t n = 0;
    w->sorted = mem_new((w->all.n_words + 1) * sizeof *w->sorted, "words by count");
    for (size_t i = 0; i < w->all.n_slots; i++) {
        const word_slot *s = &w->all.slot[i];
        if (s->n) w->sorted[n++] = (word_count){{w->all.bytes.p + s->at, s->n}, s->count};
    }
    qsort(w->sorted, n, sizeof *w->sorted, compare_words);
}

hone_status vocab_count(word_counts **out, const count_options *o, pool *p, hone_err *err) {
    word_counts *w = mem_new(sizeof *w, "words");
    chunk *chunks = mem_new(sizeof *chunks * CHUNKS_AT_ONCE, "counting words");
    counter k = {o, chunks, mem_new(sizeof *k.worker * (size_t)pool_threads(p), "counting words")};
    hone_status status = HONE_OK;
    for (int i = 0; i < o->n_files && !status; i++) status = count_file(w, &k, o->file[i], p, err);
    for (int i = 0; i < pool_threads(p); i++) {
        characters_free(&k.worker[i].c);
        characters_free(&k.worker[i].spare);
        normalizer_scratch_free(&k.worker[i].scratch);
        text_free(&k.worker[i].word);
    }
    mem_free(k.worker);
    mem_free(chunks);
    if (status) {
        vocab_count_free(w);
        return status;
    }
    sort(w);
    *out = w;
    return HONE_OK;
}

const word_count *vocab_counted(const word_counts *w, size_t *n) {
    *n = w->all.n_words;
    return w->sorted;
}

int64_t vocab_counted_bytes(const word_counts *w) { return w->n_bytes; }
int64_t vocab_counted_lines(const word_counts *w) { return w->n_lines; }
int64_t vocab_forgotten(const word_counts *w) { return w->n_forgotten; }

void vocab_count_free(word_counts *w) {
    if (!w) return;
    word_table_free(&w->all);
    mem_free(w->sorted);
    mem_free(w);
}
