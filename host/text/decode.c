/* decode.c - ids to text: the tokens' texts, changed by the decoder's steps as the library does it. */
#include <string.h>

#include "text/added.h"
#include "text/bytelevel.h"

/* The clean-up of what tokenizing spread, one replacement after the other, of one token's text at a time. */
static const struct {
    const char *from, *to;
} repairs[] = {{" .", "."},   {" ?", "?"},     {" !", "!"},    {" ,", ","},
               {" ' ", "'"},  {" n't", "n't"}, {" 'm", "'m"},  {" do not", " don't"},
               {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"}};

/* Texts side by side: text i is bytes [end[i - 1], end[i]). */
typedef struct {
    text bytes;
    VEC(size_t) end;
} texts;

static str text_at(const texts *x, size_t i) {
    const size_t from = i ? x->end.p[i - 1] : 0;
    return (str){x->bytes.p + from, x->end.p[i] - from};
}

static void add(texts *x, const char *p, size_t n) {
    if (n) text_add(&x->bytes, p, n);
}

static void finish(texts *x) { vec_push(&x->end, x->bytes.n); }

static int begins_with(str s, str prefix) { return s.n >= prefix.n && !memcmp(s.p, prefix.p, prefix.n); }

/* s with every `from` made `to`. */
static void add_replaced(texts *x, str s, str from, str to) {
    for (size_t i = 0; i < s.n;) {
        if (begins_with((str){s.p + i, s.n - i}, from)) {
            add(x, to.p, to.n);
            i += from.n;
        } else add(x, s.p + i++, 1);
    }
}

static void repair(text *token, text *spare) {
    for (size_t k = 0; k < sizeof repairs / sizeof *repairs; k++) {
        texts one = {.bytes = *spare};
        text_clear(&one.bytes);
        add_replaced(&one, (str){token->p, token->n}, str_of(repairs[k].from), str_of(repairs[k].to));
        *spare = *token;
        *token = one.bytes;
    }
}

static void wordpiece(const decode_step *s, const texts *in, texts *out) {
    text one = {0}, spare = {0};
    for (size_t i = 0; i < in->end.n; i++) {
        const str token = text_at(in, i);
        const int joined = i && begins_with(token, s->prefix);
        const size_t skip = joined ? s->prefix.n : 0;
        text_clear(&one);
        if (i && !joined) text_add(&one, " ", 1);
        text_add(&one, token.p + skip, token.n - skip);
        if (s->cleanup && one.n) repair(&one, &spare);
        add(out, one.p, one.n);
        finish(out);
    }
    text_free(&one);
    text_free(&spare);
}

/* Bytes as text; what is no UTF-8 becomes U+FFFD, one for each longest beginning of a character. */
static void add_lossy(texts *out, const char *p, size_t n) {
    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t good = (size_t)utf8_decode(p + i, n - i, &code);
        if (good) {
            add(out, p + i, good);
            i += good;
            continue;
        }
        const uint8_t a = (uint8_t)p[i], b = i + 1 < n ? (uint8_t)p[i + 1] : 0,
                      c = i + 2 < n ? (uint8_t)p[i + 2] : 0;
        const int second = (a >= 0xe1 && a <= 0xf3 && a != 0xed && a != 0xf0 && b >= 0x80 && b < 0xc0) ||
                           (a == 0xe0 && b >= 0xa0 && b < 0xc0) || (a == 0xed && b >= 0x80 && b < 0xa0) ||
                           (a == 0xf0 && b >= 0x90 && b < 0xc0) || (a == 0xf4 && b >= 0x80 && b < 0x90);
        i += second && a >= 0xf0 && c >= 0x80 && c < 0xc0 ? 3 : second ? 2 : 1;
        add(out, "\xef\xbf\xbd", 3);
    }
}

/* A token with a character that writes no byte stands for its own bytes. */
static void bytelevel(const texts *in, texts *out) {
    text bytes = {0};
    for (size_t i = 0; i < in->end.n; i++) {
        const str token = text_at(in, i);
        const size_t before = bytes.n;
        for (size_t k = 0; k < token.n;) {
            uint32_t code = 0;
            const int n = utf8_decode(token.p + k, token.n - k, &code), byte = byte_of_character(code);
            if (!n || byte < 0) {
                bytes.n = before;
                text_add(&bytes, token.p, token.n);
                break;
            }
            text_add(&bytes, &(char){(char)byte}, 1);
            k += (size_t)n;
        }
    }
    add_lossy(out, bytes.p, bytes.n);
    finish(out);
    text_free(&bytes);
}

static void metaspace(const decode_step *s, const texts *in, texts *out) {
    for (size_t i = 0; i < in->end.n; i++) {
        add_replaced(out, text_at(in, i), s->from, i == 0 && s->left ? STR("") : STR(" "));
        finish(out);
    }
}

static int hex_of(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of "<0x0A>", -1: it is no such token. */
static int fallback_byte(str t) {
    if (t.n != 6 || memcmp(t.p, "<0x", 3) || t.p[5] != '>' || hex_of(t.p[3]) < 0 || hex_of(t.p[4]) < 0)
        return -1;
    return 16 * hex_of(t.p[3]) + hex_of(t.p[4]);
}

/* Bytes side by side are a text if all of them are UTF-8; else each is a U+FFFD. */
static void byte_fallback(const texts *in, texts *out) {
    text run = {0};
    for (size_t i = 0; i <= in->end.n; i++) {
        const int byte = i < in->end.n ? fallback_byte(text_at(in, i)) : -1;
        size_t bad;
        if (byte >= 0) {
            text_add(&run, &(char){(char)byte}, 1);
            continue;
        }
        if (run.n && utf8_valid(run.p, run.n, &bad)) {
            add(out, run.p, run.n);
            finish(out);
        } else {
            for (size_t k = 0; k < run.n; k++) add(out, "\xef\xbf\xbd", 3), finish(out);
        }
        run.n = 0;
        if (i == in->end.n) break;
        const str token = text_at(in, i);
        add(out, token.p, token.n);
        finish(out);
    }
    text_free(&run);
}

static void strip(const decode_step *s, const texts *in, texts *out) {
    const str c = s->from;
    for (size_t i = 0; i < in->end.n; i++) {
        str token = text_at(in, i);
        for (int k = 0; k < s->left && c.n && begins_with(token, c); k++) token.p += c.n, token.n -= c.n;
        for (int k = 0; k < s->right && c.n && token.n >= c.n && !memcmp(token.p + token.n - c.n, c.p, c.n);
             k++)
            token.n -= c.n;
        add(out, token.p, token.n);
        finish(out);
    }
}

static void run_step(const decode_step *s, const texts *in, texts *out) {
    switch (s->kind) {
    case DECODE_WORDPIECE:
        wordpiece(s, in, out);
        break;
    case DECODE_BYTES:
        bytelevel(in, out);
        break;
    case DECODE_META:
        metaspace(s, in, out);
        break;
    case DECODE_BYTE_FALLBACK:
        byte_fallback(in, out);
        break;
    case DECODE_FUSE:
        add(out, in->bytes.p, in->bytes.n);
        finish(out);
        break;
    case DECODE_STRIP:
        strip(s, in, out);
        break;
    case DECODE_REPLACE:
        for (size_t i = 0; i < in->end.n; i++) {
            add_replaced(out, text_at(in, i), s->from, s->to);
            finish(out);
        }
        break;
    }
}

void tokenizer_decode(const tokenizer *t, const int32_t *ids, int n, int skip_special, text *out) {
    texts now = {0}, next = {0};
    for (int i = 0; i < n; i++) {
        const str token = tokenizer_token(t, ids[i]);
        const added_token *added = added_by_id(t, ids[i]);
        if (!token.n || (skip_special && added && added->left_out)) continue;
        if (!t->n_decoder && now.end.n) add(&now, " ", 1);
        add(&now, token.p, token.n);
        finish(&now);
    }
    for (int k = 0; k < t->n_decoder; k++) {
        next.bytes.n = next.end.n = 0;
        run_step(&t->decoder[k], &now, &next);
        const texts swap = now;
        now = next;
        next = swap;
    }
    if (now.bytes.n) text_add(out, now.bytes.p, now.bytes.n);
    text_free(&now.bytes);
    text_free(&next.bytes);
    vec_free(&now.end);
    vec_free(&next.end);
}
