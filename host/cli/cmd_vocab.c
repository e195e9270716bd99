/* cmd_vocab.c - a vocabulary trained from text files. */
#include <string.h>

#include "cli/cmd.h"
#include "base/err.h"
#include "base/file.h"
#include "text/vocab_train.h"

const option vocab_flags[] = {
    {"type", 0,
     "NAME: wordpiece (BERT), bpe (GPT-2), roberta (byte-level BPE with its special tokens), unigram (T5),\n"
     "                       molecules (SMILES), characters."},
    {"size", 0,
     "N: ids wanted, special tokens among them (30522 for wordpiece, 50257 for bpe, 32000 for unigram)."},
    {"output", 0, "FOLDER: where tokenizer.json, tokenizer_config.json and the classic files go."},
    {"min_frequency", 0, "N: what stands less often is no token (2; molecules and characters 1)."},
    {"limit_alphabet", 0,
     "N: the commonest N characters are known to wordpiece and unigram (1000), others are unknown."},
    {"do_lower_case", 0, "true|false: wordpiece lowers letters and takes accents away (true)."},
    {"add_prefix_space", 0, "true|false: byte-level BPE puts a space before a text (false)."},
    {"model_max_length", 0, "N: for tokenizer_config.json (512; bpe 1024)."},
    {"max_words", 0,
     "N: different words kept while counting (16777216); beyond that the rarest are forgotten."},
};
const int n_vocab_flags = sizeof vocab_flags / sizeof *vocab_flags;

static const struct {
    const char *name;
    vocab_kind kind;
    int size, min_count, max_length;
} types[] = {{"wordpiece", VOCAB_WORDPIECE, 30522, 2, 512}, {"bpe", VOCAB_GPT2, 50257, 2, 1024},
             {"roberta", VOCAB_ROBERTA, 50265, 2, 512},     {"unigram", VOCAB_UNIGRAM, 32000, 2, 512},
             {"molecules", VOCAB_MOLECULES, 10000, 1, 512}, {"characters", VOCAB_CHARACTERS, 10000, 1, 512}};
enum { N_TYPES = sizeof types / sizeof *types };

static hone_status read_flag(const args *a, const char *name, int otherwise, int *out, hone_err *err) {
    const char *v = args_value(a, name);
    *out = v ? !strcmp(v, "true") : otherwise;
    if (!v || *out || !strcmp(v, "false")) return HONE_OK;
    return hone_fail(err, HONE_EUSAGE, "--%s: \"%.64s\", expected true or false", name, v);
}

static hone_status read_options(const args *a, vocab_options *o, hone_err *err) {
    const char *type = args_value(a, "type");
    const char *names[N_TYPES];
    int64_t size, min_count, alphabet, max_length, max_words;
    int i = 0;
    for (int k = 0; k < N_TYPES; k++) names[k] = types[k].name;
    if (!type)
        return hone_fail(
            err, HONE_EUSAGE,
            "--type: missing, expected wordpiece, bpe, roberta, unigram, molecules or characters");
    while (i < N_TYPES && strcmp(types[i].name, type)) i++;
    if (i == N_TYPES) {
        hone_fail(err, HONE_EUSAGE,
                  "--type: \"%.64s\", expected wordpiece, bpe, roberta, unigram, molecules or characters",
                  type);
        const char *near = nearest_word(type, names, N_TYPES);
        return near ? hone_hint(err, "did you mean %s?", near) : err->status;
    }
    o->folder = args_value(a, "output");
    if (!o->folder) return hone_fail(err, HONE_EUSAGE, "--output: missing, expected a folder");
    if (file_exists(o->folder) && !file_is_folder(o->folder))
        return hone_fail(err, HONE_EUSAGE, "--output: %s is no folder", o->folder);
    HONE_TRY(args_integer(a, "size", 16, 4000000, types[i].size, &size, err));
    HONE_TRY(args_integer(a, "min_frequency", 1, 1 << 30, types[i].min_count, &min_count, err));
    HONE_TRY(args_integer(a, "limit_alphabet", 1, 0x110000, 1000, &alphabet, err));
    HONE_TRY(args_integer(a, "model_max_length", 1, 1 << 30, types[i].max_length, &max_length, err));
    HONE_TRY(args_integer(a, "max_words", 1000, 1 << 30, 1 << 24, &max_words, err));
    HONE_TRY(read_flag(a, "do_lower_case", 1, &o->lowercase, err));
    HONE_TRY(read_flag(a, "add_prefix_space", 0, &o->prefix_space, err));
    o->kind = types[i].kind;
    o->size = (int)size;
    o->min_count = min_count;
    o->max_characters = (int)alphabet;
    o->model_max_length = (int)max_length;
    o->max_words = (size_t)max_words;
    return HONE_OK;
}

static void print_report(const args *a, const vocab_options *o, const vocab_report *r) {
    text out = {0};
    if (a->json) {
        text_str(&out, "{\"output\":");
        text_json(&out, o->folder, strlen(o->folder));
        text_printf(&out,
                    ",\"type\":\"%s\",\"size\":%d,\"merges\":%d,\"bytes\":%lld,\"lines\":%lld,\"words\":%lld,"
                    "\"forgotten\":%lld",
                    args_value(a, "type"), r->size, r->n_merges, (long long)r->n_bytes, (long long)r->n_lines,
                    (long long)r->n_words, (long long)r->n_forgotten);
        const struct {
            const char *name;
            double s;
        } times[] = {
            {"count_seconds", r->count_s}, {"train_seconds", r->train_s}, {"write_seconds", r->write_s}};
        for (int i = 0; i < 3; i++) {
            text_printf(&out, ",\"%s\":", times[i].name);
            text_double(&out, times[i].s);
        }
        text_str(&out, "}\n");
    } else {
        text_printf(
            &out,
            "%s: %d ids, from %lld different words in %lld lines; counted in %.1f s, trained in %.1f s\n",
            o->folder, r->size, (long long)r->n_words, (long long)r->n_lines, r->count_s, r->train_s);
    }
    stdout_add(out.p, out.n);
    text_free(&out);
}

hone_status cmd_vocab(const args *a, hone_err *err) {
    vocab_options o = {0};
    vocab_report r;
    HONE_TRY(
        args_words(a, 1, ARGS_MAX_WORDS, "hone vocab --type NAME --size N --output FOLDER FILE...", err));
    HONE_TRY(read_options(a, &o, err));
    o.file = a->word;
    o.n_files = a->n_words;
    sig_install();
    pool *p = pool_new(a->threads);
    const hone_status status = vocab_train(&r, &o, p, err);
    pool_free(p);
    HONE_TRY(status);
    if (r.n_forgotten)
        log_note("%lld words were forgotten to keep within --max_words: rare pieces may be missing",
                 (long long)r.n_forgotten);
    if (r.size < o.size) log_note("%d ids of the %d wanted: the text holds no more", r.size, o.size);
    print_report(a, &o, &r);
    return HONE_OK;
}
