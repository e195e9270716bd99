/* card.c - printing the card. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "model/card.h"
#include "model/json_print.h"

#define LONGEST 200 /* characters of a foreign text that are shown */

/* Characters that end a line or hide in one. */
static int is_hidden(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 || c == 0xfeff ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

void card_yaml(text *out, const char *p, size_t n) {
    int shown = 0;
    text_str(out, "\"");
    for (size_t i = 0; i < n; shown++) {
        uint32_t code = 0xfffd;
        const int length = utf8_decode(p + i, n - i, &code);
        if (shown == LONGEST) {
            text_str(out, "...");
            break;
        }
        if (!length) text_str(out, "\xef\xbf\xbd");
        else if (code == '"' || code == '\\') text_printf(out, "\\%c", (char)code);
        else if (is_hidden(code)) text_printf(out, "\\u%04x", code);
        else text_add(out, p + i, (size_t)length);
        i += length ? (size_t)length : 1;
    }
    text_str(out, "\"");
}

void card_markdown(text *out, const char *p, size_t n) {
    int shown = 0;
    for (size_t i = 0; i < n; shown++) {
        uint32_t code = 0xfffd;
        const int length = utf8_decode(p + i, n - i, &code);
        if (shown == LONGEST) {
            text_str(out, "...");
            break;
        }
        if (!length) text_str(out, "\xef\xbf\xbd");
        else if (code == '\n' || code == '\r' || code == '\t') text_str(out, " ");
        else if (is_hidden(code)) text_str(out, "\xef\xbf\xbd");
        else if (code == '<') text_str(out, "&lt;");
        else if (code == '>') text_str(out, "&gt;");
        else if (code == '&') text_str(out, "&amp;");
        else if (code == ':' || code == '@')
            text_printf(out, "&#%u;", code); /* nothing becomes a link or a mention */
        else if (code < 0x80 && strchr("\\`*_{}[]()#+-.!|~$=", (int)code))
            text_printf(out, "\\%c", (char)code);
        else text_add(out, p + i, (size_t)length);
        i += length ? (size_t)length : 1;
    }
}

static void yaml_line(text *out, const char *key, const char *value) {
    if (!value) return;
    text_printf(out, "%s: ", key);
    card_yaml(out, value, strlen(value));
    text_str(out, "\n");
}

/* [owner/]name of letters, digits, dot, dash, underscore. */
static int is_hub_id(const char *id) {
    int slashes = 0;
    if (!id || !*id || *id == '.' || *id == '/' || *id == '-' || strlen(id) > 96) return 0;
    for (const char *p = id; *p; p++) {
        if (*p == '/') slashes++;
        else if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", *p)) return 0;
    }
    return slashes <= 1 && id[strlen(id) - 1] != '/' && !strstr(id, "..") && !strstr(id, "--");
}

static const char *task_of(const card *c) { return c->task ? c->task : "text-classification"; }
static const char *title_of(const card *c) { return c->title ? c->title : "a fine-tuned model"; }

static void print_results(const card *c, text *out) {
    const char *file = path_name(c->metric_file ? c->metric_file : "own data"),
               *set = c->metric_set ? c->metric_set : "validation";
    text_str(out, "model-index:\n- name: ");
    card_yaml(out, title_of(c), strlen(title_of(c)));
    text_str(out, "\n");
    if (!c->n_metrics) {
        text_str(out, "  results: []\n");
        return;
    }
    text_printf(out, "  results:\n  - task:\n      type: %s\n    dataset:\n      type: ", task_of(c));
    card_yaml(out, file, strlen(file));
    text_str(out, "\n      name: ");
    card_yaml(out, file, strlen(file));
    text_str(out, "\n      split: ");
    card_yaml(out, set, strlen(set));
    text_str(out, "\n    metrics:\n");
    for (int i = 0; i < c->n_metrics; i++) {
        text_str(out, "    - type: ");
        card_yaml(out, c->metric[i].name, strlen(c->metric[i].name));
        text_str(out, "\n      value: ");
        if (c->metric[i].value - c->metric[i].value == 0) json_print_real(out, c->metric[i].value);
        else text_str(out, "null");
        text_str(out, "\n");
    }
}

static void print_front_matter(const card *c, text *out) {
    text_printf(out, "---\nlibrary_name: transformers\npipeline_tag: %s\n", task_of(c));
    yaml_line(out, "language", c->language);
    yaml_line(out, "license", c->license);
    if (is_hub_id(c->base_model)) yaml_line(out, "base_model", c->base_model);
    text_str(out, "tags:\n- hone\n");
    if (c->model_type) text_printf(out, "- %s\n", c->model_type);
    if (c->n_metrics) text_str(out, "metrics:\n");
    for (int i = 0; i < c->n_metrics; i++) {
        text_str(out, "- ");
        card_yaml(out, c->metric[i].name, strlen(c->metric[i].name));
        text_str(out, "\n");
    }
    print_results(c, out);
    text_str(out, "---\n\n");
}

static void markdown(text *out, const char *s) { card_markdown(out, s, strlen(s)); }

static void print_rows(text *out, const char *left, const char *right, const card_row *row, int n) {
    text_printf(out, "| %s | %s |\n|---|---|\n", left, right);
    for (int i = 0; i < n; i++) {
        text_str(out, "| ");
        markdown(out, row[i].name);
        text_str(out, " | ");
        markdown(out, row[i].value);
        text_str(out, " |\n");
    }
    text_str(out, "\n");
}

/* Version 5 has no pipeline for it. */
static void print_use_of_answers(text *out) {
    text_str(out, "## How to use it\n\n```python\nimport torch\nfrom transformers import AutoModelForQuestionAnswering, AutoTokenizer\n\n"
                  "model, words = AutoModelForQuestionAnswering.from_pretrained(\".\"), AutoTokenizer.from_pretrained(\".\")\n"
                  "x = words(\"a question\", \"a text that holds the answer\", return_tensors=\"pt\")\n"
                  "with torch.no_grad(): y = model(**x)\n"
                  "print(words.decode(x[\"input_ids\"][0][y.start_logits.argmax():y.end_logits.argmax() + 1]))\n```\n\n"
                  "or, without Python, rows with columns question and context: `hone predict . questions.jsonl`\n\n");
}

static void print_use(const card *c, text *out) {
    if (!strcmp(task_of(c), "question-answering")) {
        print_use_of_answers(out);
        return;
    }
    const int classes = !strcmp(task_of(c), "text-classification") || !strcmp(task_of(c), "token-classification");
    const char *verb = !strcmp(task_of(c), "fill-mask") ? "fill" : classes ? "classify" : "generate";
    const char *example = c->example ? c->example : "a text of the kind it was trained on";
    size_t n = strlen(example);
    if (n > 160) /* a short part of it, ended where a character begins */
        for (n = 160; n > 0 && ((unsigned char)example[n] & 0xc0) == 0x80;) n--;
    text_printf(out,
                "## How to use it\n\n```python\nfrom transformers import pipeline\n\n%s = "
                "pipeline(\"%s\", model=\".\")  # the path of this folder\nprint(%s(",
                verb, task_of(c), verb);
    card_yaml(out, example, n); /* a YAML string in double quotes is one of Python, too */
    text_str(out, "))\n```\n\n");
    if (classes) text_str(out, "or, without Python, a text a line: `hone predict . texts.txt`\n\n");
}

static void print_data(const card *c, text *out) {
    text_str(out, "## Training data\n\n| part | file | rows |\n|---|---|---|\n");
    for (int i = 0; i < c->n_data; i++) {
        text_str(out, "| ");
        markdown(out, c->data[i].role);
        text_str(out, " | ");
        markdown(out, path_name(c->data[i].file));
        if (c->data[i].rows >= 0) text_printf(out, " | %lld |\n", (long long)c->data[i].rows);
        else text_str(out, " | |\n");
    }
    text_str(out, "\n");
}

static void print_labels(const card *c, text *out) {
    text_printf(out, "## Categories\n\n%d:", c->n_labels);
    for (int i = 0; i < c->n_labels && i < 1000; i++) {
        text_str(out, i ? ", " : " ");
        card_markdown(out, c->label[i].p, c->label[i].n);
    }
    text_str(out, c->n_labels > 1000 ? " ...\n\n" : "\n\n");
}

void card_print(const card *c, text *out) {
    print_front_matter(c, out);
    text_str(out, "# ");
    markdown(out, title_of(c));
    text_str(out, "\n\n");
    if (c->base_model) {
        text_str(out, "Fine-tuned from ");
        markdown(out, path_name(c->base_model));
        text_str(out, ".\n\n");
    }
    print_use(c, out);
    if (c->n_metrics) {
        text_printf(out, "## Results\n\nOn the ");
        markdown(out, c->metric_set ? c->metric_set : "validation");
        text_str(out, " data:\n\n| metric | value |\n|---|---|\n");
        for (int i = 0; i < c->n_metrics; i++) {
            text_str(out, "| ");
            markdown(out, c->metric[i].name);
            text_printf(out, " | %.6g |\n", c->metric[i].value);
        }
        text_str(out, "\n");
    }
    if (c->n_data) print_data(c, out);
    if (c->n_labels && c->label) print_labels(c, out);
    text_str(out,
             "## Intended uses\n\nTexts like those it was trained on. It has not been tried on others.\n\n");
    if (c->n_settings) {
        text_str(out, "## Training procedure\n\n");
        print_rows(out, "setting", "value", c->setting, c->n_settings);
    }
    if (c->n_facts) {
        text_str(out, "## Made with\n\n");
        print_rows(out, "what", "value", c->fact, c->n_facts);
    }
}
