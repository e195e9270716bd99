/* story_writing.c - GPT-2: task text-generation and its classifier, beside torch (scripts/golden/gpt2.py), the same bits however
 * a run was cut, documents apart or not, and the folder handed back. */
#include <math.h>

#include "command.h"
#include "formula_model.h"
#include "golden.h"
#include "parity_check.h"

#define STORIES ",\"task\": \"text-generation\""

static const char *story(const char *name) { return test_source(name); }

/* The tiny model of gpt2.py: the tokenizer of configs/models/small-gpt, a config of its own, weights by formula. */
static const char *tiny_gpt(arena *a, const char *name, const char *architecture, const char *more) {
    const char *folder = here(a, name);
    copy_folder(a, story("configs/models/small-gpt"), folder);
    put_file(a, arena_print(a, "%s/config.json", name),
             arena_print(a,
                         "{\"model_type\": \"gpt2\", \"architectures\": [\"%s\"], \"vocab_size\": 640, \"n_positions\": 48, "
                         "\"n_embd\": 32, \"n_layer\": 2, \"n_head\": 4, \"resid_pdrop\": 0.0, \"embd_pdrop\": 0.0, "
                         "\"attn_pdrop\": 0.0, \"bos_token_id\": 0, \"eos_token_id\": 0%s}\n",
                         architecture, more));
    formula_weights(a, folder, architecture, 4);
    return folder;
}

static const json *twenty_steps(arena *a, const char *model, const char *flags) {
    return command_json(a,
                        "train --model_name_or_path \"%s\" --output_dir \"%s\" --max_steps 20 --seed 42 "
                        "--per_device_train_batch_size 8 --train_sampling_strategy sequential "
                        "--learning_rate 1e-3 --warmup_ratio 0.2 --weight_decay 0.01 --max_seq_length 48 "
                        "--save_strategy no --logging_steps 1 --json --quiet %s \"%s\"",
                        model, here(a, "out"), flags, put_file(a, "job.json", "{}"));
}

TEST(twenty_steps_of_gpt2_equal_torch) {
    arena *a = command_begin();
    const json *golden = golden_open(a, "gpt2-lm.json"), *want = member(golden, "eval");
    const char *model = tiny_gpt(a, "writer", "GPT2LMHeadModel", ""), *out = here(a, "out");
    const json *summary = twenty_steps(
        a, model,
        arena_print(a, "--task causal-lm --train_file \"%s\" --validation_file \"%s\"",
                    story("configs/data/stories/train.jsonl"), story("configs/data/stories/validation.jsonl")));
    CHECK_INT(number_of(summary, "global_step"), 20);
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), 28);
    CHECK_NEAR(number_of(summary, "eval_loss") / number_of(want, "loss"), 1, 1e-6);
    CHECK_NEAR(number_of(summary, "eval_accuracy"), number_of(want, "accuracy"), 1e-9);
    CHECK_NEAR(log(number_of(summary, "eval_perplexity")), number_of(summary, "eval_loss"), 1e-8);
    const json *config = json_of_file(a, path_join(a, out, "config.json"));
    CHECK_STR(member(config, "architectures")->child->string.p, "GPT2LMHeadModel");
    const said checked = command_expect(a, 0, "export --check \"%s\"", out);
    CHECK(strstr(checked.out, "all 28 tensors of GPT2LMHeadModel"));
    arena_free(a);
}

