/* generate.c - hone generate as a user runs it. What it writes is compared in tests/train/generate.c. */
#include "command.h"
#include "golden.h"

#define MODEL "\"%s\""

static const char *fixture(void) { return test_fixture("generate"); }

/* Row i of what was printed; a text may hold U+0000, which hone's own reader refuses. */
static const char *row(const said *s, int i) {
    const char *at = s->out;
    for (; i > 0; i--) at = strchr(at, '\n') ? strchr(at, '\n') + 1 : "";
    if (*at != '{') test_fail(__FILE__, __LINE__, "too few rows: %s", s->out);
    return at;
}

static int ids_of(const char *line) {
    const char *at = strstr(line, "\"ids\":[");
    int n = 1;
    for (CHECK(at); *at != ']'; at++) n += *at == ',';
    return n;
}

static int count_lines(const char *s) {
    int n = 0;
    for (; *s; s++) n += *s == '\n';
    return n;
}

TEST(generate_prints_rows_with_the_golden_ids) {
    arena *a = command_begin();
    const json *golden = golden_open(a, "generate.json"), *prompts = member(golden, "prompts")->child,
               *texts = member(member(golden, "runs")->child, "texts")->child;
    text file = {0}, lines = {0};
    for (const json *p = prompts; p; p = p->next) {
        text_str(&file, "{\"text\":");
        text_json(&file, p->string.p ? p->string.p : member(p, "text")->string.p, member(p, "text")->string.n);
        text_str(&file, "}\n");
        text_printf(&lines, "%s\n", text_of(p, "text"));
    }
    const char *jsonl = put_file(a, "prompts.jsonl", file.p), *plain = put_file(a, "prompts.txt", lines.p);
    const said s = command_expect(a, 0, "generate " MODEL " \"%s\" --max_new_tokens 24 --json --quiet", fixture(), jsonl),
               t = command_expect(a, 0, "generate " MODEL " --prompts \"%s\" --max_new_tokens 24 --threads 1 --quiet", fixture(),
                                  plain),
               u = command_shell(a, "\"%s\" generate " MODEL " - --max_new_tokens 24 --quiet --per_device_eval_batch_size 3 <\"%s\"",
                                 command_program(), fixture(), plain);
    CHECK_STR(t.out, s.out);
    CHECK_STR(u.out, s.out);
    CHECK_INT(count_lines(s.out), 50);
    int n = 0;
    const char *at = s.out;
    for (const json *w = texts; w; w = w->next, n++, at = strchr(at, '\n') + 1) {
        char begins[64];
        snprintf(begins, sizeof begins, "{\"index\":%d,\"text\":\"", n);
        CHECK(!strncmp(at, begins, strlen(begins)));
        text ids = {0};
        text_str(&ids, "\"ids\":[");
        for (const json *i = member(w->child, "ids")->child; i; i = i->next)
            text_printf(&ids, "%lld%s", (long long)i->integer, i->next ? "," : "");
        text_printf(&ids, "],\"finish\":\"%s\",\"logprob\":-", text_of(w->child, "finish"));
        const char *found = strstr(at, ids.p);
        CHECK(found && found < strchr(at, '\n'));
        text_free(&ids);
    }
    text_free(&file), text_free(&lines);
    arena_free(a);
}

TEST(generate_streams_prompts_and_texts) {
    arena *a = command_begin();
    const char *how = "--max_new_tokens 12 --quiet --seed 5 --do_sample --top_k 5 --stop zz";
    const said rows = command_expect(a, 0, "generate " MODEL " --prompt \"A door in\" --prompt=Rain %s", fixture(), how),
               shown = command_expect(a, 0, "generate " MODEL " --prompt \"A door in\" --prompt=Rain --stream %s", fixture(), how);
    CHECK_INT(count_lines(rows.out), 2);
    CHECK(!strncmp(shown.out, "A door in", 9));
    CHECK(strstr(shown.out, "\nRain") != NULL);
    arena_free(a);
}

TEST(generate_reads_an_empty_prompt_as_the_begin_of_a_text) {
    arena *a = command_begin();
    const said s = command_expect(a, 0, "generate " MODEL " --prompt \"\" --max_new_tokens 3 --min_new_tokens 3 --quiet", fixture());
    CHECK_INT(ids_of(row(&s, 0)), 3);
    const said b = command_expect(a, 0, "generate " MODEL " --prompt Rain --num_beams 2 --num_return_sequences 2 --max_new_tokens 3 --quiet",
                                  fixture());
    CHECK(!strncmp(row(&b, 1), "{\"index\":0,\"sequence\":1,\"text\":", 31));
    CHECK(strtod(strstr(row(&b, 0), "\"score\":") + 8, NULL) >= strtod(strstr(row(&b, 1), "\"score\":") + 8, NULL));
    arena_free(a);
}

