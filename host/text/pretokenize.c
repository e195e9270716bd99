/* pretokenize.c - patterns are followed by hand: a text is passed once, whatever it holds. */
#include "text/pretokenize.h"
#include "text/unicode.h"

const pretokenize_pattern pretokenize_patterns[] = {
    {"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", CUT_GPT2},
    {"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", CUT_GPT2},
    /* Schwaller et al., Molecular Transformer (ACS Cent. Sci. 2019) */
    {"(\\[[^\\]]+]|Br?|Cl?|N|O|S|P|F|I|b|c|n|o|s|p|\\(|\\)|\\.|=|#|-|\\+|\\\\|\\/"
     "|:|~|@|\\?|>>?|\\*|\\$|\\%[0-9]{2}|[0-9])",
     CUT_SMILES}};
const int n_pretokenize_patterns = sizeof pretokenize_patterns / sizeof *pretokenize_patterns;

typedef struct {
    pretokenize_word *word;
    void *arg;
} sink;

static void cut_bert(const characters *c, size_t first, size_t end, int alone, sink s) {
    size_t word = first;
    for (size_t i = first; i < end; i++) {
        const unsigned k = unicode_class(c->code[i]) & (UNICODE_GAP | (alone ? UNICODE_PUNCTUATION : 0));
        if (!k) continue;
        if (i > word) s.word(s.arg, c, word, i);
        if (k & UNICODE_PUNCTUATION) s.word(s.arg, c, i, i + 1);
        word = i + 1;
    }
    if (end > word) s.word(s.arg, c, word, end);
}

/* ---- GPT-2 ---- */

#define GPT2_KINDS (UNICODE_LETTER | UNICODE_NUMBER | UNICODE_BLANK)

static unsigned kind_of(uint32_t code) { return unicode_class(code) & GPT2_KINDS; }

/* End of 's 't 're 've 'm 'll 'd at i; i: none of them stands there. */
static size_t contraction(const uint32_t *code, size_t i, size_t end) {
    if (code[i] != '\'' || i + 1 == end) return i;
    const uint32_t a = code[i + 1], b = i + 2 < end ? code[i + 2] : 0;
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return i + 2;
    return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? i + 3 : i;
}

/* A run of letters, of digits, or of what is neither nor blank, with a space before it if there is one. Of blanks the
 * last is left to the word behind them, unless it is the only one. */
static size_t gpt2_end(const uint32_t *code, size_t i, size_t end) {
    const size_t short_word = contraction(code, i, end);
    if (short_word > i) return short_word;
    const size_t first = i + (code[i] == ' ' && i + 1 < end);
    const unsigned kind = kind_of(code[first]);
    if (!(kind & UNICODE_BLANK)) {
        for (i = first + 1; i < end && kind_of(code[i]) == kind; i++) {
        }
        return i;
    }
    size_t k = i;
    while (k < end && kind_of(code[k]) & UNICODE_BLANK) k++;
    return k == end || k == i + 1 ? k : k - 1;
}

static void cut_gpt2(const characters *c, size_t first, size_t end, sink s) {
    for (size_t i = first; i < end;) {
        const size_t next = gpt2_end(c->code, i, end);
        s.word(s.arg, c, i, next);
        i = next;
    }
}

/* ---- molecules ---- */

static int is_digit(uint32_t c) { return c >= '0' && c <= '9'; }

static int is_one_of(uint32_t c, const char *list) {
    for (; *list; list++)
        if (c == (unsigned char)*list) return 1;
    return 0;
}

/* End of the symbol at i; i: none stands there. */
static size_t smiles_end(const uint32_t *code, size_t i, size_t end) {
    const uint32_t a = code[i], b = i + 1 < end ? code[i + 1] : 0;
    if (a == '[') { /* an atom in brackets, which holds something */
        size_t k = i + 1;
        while (k < end && code[k] != ']') k++;
        return k < end && k > i + 1 ? k + 1 : i;
    }
    if ((a == 'B' && b == 'r') || (a == 'C' && b == 'l') || (a == '>' && b == '>')) return i + 2;
    if (a == '%') return i + 2 < end && is_digit(b) && is_digit(code[i + 2]) ? i + 3 : i;
    return is_digit(a) || is_one_of(a, "BCNOSPFIbcnosp().=#-+\\/:~@?>*$") ? i + 1 : i;
}

/* What is no symbol stays in one word up to the next that is. */
static void cut_smiles(const characters *c, size_t first, size_t end, sink s) {
    size_t done = first;
    for (size_t i = first; i < end;) {
        const size_t next = smiles_end(c->code, i, end);
        if (next == i) {
            i++;
            continue;
        }
        if (i > done) s.word(s.arg, c, done, i);
        s.word(s.arg, c, i, next);
        done = i = next;
    }
    if (end > done) s.word(s.arg, c, done, end);
}

/* ---- characters put in ---- */

/* A copy of the characters with one more before them, which has the place of the first of them. */
static void copy_behind(characters *to, uint32_t before, const characters *c, size_t first, size_t end) {
    to->n = 0;
    characters_reserve(to, end - first + 1);
    if (before) characters_put(to, before, c->from[first], c->to[first]);
    for (size_t i = first; i < end; i++) characters_put(to, c->code[i], c->from[i], c->to[i]);
}

typedef struct {
    const pretokenizer *p;
    characters *spare;
    sink out;
} marker;

static void mark_word(void *arg, const characters *c, size_t first, size_t end) {
    const marker *m = arg;
    const pretokenizer *p = m->p;
    const uint32_t head = c->code[first];
    const int wanted = p->scheme == MARK_ALWAYS || (p->scheme == MARK_FIRST && c->from[first] == 0);
    copy_behind(m->spare, wanted && head != ' ' && head != p->mark ? p->mark : 0, c, first, end);
    characters *x = m->spare;
    for (size_t i = 0; i < x->n; i++)
        if (x->code[i] == ' ') x->code[i] = p->mark;
    size_t word = 0;
    for (size_t i = 1; i < x->n && p->at_marks; i++)
        if (x->code[i] == p->mark) m->out.word(m->out.arg, x, word, i), word = i;
    m->out.word(m->out.arg, x, word, x->n);
}

void pretokenize(const pretokenizer *p, const characters *c, size_t first, size_t end, characters *spare,
                 pretokenize_word *word, void *arg) {
    const marker m = {p, spare, {word, arg}};
    const sink s = p->mark ? (sink){mark_word, (void *)&m} : m.out;
    if (first == end) return;
    if (p->prefix_space && c->code[first] != ' ') {
        copy_behind(spare, ' ', c, first, end);
        c = spare, first = 0, end = spare->n;
    }
    switch (p->cut) {
    case CUT_NOT:
        s.word(s.arg, c, first, end);
        break;
    case CUT_BERT:
        cut_bert(c, first, end, 1, s);
        break;
    case CUT_BLANK:
        cut_bert(c, first, end, 0, s);
        break;
    case CUT_GPT2:
        cut_gpt2(c, first, end, s);
        break;
    case CUT_SMILES:
        cut_smiles(c, first, end, s);
        break;
    }
}