/* The last token's row, which has seen the whole text. */
TEST(twenty_steps_of_gpt2_as_a_classifier_equal_torch) {
    arena *a = command_begin();
    const json *golden = golden_open(a, "gpt2-classes.json"), *want = member(golden, "logits")->child;
    const char *model = tiny_gpt(a, "judge", "GPT2ForSequenceClassification", ", \"pad_token_id\": 0, \"num_labels\": 4"),
               *out = here(a, "out");
    twenty_steps(a, model, arena_print(a, "--train_file \"%s\"", test_fixture("e2e/train.csv")));
    parity_steps(a, out, golden);
    CHECK_INT(parity_weights(a, model, out, golden), 29);
    const said s = command_expect(a, 0, "predict \"%s\" \"%s\" --logits --max_predict_samples 16", out,
                                  test_fixture("e2e/validation.csv"));
    str rows = {s.out, s.n_out};
    const json *row;
    double worst = 0;
    for (; parity_next_row(a, &rows, &row); want = want->next) {
        const json *logit = member(row, "logits")->child;
        for (const json *x = want->child; x; x = x->next, logit = logit->next)
            worst = fmax(worst, fabs(logit->number - x->number));
    }
    CHECK(!want);
    printf("largest difference of a logit from torch: %.3g\n", worst);
    CHECK_NEAR(worst, 0, 5e-6);
    command_expect(a, 0, "export --check \"%s\"", out);
    arena_free(a);
}

static const char *story_job(arena *a, const char *name, const char *more) {
    const char *model = tiny_gpt(a, "writer", "GPT2LMHeadModel", ""),
               *texts = story("configs/data/stories/validation.jsonl"), *all = arena_print(a, STORIES "%s", more);
    const struct {
        const char *name, *value;
    } members[] = {{"config_name", arena_print(a, "\"%s\"", model)},
                   {"tokenizer_name", arena_print(a, "\"%s\"", model)},
                   {"train_file", arena_print(a, "\"%s\"", texts)},
                   {"validation_file", arena_print(a, "\"%s\"", texts)},
                   {"max_steps", "12"},
                   {"reduce_shards", "4"}};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!strstr(more, arena_print(a, "\"%s\"", members[i].name)))
            all = arena_print(a, "%s,\"%s\": %s", all, members[i].name, members[i].value);
    return tiny_job(a, arena_print(a, "%s.json", name), name, all);
}

static const json *train(arena *a, const char *name, const char *launch, const char *more) {
    return command_json(a, "%s train \"%s\" --json --quiet", launch, story_job(a, name, more));
}

static const char *sha_of(const json *summary) { return text_of(summary, "params_sha256"); }

TEST(stories_end_in_the_same_bits_on_several_ranks_and_threads) {
    arena *a = command_begin();
    const json *one = train(a, "one", "", ""),
               *two = train(a, "two", "launch -n 2", ",\"per_device_train_batch_size\": 4");
    CHECK_STR(sha_of(two), sha_of(one));
    CHECK(number_of(two, "eval_loss") == number_of(one, "eval_loss"));
    CHECK(number_of(two, "eval_accuracy") == number_of(one, "eval_accuracy"));
    CHECK_STR(sha_of(train(a, "thread", "", ",\"threads\": 1")), sha_of(one));
    CHECK(strcmp(sha_of(train(a, "other", "", ",\"cross_documents\": true")), sha_of(one)));
    arena_free(a);
}

TEST(stories_resume_to_the_same_bits_and_are_replayed) {
    static const char often[] = ",\"save_strategy\": \"steps\",\"save_steps\": 4";
    arena *a = command_begin();
    const char *whole = sha_of(train(a, "whole", "", ""));
    CHECK_STR(sha_of(train(a, "out", "", often)), whole);
    const json *again = command_json(a, "verify \"%s\" --replay 4 --json --quiet --from 8", here(a, "out"));
    CHECK_INT(number_of(again, "replayed"), 4);
    command_shell(a, "rm -r \"%s/checkpoint-12\" \"%s/model.safetensors\"", here(a, "out"), here(a, "out"));
    CHECK_STR(sha_of(train(a, "out", "", arena_print(a, "%s,\"resume_from_checkpoint\": \"true\"", often))), whole);
    arena_free(a);
}