static const char *model_with(arena *a, const char *name, const char *file, const char *content) {
    const char *folder = here(a, name);
    copy_folder(a, fixture(), folder);
    put_file(a, arena_print(a, "%s/%s", name, file), content);
    return folder;
}

/* A job's settings go over those of the folder that it trains, whose other ones stay. */
TEST(generate_follows_what_a_job_said) {
    arena *a = command_begin();
    const char *m = model_with(a, "base", "generation_config.json",
                               "{\"_from_model_config\": true, \"max_new_tokens\": 5, \"top_k\": 3, \"eos_token_id\": [0, 7], \"no\": null}"),
               *job = put_file(a, "job.json", "{\"task\": \"text-generation\", \"generation\": {\"max_new_tokens\": 9, \"do_sample\": true}}"),
               *texts = put_file(a, "texts.txt", "The ferry left before the rain began\n");
    command_expect(a, 0, "train \"%s\" --model_name_or_path \"%s\" --train_file \"%s\" --output_dir \"%s\" --max_steps 1 --save_steps 1 --quiet", job, m, texts, here(a, "out"));
    CHECK_STR(file_text(a, path_join(a, here(a, "out"), "generation_config.json")),
              "{\n  \"top_k\": 3,\n  \"eos_token_id\": [\n    0,\n    7\n  ],\n  \"no\": null,\n  \"max_new_tokens\": 9,\n  \"do_sample\": true\n}\n");
    CHECK(strstr(file_text(a, path_join(a, here(a, "out"), "checkpoint-1/generation_config.json")), "\"max_new_tokens\": 9"));
    const said s = command_expect(a, 0, "generate \"%s\" --prompt Rain --min_new_tokens 9 --quiet", here(a, "out"));
    CHECK_INT(ids_of(row(&s, 0)), 9);
    command_expect(a, 0, "train \"%s\" --model_name_or_path \"%s\" --train_file \"%s\" --output_dir \"%s\" --max_steps 1 --quiet --generation "
                         "\"{\\\"max_length\\\": 12}\"", job, m, texts, here(a, "length"));
    const said t = command_expect(a, 0, "generate \"%s\" --prompt Rain --min_new_tokens 12 --quiet", here(a, "length"));
    CHECK(ids_of(row(&t, 0)) > 5 && ids_of(row(&t, 0)) < 12); /* 12 with the prompt's, not 5 */
    arena_free(a);
}

/* The folder's settings, which the command line overrules. */
TEST(generate_follows_generation_config) {
    arena *a = command_begin();
    const char *m = model_with(a, "set", "generation_config.json",
                               "{\"max_new_tokens\": 5, \"do_sample\": true, \"top_k\": 3, \"eos_token_id\": [0, 7], \"typical_p\": 0.5,"
                               " \"transformers_version\": \"5.0\"}");
    const said s = command_expect(a, 0, "generate " MODEL " --prompt Rain --min_new_tokens 5", m),
               greedy = command_expect(a, 0, "generate " MODEL " --prompt Rain --do_sample=false --max_new_tokens 7 --min_new_tokens 7", m),
               plain = command_expect(a, 0, "generate " MODEL " --prompt Rain --max_new_tokens 7 --min_new_tokens 7", fixture());
    CHECK_INT(ids_of(row(&s, 0)), 5);
    CHECK(strstr(s.err, "warning: ") && strstr(s.err, "typical_p is not played"));
    CHECK_INT(ids_of(row(&greedy, 0)), 7);
    CHECK_INT(ids_of(row(&plain, 0)), 7);
    arena_free(a);
}

