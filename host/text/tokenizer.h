/* tokenizer.h - text to ids and back, exactly as the `tokenizers` library (0.23) does it.
 *
 * A tokenizer is loaded once and never changes: any thread may use it. It owns its strings. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H
#include "base/arena.h"
#include "base/str.h"

typedef struct tokenizer tokenizer;

/* Load from a model folder: tokenizer.json if there, else vocab.txt (BERT), else vocab.json and merges.txt (GPT-2,
 * RoBERTa); with tokenizer_config.json, which for BERT's tokenizer decides do_lower_case, strip_accents and
 * tokenize_chinese_chars in both cases, as in transformers. Errors are HONE_EUSAGE and name file, line and column
 * (bad-inputs F36 to F41).
 *
 * What tokenizer.json may hold: the models WordPiece, BPE, Unigram and WordLevel; the normalizers BertNormalizer, NFC,
 * NFD, NFKC, NFKD, Lowercase, StripAccents, Nmt, Strip, Prepend, Replace and Precompiled; the pre-tokenizers
 * BertPreTokenizer, ByteLevel, Metaspace, WhitespaceSplit and Split by a pattern that is known; the post-processors
 * TemplateProcessing, BertProcessing, RobertaProcessing and ByteLevel; the decoders WordPiece, ByteLevel, Metaspace,
 * ByteFallback, Fuse, Strip and Replace; sequences of these. What it holds beyond them is refused by name. */
hone_status tokenizer_load(tokenizer **out, const char *folder, hone_err *err);
void tokenizer_free(tokenizer *t);

int tokenizer_size(const tokenizer *t);          /* ids are below this, added tokens included */
int tokenizer_id(const tokenizer *t, str token); /* -1: not in the vocabulary */
str tokenizer_token(const tokenizer *t, int id); /* empty: no such id */
const char *tokenizer_kind(const tokenizer *t);  /* "WordPiece", "BPE", "Unigram", "WordLevel" */
int tokenizer_is_special(const tokenizer *t, int id);
/* Ids of the tokens by role, -1 where there is none. */
typedef struct {
    int unk, cls, sep, pad, mask, bos, eos;
} tokenizer_roles;
tokenizer_roles tokenizer_special(const tokenizer *t);
int tokenizer_model_max_length(const tokenizer *t); /* from tokenizer_config.json; 0: none given */
const char *tokenizer_sha256(const tokenizer *t);   /* over the content that decides ids: hex, stable */

typedef enum { TRUNCATE_LONGEST_FIRST, TRUNCATE_ONLY_FIRST, TRUNCATE_ONLY_SECOND } truncation;
typedef struct {
    int max_length;      /* with special tokens; 0: no truncation */
    truncation strategy; /* HF's names: longest_first only_first only_second */
    int no_special;      /* leave out [CLS] and [SEP] */
} encode_options;

/* One encoded text or pair. The arrays belong to the encoding and are reused by the next call: keep one a
 * thread. */
typedef struct {
    int n;
    int32_t *id;
    uint8_t *type;      /* 0 first text, 1 second */
    int32_t *from, *to; /* byte offsets [from, to) into the original text; 0, 0 for special tokens */
    uint8_t *special;   /* 1: [CLS], [SEP] added by the template */
    int n_unknown;      /* ids that are [UNK] */
    int n_cut;          /* tokens lost to truncation */
    size_t cap;
    void *scratch; /* private */
} encoding;
void encoding_free(encoding *e); /* of a zeroed one: fine */

/* Encode text, or the pair text, pair (pair.p NULL: none). Bytes must be valid UTF-8 (checked where data is
 * read). */
hone_status tokenizer_encode(const tokenizer *t, str first, str pair, const encode_options *o, encoding *e,
                             hone_err *err);

/* The same of a text that comes cut into words (transformers' is_split_into_words): each word is encoded by itself, as if
 * a space stood before it where the vocabulary tells words by their spaces (byte level). from is the number of the word that
 * a token is of, to one more. */
hone_status tokenizer_encode_words(const tokenizer *t, const str *word, int n, const encode_options *o, encoding *e,
                                   hone_err *err);

/* Ids to text as the file's decoder says (WordPiece: "##" joined, clean-up of spaces before punctuation; ByteLevel: bytes
 * that are no UTF-8 become U+FFFD); skip_special leaves out special tokens. */
void tokenizer_decode(const tokenizer *t, const int32_t *ids, int n, int skip_special, text *out);
#endif