/* A document twice has the loss of the one, unless the second sees the first. */
TEST(documents_do_not_see_each_other_unless_asked) {
    static const char once[] = "{\"text\": \"Then came a clever owl. So they waited.\"}\n";
    arena *a = command_begin();
    const char *model = tiny_gpt(a, "writer", "GPT2LMHeadModel", ""), *one = put_file(a, "one.jsonl", once),
               *two = put_file(a, "two.jsonl", arena_print(a, "%s%s", once, once));
    const json *alone = command_json(a, "eval \"%s\" \"%s\" --json", model, one),
               *apart = command_json(a, "eval \"%s\" \"%s\" --json", model, two),
               *crossed = command_json(
                   a, "eval \"%s\" \"%s\" --json --task text-generation --cross_documents true --max_seq_length 16", model, two);
    CHECK_INT(number_of(apart, "eval_samples"), 2);
    CHECK_INT(number_of(crossed, "eval_samples"), 1);
    CHECK(number_of(apart, "eval_loss") == number_of(alone, "eval_loss"));
    CHECK(fabs(number_of(crossed, "eval_loss") - number_of(alone, "eval_loss")) > 1e-3);
    arena_free(a);
}

/* A plain file is one document with its line breaks; with line_by_line each line is one. */
TEST(plain_lines_are_one_document_or_many) {
    arena *a = command_begin();
    const char *model = tiny_gpt(a, "writer", "GPT2LMHeadModel", ""),
               *lines = put_file(a, "lines.txt", "So they waited.\n\nThe moon came up.\n"),
               *whole = put_file(a, "whole.jsonl", "{\"text\": \"So they waited.\\n\\nThe moon came up.\\n\"}\n"),
               *each = put_file(a, "each.jsonl", "{\"text\": \"So they waited.\"}\n{\"text\": \"The moon came up.\"}\n");
    const json *one = command_json(a, "eval \"%s\" \"%s\" --json", model, lines),
               *same = command_json(a, "eval \"%s\" \"%s\" --json", model, whole),
               *many = command_json(a, "eval --line_by_line \"%s\" --task text-generation \"%s\" --json", model, lines),
               *apart = command_json(a, "eval \"%s\" \"%s\" --json", model, each);
    CHECK_INT(number_of(one, "eval_samples"), 1);
    CHECK(number_of(one, "eval_loss") == number_of(same, "eval_loss"));
    CHECK_INT(number_of(many, "eval_samples"), 2); /* an empty line has no word to guess */
    CHECK(number_of(many, "eval_loss") == number_of(apart, "eval_loss"));
    arena_free(a);
}

TEST(every_evaluation_of_stories_says_the_same) {
    arena *a = command_begin();
    const json *run = train(a, "out", "", "");
    const char *path = story("configs/data/stories/validation.jsonl"), *out = here(a, "out");
    const json *again = command_json(a, "eval \"%s\" \"%s\" --max_seq_length 48 --json", out, path),
               *singly = command_json(a, "eval \"%s\" \"%s\" --max_seq_length 48 --per_device_eval_batch_size 1 --json", out,
                                      path);
    CHECK(number_of(again, "eval_loss") == number_of(run, "eval_loss"));
    CHECK(number_of(singly, "eval_accuracy") == number_of(run, "eval_accuracy"));
    CHECK_NEAR(number_of(singly, "eval_loss"), number_of(run, "eval_loss"), 1e-6);
    command_refused(a, 2, "its task is text-generation, which predicts no labels", "predict \"%s\" \"%s\"", out, path);
    arena_free(a);
}

/* The GPU's own code, emulated, plays fixed numbers of rows: those behind the tokens change nothing. */
TEST(stories_on_a_device_of_fixed_rows_are_the_same) {
    arena *a = command_begin();
    const said there = command_run(a, "plan \"%s\" --device emu --quiet", story_job(a, "job", ""));
    if (there.code == 2 && strstr(there.err, "there is no libhone_emu.so")) test_skip("%s", there.err);
    static const char more[] = ",\"max_tokens_per_batch\": 160,\"max_steps\": 4,\"device\": ";
    const json *ref = train(a, "ref", "", arena_print(a, "%s\"ref\"", more)),
               *emu = train(a, "emu", "", arena_print(a, "%s\"emu\"", more));
    CHECK_NEAR(number_of(emu, "train_loss"), number_of(ref, "train_loss"), 1e-5);
    CHECK_NEAR(number_of(emu, "eval_loss"), number_of(ref, "eval_loss"), 1e-5);
    arena_free(a);
}