TEST(generate_refuses_what_it_cannot_go_on_with) {
    arena *a = command_begin();
    const char *m = fixture(), *none = put_file(a, "latin.txt", "caf\xe9\n");
    text tall = {0};
    for (int i = 0; i < 90; i++) text_str(&tall, "q");
    command_refused(a, 3, "a prompt of 90 tokens, expected at most the model's 64 positions",
                    "generate " MODEL " --prompt %s --quiet", m, tall.p);
    command_refused(a, 3, "invalid UTF-8", "generate " MODEL " \"%s\" --quiet", m, none);
    command_refused(a, 3, "nothing.txt", "generate " MODEL " \"%s\" --quiet", m, here(a, "nothing.txt"));
    command_refused(a, 2, "expected either --prompt TEXT or one FILE", "generate " MODEL " --quiet", m);
    command_refused(a, 2, "expected either --prompt TEXT or one FILE", "generate " MODEL " x.txt --prompt a --quiet", m);
    command_refused(a, 2, "does not go on with texts, expected a causal language model", "generate " MODEL " --prompt a --quiet",
                    tiny_model(a));
    command_refused(a, 2, "--temperature: 0, expected a number in", "generate " MODEL " --prompt a --temperature 0", m);
    command_refused(a, 2, "--max_new_tokens: 1.5, expected an integer in", "generate " MODEL " --prompt a --max_new_tokens 1.5", m);
    command_refused(a, 2, "--early_stopping: maybe, expected true, false or", "generate " MODEL " --prompt a --early_stopping maybe", m);
    command_refused(a, 2, "leaves nothing of max_length: 2", "generate " MODEL " --prompt abcdef --max_length 2", m);
    command_refused(a, 2, "num_return_sequences: 2 without do_sample, but num_beams is 1", "generate " MODEL " --prompt a --num_return_sequences 2", m);
    command_refused(a, 2, "num_return_sequences: 3, expected at most num_beams, 2",
                    "generate " MODEL " --prompt a --do_sample --num_beams 2 --num_return_sequences 3", m);
    command_refused(a, 2, "--stop: empty", "generate " MODEL " --prompt a --stop \"\"", m);
    command_refused(a, 2, "did you mean --top_p", "generate " MODEL " --prompt a --topp 1", m);
    command_refused(a, 2, "top_k: text, expected an integer", "generate " MODEL " --prompt a",
                    model_with(a, "bad", "generation_config.json", "{\"top_k\": \"five\"}"));
    command_refused(a, 2, "eos_token_id: expected the id of a token, 0 to 319", "generate " MODEL " --prompt a",
                    model_with(a, "end", "generation_config.json", "{\"eos_token_id\": 320}"));
    const said full = command_shell(a, "(\"%s\" generate " MODEL " --prompt a --quiet >/dev/full)", command_program(), m);
    CHECK_INT(full.code, 8);
    CHECK(strstr(full.err, "standard output: writing: No space left"));
    text_free(&tall);
    arena_free(a);
}

/* A GPT trained from nothing on one sentence has learnt it, and where it ends. */
TEST(generate_lets_a_gpt_write_that_hone_trained) {
    arena *a = command_begin();
    const char *model = here(a, "tiny"), *out = here(a, "out");
    text rows = {0};
    for (int i = 0; i < 32; i++) text_str(&rows, "{\"text\": \"The ferry left before the rain began, and nobody saw it go.\"}\n");
    copy_folder(a, test_source("configs/models/small-gpt"), model);
    put_file(a, "tiny/config.json",
             "{\"model_type\": \"gpt2\", \"architectures\": [\"GPT2LMHeadModel\"], \"vocab_size\": 640, \"n_positions\": 64, "
             "\"n_embd\": 32, \"n_layer\": 2, \"n_head\": 2, \"bos_token_id\": 0, \"eos_token_id\": 0}\n");
    command_json(a,
                 "train --config_name \"%s\" --tokenizer_name \"%s\" --task text-generation --train_file \"%s\" --output_dir \"%s\" "
                 "--max_steps 80 --per_device_train_batch_size 8 --learning_rate 1e-2 --max_seq_length 64 --save_strategy no --json "
                 "--quiet \"%s\"",
                 model, model, put_file(a, "train.jsonl", rows.p), out, put_file(a, "job.json", "{}"));
    const char *want = "{\"index\":0,\"text\":\" ferry left before the rain began, and nobody saw it go.\",\"ids\":[";
    const said s = command_expect(a, 0, "generate \"%s\" --prompt The --max_new_tokens 60 --quiet", out),
               b = command_expect(a, 0, "generate \"%s\" --prompt The --max_new_tokens 60 --num_beams 3 --quiet", out);
    const int n = (int)strlen(want);
    if (strncmp(s.out, want, (size_t)n) || strncmp(b.out, want, (size_t)n))
        test_fail(__FILE__, __LINE__, "it writes %s, by beams %s", s.out, b.out);
    CHECK(strstr(s.out, "\"finish\":\"eos\"") && strstr(b.out, "\"finish\":\"eos\""));
    text_free(&rows);
    arena_free(a);
}
