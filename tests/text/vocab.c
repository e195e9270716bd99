/* vocab.c - vocabularies trained from text: against BpeTrainer's (scripts/golden/tokenizer.py), the same for any number of
 * threads, loaded again, and what is refused. */
#include "text_util.h"
#include "base/host.h"
#include "text/vocab_train.h"

static const char *in_folder(arena *a, const char *name) {
    return arena_print(a, "%s/%s", test_folder(), name);
}

static const char *write_text(arena *a, const char *name, const char *p, size_t n) {
    const char *path = in_folder(a, name);
    CHECK_OK(file_write(path, p, n, err));
    return path;
}

/* Words of a made-up language of few syllables, with capitals, marks and rare characters. */
static void make_text(text *out, int n_words) {
    static const char *const syllables[] = {"ka", "lo",  "mi",       "tu", "re", "sch",
                                            "on", "ing", "\xc3\xa9", "Ba", "9",  "\xe4\xb8\xad"};
    uint64_t state = 7;
    for (int i = 0; i < n_words; i++) {
        for (int k = 0; k < 1 + (int)(state >> 60) % 4; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            const unsigned r = (unsigned)(state >> 33) % 144; /* the first ones far more often */
            text_str(out, syllables[r < 100 ? r % 4 : r % 12]);
        }
        state = state * 6364136223846793005u + 1442695040888963407u;
        text_str(out, (state >> 40) % 12 ? " " : (state >> 50) % 2 ? ", " : ".\n");
    }
}

static vocab_options options_of(vocab_kind kind, const char *const *file, const char *folder, int size) {
    return (vocab_options){.kind = kind,
                           .file = file,
                           .n_files = 1,
                           .folder = folder,
                           .size = size,
                           .min_count = 2,
                           .max_characters = 1000,
                           .lowercase = 1,
                           .model_max_length = 512};
}

TEST(text_bpe_learns_what_the_library_learns) {
    arena *a = arena_new("trained");
    pool *p = pool_new(2);
    int n = 0;
    for (const json *row = json_of_file(a, test_fixture("tokenizer/trained.json"))->child; row;
         row = row->next, n++) {
        const str whole = member(row, "text")->string;
        const char *file = write_text(a, "text.txt", whole.p, whole.n), *folder = in_folder(a, "out");
        vocab_options o = options_of(VOCAB_GPT2, &file, folder, (int)member(row, "size")->integer);
        vocab_report r;
        str merges;
        tokenizer *t = NULL;
        o.min_count = member(row, "least")->integer;
        CHECK_OK(vocab_train(&r, &o, p, err));
        CHECK_OK(tokenizer_load(&t, folder, err));
        CHECK_INT(tokenizer_size(t), member(row, "vocab")->n);
        int id = 0;
        for (const json *x = member(row, "vocab")->child; x; x = x->next, id++)
            CHECK(str_eq(tokenizer_token(t, id), x->string));
        CHECK_OK(file_read(&merges, a, arena_print(a, "%s/merges.txt", folder), 1 << 20, HONE_EDATA, err));
        const char *at = strchr(merges.p, '\n') + 1; /* the line of the version */
        for (const json *x = member(row, "merges")->child; x; x = x->next) {
            const char *end = strchr(at, '\n');
            CHECK(end && str_eq((str){at, (size_t)(end - at)}, x->string));
            at = end + 1;
        }
        CHECK_INT(*at, 0);
        CHECK_INT(r.n_merges, member(row, "merges")->n);
        tokenizer_free(t);
    }
    CHECK_INT(n, 3);
    pool_free(p);
    arena_free(a);
}

static const char *const files_of[] = {"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"};

TEST(text_vocabulary_is_the_same_for_any_number_of_threads) {
    arena *a = arena_new("threads");
    text x = {0};
    make_text(&x, 400000); /* several chunks */
    CHECK(x.n > (size_t)3 << 19);
    const char *file = write_text(a, "text.txt", x.p, x.n);
    static const vocab_kind kinds[] = {VOCAB_WORDPIECE, VOCAB_GPT2, VOCAB_UNIGRAM, VOCAB_CHARACTERS};
    for (int k = 0; k < 4; k++)
        for (int forget = 0; forget < 2; forget++) {
            const char *folder[2] = {in_folder(a, "one"), in_folder(a, "three")};
            for (int i = 0; i < 2; i++) {
                pool *p = pool_new(1 + 2 * i);
                vocab_options o = options_of(kinds[k], &file, folder[i], 600);
                vocab_report r;
                o.max_words = forget ? 1000 : 0;
                CHECK_OK(vocab_train(&r, &o, p, err));
                CHECK((r.n_forgotten > 0) == forget);
                CHECK_INT(r.n_bytes, x.n);
                pool_free(p);
            }
            for (int i = 0; i < 3; i++) {
                str one, three;
                CHECK_OK(file_read(&one, a, arena_print(a, "%s/%s", folder[0], files_of[i]), 1 << 24,
                                   HONE_EDATA, err));
                CHECK_OK(file_read(&three, a, arena_print(a, "%s/%s", folder[1], files_of[i]), 1 << 24,
                                   HONE_EDATA, err));
                CHECK(one.n && str_eq(one, three));
            }
        }
    text_free(&x);
    arena_free(a);
}