TEST(stories_are_planned_and_timed) {
    arena *a = command_begin();
    const json *run = train(a, "out", "", "");
    const json *plan = command_json(a, "plan \"%s\" --gpu h100 --json", here(a, "out.json"));
    CHECK(number_of(member(plan, "rows"), "tok") <= 8 * 48);
    CHECK_INT(number_of(run, "peak_device_bytes"), number_of(run, "planned_device_bytes"));
    /* What hone generate may take: of 2 layers, 48 positions, 32 wide, keys and values of each place; 3 of each text by beams. */
    const json *one = member(plan, "generate"),
               *three = member(command_json(a, "plan \"%s\" --json --tokens 96 --bf16 --per_device_eval_batch_size 5 --generation "
                                               "\"{\\\"num_beams\\\": 3}\"", here(a, "out.json")), "generate");
    CHECK_INT(number_of(one, "texts"), 8);
    CHECK_INT(number_of(one, "tokens"), 48);
    CHECK_INT(number_of(one, "cache_bytes"), 8 * 48 * 32 * 2 * 2 * 4);
    CHECK(number_of(one, "planned_device_bytes") > number_of(one, "cache_bytes") + 640 * 32 * 4);
    CHECK_INT(number_of(three, "texts"), 15);
    CHECK_INT(number_of(three, "cache_bytes"), 15 * 48 * 32 * 2 * 2 * 2);
    const char *steps = command_expect(a, 0, "plan \"%s\" --steps", here(a, "out.json")).out;
    CHECK(strstr(steps, "hone generate: 8 texts of up to 48 tokens side by side take ") && strstr(steps, "program decode\n"));
    CHECK(!json_get(command_json(a, "plan \"%s\" --json", tiny_job(a, "classes.json", "classes", "")), "generate"));
    CHECK(!strstr(command_expect(a, 0, "inspect \"%s\"", here(a, "out")).out, "labels"));
    command_expect(a, 0, "validate \"%s\"", here(a, "out.json"));
    command_expect(a, 0, "bench step --config_name \"%s\" --tokenizer_name \"%s\" --task text-generation --seq 16 --batch 4 "
                         "--steps 2",
                   here(a, "writer"), here(a, "writer"));
    arena_free(a);
}

/* What was learned is handed on: to more stories, and to a classifier, whose head is new. */
TEST(stories_are_learned_and_handed_on) {
    arena *a = command_begin();
    const json *first = train(a, "first", "", ",\"max_steps\": 200,\"reduce_shards\": 1");
    CHECK(number_of(first, "eval_loss") < 2); /* of 640 words by chance: 6.46 */
    CHECK(number_of(first, "eval_accuracy") > 0.5);
    const json *second = train(a, "second", "",
                               arena_print(a, ",\"model_name_or_path\": \"%s\",\"max_steps\": 1,\"learning_rate\": 1e-9",
                                           here(a, "first")));
    CHECK_NEAR(number_of(second, "eval_loss"), number_of(first, "eval_loss"), 1e-3);
    const json *classes = command_json(
        a, "train \"%s\" --quiet --json",
        tiny_job(a, "classes.json", "classes",
                 arena_print(a, ",\"config_name\": \"\",\"tokenizer_name\": \"\",\"model_name_or_path\": \"%s\"", here(a, "first"))));
    CHECK(number_of(classes, "eval_accuracy") >= 0.4); /* of 4 kinds by chance: 0.25 */
    command_expect(a, 0, "export --check \"%s\"", here(a, "classes"));
    const said s = command_shell(a, "printf 'my parcel\\n\\n' | \"%s\" predict \"%s\" -", command_program(), here(a, "classes"));
    CHECK_INT(s.code, 0); /* an empty text is the end of one */
    CHECK(strstr(s.out, "\"index\":1,"));
    arena_free(a);
}

