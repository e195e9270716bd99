/* jobs.c - the jobs of configs/jobs on their real data, the beginning of each: a small BERT from nothing, some rows, some steps.
 * Where the data is not there, the test of that job is skipped. */
#include "command.h"
#include "golden.h"

#define SMALL                                                                                                \
    "--model_name_or_path '' --config_name configs/models/small-bert --max_train_samples 64 "                \
    "--max_eval_samples 24 "                                                                                 \
    "--max_predict_samples 8 --max_steps 4 --per_device_train_batch_size 8 --eval_strategy no "              \
    "--max_seq_length 64 --json --quiet"

/* The summary of a job that needs these files of real data; more: further flags. */
static const json *run_job(arena *a, const char *name, const char *tokenizer, const char *more) {
    const json *summary;
    const said s = command_shell(a,
                                 "cd \"%s\" && HONE_DATA=\"%s\" \"%s\" train configs/jobs/%s.json "
                                 "--tokenizer_name \"%s\" --output_dir \"%s\" %s %s",
                                 HONE_SOURCE_FOLDER, test_data(), command_program(), name, tokenizer,
                                 here(a, name), SMALL, more);
    if (s.code) test_fail(__FILE__, __LINE__, "job %s ended with %d: %s", name, s.code, s.err);
    CHECK_OK(json_parse(&summary, a, "summary", s.out, s.n_out, HONE_EDATA, err));
    CHECK_INT(number_of(summary, "global_step"), 4);
    CHECK(number_of(summary, "train_loss") > 0);
    return summary;
}

static const json *run_small(arena *a, const char *name, const char *more) {
    return run_job(a, name, "configs/models/small-bert", more);
}

TEST(the_job_of_sentiment_runs) {
    test_data_or_skip("sst2/glue/train.tsv.gz");
    arena *a = command_begin();
    CHECK_INT(number_of(run_small(a, "sentiment", ""), "test_samples"), 8);
    arena_free(a);
}

TEST(the_job_of_hate_speech_runs) {
    test_data_or_skip("hate-offensive/labeled_data.csv");
    arena *a = command_begin();
    CHECK(number_of(run_small(a, "hate-speech", ""), "eval_samples") >= 6);
    arena_free(a);
}

TEST(the_job_of_law_clauses_runs) {
    test_data_or_skip("unfair-tos/unfair_tos.en.tsv.gz");
    arena *a = command_begin();
    CHECK(number_of(run_small(a, "law-clauses", ""), "eval_f1_micro") >= 0);
    CHECK(member(member(json_of_file(a, path_join(a, here(a, "law-clauses"), "config.json")), "id2label"),
                 "10"));
    arena_free(a);
}

/* A vocabulary of its own comes first, as the README has it. */
TEST(the_job_of_molecules_runs) {
    const char *file = test_data_or_skip("molecules/tox21.csv");
    arena *a = command_begin();
    const said s = command_shell(a,
                                 "tail -n +2 \"%s\" | cut -d, -f14 > \"%s\" && \"%s\" vocab --type molecules "
                                 "--size 256 --output \"%s\" \"%s\"",
                                 file, here(a, "smiles.txt"), command_program(), here(a, "vocab"),
                                 here(a, "smiles.txt"));
    CHECK_INT(s.code, 0);
    const json *summary = run_job(a, "molecules", here(a, "vocab"), "");
    CHECK(number_of(summary, "eval_accuracy") >= 0);
    CHECK_INT(
        member(member(json_of_file(a, path_join(a, here(a, "molecules"), "config.json")), "id2label"), "11")
            ->string.n,
        strlen("SR-p53"));
    arena_free(a);
}

TEST(the_job_of_intents_runs) {
    test_data_or_skip("banking77/train.csv");
    arena *a = command_begin();
    CHECK_INT(number_of(run_small(a, "banking77", ""), "test_samples"), 8);
    arena_free(a);
}

TEST(the_job_of_entities_runs) {
    test_data_or_skip("wnut17/train.conll");
    arena *a = command_begin();
    const json *summary = run_small(a, "entities", "");
    CHECK_INT(number_of(summary, "test_samples"), 8);
    CHECK(number_of(summary, "eval_accuracy") > 0 && number_of(summary, "eval_f1_macro") >= 0);
    arena_free(a);
}

TEST(the_job_of_questions_runs) {
    test_data_or_skip("qa/squadshifts/new_wiki_v1.0.json.gz");
    arena *a = command_begin();
    const json *summary = run_small(a, "questions", "--doc_stride 8");
    CHECK_INT(number_of(summary, "test_samples"), 8);
    CHECK_INT(json_of_file(a, path_join(a, here(a, "questions"), "test_predictions.json"))->n, 8);
    arena_free(a);
}

TEST(the_job_of_similarity_runs) {
    test_data_or_skip("stsb/stsb-en-train.csv");
    arena *a = command_begin();
    const json *summary = run_small(a, "similarity", "");
    CHECK(number_of(summary, "eval_pearson") >= -1 && number_of(summary, "test_spearman") <= 1);
    arena_free(a);
}

/* Every data set with words that are tagged is read whole; the numbers are the data's own description. */
TEST(tagged_data_sets_are_read_whole) {
    static const struct {
        const char *file, *flags;
        int sentences;
    } sets[] = {{"wnut17/dev.conll", "", 1009},
                {"ncbi-disease/devel.tsv", "", 923},
                {"uner-ewt/en_ewt-ud-dev.iob2", "--text_column_names 1 --label_column_name 2", 2001},
                {"ud-ewt/en_ewt-ud-dev.conllu.gz", "--label_column_name upos", 2001}};
    test_data_or_skip("ud-ewt/en_ewt-ud-dev.conllu.gz");
    arena *a = command_begin();
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        const said s = command_shell(
            a,
            "cd \"%s\" && \"%s\" validate '%s' --task token-classification --config_name "
            "configs/models/small-bert "
            "--tokenizer_name configs/models/small-bert --train_file \"%s/%s\" --max_seq_length 64 %s --json",
            HONE_SOURCE_FOLDER, command_program(), put_file(a, "job.json", "{}"), test_data(), sets[i].file,
            sets[i].flags);
        const json *found;
        if (s.code) test_fail(__FILE__, __LINE__, "%s: %s", sets[i].file, s.err);
        CHECK_OK(json_parse(&found, a, "report", s.out, s.n_out, HONE_EDATA, err));
        CHECK_INT(number_of(member(found, "train"), "rows"), sets[i].sentences);
    }
    arena_free(a);
}