/* Each kind loads, knows its special tokens, and what it encodes decodes to the text. */
TEST(text_trained_vocabularies_encode_and_decode) {
    static const struct {
        vocab_kind kind;
        const char *text, *kind_name, *back;
    } cases[] = {
        {VOCAB_WORDPIECE, "kalo mitu, Baing", "WordPiece", "kalo mitu, baing"},
        {VOCAB_GPT2, "kalo  mitu, Baing \xf0\x9f\x99\x82\n", "BPE", "kalo  mitu, Baing \xf0\x9f\x99\x82\n"},
        {VOCAB_ROBERTA, " kalo mitu", "BPE", " kalo mitu"},
        {VOCAB_UNIGRAM, "kalo  mitu, Baing", "Unigram", "kalo mitu, Baing"},
        {VOCAB_CHARACTERS, "kalo mitu", "BPE", "kalo mitu"}};
    static const encode_options o = {0};
    arena *a = arena_new("kinds");
    text x = {0}, back = {0};
    encoding e = {0};
    pool *p = pool_new(2);
    make_text(&x, 20000);
    const char *file = write_text(a, "text.txt", x.p, x.n);
    for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
        const char *folder = arena_print(a, "%s/%zu", test_folder(), k);
        const vocab_options options = options_of(cases[k].kind, &file, folder, 500);
        vocab_report r;
        tokenizer *t = NULL;
        CHECK_OK(vocab_train(&r, &options, p, err));
        CHECK_OK(tokenizer_load(&t, folder, err));
        CHECK_STR(tokenizer_kind(t), cases[k].kind_name);
        CHECK_INT(tokenizer_size(t), r.size);
        CHECK_INT(tokenizer_model_max_length(t), 512);
        CHECK_OK(tokenizer_encode(t, str_of(cases[k].text), (str){0}, &o, &e, err));
        CHECK_INT(e.n_unknown, 0);
        text_clear(&back);
        tokenizer_decode(t, e.id, e.n, 1, &back);
        CHECK_STR(back.p, cases[k].back);
        tokenizer_free(t);
    }
    pool_free(p);
    text_free(&x);
    text_free(&back);
    encoding_free(&e);
    arena_free(a);
}

TEST(text_molecules_are_cut_into_atoms_and_bonds) {
    static const char smiles[] = "CC(=O)Oc1ccccc1C(=O)O\nC[C@@H](N)C(=O)O.[Na+].[Cl-]\nBrC1=CC=C%12Cl\n";
    arena *a = arena_new("molecules");
    static const encode_options o = {0};
    encoding e = {0};
    pool *p = pool_new(1);
    tokenizer *t = NULL;
    vocab_report r;
    const char *file = write_text(a, "smiles.txt", smiles, sizeof smiles - 1), *folder = in_folder(a, "out");
    vocab_options options = options_of(VOCAB_MOLECULES, &file, folder, 100);
    options.min_count = 1;
    CHECK_OK(vocab_train(&r, &options, p, err));
    CHECK_OK(tokenizer_load(&t, folder, err));
    CHECK(tokenizer_id(t, STR("[C@@H]")) > 4 && tokenizer_id(t, STR("Br")) > 4 &&
          tokenizer_id(t, STR("%12")) > 4);
    CHECK_INT(tokenizer_id(t, STR("C")), 5); /* the commonest comes first */
    CHECK_OK(tokenizer_encode(t, STR("C[C@@H](Br)%12Cl[Xe]"), (str){0}, &o, &e, err));
    CHECK_INT(e.n, 2 + 8);
    CHECK_INT(e.n_unknown, 1);
    CHECK(str_is(tokenizer_token(t, e.id[2]), "[C@@H]"));
    CHECK(str_is(tokenizer_token(t, e.id[7]), "Cl"));
    encoding_free(&e);
    tokenizer_free(t);
    pool_free(p);
    arena_free(a);
}

static void must_refuse(const char *content, size_t n, vocab_kind kind, int size, hone_status status,
                        const char *words) {
    arena *a = arena_new("refused");
    pool *p = pool_new(1);
    hone_err err = {0};
    vocab_report r;
    const char *file = write_text(a, "text.txt", content, n);
    const vocab_options o = options_of(kind, &file, in_folder(a, "out"), size);
    CHECK_INT(vocab_train(&r, &o, p, &err), status);
    if (!strstr(err.text, words)) test_fail(__FILE__, __LINE__, "\"%s\" holds no \"%s\"", err.text, words);
    CHECK(!file_exists(in_folder(a, "out")));
    pool_free(p);
    arena_free(a);
}

TEST(text_vocabulary_training_refuses_what_it_cannot_learn_from) {
    must_refuse("good\nbad \xff\n", 11, VOCAB_WORDPIECE, 100, HONE_EDATA,
                "text.txt: line 2 byte 5: invalid UTF-8");
    must_refuse("", 0, VOCAB_WORDPIECE, 100, HONE_EDATA, "no words");
    must_refuse("\n \n", 3, VOCAB_WORDPIECE, 100, HONE_EDATA, "no words");
    must_refuse("hello", 5, VOCAB_GPT2, 200, HONE_EUSAGE, "--size 200");
    must_refuse("abcdefghijklmnopqrstuvwxyz", 26, VOCAB_UNIGRAM, 20, HONE_EUSAGE, "--size 20");
}