/* configs/jobs/story-writing.json, the beginning of it. */
TEST(the_job_of_story_writing_runs) {
    arena *a = command_begin();
    const said s = command_shell(a,
                                 "cd \"%s\" && \"%s\" train configs/jobs/story-writing.json --output_dir \"%s\" "
                                 "--max_steps 12 --eval_strategy no --json --quiet",
                                 HONE_SOURCE_FOLDER, command_program(), here(a, "out"));
    const json *summary;
    CHECK_INT(s.code, 0);
    CHECK_OK(json_parse(&summary, a, "summary", s.out, s.n_out, HONE_EDATA, err));
    CHECK(number_of(summary, "eval_loss") < 5.5); /* of 640 words by chance: 6.46 */
    CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "README.md")), "pipeline_tag: text-generation\n"));
    CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "generation_config.json")), "\"eos_token_id\": 0"));
    /* Its way of going on with texts is the folder's. */
    const said t = command_expect(a, 0, "generate \"%s\" --prompt \"One day\" --quiet", here(a, "out")),
               u = command_expect(a, 0, "generate \"%s\" --prompt \"One day\" --quiet --do_sample --top_k 20 --max_new_tokens 60 "
                                        "--generation \"{\\\"top_k\\\": 1, \\\"max_new_tokens\\\": 3}\"", here(a, "out")),
               v = command_expect(a, 0, "generate \"%s\" --prompt \"One day\" --quiet --generation \"{\\\"max_new_tokens\\\": 3}\"", here(a, "out"));
    CHECK_STR(u.out, t.out); /* the command line goes before the job, the job before the folder */
    CHECK(strcmp(v.out, t.out));
    arena_free(a);
}

TEST(what_stories_cannot_do_is_refused) {
    static const char *const refused[][2] = {
        {",\"do_regression\": true", "do_regression: not for task text-generation"},
        {",\"mlm_probability\": 0.2", "mlm_probability: not for task text-generation, expected task fill-mask"},
        {",\"max_seq_length\": 1", "max_seq_length: 1, expected at least 2"},
        {",\"do_predict\": true", "do_predict: not for task text-generation"},
        {",\"generation\": {\"do_sample\": \"yes\"}", "(generation): do_sample: text, expected true or false"}};
    arena *a = command_begin();
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        command_refused(a, 2, refused[i][1], "train \"%s\"",
                        tiny_job(a, "job.json", "out", arena_print(a, STORIES "%s", refused[i][0])));
    command_refused(a, 2, "cross_documents: not for task text-classification", "train \"%s\"",
                    tiny_job(a, "job.json", "out", ",\"cross_documents\": true"));
    command_refused(a, 2, "family bert has no head for task text-generation", "train \"%s\"",
                    tiny_job(a, "job.json", "out", STORIES));
    command_refused(a, 2, "num_return_sequences: 3 without do_sample, but num_beams is 1", "train \"%s\"",
                    story_job(a, "job", ",\"generation\": {\"num_return_sequences\": 3}"));
    const char *none = put_file(a, "none.txt", "\n\n"), *few = put_file(a, "few.txt", "a card\n");
    command_refused(a, 3, "no text has a word to guess", "train \"%s\"",
                    story_job(a, "job", arena_print(a, ",\"line_by_line\": true,\"train_file\": \"%s\"", none)));
    command_refused(a, 3, "expected at least a block of max_seq_length, 48", "train \"%s\"",
                    story_job(a, "job", arena_print(a, ",\"cross_documents\": true,\"train_file\": \"%s\"", few)));
    arena_free(a);
}
